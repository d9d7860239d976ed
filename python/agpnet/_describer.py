"""The describer on numpy arrays."""
from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Sequence
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt

from . import _structures
from ._detector import Path
from ._errors import AgpnetArgumentError
from ._images import Pixels, image_of
from ._library import Handle, Uncopied, call
from ._rows import Rows, pointer, rows_of

Order = Literal["unordered", "ring"]

_ORDERS = {"unordered": 0, "ring": 1}


class DescriberHandle(Handle):
    free = "agpnet_describer_free"


class Describer(Uncopied):
    """A trained model that describes objects by one or several views. Equal things have descriptors that point in nearly the same
    direction. Several threads may use it at once; Python's lock is released meanwhile.

        describer = agpnet.Describer("parts.agp")
        descriptor = describer.describe([front, side])  # to be searched for in an agpnet.Gallery
    """

    def __init__(self, model: Path, precision: str = "auto", device: str = "cpu") -> None:
        """Reads a model file, which agpnet.DescriberTrainer or `agpnet train --method dec` wrote.

        model:      path of the .agp file
        precision:  "auto" (float32 on a CPU, bfloat16 on a CUDA device), "fp32" or "bf16"
        device:     "cpu", "cuda" or "cuda:N"
        """
        handle = DescriberHandle()
        given = _structures.DescriberOptions(precision.encode(), device.encode())
        call("agpnet_describer_create", os.fsencode(model), ctypes.byref(given), ctypes.byref(handle))
        self._take(handle)

    def _take(self, handle: DescriberHandle) -> None:
        self._handle = handle
        info = _structures.DescriberInfo()
        call("agpnet_describer_get_info", handle, ctypes.byref(info))
        self._info = info  # what never changes; its texts live as long as the handle

    @classmethod
    def _of(cls, handle: DescriberHandle) -> Describer:
        describer = cls.__new__(cls)
        describer._take(handle)
        return describer

    def describe(self, views: Union[Pixels, Sequence[Pixels]], order: Order = "unordered") -> Rows:
        """One descriptor of all views of one object: [width], float32, of unit length.

        views:  images as AnomalyDetector.detect() takes them, or one image; sizes and types may differ. Each is resized to the model's
                input, without keeping its ratio of sides
        order:  "unordered" (images from any sides), or "ring" (in the order in which they were taken around the object)
        """
        images = _images(views, "views")
        descriptor = np.empty(self.width, np.float32)
        call("agpnet_describer_describe", self._handle, images, len(images), _order(order), pointer(descriptor), descriptor.size)
        return descriptor

    def embed(self, images: Union[Pixels, Sequence[Pixels]]) -> Rows:
        """The backbone's embedding of each image, [images, width], float32, from which aggregate() makes a descriptor: for views that
        come one by one."""
        given = _images(images, "images")
        embeddings = np.empty((len(given), self.width), np.float32)
        call("agpnet_describer_embed", self._handle, given, len(given), pointer(embeddings), embeddings.size)
        return embeddings

    def aggregate(self, embeddings: npt.ArrayLike, order: Order = "unordered") -> Rows:
        """describe() on embeddings, [views, width]."""
        rows = rows_of(embeddings, "embeddings", self.width)
        descriptor = np.empty(self.width, np.float32)
        call("agpnet_describer_aggregate", self._handle, pointer(rows), len(rows), self.width, _order(order), pointer(descriptor),
             descriptor.size)
        return descriptor

    @property
    def width(self) -> int:
        """Width of embeddings and descriptors."""
        return int(self._info.width)

    @property
    def space(self) -> str:
        """Digest of the space that descriptors are in; a gallery belongs to one."""
        return str(self._info.space, "utf-8")

    @property
    def header(self) -> dict[str, Any]:
        """The model file's header: configuration, training record."""
        header: dict[str, Any] = json.loads(self._info.header)
        return header

    @property
    def precision(self) -> str:
        """The precision that it computes in: "fp32" or "bf16"."""
        return str(self._info.precision, "utf-8")

    @property
    def device(self) -> str:
        """"cpu" or "cuda:N"."""
        return str(self._info.device, "utf-8")

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the model's input in pixels."""
        return self._info.input_height, self._info.input_width


def _order(order: str) -> int:
    if order not in _ORDERS:
        raise AgpnetArgumentError(f"order is {order!r}, expected 'unordered' or 'ring'")
    return _ORDERS[order]


def _images(images: Union[Pixels, Sequence[Pixels]], name: str) -> Any:
    """An array of structures. An array of 4 dimensions is several images, one of 2 or 3 dimensions is one."""
    one = isinstance(images, np.ndarray) and images.ndim < 4
    given = [image_of(images, name)] if one else [image_of(image, f"{name}[{number}]") for number, image in enumerate(images)]
    array: Any = (_structures.Image * len(given))(*given)
    array.kept = given  # their pixels
    return array
