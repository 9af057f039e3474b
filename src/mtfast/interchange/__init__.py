"""Annotations for other tools: ``mtfast export``, a file for each format.

::

    exporting          opens a dataset, has a format write its files, counts what that cannot hold
    inputs             source or store -> what is exported of each split
    annotation_format  what each format implements: coco, yolo, geojson, labelme
    names, images      names of files in the new folder; image files linked or copied
    bridges            polygons with holes, or of several parts, as one ring
"""

from mtfast.interchange.exporting import ExportedAnnotations, Loss, export_annotations

__all__ = ["ExportedAnnotations", "Loss", "export_annotations"]
