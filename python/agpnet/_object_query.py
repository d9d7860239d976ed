"""Which object is this?"""
from __future__ import annotations

import ctypes
import dataclasses
from typing import Any, Optional

from . import _structures
from ._describer import Describer
from ._gallery import Gallery, GalleryMatch, Matches, matches_of
from ._images import Pixels, image_of
from ._library import Handle, Uncopied, call
from ._options import int32


class ObjectQueryHandle(Handle):
    free = "agpnet_object_query_free"


@dataclasses.dataclass(frozen=True)
class ObjectAnswer:
    """The answer by all views so far."""

    matches: list[GalleryMatch]  #: the closest first
    known: bool  #: the evidence is above the threshold: the object is in the gallery
    evidence: Optional[float]  #: what speaks for the best match: its similarity, and a multiple of its lead. None where the threshold is
    threshold: Optional[float]  #: threshold of the evidence. None: the gallery was not calibrated, and any match makes it known
    lead: float  #: how far the best match is ahead of the second, in similarity; 0 without a second
    views: int  #: views so far


class ObjectQuery(Uncopied):
    """A query that grows view by view, as an object is turned before a camera. Several threads may use it at once.

        query = agpnet.ObjectQuery(describer, gallery)
        answer = query.add(frame)  # answer.matches[0].name, answer.known
    """

    def __init__(self, describer: Describer, gallery: Gallery, *, rate: float = 0.01, top: int = 5, most: int = 24) -> None:
        """describer, gallery:  of the same space
        rate:  rate at which objects that are not in the gallery may count as known, above 0 and below 1
        top:   matches of an answer, at least 1
        most:  views that are kept, at least 1; the oldest is left out first
        """
        handle = ObjectQueryHandle()
        given = _structures.ObjectQueryOptions(rate, int32("top", top), int32("most", most))
        call("agpnet_object_query_create", describer._handle, gallery._handle, ctypes.byref(given), ctypes.byref(handle))
        self._handle = handle

    def add(self, view: Pixels) -> ObjectAnswer:
        """Adds a view, an image as AnomalyDetector.detect() takes it."""
        return self._answer("agpnet_object_query_add", image_of(view, "view"))

    def answer(self) -> ObjectAnswer:
        """By the views so far; no match without a view."""
        return self._answer("agpnet_object_query_answer")

    def clear(self) -> None:
        """Forgets the views: the next object."""
        call("agpnet_object_query_clear", self._handle)

    def _answer(self, function: str, *arguments: Any) -> ObjectAnswer:
        found, matches = _structures.ObjectAnswer(), Matches()
        call(function, self._handle, *arguments, ctypes.byref(found), ctypes.byref(matches))
        evidence, threshold = (found.evidence, found.threshold) if found.threshold != -1 else (None, None)
        return ObjectAnswer(matches_of(matches, 0), bool(found.known), evidence, threshold, found.lead, found.views)
