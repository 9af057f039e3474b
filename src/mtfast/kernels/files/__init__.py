"""The bytes of files: JPEG scans, zlib and zstd streams, JSON."""
