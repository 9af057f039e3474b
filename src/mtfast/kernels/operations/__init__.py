"""Masks as runs to other masks, or numbers, as runs."""
