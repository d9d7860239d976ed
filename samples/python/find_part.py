#!/usr/bin/env python3
"""Which object of a folder do these images show? They are views of one object, and the answer grows with them.
    find_part.py MODEL FOLDER IMAGE...      FOLDER/4711/*.png are views of the object 4711"""
import pathlib
import sys

import cv2
import numpy as np

import agpnet


def read(path):
    image = cv2.imread(str(path))
    if image is None:
        sys.exit(f"{path}: not an image that OpenCV reads")
    return image


if len(sys.argv) < 4:
    sys.exit("usage: find_part.py MODEL FOLDER IMAGE...")
try:
    describer = agpnet.Describer(sys.argv[1])
    gallery = agpnet.Gallery(describer.width, describer.space)
    singles, owners = [], []  # descriptors of single views, to learn from how close other objects come to them
    for part in sorted(pathlib.Path(sys.argv[2]).iterdir()):
        embeddings = describer.embed([read(view) for view in sorted(part.iterdir())])
        gallery.add(part.name, describer.aggregate(embeddings))
        singles += [describer.aggregate(view) for view in embeddings]
        owners += [part.name] * len(embeddings)
    gallery.calibrate(np.stack(singles), owners)  # gallery.save("catalogue.agpx") would keep all this

    query = agpnet.ObjectQuery(describer, gallery, rate=0.05, top=3)
    for path in sys.argv[3:]:
        answer = query.add(read(path))
        print(f"view {answer.views}: {answer.matches[0].name if answer.known else 'not in the folder'}")
        for match in answer.matches:
            print(f"  {match.name}, similarity {match.similarity:.4f}, chance {match.chance:.4f}")
except (agpnet.AgpnetError, OSError) as error:
    sys.exit(str(error))
