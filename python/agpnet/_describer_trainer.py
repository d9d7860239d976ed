"""Training of a describer on numpy arrays."""
from __future__ import annotations

import ctypes
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import numpy.typing as npt

from . import _structures
from ._callbacks import Callbacks, Images, fill
from ._describer import Describer, DescriberHandle
from ._detector import Path
from ._errors import AgpnetArgumentError
from ._images import image_of
from ._library import Handle, Uncopied, call
from ._rows import pointer, rows_of, text_of, texts_of
from ._trainer import Progress, TrainProgress, config_text


class DescriberTrainerHandle(Handle):
    free = "agpnet_describer_trainer_free"


@dataclasses.dataclass(frozen=True, eq=False)
class ObjectViews:
    """The views of one object."""

    name: str  #: name of the object, for messages
    #: images in the order in which they were taken around the object: an array [images, height, width, channels], a list, LazyImages, or
    #: whatever has len() and [index]
    views: Images
    class_name: str = ""  #: class; "" for all objects: there are no classes


class DescriberTrainer(Uncopied):
    """Trains a model that describes objects, on views of objects of known classes. One thread at a time.

        trainer = agpnet.DescriberTrainer("deit_tiny.safetensors")
        trainer.fit([agpnet.ObjectViews(name, views, kind) for ...])
        trainer.save("parts.agp")
    """

    def __init__(self, backbone: Path, config: Union[Mapping[str, Any], Path, None] = None, device: str = "cpu") -> None:
        """Begins a training.

        backbone:  path of the frozen weights, a safetensors file or a .pth state dict
        config:    the keys that differ from the defaults (`agpnet operators --config dec` lists them), JSON text, or the path of a JSON
                   file
        device:    "cpu", "cuda" or "cuda:N"
        """
        handle = DescriberTrainerHandle()
        given = _structures.TrainerOptions(os.fsencode(backbone), config_text(config), device.encode())
        call("agpnet_describer_trainer_create", ctypes.byref(given), ctypes.byref(handle))
        self._handle = handle

    def set_virtual_names(self, bridge: Path, names: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Names with vectors from an image-text space, for virtual features of classes that nobody has seen (config: `virtual_names`).

        bridge:   path of the weights of the image side, a backbone whose class token is in that space
        names:    names; those of the training's classes must be among them
        vectors:  [names, width], as wide as the bridge's class token
        """
        rows, given = rows_of(vectors, "vectors"), texts_of(names, "names")
        if len(given) != len(rows):
            raise AgpnetArgumentError(f"{len(given)} names have {len(rows)} vectors, expected one for each")
        call("agpnet_describer_trainer_set_virtual_names", self._handle, os.fsencode(bridge), given, len(given), pointer(rows),
             rows.shape[1])

    def fit(self, objects: Sequence[ObjectViews], progress: Optional[Progress] = None) -> bool:
        """Learns from objects. Embeds every view once. Then, with `choose` held_out (the default), compares descriptors on classes that
        are held out, keeps the best, and learns that from all objects. Returns False if `progress` stopped it.

        progress:  is called after the views of each object and after each step, in this thread; False stops the training
        """
        callbacks, finished = Callbacks(), ctypes.c_int32()

        def read(number: int, view: int, target: Any) -> list[_structures.Image]:
            image = image_of(objects[number].views[view], "view")
            fill(target, image)
            return [image]

        def step(now: Any) -> Optional[bool]:  # also without `progress`: Ctrl-C has an effect there
            return progress(TrainProgress(now[0].step, now[0].steps, now[0].loss)) if progress else None

        given = (_structures.Object * len(objects))(*[_object(number, one) for number, one in enumerate(objects)])
        every = _structures.ObjectSet(given, len(objects), callbacks.read(_structures.ReadView, read), None)
        callbacks.run("agpnet_describer_trainer_fit", self._handle, ctypes.byref(every), callbacks.progress(_structures.Progress, step),
                      None, ctypes.byref(finished))
        return callbacks.finished(finished)

    def note(self, key: str, value: Any) -> None:
        """Adds a note, whatever json.dumps() takes, to the training record, which becomes part of the model file."""
        call("agpnet_describer_trainer_note", self._handle, text_of(key, "key"), json.dumps(value).encode())

    def save(self, path: Path, embed_backbone: bool = True) -> None:
        """Writes a .agp file, atomically. Without the backbone the file is small and names the backbone by its hash."""
        call("agpnet_describer_trainer_save", self._handle, os.fsencode(path), int(embed_backbone))

    def describer(self) -> Describer:
        """The model as it is now. After fit()."""
        handle = DescriberHandle()
        call("agpnet_describer_trainer_get_describer", self._handle, ctypes.byref(handle))
        return Describer._of(handle)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, every key."""
        config: dict[str, Any] = json.loads(self._info().config)
        return config

    @property
    def record(self) -> dict[str, Any]:
        """What was compared, chosen and measured so far, notes included."""
        record: dict[str, Any] = json.loads(self._info().record)
        return record

    def _info(self) -> _structures.DescriberTrainerInfo:
        info = _structures.DescriberTrainerInfo()
        call("agpnet_describer_trainer_get_info", self._handle, ctypes.byref(info))
        return info


def _object(number: int, views: ObjectViews) -> _structures.Object:
    if not isinstance(views, ObjectViews):
        raise AgpnetArgumentError(f"objects[{number}] is {type(views).__name__}, expected ObjectViews")
    return _structures.Object(text_of(views.name, "name"), text_of(views.class_name, "class_name"), len(views.views))
