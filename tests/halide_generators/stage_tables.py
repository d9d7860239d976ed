"""The tables beside halide_generators/stages.json speak of its stages, and of nothing else."""
import itertools
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HALIDE = ROOT / "halide_generators"
APIS = ("cpu", "opencl", "cuda")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


STAGES = {stage["name"]: stage for stage in read(HALIDE / "stages.json")["stages"]}


def wrong_stages():
    """What a line of the table may hold; a generator is there for each."""
    for name, stage in STAGES.items():
        if set(stage) - {"name", "kinds", "kind_parameter", "layouts", "inputs", "outputs"}:
            yield f"stages.json: {name} has a key that nobody reads"
        for shape in stage["inputs"] + stage["outputs"]:
            if shape != "image" and not re.fullmatch("[1NCHWhwP]{4}(:(kind|int32))?", shape):
                yield f"stages.json: {name} has the shape {shape}"
        if bool(stage["kinds"]) != ("kind_parameter" in stage):
            yield f"stages.json: {name} has kinds or a parameter for them, expected both or neither"
        source = (HALIDE / "generators" / f"{name}_generator.cpp").read_text()
        if not re.search(rf"HALIDE_REGISTER_GENERATOR\(\w+, {name}\)", source):
            yield f"{name}_generator.cpp: registers no generator {name}"


def wrong_variants():
    variants = read(HALIDE / "variants.json")["variants"]
    there = {(row["stage"], row.get("kind", ""), row["api"]) for row in variants if row["layout"] == "any"}
    for name, stage in STAGES.items():
        for kind, api in itertools.product(stage["kinds"] or [""], APIS):
            if (name, kind, api) not in there:
                yield f"variants.json: {name} {kind} has nothing of layout any for {api}"


def wrong_spaces():
    spaces = read(HALIDE / "search_space.json")["spaces"]
    variants = read(HALIDE / "variants.json")["variants"]
    for space in spaces:
        where = f"search_space.json: {space['stage']} {space['api']} {space['layout']}"
        stage = STAGES.get(space["stage"])
        if stage is None or space["layout"] not in (stage["layouts"] or ["any"]):
            yield f"{where}: stages.json has no such stage or layout"
            continue
        source = (HALIDE / "generators" / f"{space['stage']}_generator.cpp").read_text()
        for parameter in space["parameters"]:
            if f'{{"{parameter}",' not in source:
                yield f"{where}: the generator has no parameter {parameter}"
        for row in variants:
            if row["stage"] == space["stage"] and row["api"] == space["api"] and row["layout"] == space["layout"]:
                for parameter in set(row["params"]) - set(space["parameters"]):
                    yield f"{where}: lacks the parameter {parameter}, which the variant {row['name']} has"
    there = {(space["stage"], space["api"]) for space in spaces}
    for name, api in itertools.product(STAGES, APIS):
        if (name, api) not in there:
            yield f"search_space.json: has nothing for {name} on {api}"


def wrong_schema():
    """The record's schema lists names, so that a file can be checked without the program."""
    entry = read(ROOT / "docs" / "tuning-record.schema.json")["$defs"]["entry"]["properties"]
    if set(entry["stage"]["enum"]) != set(STAGES):
        yield "tuning-record.schema.json: other stages than stages.json"
    if set(entry["kind"]["enum"]) != {""}.union(*(stage["kinds"] for stage in STAGES.values())):
        yield "tuning-record.schema.json: other kinds than stages.json"


problems = [*wrong_stages(), *wrong_variants(), *wrong_spaces(), *wrong_schema()]
print("\n".join(problems))
sys.exit(1 if problems else 0)
