"""New thresholds for a trained model."""
from __future__ import annotations

import ctypes
import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Literal, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _structures
from ._callbacks import Callbacks, LazyImages, fill
from ._detector import Path
from ._errors import AgpnetArgumentError
from ._images import Pixels, image_of

_RULES = {"tail": 0, "quantile": 1, "f1": 2, "cost": 3}


@dataclasses.dataclass(frozen=True, eq=False)
class CalibrationImage:
    """An image to take thresholds from, and what is known of it."""

    image: Pixels  #: as AnomalyDetector.detect() takes it
    anomalous: bool = False  #: only the rules "f1" and "cost" use it; the others take normal images alone
    mask: Optional[npt.NDArray[np.uint8]] = None  #: of an anomalous one: [height, width], not 0 where the defect is, any size


CalibrationImages = Union[Sequence[Union[Pixels, CalibrationImage]], LazyImages]


def calibrate(
    model: Path,
    images: Union[CalibrationImages, Mapping[str, CalibrationImages]],
    out: Optional[Path] = None,
    *,
    rule: Literal["tail", "quantile", "f1", "cost"] = "tail",
    false_alarms: float = 0.01,
    miss_cost: float = 10.0,
    progress: Optional[Callable[[int, int], Optional[bool]]] = None,
) -> bool:
    """Inspects images that the model was not trained on, and writes the model with new thresholds and a new range of features for the drift
    check, atomically, without training. Returns False if `progress` stopped it; nothing is written then.

    model:         path of the .agp file
    images:        arrays, which are normal images, or CalibrationImage; for several products a dict of these by the products' names.
                   Whatever has len() and [index] is read one by one
    out:           path of the file to write. None: the model itself
    rule:          "tail" and "quantile" from normal images, for a stated rate of false positives; "f1" and "cost" from labelled images
    false_alarms:  fraction of normal images that may be flagged; a fifth of it: of their pixels. Above 0, at most 0.5
    miss_cost:     "cost": cost of a missed defect in false positives. Above 0
    progress:      is called after each image with the number so far and the number in all; False stops
    """
    if rule not in _RULES:
        raise AgpnetArgumentError(f"rule is {rule!r}, expected one of {', '.join(_RULES)}")
    callbacks, finished = Callbacks(), ctypes.c_int32()

    def set_of(name: str, own: CalibrationImages) -> _structures.CalibrationSet:
        def read(index: int, image: Any, anomalous: Any, mask: Any) -> list[_structures.Image]:
            one = own[index]
            one = one if isinstance(one, CalibrationImage) else CalibrationImage(one)
            kept = [image_of(one.image)]
            fill(image, kept[0])
            anomalous[0] = one.anomalous
            if one.mask is not None:
                kept.append(image_of(one.mask, "mask"))
                fill(mask, kept[1])
            return kept

        return _structures.CalibrationSet(name.encode(), len(own), callbacks.read(_structures.ReadLabelled, read), None)

    products = images if isinstance(images, Mapping) else {"": images}
    sets = (_structures.CalibrationSet * len(products))(*[set_of(name, own) for name, own in products.items()])
    step = callbacks.progress(_structures.CalibrationProgress, progress or (lambda done, total: None))  # Ctrl-C has an effect there
    options = _structures.CalibrationOptions(_RULES[rule], false_alarms, miss_cost, step, None)
    callbacks.run("agpnet_calibrate", os.fsencode(model), sets, len(sets), ctypes.byref(options), os.fsencode(out or model),
                  ctypes.byref(finished))
    return callbacks.finished(finished)
