"""Options of an inspection."""
from __future__ import annotations

import ctypes
import dataclasses
import operator
from collections.abc import Sequence
from typing import Any, Literal, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _structures
from ._errors import AgpnetArgumentError
from ._images import image_of


def int32(name: str, value: Any) -> int:
    """ctypes would cut it off."""
    number = operator.index(value)
    if not -(2**31) <= number < 2**31:
        raise AgpnetArgumentError(f"{name} is {number}, expected an integer of 32 bits")
    return number


@dataclasses.dataclass(frozen=True, eq=False)
class DetectOptions:
    """Options of an inspection; the defaults are those of the training. `dataclasses.replace(options, sensitivity=2)` makes a changed
    copy. One object may be used by several threads at once. Values are checked when an inspection uses them."""

    #: size of map and mask: "image", or "model", the scale at which the score is computed
    map_size: Literal["image", "model"] = "image"
    #: side of the tiles in pixels of the image, 32 to 16384. 0: the whole image is resized. None: as trained
    tile_side: Optional[int] = None
    #: minimum fraction of a tile that it shares with the next one, 0 to 0.9. None: as trained
    tile_overlap: Optional[float] = None
    #: inspect this region: a mask [height, width], uint8 or bool, not 0 inside, which is stretched to each image. None: as trained
    region_of_interest: Optional[Union[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]] = None
    #: the same with polygons, each [points, 2] of x and y; a polygon inside another one is a hole. Empty: the whole image. None: as trained
    region_polygons: Optional[Sequence[npt.ArrayLike]] = None
    #: (height, width) of the image that the points are pixels of. None: the points are fractions of its sides, 0 to 1
    region_image_size: Optional[tuple[int, int]] = None
    #: use the thresholds of this product. "": of the nearest product if the model distinguishes products, otherwise of all together
    product: str = ""
    #: divides both thresholds: 2 detects defects half as strong. Above 0
    sensitivity: float = 1.0
    #: threshold of the image score, before sensitivity. None: the model's own
    threshold: Optional[float] = None
    #: threshold of the map, before sensitivity. None: the model's own
    pixel_threshold: Optional[float] = None
    #: minimum area of a region in pixels; smaller ones are neither listed nor marked in the mask. The decision does not depend on it
    minimum_area: int = 0
    #: threads that compute one call on the CPU, at most 256. 0: one for each core, unless OMP_NUM_THREADS is lower
    threads: int = 0


def native(options: Optional[DetectOptions]) -> Optional[_structures.DetectOptions]:
    """As the library takes them; keeps alive what they point to."""
    if options is None:
        return None
    if not isinstance(options, DetectOptions):
        raise AgpnetArgumentError(f"options is {type(options).__name__}, expected DetectOptions")
    sizes = {"image": 0, "model": 1}
    if options.map_size not in sizes:
        raise AgpnetArgumentError(f"map_size is {options.map_size!r}, expected 'image' or 'model'")
    given = _structures.DetectOptions(sizes[options.map_size])
    given.tile_side = -1 if options.tile_side is None else int32("tile_side", options.tile_side)
    given.tile_overlap = -1 if options.tile_overlap is None else options.tile_overlap
    _set_region(given, options)
    given.product = options.product.encode()
    given.sensitivity = options.sensitivity
    given.threshold = 0 if options.threshold is None else options.threshold
    given.pixel_threshold = 0 if options.pixel_threshold is None else options.pixel_threshold
    given.minimum_area = int32("minimum_area", options.minimum_area)
    given.threads = int32("threads", options.threads)
    return given


def _set_region(given: _structures.DetectOptions, options: DetectOptions) -> None:
    if options.region_of_interest is not None and options.region_polygons is not None:
        raise AgpnetArgumentError("region_of_interest and region_polygons are both given, expected one of them")
    if options.region_of_interest is not None:
        mask = np.asarray(options.region_of_interest)
        given.region = _structures.REGION_MASK
        given.mask = ctypes.pointer(image_of(mask.view(np.uint8) if mask.dtype == np.bool_ else mask, "region_of_interest"))
    elif options.region_polygons is not None:
        polygons = [np.ascontiguousarray(polygon, np.float32) for polygon in options.region_polygons]
        for number, polygon in enumerate(polygons):
            if polygon.ndim != 2 or polygon.shape[1] != 2:
                raise AgpnetArgumentError(f"region_polygons[{number}] has the shape {polygon.shape}, expected [points, 2]")
        given.region = _structures.REGION_POLYGONS if polygons else _structures.REGION_WHOLE
        pointers = [polygon.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) for polygon in polygons]
        structures = [_structures.Polygon(pointer, len(polygon)) for pointer, polygon in zip(pointers, polygons)]
        given.polygons = (_structures.Polygon * len(polygons))(*structures)
        given.polygon_count = len(polygons)
        given.points = polygons
        if options.region_image_size is not None:
            given.polygon_height, given.polygon_width = (int32("region_image_size", side) for side in options.region_image_size)
