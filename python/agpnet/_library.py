"""Finds and loads the shared library, and declares its C functions (agpnet/plugin.h, agpnet/c_api.h)."""
from __future__ import annotations

import ctypes
import functools
import json
import os
from pathlib import Path
from typing import Any

OK, MESSAGE_SIZE = 0, 2048
UINT8, UINT16, FLOAT32 = 0, 1, 2


class AgpnetError(RuntimeError):
    """What went wrong, in one sentence."""


class Image(ctypes.Structure):
    """agpnet_image"""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("type", ctypes.c_int32),
        ("stride", ctypes.c_int64),
    ]


class Result(ctypes.Structure):
    """agpnet_result"""

    _fields_ = [("size", ctypes.c_size_t), ("score", ctypes.c_double), ("threshold", ctypes.c_double), ("anomalous", ctypes.c_int32)]


def library_path() -> str:
    """Where the library is, or the name by which the dynamic linker is asked for it."""
    named = os.environ.get("AGPNET_PLUGIN")
    if named:
        return named
    file = "libagpnet.so.0"
    for folder in Path(__file__).resolve().parents[3:5]:  # PREFIX/lib/python3/dist-packages/agpnet: lib, and where it is called lib64
        for name in (folder / file, folder / "lib64" / file):
            if name.is_file():
                return str(name)
    return file


def require_working_directory() -> None:
    """LibTorch's MKL, as it is loaded, would end the process otherwise."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise AgpnetError("the working directory has been removed; expected one that is there when the library is loaded") from error


@functools.lru_cache(maxsize=None)
def library() -> ctypes.CDLL:
    path = library_path()
    require_working_directory()
    try:
        lib = ctypes.CDLL(path)
    except OSError as error:
        raise AgpnetError(f"{path} cannot be loaded; set AGPNET_PLUGIN to the path of libagpnet.so: {error}") from error
    text, size, out = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p
    signatures = {
        "agpnet_plugin_init_v1": (ctypes.c_int, [ctypes.c_uint32, text, text, size]),
        "agpnet_detector_load_on": (ctypes.c_int, [text, text, text, ctypes.POINTER(out), text, size]),
        "agpnet_detector_free": (None, [out]),
        "agpnet_detector_detect": (ctypes.c_int, [out, ctypes.POINTER(Image), out, out, ctypes.POINTER(Result), text, size]),
        "agpnet_detector_set_threads": (ctypes.c_int, [out, ctypes.c_int, text, size]),
        "agpnet_detector_set_sensitivity": (ctypes.c_int, [out, ctypes.c_double, text, size]),
        "agpnet_detector_header": (text, [out]),
        "agpnet_build_information": (text, []),
    }
    for name, (result, arguments) in signatures.items():
        try:
            function = getattr(lib, name)
        except AttributeError as error:
            raise AgpnetError(f"{path} has no function {name}; expected AGPNet's library, of this package's version") from error
        function.restype, function.argtypes = result, arguments
    return lib


def call(name: str, *arguments: Any) -> str:
    """Calls a function that ends with (message, message_size); gives its message, or raises it."""
    message = ctypes.create_string_buffer(MESSAGE_SIZE)
    if getattr(library(), name)(*arguments, message, len(message)) != OK:
        raise AgpnetError(message.value.decode(errors="replace"))
    return message.value.decode(errors="replace")


def build_information() -> dict[str, Any]:
    """What the library was built with and finds here: versions, CPU, devices, schedules."""
    text = library().agpnet_build_information()
    if text is None:
        raise AgpnetError("not enough memory")
    return json.loads(text)
