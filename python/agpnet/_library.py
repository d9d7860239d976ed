"""Finds and loads the shared library, and calls its C functions."""
from __future__ import annotations

import ctypes
import functools
import json
import os
from pathlib import Path
from typing import Any, NoReturn

from ._errors import BY_CODE, AgpnetError, AgpnetMemoryError
from ._structures import SIGNATURES

OK, MESSAGE_SIZE = 0, 2048


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
    for name, (result, arguments) in SIGNATURES.items():
        try:
            function = getattr(lib, name)
        except AttributeError as error:
            raise AgpnetError(f"{path} has no function {name}; expected AGPNet's library, of this package's version") from error
        function.restype, function.argtypes = result, arguments
    return lib


def call(name: str, *arguments: Any) -> None:
    """Calls a function that ends with (message, message_size), and raises its error. Python's lock is released meanwhile."""
    message = ctypes.create_string_buffer(MESSAGE_SIZE)
    status = getattr(library(), name)(*arguments, message, len(message))
    if status != OK:
        raise BY_CODE.get(status, AgpnetError)(message.value.decode(errors="replace"))


class Handle(ctypes.c_void_p):
    """Owns what the library created. An object of its own, so that it is freed once, no matter how many objects hold it."""

    free = ""  #: name of the function

    def __del__(self) -> None:
        if self:
            getattr(library(), self.free)(self)


class Uncopied:
    """Can be neither copied nor pickled, because its handle cannot."""

    def __reduce_ex__(self, protocol: Any) -> NoReturn:  # what copy and pickle ask for
        raise TypeError(f"{type(self).__name__} cannot be copied or pickled: create another one, or pass this one on")


def build_information() -> dict[str, Any]:
    """What the library was built with and finds here: versions, CPU, devices, schedules."""
    text = library().agpnet_build_information()
    if text is None:
        raise AgpnetMemoryError("not enough memory")
    found: dict[str, Any] = json.loads(text)
    return found
