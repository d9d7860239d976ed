#!/usr/bin/env python3
"""Inspects an image with AGPNet from the distribution's cv2:  inspect_image.py PLUGIN ONNX IMAGE"""
import os
import sys

import cv2

import agpnet

if len(sys.argv) != 4:
    sys.exit("usage: inspect_image.py PLUGIN ONNX IMAGE")
os.environ["AGPNET_PLUGIN"] = sys.argv[1]
agpnet.load_plugin()
net = cv2.dnn.readNetFromONNX(sys.argv[2])  # agpnet export tile.agp --onnx-graph tile.onnx
image = cv2.imread(sys.argv[3])
net.setInput(cv2.dnn.blobFromImage(image, 1 / 255.0, swapRB=True))
anomaly_map, score = net.forward(["map", "score"])
print(f"score {score[0, 0]:.6f}, map of {anomaly_map.shape[2]}x{anomaly_map.shape[3]}")
