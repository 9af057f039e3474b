"""``mtfast bench``: how many samples a second the loader reads from a store.

It is compared with the reader that most training code has: whole image files are decoded with
OpenCV (or Pillow), the mask of each instance with pycocotools, and both are cropped. The two
readers make the same samples, pixel for pixel, of the same windows of the same images, in turn in
one process; the image files are in the page cache for both.

Other libraries are compared in ``benchmarks/loaders.py``.
"""
