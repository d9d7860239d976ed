"""AGPNet from Python. Nothing is compiled here: everything is in the shared library, libagpnet.so, which is looked for in AGPNET_PLUGIN,
then where this package is installed with it, then wherever the dynamic linker looks.

    import agpnet

    detector = agpnet.AnomalyDetector("tile.agp")
    result = detector.detect(image)            # result.score, .anomalous, .regions, .map
    describer = agpnet.Describer("parts.agp")
    gallery = agpnet.Gallery.load("catalogue.agpx")
    gallery.search(describer.describe(views))  # [0].name, .similarity
    agpnet.load_plugin()                       # cv2.dnn then knows the layers ai.agpnet.*
    agpnet.torch_ops().Residual(f, g)          # torch.ops.agpnet
"""
from ._calibration import CalibrationImage, calibrate
from ._callbacks import LazyImages
from ._describer import Describer
from ._describer_trainer import DescriberTrainer, ObjectViews
from ._detector import AnomalyDetector
from ._errors import AgpnetArgumentError, AgpnetDeviceError, AgpnetError, AgpnetFileError, AgpnetMemoryError, AgpnetStateError
from ._gallery import Gallery, GalleryMatch
from ._library import build_information, library_path
from ._object_query import ObjectAnswer, ObjectQuery
from ._options import DetectOptions
from ._plugin import load_plugin
from ._results import AnomalyRegion, AnomalyResult, DriftState
from ._stream import AnomalyStream, AnomalyStreamResult
from ._torch import torch_ops
from ._trainer import AnomalyTrainer, TrainProgress

__version__ = "0.1.0"
__all__ = [
    "AgpnetArgumentError",
    "AgpnetDeviceError",
    "AgpnetError",
    "AgpnetFileError",
    "AgpnetMemoryError",
    "AgpnetStateError",
    "AnomalyDetector",
    "AnomalyRegion",
    "AnomalyResult",
    "AnomalyStream",
    "AnomalyStreamResult",
    "AnomalyTrainer",
    "CalibrationImage",
    "Describer",
    "DescriberTrainer",
    "DetectOptions",
    "DriftState",
    "Gallery",
    "GalleryMatch",
    "LazyImages",
    "ObjectAnswer",
    "ObjectQuery",
    "ObjectViews",
    "TrainProgress",
    "build_information",
    "calibrate",
    "library_path",
    "load_plugin",
    "torch_ops",
]
