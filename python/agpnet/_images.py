"""Images between numpy and the library, without copies where the memory allows it."""
from __future__ import annotations

from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import _structures
from ._errors import AgpnetArgumentError

Pixels = Union[npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.float32]]

_TYPES = {np.dtype(np.uint8): _structures.UINT8, np.dtype(np.uint16): _structures.UINT16, np.dtype(np.float32): _structures.FLOAT32}


def image_of(array: Any, name: str = "image") -> _structures.Image:
    """The structure of [height, width] or [height, width, channels]; keeps the pixels alive."""
    if not isinstance(array, np.ndarray) or array.dtype not in _TYPES or array.ndim not in (2, 3):
        found = f"{array.dtype} of {array.ndim} dimensions" if isinstance(array, np.ndarray) else type(array).__name__
        raise AgpnetArgumentError(f"{name} is {found}, expected a numpy array of 2 or 3 dimensions of uint8, uint16 or float32")
    pixels = array if array.ndim == 3 else array[:, :, np.newaxis]
    height, width, channels = pixels.shape
    row = width * channels * pixels.itemsize
    if pixels.strides[1:] != (channels * pixels.itemsize, pixels.itemsize) or pixels.strides[0] < row or not pixels.flags.aligned:
        pixels = np.ascontiguousarray(pixels)
    image = _structures.Image(pixels.ctypes.data, height, width, channels, _TYPES[array.dtype], max(pixels.strides[0], row))
    image.pixels = pixels
    return image


class _Owned:
    """Memory of the library as numpy sees it; keeps its handle alive."""

    def __init__(self, image: _structures.Image, handle: Any) -> None:
        kind = {_structures.UINT8: "|u1", _structures.FLOAT32: np.dtype(np.float32).str}[image.type]
        item = np.dtype(kind).itemsize
        self.handle = handle
        self.__array_interface__ = {
            "version": 3,
            "shape": (image.height, image.width),
            "typestr": kind,
            "data": (image.data, False),
            "strides": (image.stride, item),
        }


def array_of(image: _structures.Image, handle: Any) -> npt.NDArray[Any]:
    """[height, width] in the memory of `handle`, which lives as long as the array."""
    return np.asarray(_Owned(image, handle))
