"""Random numbers and windows of training samples, for many samples at once."""
