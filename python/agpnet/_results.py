"""What inspections return."""
from __future__ import annotations

import ctypes
import dataclasses
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from . import _structures
from ._images import array_of
from ._library import Handle, call


class Results(Handle):
    free = "agpnet_results_free"


@dataclasses.dataclass(frozen=True, eq=False)
class AnomalyRegion:
    """Connected pixels of the map above the pixel threshold (8 neighbours). All values are pixels of the map."""

    box: tuple[int, int, int, int]  #: bounding box: x, y, width, height
    peak: tuple[int, int]  #: x, y of the map's maximum in the region
    score: float  #: the map's value there
    area: int  #: number of pixels
    contour: npt.NDArray[np.int32]  #: [corners, 2], x and y: the outer border, as cv2.findContours() with CHAIN_APPROX_SIMPLE returns it


@dataclasses.dataclass(frozen=True, eq=False)
class AnomalyResult:
    """The result of an inspection."""

    score: float  #: image score
    threshold: float  #: the threshold that the score was compared with, sensitivity included
    pixel_threshold: float  #: the threshold that the map was compared with, sensitivity included
    calibrated: float  #: the score on a scale of 0 to 1: 0.5 is the threshold
    anomalous: bool  #: the decision: the score is above the threshold
    product: str  #: the product whose thresholds were used; "" if the model has one product only
    drift: Optional[float]  #: distance of the features from those of normal images: up to 1 within the range of training. None: unknown
    warning: str  #: a message if the values of a 16-bit image do not fit those of training: the score is unreliable; else ""
    regions: list[AnomalyRegion]  #: highest peak first; found if the image is anomalous, or if the mask was requested
    map: Optional[npt.NDArray[np.float32]]  #: [height, width], 0 and more: the anomaly map. None if it was not requested
    mask: Optional[npt.NDArray[np.uint8]]  #: [height, width], 255 where the map is above the pixel threshold, else 0. None: not requested


@dataclasses.dataclass(frozen=True)
class DriftState:
    """The drift check over the last images: do they still look like the training images?"""

    known: bool  #: the model knows the range of its training features
    images: int  #: images seen, at most the window
    window: int  #: number of images that are looked at
    median: float  #: of their AnomalyResult.drift
    outside: float  #: fraction of them above 1
    drifting: bool  #: at least 4 images, and a quarter of those seen, are outside


def outputs(map: bool, mask: bool) -> int:
    return (_structures.MAP if map else 0) | (_structures.MASK if mask else 0)


def result_of(results: Results, index: int, wanted: int) -> AnomalyResult:
    found, image = _structures.Result(), _structures.Image()
    call("agpnet_results_get_result", results, index, ctypes.byref(found))
    arrays: list[Optional[npt.NDArray[Any]]] = [None, None]
    for place, output, function in (0, _structures.MAP, "agpnet_results_get_map"), (1, _structures.MASK, "agpnet_results_get_mask"):
        if wanted & output:
            call(function, results, index, ctypes.byref(image))
            arrays[place] = array_of(image, results)
    return AnomalyResult(
        score=found.score,
        threshold=found.threshold,
        pixel_threshold=found.pixel_threshold,
        calibrated=found.calibrated,
        anomalous=bool(found.anomalous),
        product=found.product.decode(),
        drift=found.drift if found.drift >= 0 else None,
        warning=found.warning.decode(),
        regions=[_region_of(results, index, region) for region in range(found.region_count)],
        map=arrays[0],
        mask=arrays[1],
    )


def _region_of(results: Results, index: int, number: int) -> AnomalyRegion:
    region = _structures.Region()
    call("agpnet_results_get_region", results, index, number, ctypes.byref(region))
    contour = np.ctypeslib.as_array(region.contour, (region.contour_count, 2)).copy()
    return AnomalyRegion((region.x, region.y, region.width, region.height), (region.peak_x, region.peak_y), region.score,
                         region.area, contour)
