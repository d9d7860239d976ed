"""Training on numpy arrays."""
from __future__ import annotations

import ctypes
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional, Union

from . import _structures
from ._callbacks import Callbacks, Images, fill
from ._detector import AnomalyDetector, DetectorHandle, Path
from ._images import Pixels, image_of
from ._library import Handle, Uncopied, call


class TrainerHandle(Handle):
    free = "agpnet_trainer_free"


@dataclasses.dataclass(frozen=True)
class TrainProgress:
    """Progress of a training."""

    step: int  #: steps done
    steps: int  #: steps in all, as far as is known: early stopping may find that fewer are enough
    loss: float  #: of the last step


Progress = Callable[[TrainProgress], Optional[bool]]


class AnomalyTrainer(Uncopied):
    """Trains a model on images of good parts. One thread at a time.

        trainer = agpnet.AnomalyTrainer("dinov2-vits14.safetensors", {"steps": 500})
        trainer.fit(agpnet.LazyImages(len(paths), lambda i: cv2.imread(paths[i])), progress=lambda now: print(now.step, now.loss))
        trainer.save("tile.agp")
    """

    def __init__(self, backbone: Path, config: Union[Mapping[str, Any], Path, None] = None, device: str = "cpu") -> None:
        """Begins a training.

        backbone:  path of the frozen weights, a safetensors file or a .pth state dict
        config:    the keys that differ from the defaults (`agpnet operators --config` lists them), JSON text, or the path of a JSON file
        device:    "cpu", "cuda" or "cuda:N"
        """
        handle = TrainerHandle()
        given = _structures.TrainerOptions(os.fsencode(backbone), config_text(config), device.encode())
        call("agpnet_trainer_create", ctypes.byref(given), ctypes.byref(handle))
        self._handle = handle

    @classmethod
    def resume(
        cls, state: Path, device: str = "cpu", backbone: Optional[Path] = None, config: Union[Mapping[str, Any], Path, None] = None
    ) -> AnomalyTrainer:
        """Continues from the state that save_state() wrote. A backbone and a config are compared with those of the state, and an error
        lists
        what differs; more "steps" are no difference: the training then continues up to these."""
        handle = TrainerHandle()
        given = _structures.TrainerOptions(None if backbone is None else os.fsencode(backbone), config_text(config), device.encode())
        call("agpnet_trainer_resume", os.fsencode(state), ctypes.byref(given), ctypes.byref(handle))
        trainer = cls.__new__(cls)
        trainer._handle = handle
        return trainer

    def fit(self, images: Union[Images, Mapping[str, Images]], progress: Optional[Progress] = None) -> bool:
        """Takes all remaining steps, and the thresholds from a tenth of the images, which are held out. Returns False if `progress`
        stopped it; the state can then be saved. A training that is resumed and given the same images continues exactly.

        images:    good images of one product, as AnomalyDetector.detect() takes them: an array [images, height, width, channels], a list,
                   LazyImages, or whatever has len() and [index]. For several products a dict of these by the products' names: each product
                   comes equally often and gets its own thresholds
        progress:  is called after each step, in this thread; False stops the training. It may call save_state()
        """
        products = images if isinstance(images, Mapping) else {"": images}
        callbacks, finished = Callbacks(), ctypes.c_int32()
        sets = (_structures.ImageSet * len(products))(*[_image_set(callbacks, name, own) for name, own in products.items()])

        def step(now: Any) -> Optional[bool]:  # also without `progress`: Ctrl-C has an effect there
            return progress(TrainProgress(now[0].step, now[0].steps, now[0].loss)) if progress else None

        callbacks.run("agpnet_trainer_fit", self._handle, sets, len(sets), callbacks.progress(_structures.Progress, step), None,
                      ctypes.byref(finished))
        return callbacks.finished(finished)

    def step(self, images: Sequence[Pixels]) -> float:
        """Takes one step on a batch of good images, without the config's tiles and augmentations, and returns the loss."""
        given = [image_of(image, f"images[{number}]") for number, image in enumerate(images)]
        loss = ctypes.c_double()
        call("agpnet_trainer_step", self._handle, (_structures.Image * len(given))(*given), len(given), ctypes.byref(loss))
        return loss.value

    def calibrate(self, images: Images, held_out: bool = True) -> None:
        """Takes the thresholds from the scores of good images, and replaces those of all products. held_out: the model was not trained on
        them."""
        callbacks = Callbacks()
        callbacks.run("agpnet_trainer_calibrate", self._handle, ctypes.byref(_image_set(callbacks, "", images)), int(held_out))

    def join_processes(self) -> tuple[int, int]:
        """Trains together with other processes from now on, if torchrun, an MPI or Slurm has started this one among several; otherwise it
        does
        nothing. Returns the number of this process, from 0, and the number of processes. Only process 0 can save the model."""
        rank, count = ctypes.c_int32(), ctypes.c_int32()
        call("agpnet_trainer_join_processes", self._handle, ctypes.byref(rank), ctypes.byref(count))
        return rank.value, count.value

    def note(self, key: str, value: Any) -> None:
        """Adds a note, whatever json.dumps() takes, to the training record, which becomes part of the model file."""
        call("agpnet_trainer_note", self._handle, key.encode(), json.dumps(value).encode())

    def save(self, path: Path, embed_backbone: bool = True) -> None:
        """Writes a .agp file, atomically. Without the backbone the file is small and names the backbone by its hash."""
        call("agpnet_trainer_save", self._handle, os.fsencode(path), int(embed_backbone))

    def save_state(self, path: Path) -> None:
        """Writes the state that resume() continues from, atomically."""
        call("agpnet_trainer_save_state", self._handle, os.fsencode(path))

    def detector(self) -> AnomalyDetector:
        """The model as it is now, for inspection."""
        handle = DetectorHandle()
        call("agpnet_trainer_get_detector", self._handle, ctypes.byref(handle))
        return AnomalyDetector._of(handle)

    @property
    def steps_done(self) -> int:
        """Steps so far."""
        return int(self._info().steps_done)

    @property
    def steps(self) -> int:
        """Steps in all, as far as is known."""
        return int(self._info().steps)

    @property
    def batch_size(self) -> int:
        """Images in a step of fit()."""
        return int(self._info().batch_size)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the model's input in pixels."""
        info = self._info()
        return info.input_height, info.input_width

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, every key."""
        config: dict[str, Any] = json.loads(self._info().config)
        return config

    @property
    def record(self) -> dict[str, Any]:
        """The training record so far, notes included."""
        record: dict[str, Any] = json.loads(self._info().record)
        return record

    def _info(self) -> _structures.TrainerInfo:
        info = _structures.TrainerInfo()
        call("agpnet_trainer_get_info", self._handle, ctypes.byref(info))
        return info


def _image_set(callbacks: Callbacks, name: str, images: Images) -> _structures.ImageSet:
    def read(index: int, target: Any) -> list[_structures.Image]:
        image = image_of(images[index])
        fill(target, image)
        return [image]

    return _structures.ImageSet(name.encode(), len(images), None, callbacks.read(_structures.ReadImage, read), None)


def config_text(config: Union[Mapping[str, Any], Path, None]) -> Optional[bytes]:
    if config is None:
        return None
    return json.dumps(dict(config)).encode() if isinstance(config, Mapping) else os.fsencode(config)
