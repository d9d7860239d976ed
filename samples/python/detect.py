#!/usr/bin/env python3
"""The detector from Python: score, decision, and where the image is anomalous.  detect.py MODEL IMAGE [SENSITIVITY]"""
import sys

import cv2

import agpnet

if len(sys.argv) not in (3, 4):
    sys.exit("usage: detect.py MODEL IMAGE [SENSITIVITY]")
image = cv2.imread(sys.argv[2])
if image is None:
    sys.exit(f"{sys.argv[2]}: not an image that OpenCV reads")
options = agpnet.DetectOptions(sensitivity=float(sys.argv[3]) if len(sys.argv) == 4 else 1, minimum_area=4)
try:
    result = agpnet.AnomalyDetector(sys.argv[1]).detect(image, options)
except agpnet.AgpnetError as error:
    sys.exit(str(error))
print(f"score {result.score:.6f}, threshold {result.threshold:.6f}, {'anomalous' if result.anomalous else 'normal'}")
for region in result.regions:
    x, y, width, height = region.box
    print(f"region {width}x{height} at ({x}, {y}), peak {region.score:.3f}, {region.area} pixels")
