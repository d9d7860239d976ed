#!/usr/bin/env python3
"""Large pictures with small defects: trays of 8 x 8 drawn parts, 2048 x 2048 pixels, of which one part has a defect.

    build/bin/agpnet demo-data parts --product tile --train 240 --test-good 128 --test-defective 24
    benchmarks/trays.py parts/tile trays
    build/bin/agpnet train --data trays --out whole.agp
    build/bin/agpnet train --data trays --out tiled.agp --tile 512

The result is laid out as MVTec AD is. Which part lies where follows from the seed.
"""
import argparse
import random
import sys
from pathlib import Path

import cv2
import numpy as np

GRID = 8


def pictures(folder):
    return [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))]


def tray(parts, chance):
    chosen = [parts[chance.randrange(len(parts))] for _ in range(GRID * GRID)]
    return np.vstack([np.hstack(chosen[row * GRID:(row + 1) * GRID]) for row in range(GRID)])


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        sys.exit(f"{path}: cannot be written")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", type=Path, help="a product of agpnet demo-data")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--train", type=int, default=24, help="trays to train on")
    parser.add_argument("--good", type=int, default=16, help="good trays to test on")
    parser.add_argument("--defective", type=int, default=16, help="trays of each kind of defect")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)

    learned = pictures(arguments.parts / "train/good")
    unseen = pictures(arguments.parts / "test/good")
    if not learned or not unseen:
        sys.exit(f"{arguments.parts}: no pictures in train/good and test/good")
    for i in range(arguments.train):
        write(arguments.out / f"train/good/{i:03}.png", tray(learned, chance))
    for i in range(arguments.good):
        write(arguments.out / f"test/good/{i:03}.png", tray(unseen, chance))
    for kind in sorted(path for path in (arguments.parts / "test").iterdir() if path.name != "good"):
        names = sorted(kind.glob("*.png"))
        for i in range(arguments.defective):
            image = tray(unseen, chance)
            name = names[i % len(names)]
            part = cv2.imread(str(name))
            mask = cv2.imread(str(next((arguments.parts / "ground_truth" / kind.name).glob(f"{name.stem}*"))), cv2.IMREAD_GRAYSCALE)
            y, x = (side * chance.randrange(GRID) for side in part.shape[:2])
            image[y:y + part.shape[0], x:x + part.shape[1]] = part
            whole = np.zeros(image.shape[:2], np.uint8)
            whole[y:y + mask.shape[0], x:x + mask.shape[1]] = mask
            write(arguments.out / f"test/{kind.name}/{i:03}.png", image)
            write(arguments.out / f"ground_truth/{kind.name}/{i:03}_mask.png", whole)


if __name__ == "__main__":
    main()
