"""Layouts of other tools, a module each: all are turned into COCO's text and read as that is."""
