"""Where the files of a dataset may be other than in a folder: archives, buckets, web servers."""
