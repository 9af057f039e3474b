"""Makes data sets that are true to the MaskTerial layout, from a seed alone.

shapes -> scene (which flakes, as run lengths) -> render (pixels) -> write (files) <- layout (plan)
"""

from mtfast.synth.layout import make_set

__all__ = ["make_set"]
