"""Random access: metadata once, ranges of files, decode into the caller's buffer."""
