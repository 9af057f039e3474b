"""Masks made and measured on a CUDA device, without a frame leaving it."""
