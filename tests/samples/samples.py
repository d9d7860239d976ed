"""Runs the samples on a tiny model:  samples.py AGPNET PLUGIN MAKE_TINY_SET NAME=PROGRAM..."""
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

agpnet, plugin, make_tiny_set, *built = sys.argv[1:]
programs = dict(each.split("=", 1) for each in built)
source = pathlib.Path(__file__).resolve().parents[2]
os.environ.update(AGPNET_PLUGIN=plugin, OMP_NUM_THREADS="1")


def run(*command, code=0):
    """What it prints; the samples' errors go to stderr, and are returned where one is expected."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    if done.returncode != code:
        sys.exit(f"{command}: exit {done.returncode}, expected {code}\n{done.stdout}{done.stderr}")
    return done.stderr if code else done.stdout


def check(condition, *what):
    if not condition:
        sys.exit(f"not as expected: {what}")


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    run(make_tiny_set, ".")
    run(agpnet, "train", "--data", "good", "--out", "tiny.agp", "--backbone", "tiny.safetensors", "--config", "config.json")
    run(agpnet, "export", "tiny.agp", "--onnx-graph", "stages.onnx", "--stages", "--size", "40x48", "--precision", "fp32")
    pictures = [f"good/{i}.png" for i in range(3)]
    lines = run(agpnet, "detect", "--json", "--precision", "fp32", "tiny.agp", *pictures).splitlines()
    scores = [json.loads(line)["score"] for line in lines[:-1]]  # the last is of the files

    lines = run(programs["custom_stage"], "stages.onnx", *pictures).splitlines()
    check(len(lines) == 3, lines)
    for line, expected in zip(lines, scores):
        residual, own, again = map(float, re.search(r"Residual ([\d.]+), MeanAbsolute ([\d.]+), Residual again ([\d.]+)$", line).groups())
        check(abs(residual - expected) < 1e-5, line, expected)
        check(own > 0 and abs(own - residual) > 1e-3, "the stage of one's own gives other scores", line)
        check(again == residual, "ours is back", line)

    same = run(programs["stages"], "good/0.png", "good/0.png", "same.png")
    other = run(programs["stages"], "good/0.png", "good/1.png", "other.png")
    check("cpu: score 0.000000" in same, same)
    check(float(re.search(r"cpu: score ([\d.]+)", other).group(1)) > 0.01, other)
    check(float(re.search(r"noise of ([\d.]+)", other).group(1)) > 0.001, other)
    os.environ["OPENCV_OPENCL_DEVICE"] = ":CPU:"  # OpenCL in software, where it is installed
    device = run(programs["stages"], "good/0.png", "good/1.png", "other.png")
    del os.environ["OPENCV_OPENCL_DEVICE"]
    figures = re.findall(r": score ([\d.]+)", device)
    check(len(figures) == (1 if "has no OpenCL" in device else 2) and abs(float(figures[-1]) - float(figures[0])) < 1e-4, device)
    check(os.path.getsize("other.png") > 100, "the map is written")
    check("none.json" in run(programs["stages"], "good/0.png", "good/1.png", "x.png", "none.json", code=1),
          "a record that is not there is named")

    watched = run(programs["watch_camera"], "tiny.agp", "good/%d.png", "out.avi")
    check(re.search(r"^\d of 6 frames anomalous, 0 left out$", watched, re.M), watched)
    with open("out.avi", "rb") as file:
        header = file.read(4096)
    at = header.index(b"avih") + 8
    frames, width, height = (struct.unpack_from("<I", header, at + 4 * i)[0] for i in (4, 8, 9))
    check((frames, width, height) == (6, 48, 40), frames, width, height)
    check("none/out.avi cannot be written" in run(programs["watch_camera"], "tiny.agp", "good/%d.png", "none/out.avi", code=1), "says so")
    check("none.avi: cannot be opened" in run(programs["watch_camera"], "tiny.agp", "none.avi", "out.avi", code=1), "says so")

    for number, part in enumerate(["bolt", "gear", "nut"]):  # of two views each
        os.makedirs(f"objects/parts/{part}")
        for view in range(2):
            shutil.copy(f"good/{2 * number + view}.png", f"objects/parts/{part}")
    with open("dec.json", "w", encoding="utf-8") as file:
        json.dump({"height": 32, "width": 24, "choose": "config", "whitening": "objects"}, file)
    run(agpnet, "train", "--method", "dec", "--data", "objects", "--out", "parts.agp", "--backbone", "tiny.safetensors",
        "--config", "dec.json")
    views = ["good/2.png", "good/3.png"]  # of the gear
    found = run(programs["find_part"], "parts.agp", "objects/parts", *views)
    check(found.startswith("view 1: ") and "view 2: gear\n  gear, similarity 1.0000, chance 0.0000\n" in found, found)
    check("dec.json: not an image" in run(programs["find_part"], "parts.agp", "objects/parts", "dec.json", code=1), "says so")
    os.environ["PYTHONPATH"] = str(source / "python")
    script = str(source / "samples" / "python" / "find_part.py")
    check(run("/usr/bin/python3", script, "parts.agp", "objects/parts", *views) == found, "Python says the same", found)
    check("dec.json: not an image" in run("/usr/bin/python3", script, "parts.agp", "objects/parts", "dec.json", code=1), "says so")

    if "gapi_kernel" in programs:
        lines = run(programs["gapi_kernel"], "tiny.agp", "out.avi").splitlines()
        check(len(lines) == 6 and all("score" in line for line in lines), lines)
print("samples: fine" if "gapi_kernel" in programs else "samples: fine; gapi_kernel is not built, this OpenCV has no module gapi")
