"""Kernels that run on a GPU; each body also runs on the host, where it is tested."""
