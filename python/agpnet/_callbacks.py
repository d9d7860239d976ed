"""What the library calls while it trains or takes thresholds."""
from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Callable, Optional, Union

from . import _structures
from ._errors import AgpnetError
from ._images import Pixels
from ._library import call


class LazyImages:
    """Images that are read when they are needed: `LazyImages(len(paths), lambda i: cv2.imread(paths[i]))`."""

    def __init__(self, count: int, read: Callable[[int], Pixels]) -> None:
        self._count, self._read = count, read

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Pixels:
        return self._read(index)


#: an array [images, height, width, channels], a list of arrays, or whatever has len() and [index]
Images = Union[Sequence[Pixels], LazyImages]


class Callbacks:
    """Functions for one call of the library. An exception in one of them ends the call, and is raised when the call has returned."""

    def __init__(self) -> None:
        self._kept: list[Any] = []  # the library must not call what is gone
        self._pixels: list[Any] = []
        self._error: Optional[BaseException] = None
        self._stopped = False  # on purpose

    def read(self, kind: Any, function: Callable[..., list[_structures.Image]]) -> Any:
        """A function of the library's type `kind` that gets (index, ...) and returns what must be kept until the next call."""

        def read(_: Any, *arguments: Any) -> int:
            try:
                self._pixels = function(*arguments)
                return 1
            except BaseException as error:  # KeyboardInterrupt too
                self._error = error
                return 0

        return self._keep(kind(read))

    def progress(self, kind: Any, function: Callable[..., Optional[bool]]) -> Any:
        """A function of the library's type `kind`, which stops if `function` returns False."""

        def step(_: Any, *arguments: Any) -> int:
            try:
                self._stopped = function(*arguments) is False
                return 0 if self._stopped else 1
            except BaseException as error:
                self._error = error
                return 0

        return self._keep(kind(step))

    def run(self, name: str, *arguments: Any) -> None:
        """Calls the library."""
        try:
            call(name, *arguments)
        except AgpnetError:
            if self._error is None:
                raise
        if self._error is not None:
            raise self._error

    def finished(self, flag: ctypes.c_int32) -> bool:
        """Did the call take its course? An interrupt before the first line of a function ends it too, and nothing else says so."""
        if not flag.value and not self._stopped:
            raise KeyboardInterrupt
        return bool(flag.value)

    def _keep(self, callback: Any) -> Any:
        self._kept.append(callback)
        return callback


def fill(target: Any, image: _structures.Image) -> None:
    """Writes the structure to where the library wants it."""
    ctypes.memmove(target, ctypes.byref(image), ctypes.sizeof(_structures.Image))
