"""The detector on numpy arrays."""
from __future__ import annotations

import ctypes
import json
import os
import warnings
from collections.abc import Sequence
from typing import Any, Optional, Union

from . import _structures
from ._images import Pixels, image_of
from ._library import Handle, Uncopied, call, library
from ._options import DetectOptions, int32, native
from ._results import AnomalyResult, DriftState, Results, outputs, result_of

Path = Union[str, "os.PathLike[str]"]


class DetectorHandle(Handle):
    free = "agpnet_detector_free"


class AnomalyDetector(Uncopied):
    """A trained model that inspects images. Several threads may use it at once; Python's lock is released meanwhile. It can be neither
    copied nor pickled: create another one, which costs no memory, or pass this one on."""

    def __init__(self, model: Path, precision: str = "auto", device: str = "cpu", options: Optional[DetectOptions] = None) -> None:
        """Reads a model file.

        model:      path of the .agp file
        precision:  "auto" (the fastest one in which training found the model accurate), "fp32", "bf16" or "int8"
        device:     "cpu", "cuda" or "cuda:N"
        options:    options of calls without options. None: as trained
        """
        handle, detect = DetectorHandle(), native(options)
        given = _structures.DetectorOptions(precision.encode(), device.encode(), ctypes.pointer(detect) if detect else None)
        call("agpnet_detector_create", os.fsencode(model), ctypes.byref(given), ctypes.byref(handle))
        self._take(handle, options)

    def _take(self, handle: DetectorHandle, options: Optional[DetectOptions] = None) -> None:
        self._handle = handle
        self._options = options or DetectOptions()

    @classmethod
    def _of(cls, handle: DetectorHandle) -> AnomalyDetector:
        detector = cls.__new__(cls)
        detector._take(handle)
        return detector

    def detect(self, image: Pixels, options: Optional[DetectOptions] = None, *, map: bool = True, mask: bool = False) -> AnomalyResult:
        """Inspects an image.

        image:    [height, width] or [height, width, channels], 1 (grey), 3 (BGR, as cv2 has it), 4 (BGRA, alpha ignored) or 6 channels
                  (BGR and
                  geometry, for models that take it); at least 8x8. uint8, uint16 (0 to the maximum of the bits that the model was trained
                  with, header["config"]["bits"], 0 means all 16; a RuntimeWarning says where the values do not fit), or float32 from 0 to 1
        options:  options of this call. None: those of the detector
        map:      return the anomaly map
        mask:     return the mask
        """
        results = Results()
        wanted = outputs(map, mask)
        call("agpnet_detector_detect", self._handle, image_of(image), native(options), wanted, ctypes.byref(results))
        return _warned(result_of(results, 0, wanted))

    def detect_batch(
        self, images: Sequence[Pixels], options: Optional[DetectOptions] = None, *, map: bool = True, mask: bool = False
    ) -> list[AnomalyResult]:
        """Inspects several images in one pass, which is faster than one by one. Their sizes and types may differ. The arguments are those
        of
        detect(). The maps share memory: it is freed with the last of them."""
        results = Results()
        wanted = outputs(map, mask)
        given = [image_of(image, f"images[{number}]") for number, image in enumerate(images)]
        array = (_structures.Image * len(given))(*given)
        call("agpnet_detector_detect_batch", self._handle, array, len(given), native(options), wanted, ctypes.byref(results))
        return [_warned(result_of(results, number, wanted)) for number in range(len(given))]

    @property
    def options(self) -> DetectOptions:
        """Options of calls without options. Calls that run while they are set use the old or the new ones."""
        return self._options

    @options.setter
    def options(self, options: DetectOptions) -> None:
        call("agpnet_detector_set_options", self._handle, native(options))
        self._options = options

    @property
    def header(self) -> dict[str, Any]:
        """The model file's header: configuration, thresholds, training record."""
        header: dict[str, Any] = json.loads(self._info().header)
        return header

    @property
    def precision(self) -> str:
        """The precision that it computes in: "fp32", "bf16" or "int8"."""
        return str(self._info().precision, "utf-8")

    @property
    def device(self) -> str:
        """"cpu" or "cuda:N"."""
        return str(self._info().device, "utf-8")

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the model's input in pixels."""
        info = self._info()
        return info.input_height, info.input_width

    @property
    def products(self) -> list[str]:
        """Names of the products that the model was trained for, each with its own thresholds; empty if it has one only."""
        return [library().agpnet_detector_get_product(self._handle, index).decode() for index in range(self._info().product_count)]

    def thresholds(self, product: str = "") -> tuple[float, float]:
        """The model's own thresholds of the image score and of the map. product: "" means all products together."""
        score, pixel = ctypes.c_double(), ctypes.c_double()
        call("agpnet_detector_get_thresholds", self._handle, product.encode(), ctypes.byref(score), ctypes.byref(pixel))
        return score.value, pixel.value

    @property
    def drift(self) -> DriftState:
        """Drift over the last images of this detector, of all threads together."""
        state = _structures.Drift()
        call("agpnet_detector_get_drift", self._handle, ctypes.byref(state))
        return DriftState(bool(state.known), state.images, state.window, state.median, state.outside, bool(state.drifting))

    def set_drift_window(self, images: int) -> None:
        """Forgets the images seen, and looks at this many from now on: 4 to 65536; 32 at first."""
        call("agpnet_detector_set_drift_window", self._handle, int32("images", images))

    def _info(self) -> _structures.DetectorInfo:
        info = _structures.DetectorInfo()
        call("agpnet_detector_get_info", self._handle, ctypes.byref(info))
        return info


def _warned(result: AnomalyResult) -> AnomalyResult:
    if result.warning:
        warnings.warn(result.warning, RuntimeWarning, stacklevel=3)
    return result
