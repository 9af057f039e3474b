"""Opening datasets and reading their annotations."""

import mtfast
from benchmarks import data
from mtfast.sources.coco.parse import parse_coco


class CocoJson:
    """A COCO file, from its bytes to a table."""

    def setup(self) -> None:
        self.file = data.coco_file(data.scale)
        self.text = self.file.read_bytes()
        self.time_parse()

    def time_parse(self) -> None:
        parse_coco(self.text, self.file.name)

    def time_open_and_read(self) -> None:
        mtfast.open_source(self.file).table("train", "annotations")


class CocoJsonMemory:
    """The same, without the bytes of the file in memory."""

    def setup(self) -> None:
        self.file = data.coco_file(data.scale)

    def peakmem_open_and_read(self) -> None:
        mtfast.open_source(self.file).table("train", "annotations")


class MaskTerial:
    """A folder with a hundred annotation files."""

    def setup(self) -> None:
        self.folder = data.jpeg_set(data.scale)
        self.source = mtfast.open_source(self.folder)
        self.time_all_tables()

    def time_open(self) -> None:
        mtfast.open_source(self.folder)

    def time_image_names(self) -> None:
        self.source.image_names("train")

    def time_set_names(self) -> None:
        self.source.set_names("train")

    def time_all_tables(self) -> None:
        for variant in self.source.variants("train"):
            self.source.table("train", variant)

    def peakmem_all_tables(self) -> None:
        self.time_all_tables()


class Labelme:
    """A folder of labelme's files, of ten polygons each."""

    params = ("pycocotools", "pil", "cv2")
    param_names = ("rasterizer",)

    def setup(self, rasterizer: str) -> None:
        self.source = mtfast.open_source(data.labelme_set(data.scale), rasterizer=rasterizer)
        self.time_table(rasterizer)

    def time_table(self, rasterizer: str) -> None:
        self.source.table("train", "annotations")
