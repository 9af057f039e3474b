"""Sets of COCO's shape, every pixel compared with pycocotools."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import coco_shape


@pytest.mark.parametrize("outlier", [0, 3000])
def test_every_pixel_is_that_of_pycocotools(tmp_path, outlier):
    coco_shape.write_set(tmp_path / "set", replace(coco_shape.TINY, outlier=outlier))
    file = tmp_path / "set" / "annotations" / "instances_val2017.json"
    found = coco_shape.differences(file, tmp_path)
    assert len(found) == 9
    assert not found.total(), found
