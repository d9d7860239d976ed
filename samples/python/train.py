#!/usr/bin/env python3
"""Trains a model on good images from Python; Ctrl-C keeps the state, and the next start continues.
    train.py BACKBONE CONFIG MODEL IMAGE...      CONFIG is JSON, for example '{"steps": 500}', or the path of a JSON file"""
import os
import sys

import cv2

import agpnet

if len(sys.argv) < 5:
    sys.exit("usage: train.py BACKBONE CONFIG MODEL IMAGE...")
backbone, config, model, *paths = sys.argv[1:]
state = model + ".state"
trainer = agpnet.AnomalyTrainer.resume(state) if os.path.exists(state) else agpnet.AnomalyTrainer(backbone, config)
images = agpnet.LazyImages(len(paths), lambda i: cv2.imread(paths[i]))
try:
    trainer.fit(images, progress=lambda now: print(f"step {now.step} of {now.steps}, loss {now.loss:.4f}"))
except KeyboardInterrupt:
    trainer.save_state(state)
    sys.exit(f"interrupted: {state} has the state")
trainer.save(model)
print(f"{model}: {trainer.steps_done} steps, threshold {trainer.detector().thresholds()[0]:.6f}")
