"""The one way through the rooms: a file includes only from its own room and from those before it; no shared room includes from a family,
and no family from another; a room of models/ and operators/ has at most twelve files. docs/architecture.md draws the rooms."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_FILES = 12
FAMILIES = ("agpnet", "dec")  # a folder of this name in models/ and operators/ is a family's

# Each may include from those before it. A folder that is not listed belongs to no room, and its files are refused.
ROOMS = [
    "include/agpnet",
    "common",
    "halide_generators/generators", "halide_generators/runtime", "halide_generators/reference",
    "tuning",
    "models/weights", "models/device", "models/kernels", "models/attention", "models/layers", "models/onnx", "models/backbones",
    "models/text/tokenizers", "models/text", "models/model_file",
    "models/thresholds", "models/training", "models/index", "models/agpnet/decoder", "models/agpnet", "models/dec", "models/dec/training",
    "operators/core", "operators/image", "operators/stages", "operators/training", "operators/index",
    "operators/dec", "operators/dec/export", "operators/dec/operators", "operators/agpnet/inspection",
    "operators/agpnet/training",
    "operators/agpnet/export", "operators/agpnet", "operators/agpnet/operators",
    "operators",  # the registry: all families put together
    "plugin",
    "apps/datasets", "apps/evaluation", "apps/report", "apps/demo", "apps/tune", "apps/cli",
]
ABOVE_FAMILIES = ("operators", "plugin", "apps/tune", "apps/cli")
# in include/agpnet
FAMILY_HEADERS = {"agpnet": ("anomaly_calibration.hpp", "anomaly_detector.hpp", "anomaly_stream.hpp", "anomaly_trainer.hpp"),
                  "dec": ("describer.hpp", "describer_trainer.hpp", "object_query.hpp")}


def room_of(path):
    return path.parent.as_posix()


def family_of(path):
    parts = path.parts
    if parts[0] in ("models", "operators") and len(parts) > 2 and parts[1] in FAMILIES:
        return parts[1]
    if path.parent == pathlib.PurePath("include/agpnet"):
        return next((family for family, headers in FAMILY_HEADERS.items() if path.name in headers), None)
    return None


def target_of(include, file):
    """The file that an include of ours means, or None for one of a library or one that the build writes."""
    for base in (ROOT, ROOT / "include", file.parent):
        if (base / include).is_file():
            return (base / include).resolve().relative_to(ROOT)
    return None


def wrong_includes():
    order = {room: place for place, room in enumerate(ROOMS)}
    tops = sorted({room.split("/")[0] for room in ROOMS})
    for file in sorted(path for top in tops for path in (ROOT / top).rglob("*") if path.suffix in (".h", ".hpp", ".cpp", ".c")):
        path = file.relative_to(ROOT)
        room = room_of(path)
        if room not in order:
            yield f"{path}: its folder is no room; add it to ROOMS of {pathlib.Path(__file__).name}"
            continue
        for include in re.findall(r'^\s*#include "([^"]+)"', file.read_text(errors="replace"), re.M):
            target = target_of(include, file)
            if target is None:
                continue
            other = room_of(target)
            if other not in order:
                yield f"{path}: includes {target}, which is in no room"
            elif order[other] > order[room]:
                yield f"{path}: includes {target}; {other} comes after {room}"
            family = family_of(target)
            everything = path.as_posix() in ("include/agpnet/agpnet.hpp", "include/agpnet/part_inspector.hpp")
            if family and family != family_of(path) and room not in ABOVE_FAMILIES and not everything:
                yield f"{path}: includes {target} of the family {family}"


def crowded_rooms():
    for room in ROOMS:
        if not (ROOT / room).is_dir():
            yield f"{room}: there is no such folder"
            continue
        files = [file for file in (ROOT / room).iterdir() if file.is_file() and file.suffix in (".h", ".cpp")]
        if room.split("/")[0] in ("models", "operators") and len(files) > MOST_FILES:
            yield f"{room}: has {len(files)} files, expected at most {MOST_FILES}"


problems = [*wrong_includes(), *crowded_rooms()]
print("\n".join(problems))
sys.exit(1 if problems else 0)
