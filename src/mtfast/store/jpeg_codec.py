"""The Zarr codec of a chunk that is a JPEG file.

The name and the stored form are those of ``imagecodecs-zarr``, so that stores read with either
package. Source: ``Jpeg`` in imagecodecs' zarr module.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from zarr.abc.codec import ArrayBytesCodec

from mtfast.errors import StoreError
from mtfast.store.schema import JPEG_CODEC

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

__all__ = ["JpegCodec"]


@dataclass(frozen=True)
class JpegCodec(ArrayBytesCodec):
    """Decodes a JPEG file to (1, height, width, 3) uint8; refuses to encode, which is lossy.

    ``colorspace_data`` is what pixels are decoded to, also those of grey files.
    """

    is_fixed_size = False
    colorspace_data: str = "RGB"

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make the codec from its Zarr metadata."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the Zarr metadata of the codec."""
        return {"name": JPEG_CODEC, "configuration": {"colorspace_data": self.colorspace_data}}

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        import imagecodecs

        pixels = imagecodecs.jpeg8_decode(
            chunk_data.as_numpy_array(), outcolorspace=self.colorspace_data
        )
        return chunk_spec.prototype.nd_buffer.from_numpy_array(pixels.reshape(chunk_spec.shape))

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)

    def _encode_sync(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        raise StoreError(
            "pixels written to an array of JPEG files; expected it to be read only, as encoding "
            "again would lose quality; make another array for changed images"
        )

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        return self._encode_sync(chunk_data, chunk_spec)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Raise: the size of a JPEG file does not follow from the number of its pixels."""
        raise NotImplementedError("the size of a JPEG file is not known beforehand")
