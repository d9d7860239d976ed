"""Rows of float32 and texts between numpy and the library: descriptors, embeddings, names."""
from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from ._errors import AgpnetArgumentError

Rows = npt.NDArray[np.float32]


def rows_of(array: Any, name: str, width: Optional[int] = None) -> Rows:
    """[rows, width], in one piece. One row may be given as [width]."""
    try:
        rows = np.ascontiguousarray(array, np.float32)
    except (TypeError, ValueError) as error:
        raise AgpnetArgumentError(f"{name} is {type(array).__name__}, expected an array of numbers: {error}") from error
    rows = rows[np.newaxis] if np.ndim(array) == 1 else rows
    if np.ndim(array) not in (1, 2) or (width is not None and rows.shape[1] != width):
        expected = "width" if width is None else width
        raise AgpnetArgumentError(f"{name} has the shape {np.shape(array)}, expected [rows, {expected}], or [{expected}] for one row")
    return rows


def row_of(array: Any, name: str, width: int) -> Rows:
    """One row, [width]."""
    rows = rows_of(array, name, width)
    if len(rows) != 1:
        raise AgpnetArgumentError(f"{name} has the shape {np.shape(array)}, expected [{width}]")
    return rows[0]


def pointer(rows: Rows) -> Any:
    return rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def text_of(text: str, name: str) -> bytes:
    """The library's texts end at the first zero, and what is behind it would be lost."""
    if not isinstance(text, str) or "\0" in text:
        raise AgpnetArgumentError(f"{name} is {text!r}, expected a text without a zero character")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise AgpnetArgumentError(f"{name} is {text!r}, expected a text that UTF-8 can hold") from error


def texts_of(texts: Sequence[str], name: str) -> Any:
    """An array of texts."""
    if isinstance(texts, str):
        raise AgpnetArgumentError(f"{name} is the text {texts!r}, expected a list of texts")
    return (ctypes.c_char_p * len(texts))(*[text_of(text, f"{name}[{number}]") for number, text in enumerate(texts)])
