"""Kernels that read or write the bytes of files: JPEG scans, zlib and zstd streams, JSON."""
