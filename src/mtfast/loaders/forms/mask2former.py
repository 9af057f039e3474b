"""Form "mask2former": the dicts of detectron2, with plain tensors as masks.

As Mask2Former's MaskFormerInstanceDatasetMapper gives them:
https://github.com/facebookresearch/Mask2Former/tree/main/mask2former/data/dataset_mappers
"""

from mtfast.loaders.forms.detectron2 import holds, make_dict, require
from mtfast.loaders.forms.form import Form

__all__ = ["FORM"]

FORM = Form(make_dict, list, holds, require, needs_image_format=True)
