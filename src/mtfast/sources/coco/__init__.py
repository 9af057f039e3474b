"""COCO files: JSON in pieces, records, segmentations in their three spellings."""
