"""What the peers share: which images, how they are prepared, and the folder of maps that `agpnet evaluate --maps` scores."""
import argparse
import csv
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from backbone import SIZE

MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet's, in the order RGB
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
BATCH = 8
PACKAGES = ["torch", "timm", "numpy", "opencv-python-headless"]  # that every peer runs on
EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def parser(description):
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--data", type=Path, required=True, help="folder in MVTec AD's layout: train/good, test/<defect>")
    options.add_argument("--backbone", type=Path, required=True, help="safetensors file with Hugging Face's Dinov2 names")
    options.add_argument("--out", type=Path, required=True, help="folder to make for the maps")
    options.add_argument("--split", type=Path, help="lines `train STEM` and `test STEM` deal the good images anew")
    options.add_argument("--shots", type=int, help="train on this many images, drawn with the seed")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument(
        "--precision", choices=["fp32", "bf16"], default="bf16", help="bf16: products in bfloat16, AGPNet's choice where it is fast"
    )
    return options


def images_in(folder):
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS)


def read_split(path):
    """Stem to `train` or `test`."""
    lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip()]
    wrong = [line for line in lines if len(line) != 2 or line[0] not in ("train", "test")]
    if wrong:
        raise SystemExit(f"{path}: '{' '.join(wrong[0])}' found, `train STEM` or `test STEM` expected")
    return {stem.strip(): part for part, stem in lines}


def list_images(args):
    """Paths to train on, and (`<defect>/<stem>`, path) to test on; with --split, good images that it does not name are left out."""
    train = images_in(args.data / "train" / "good")
    folders = sorted(folder for folder in (args.data / "test").iterdir() if folder.is_dir())
    test = [(folder.name, path) for folder in folders for path in images_in(folder)]
    if args.split:
        part = read_split(args.split)
        good = train + [path for defect, path in test if defect == "good"]
        if len({path.stem for path in good}) < len(good):
            raise SystemExit(f"{args.data}: a stem names two good images, so {args.split} cannot deal them")
        missing = set(part) - {path.stem for path in good}
        if missing:
            raise SystemExit(f"{args.split}: {len(missing)} stems have no good image in {args.data}, {min(missing)} first")
        good.sort(key=lambda path: path.stem)
        train = [path for path in good if part.get(path.stem) == "train"]
        test = [pair for pair in test if pair[0] != "good"]
        test += [("good", path) for path in good if part.get(path.stem) == "test"]
    if args.shots:
        if args.shots > len(train):
            raise SystemExit(f"--shots {args.shots}: there are {len(train)} images to train on")
        drawn = np.random.default_rng(args.seed).choice(len(train), args.shots, replace=False)
        train = [train[i] for i in sorted(drawn)]
    return train, [(f"{defect}/{path.stem}", path) for defect, path in test]


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{path}: cannot be read as an image")
    return image


def batch_of(images):
    """BGR images of 8 bits to a normalised batch, as AGPNet prepares them: resized as floats, by area where both sides shrink."""
    prepared = []
    for image in images:
        method = cv2.INTER_AREA if min(image.shape[:2]) > SIZE else cv2.INTER_LINEAR
        small = cv2.resize(image.astype(np.float32) / 255, (SIZE, SIZE), interpolation=method)
        prepared.append(((small[:, :, ::-1] - MEAN) / DEVIATION).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(prepared))


class Clock:
    """Seconds that went by within `with` blocks, and seconds of processor time in all threads, which a busy machine spoils less."""

    seconds = cpu_seconds = 0.0

    def __enter__(self):
        self.started = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.seconds += time.perf_counter() - self.started[0]
        self.cpu_seconds += time.process_time() - self.started[1]


def autocast(args):
    return torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16")


def prepare(args):
    """Before any work: the output folder, and every generator seeded."""
    if args.out.exists() and any(args.out.iterdir()):
        raise SystemExit(f"{args.out}: is not empty; maps of two runs must not mix")
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)


def write_maps(args, test, detect):
    """Runs `detect` (a batch to maps and scores) over the test images and writes DIR/<defect>/<stem>.tiff and DIR/scores.csv.

    Returns a Clock of the way from decoded images to maps and scores, in batches of 8; files are not timed.
    """
    clock, rows = Clock(), []
    for first in range(0, len(test), BATCH):
        some = test[first : first + BATCH]
        images = [read(path) for _, path in some]
        with clock, torch.inference_mode():
            maps, scores = detect(batch_of(images))
        for (name, _), anomaly_map, score in zip(some, maps, scores, strict=True):
            file = args.out / f"{name}.tiff"
            file.parent.mkdir(exist_ok=True)
            if not cv2.imwrite(str(file), np.ascontiguousarray(anomaly_map, np.float32)):
                raise SystemExit(f"{file}: cannot be written")
            rows.append((name, f"{score:.9g}"))
    with open(args.out / "scores.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "score"))
        writer.writerows(rows)
    return clock


def write_run(args, method, packages, train, test, training, inference, facts):
    """DIR/run.json, last of all: its presence says that the folder is whole."""
    run = {
        "method": method,
        "versions": {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages + PACKAGES},
        "seed": args.seed,
        "backbone_sha256": hashlib.sha256(args.backbone.read_bytes()).hexdigest(),
        "data": args.data.resolve().name,
        "split": args.split.name if args.split else None,
        "shots": args.shots,
        "train_images": len(train),
        "train_stems": [path.stem for path in train] if args.shots else None,  # which ones were drawn
        "test_images": len(test),
        "training_seconds": round(training.seconds, 2),
        "training_cpu_seconds": round(training.cpu_seconds, 2),
        "inference_ms_per_image": round(1e3 * inference.seconds / len(test), 2),
        "inference_cpu_ms_per_image": round(1e3 * inference.cpu_seconds / len(test), 2),
        "input_size": [SIZE, SIZE],
        "precision": args.precision,
        "threads": torch.get_num_threads(),
        "load_average_at_end": round(os.getloadavg()[0], 2),  # above the number of threads, the times are too long
    }
    (args.out / "run.json").write_text(json.dumps(run | facts, indent=2) + "\n")
