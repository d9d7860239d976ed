"""Loads the plugin into this process's cv2, and says clearly when that cannot work."""
from __future__ import annotations

from ._errors import AgpnetError
from ._library import call, library_path


def load_plugin() -> str:
    """Registers the layers ai.agpnet.* in cv2.dnn; gives the library's path. May be called any number of times.

    It needs the distribution's cv2: PyPI's opencv-python is linked statically to an OpenCV of its own, which no plugin can reach.
    """
    import cv2
    import numpy as np

    call("agpnet_plugin_init_v1", 1, cv2.__version__.encode())
    try:
        cv2.dnn.readNetFromONNX(np.frombuffer(_probe_graph(), np.uint8))
    except cv2.error as error:
        if "Can't create layer" not in str(error):  # the layer is known, and something else is wrong
            raise AgpnetError(f"{library_path()} does not work with OpenCV {cv2.__version__}: {error}") from error
        raise AgpnetError(
            f"{library_path()} was loaded, but into another copy of OpenCV than cv2 uses: this cv2 ({cv2.__file__}) is linked statically "
            "to its own OpenCV, as PyPI's opencv-python is; use the distribution's python3-opencv"
        ) from error
    return library_path()


def _probe_graph() -> bytes:
    """The bytes of an ONNX file with one ai.agpnet.Residual node."""

    def field(number: int, payload: bytes) -> bytes:
        size = len(payload)  # as a varint; nothing here is longer than two of its bytes can say
        return bytes([number << 3 | 2] + ([size] if size < 128 else [size & 127 | 128, size >> 7])) + payload

    def value(name: bytes, channels: int) -> bytes:
        dims = b"".join(field(1, bytes([1 << 3, extent])) for extent in (1, channels, 1, 1))
        tensor = bytes([1 << 3, 1]) + field(2, dims)
        return field(1, name) + field(2, field(1, tensor))

    node = field(1, b"a") + field(1, b"b") + field(2, b"r") + field(3, b"probe") + field(4, b"Residual") + field(7, b"ai.agpnet")
    graph = field(1, node) + field(2, b"probe") + field(11, value(b"a", 2)) + field(11, value(b"b", 2)) + field(12, value(b"r", 1))
    opset = field(1, b"") + bytes([2 << 3, 13])
    return bytes([1 << 3, 8]) + field(7, graph) + field(8, opset)
