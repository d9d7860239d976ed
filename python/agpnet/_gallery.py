"""Named descriptors, found by nearness."""
from __future__ import annotations

import ctypes
import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from . import _structures
from ._detector import Path
from ._errors import AgpnetArgumentError
from ._library import Handle, Uncopied, call, library
from ._options import int32
from ._rows import Rows, pointer, row_of, rows_of, text_of, texts_of


class GalleryHandle(Handle):
    free = "agpnet_gallery_free"


class Matches(Handle):
    free = "agpnet_matches_free"


class Texts(Handle):
    free = "agpnet_texts_free"


@dataclasses.dataclass(frozen=True)
class GalleryMatch:
    """An entry that a search found."""

    name: str
    similarity: float  #: cosine of the angle between the descriptors, -1 to 1
    #: fraction of pairs of different objects that are at least as close, 0 to 1: small where the match means something. None: the gallery
    #: was not calibrated
    chance: Optional[float]
    note: Any  #: the entry's metadata; None if it has none


class Gallery(Uncopied):
    """Named descriptors, found by nearness. Exact search; one file. Several threads may use it at once; one that changes it waits until
    the others are done.

        gallery = agpnet.Gallery(describer.width, describer.space)
        gallery.add("4711", describer.describe(views), {"shelf": "B12"})
        gallery.save("catalogue.agpx")
        for match in gallery.search(describer.describe(image)): ...  # match.name, match.similarity
    """

    def __init__(self, width: int, space: str) -> None:
        """An empty gallery.

        width:  width of the descriptors, Describer.width
        space:  digest of their space, Describer.space
        """
        handle = GalleryHandle()
        if not 1 <= int32("width", width) <= 65536:  # ctypes would take a negative one for a huge one
            raise AgpnetArgumentError(f"width is {width}, expected 1 to 65536")
        call("agpnet_gallery_create", width, text_of(space, "space"), ctypes.byref(handle))
        self._take(handle)

    @classmethod
    def load(cls, path: Path, space: str = "") -> Gallery:
        """Opens a file. The time does not depend on its size: the file is mapped, and its checksum is compared at the first search or
        change. space: the space that the file must be of; "" accepts each."""
        handle = GalleryHandle()
        call("agpnet_gallery_load", os.fsencode(path), text_of(space, "space"), ctypes.byref(handle))
        gallery = cls.__new__(cls)
        gallery._take(handle)
        return gallery

    def _take(self, handle: GalleryHandle) -> None:
        self._handle = handle
        info = self._info()
        self._width, self._space = int(info.width), info.space.decode()  # these do not change

    def add(self, name: str, descriptor: npt.ArrayLike, note: Any = None) -> None:
        """Adds an entry.

        name:        without control characters, 1 to 1024 bytes in UTF-8; new
        descriptor:  [width]; its length as a vector does not matter
        note:        metadata of the caller, whatever json.dumps() takes; None for none
        """
        self._put("agpnet_gallery_add", name, descriptor, note)

    def replace(self, name: str, descriptor: npt.ArrayLike, note: Any = None) -> None:
        """As add(), in place of the entry of that name if there is one."""
        self._put("agpnet_gallery_replace", name, descriptor, note)

    def remove(self, name: str) -> None:
        """Removes an entry, which must be there."""
        call("agpnet_gallery_remove", self._handle, text_of(name, "name"))

    def __contains__(self, name: str) -> bool:
        contained = ctypes.c_int32()
        call("agpnet_gallery_contains", self._handle, text_of(name, "name"), ctypes.byref(contained))
        return bool(contained.value)

    def __len__(self) -> int:
        return int(self._info().count)

    def __bool__(self) -> bool:
        """A gallery is one, also without entries."""
        return True

    @property
    def names(self) -> list[str]:
        """The names of all entries, in their order."""
        return [name.decode() for name in _texts("agpnet_gallery_get_names", self._handle)]

    def note(self, name: str) -> Any:
        """An entry's metadata; None if it has none."""
        return _note(_texts("agpnet_gallery_get_note", self._handle, text_of(name, "name"))[0].decode())

    def descriptor(self, name: str) -> Rows:
        """An entry's descriptor: [width], float32, of unit length."""
        descriptor = np.empty(self.width, np.float32)
        call("agpnet_gallery_get_descriptor", self._handle, text_of(name, "name"), pointer(descriptor), descriptor.size)
        return descriptor

    def search(self, descriptor: npt.ArrayLike, top: int = 5, leave_out: str = "") -> list[GalleryMatch]:
        """The closest entries, the closest first; equally close ones by name. Fewer where the gallery has fewer.

        descriptor:  [width]
        top:         number of entries, at least 1
        leave_out:   name of an entry that is no answer, the query's own for instance; "": none
        """
        return matches_of(self._search(descriptor, top, leave_out), 0)

    def search_batch(
        self, descriptors: npt.ArrayLike, top: int = 5, leave_out: Optional[Sequence[str]] = None
    ) -> list[list[GalleryMatch]]:
        """The same for several queries at once, which is faster. descriptors: [queries, width]. leave_out: a name for each query, or none
        at all."""
        matches, rows = Matches(), rows_of(descriptors, "descriptors", self.width)
        names = None if leave_out is None else texts_of(leave_out, "leave_out")
        if names is not None and len(names) != len(rows):
            raise AgpnetArgumentError(f"leave_out has {len(names)} names for {len(rows)} descriptors, expected one for each, or None")
        call("agpnet_gallery_search_batch", self._handle, pointer(rows), len(rows), self.width, int32("top", top), names,
             ctypes.byref(matches))
        return [matches_of(matches, query) for query in range(len(rows))]

    def smooth(self, neighbours: int = 4, power: float = 3.0) -> None:
        """For "show me similar parts": replaces each descriptor by the mean of itself and its nearest ones in the gallery, weighted by
        their similarity to the power. Similar things come closer together; the very same one is found a little less often. Cannot be
        undone."""
        call("agpnet_gallery_smooth", self._handle, int32("neighbours", neighbours), power)

    def calibrate(self, queries: npt.ArrayLike, names: Sequence[str], views: int = 1) -> None:
        """Learns how close different objects are, from queries for objects that are in the gallery: their similarity to all other
        entries. Without it GalleryMatch.chance is None, and evidence() and threshold() raise an error. The gallery has at least 3 entries.

        queries:  [queries, width]: descriptors of so many views of objects in the gallery
        names:    name of each query's entry
        views:    views that each query was made of; calls with different numbers complement each other
        """
        rows, given = rows_of(queries, "queries", self.width), texts_of(names, "names")
        if len(given) != len(rows):
            raise AgpnetArgumentError(f"{len(given)} names are given for {len(rows)} queries, expected one for each")
        call("agpnet_gallery_calibrate", self._handle, pointer(rows), len(rows), self.width, given, int32("views", views))

    @property
    def calibrated(self) -> bool:
        """calibrate() was called, now or before the gallery was saved."""
        return bool(self._info().calibrated)

    def evidence(self, descriptor: npt.ArrayLike, views: int = 1, leave_out: str = "") -> float:
        """How much speaks for the best match of a descriptor, [width], being the object itself: its similarity, and a multiple of its lead
        over the second. One whose evidence is not above threshold() is not surely in the gallery. views: views that the descriptor is
        made of. leave_out: as in search()."""
        evidence = ctypes.c_double()
        matches = self._search(descriptor, 2, leave_out)
        call("agpnet_gallery_get_evidence", self._handle, matches, 0, int32("views", views), ctypes.byref(evidence))
        return evidence.value

    def threshold(self, rate: float = 0.01, views: int = 1) -> float:
        """The evidence that objects which are not in the gallery exceed at this rate, above 0 and below 1. views: views that the query is
        made of."""
        threshold = ctypes.c_double()
        call("agpnet_gallery_get_threshold", self._handle, rate, int32("views", views), ctypes.byref(threshold))
        return threshold.value

    def save(self, path: Path) -> None:
        """Writes the file, atomically. Raises AgpnetFileError where the file that this gallery was loaded from has been changed by
        another program since."""
        call("agpnet_gallery_save", self._handle, os.fsencode(path))

    @property
    def width(self) -> int:
        """Width of the descriptors."""
        return self._width

    @property
    def space(self) -> str:
        """Digest of their space."""
        return self._space

    @property
    def model(self) -> str:
        """Path of the model that the descriptors are of: a hint for programs that open the gallery. "" if nobody has set it."""
        return os.fsdecode(_texts("agpnet_gallery_get_model", self._handle)[0])

    @model.setter
    def model(self, path: Path) -> None:
        call("agpnet_gallery_set_model", self._handle, os.fsencode(path))

    def _put(self, function: str, name: str, descriptor: npt.ArrayLike, note: Any) -> None:
        row = row_of(descriptor, "descriptor", self.width)
        call(function, self._handle, text_of(name, "name"), pointer(row), self.width, b"" if note is None else json.dumps(note).encode())

    def _search(self, descriptor: npt.ArrayLike, top: int, leave_out: str) -> Matches:
        matches, row = Matches(), row_of(descriptor, "descriptor", self.width)
        call("agpnet_gallery_search", self._handle, pointer(row), self.width, int32("top", top), text_of(leave_out, "leave_out"),
             ctypes.byref(matches))
        return matches

    def _info(self) -> _structures.GalleryInfo:
        info = _structures.GalleryInfo()
        call("agpnet_gallery_get_info", self._handle, ctypes.byref(info))
        return info


def matches_of(matches: Matches, query: int) -> list[GalleryMatch]:
    found = []
    for index in range(library().agpnet_matches_count(matches, query)):
        match = _structures.Match()
        call("agpnet_matches_get", matches, query, index, ctypes.byref(match))
        chance = match.chance if match.chance >= 0 else None
        found.append(GalleryMatch(match.name.decode(), match.similarity, chance, _note(match.note.decode())))
    return found


def _note(text: str) -> Any:
    return json.loads(text) if text else None


def _texts(function: str, *arguments: Any) -> list[bytes]:
    texts = Texts()
    call(function, *arguments, ctypes.byref(texts))
    return [library().agpnet_texts_get(texts, index) for index in range(library().agpnet_texts_count(texts))]
