"""AGPNet from Python. Nothing is compiled here: everything is in the shared library, libagpnet.so, which is looked for in AGPNET_PLUGIN, then
where this package is installed with it, then wherever the dynamic linker looks.

    import agpnet

    agpnet.load_plugin()                       # cv2.dnn then knows the layers ai.agpnet.*
    detector = agpnet.Detector("tile.agp")
    anomaly_map, score = detector.detect(image)
    agpnet.torch_ops().Residual(f, g)          # torch.ops.agpnet
"""
from ._detector import Detector, Inspection
from ._library import AgpnetError, build_information, library_path
from ._plugin import load_plugin
from ._torch import torch_ops

__version__ = "0.1.0"
__all__ = ["AgpnetError", "Detector", "Inspection", "build_information", "library_path", "load_plugin", "torch_ops"]
