"""COCO strings to runs and back; areas and boxes."""
