"""Makes data sets in the layout of MaskTerial's, from a seed alone.

::

    shapes ─► scene ─► render ─► write ◄─ layout
    outlines  flakes   pixels    files    what to make, and the workers
"""

from mtfast.synth.layout import make_set

__all__ = ["make_set"]
