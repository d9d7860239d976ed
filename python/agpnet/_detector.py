"""The detector on numpy arrays."""
from __future__ import annotations

import ctypes
import json
import os
import warnings
from typing import Any, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from . import _library
from ._library import AgpnetError

Pixels = Union[npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.float32]]


class Inspection(NamedTuple):
    """What an inspection found."""

    map: npt.NDArray[np.float32]  #: [height, width], 0 upward
    mask: npt.NDArray[np.uint8]  #: [height, width], 255 where the map exceeds the pixel threshold, else 0
    score: float  #: the image's
    threshold: float  #: what it was compared with, sensitivity included
    anomalous: bool


class _Handle(ctypes.c_void_p):
    """Owns what the library made. An object of its own, so that it is freed once, by whatever way the detectors that hold it came to be."""

    def __del__(self) -> None:
        if self:
            _library.library().agpnet_detector_free(self)


class Detector:
    """A trained model. Several threads may inspect at once, as long as none changes the sensitivity; Python's lock is released meanwhile. It
    can be neither copied nor pickled: load it once more, or pass it on.

    path: the .agp file. precision: "auto", "fp32", "bf16" or "int8". device: "cpu", "cuda" or "cuda:N". AgpnetError says what is wrong with one of them.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]"], precision: str = "auto", device: str = "cpu") -> None:
        handle = _Handle()
        _library.call("agpnet_detector_load_on", os.fsencode(path), precision.encode(), device.encode(), ctypes.byref(handle))
        self._handle = handle
        self._sensitivity = 1.0
        self._threads = 0

    def __reduce_ex__(self, protocol: Any) -> Any:  # what copy and pickle ask for
        raise TypeError("a Detector cannot be copied or pickled: load the model once more, or pass this one on")

    @property
    def header(self) -> dict[str, Any]:
        """The model file's header: configuration, thresholds, how it was trained."""
        return json.loads(_library.library().agpnet_detector_header(self._handle))

    @property
    def sensitivity(self) -> float:
        """Divides both thresholds: 2 finds defects half as strong. Above 0."""
        return self._sensitivity

    @sensitivity.setter
    def sensitivity(self, value: float) -> None:
        _library.call("agpnet_detector_set_sensitivity", self._handle, float(value))
        self._sensitivity = float(value)

    @property
    def threads(self) -> int:
        """Threads that compute one call on the CPU. 0: one for each core, unless OMP_NUM_THREADS says less."""
        return self._threads

    @threads.setter
    def threads(self, value: int) -> None:
        _library.call("agpnet_detector_set_threads", self._handle, int(value))
        self._threads = int(value)

    def detect(self, image: Pixels) -> tuple[npt.NDArray[np.float32], float]:
        """The anomaly map, [height, width], and the image's score.

        image: [height, width] or [height, width, channels], 1 (grey), 3 (BGR, as cv2 has it) or 4 channels (BGRA, alpha ignored); uint8, uint16 (of the bits
        that the model was trained with, header["config"]["bits"], 0 for all 16; a RuntimeWarning says where the values do not fit), or float32 from 0 to 1.
        """
        anomaly_map, _, result = self._run(image, with_mask=False)
        return anomaly_map, result.score

    def inspect(self, image: Pixels) -> Inspection:
        """As detect(), with mask and decision."""
        anomaly_map, mask, result = self._run(image, with_mask=True)
        return Inspection(anomaly_map, mask, result.score, result.threshold, bool(result.anomalous))

    def _run(self, image: Pixels, with_mask: bool) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], _library.Result]:
        types = {np.dtype(np.uint8): _library.UINT8, np.dtype(np.uint16): _library.UINT16, np.dtype(np.float32): _library.FLOAT32}
        if not isinstance(image, np.ndarray) or image.dtype not in types or image.ndim not in (2, 3):
            found = f"{image.dtype} of {image.ndim} dimensions" if isinstance(image, np.ndarray) else type(image).__name__
            raise AgpnetError(f"image is {found}, expected a numpy array of 2 or 3 dimensions of uint8, uint16 or float32")
        pixels = image if image.ndim == 3 else image[:, :, np.newaxis]
        height, width, channels = pixels.shape
        if pixels.strides[1:] != (channels * pixels.itemsize, pixels.itemsize) or pixels.strides[0] < width * channels * pixels.itemsize:
            pixels = np.ascontiguousarray(pixels)
        given = _library.Image(ctypes.sizeof(_library.Image), pixels.ctypes.data, height, width, channels, types[image.dtype],
                               max(pixels.strides[0], width * channels * pixels.itemsize))
        anomaly_map = np.empty((height, width), np.float32)
        mask = np.empty((height, width) if with_mask else (0, 0), np.uint8)
        result = _library.Result(ctypes.sizeof(_library.Result))
        warning = _library.call("agpnet_detector_detect", self._handle, ctypes.byref(given), anomaly_map.ctypes.data,
                                mask.ctypes.data if with_mask else None, ctypes.byref(result))
        if warning:
            warnings.warn(warning, RuntimeWarning, stacklevel=3)
        return anomaly_map, mask, result
