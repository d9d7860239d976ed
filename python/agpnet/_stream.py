"""Frames in, results out."""
from __future__ import annotations

import ctypes
import dataclasses
import time
from collections.abc import Iterator
from typing import Any, Optional

from . import _structures
from ._detector import AnomalyDetector
from ._images import Pixels, image_of
from ._library import Handle, Uncopied, call
from ._options import int32
from ._results import AnomalyResult, Results, outputs, result_of


class StreamHandle(Handle):
    free = "agpnet_stream_free"


@dataclasses.dataclass(frozen=True, eq=False)
class AnomalyStreamResult:
    """A frame that was popped."""

    number: int  #: as push() returned it: 0, 1, 2, ... without a gap
    source: int  #: as it was given to push()
    result: Optional[AnomalyResult]  #: None if this frame could not be inspected
    error: str  #: a message if this frame could not be inspected; else ""
    seconds: float  #: from push() until the result was ready
    batch: int  #: frames that went through the model with it


class AnomalyStream(Uncopied):
    """Takes frames and returns their results in the same order, in batches that form by themselves. One thread of its own runs the model.
    Several threads may push, and several may pop.

        with agpnet.AnomalyStream(detector) as stream:
            threading.Thread(target=camera, args=(stream,)).start()  # stream.push(frame) ... stream.close()
            for found in stream:
                if found.result and found.result.anomalous: ...

    Leaving the block closes the stream. Results that nobody pops are dropped with the object.
    """

    def __init__(
        self, detector: AnomalyDetector, *, capacity: int = 32, batch: int = 8, latency: float = 0.5, map: bool = True, mask: bool = False
    ) -> None:
        """detector:  its own options hold for the stream
        capacity:  maximum number of frames from push() to pop(), 1 to 65536; then push() waits
        batch:     maximum number of frames in one pass of the model, 1 to 1024
        latency:   seconds that one pass may take: limits the batch by the duration of earlier passes. Above 0
        map:       return each frame's anomaly map
        mask:      return each frame's mask
        """
        self._outputs = outputs(map, mask)
        self._closed = False
        handle = StreamHandle()
        given = _structures.StreamOptions(int32("capacity", capacity), int32("batch", batch), latency, self._outputs)
        call("agpnet_stream_create", detector._handle, ctypes.byref(given), ctypes.byref(handle))
        self._handle = handle

    def push(self, frame: Pixels, source: int = 0) -> int:
        """Takes a copy of a frame, an image as AnomalyDetector.detect() takes it, and returns its number. Waits while the stream is full:
        a thread
        that also pops should use try_push(). source: is returned with the result, for instance the number of the camera."""
        number = ctypes.c_uint64()
        call("agpnet_stream_push", self._handle, image_of(frame, "frame"), int32("source", source), ctypes.byref(number))
        return number.value

    def try_push(self, frame: Pixels, source: int = 0) -> Optional[int]:
        """The same without waiting: None, and nothing is taken, if the stream is full."""
        number, taken = ctypes.c_uint64(), ctypes.c_int32()
        call("agpnet_stream_try_push", self._handle, image_of(frame, "frame"), int32("source", source), ctypes.byref(number),
             ctypes.byref(taken))
        return number.value if taken.value else None

    def pop(self, timeout: Optional[float] = None) -> Optional[AnomalyStreamResult]:
        """The next result, in the order of push(). timeout: maximum number of seconds to wait; None: without a limit. Returns None once all
        results are returned after close(), and if the time is over."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:  # in parts, so that Ctrl-C has an effect
            part = 0.1 if end is None else max(0.0, min(0.1, end - time.monotonic()))
            frame, results = _structures.Frame(), Results()
            call("agpnet_stream_pop", self._handle, part, ctypes.byref(frame), ctypes.byref(results))
            if results:
                break
            if (self._closed and self.under_way == 0) or (end is not None and time.monotonic() >= end):
                return None
        error = frame.error.decode() if frame.error else ""
        result = None if error else result_of(results, 0, self._outputs)
        return AnomalyStreamResult(frame.number, frame.source, result, error, frame.seconds, frame.batch)

    def close(self) -> None:
        """Takes no more frames. Those that were taken are still inspected and returned."""
        call("agpnet_stream_close", self._handle)
        self._closed = True

    @property
    def under_way(self) -> int:
        """The number of frames from push() to pop() at this moment."""
        count = ctypes.c_size_t()
        call("agpnet_stream_get_under_way", self._handle, ctypes.byref(count))
        return count.value

    def __iter__(self) -> Iterator[AnomalyStreamResult]:
        while (found := self.pop()) is not None:
            yield found

    def __enter__(self) -> AnomalyStream:
        return self

    def __exit__(self, *reason: Any) -> None:
        self.close()
