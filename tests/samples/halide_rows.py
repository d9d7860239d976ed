"""Compiles each row of samples/halide/rows.json as the build would, and checks that the build accepts it.

    halide_rows.py SOURCE GENERATORS
"""
import json
import os
import re
import subprocess
import sys
import tempfile

source, generators = sys.argv[1:]


def rows(*path):
    with open(os.path.join(source, *path), encoding="utf-8") as file:
        return json.load(file)


def check(condition, *what):
    if not condition:
        sys.exit(f"not as expected: {what}")


def place(row):
    return tuple(row.get(key, "") for key in ("stage", "kind", "layout", "api", "name"))


taken = {place(row) for row in rows("halide_generators", "variants.json")["variants"]}
spaces = rows("halide_generators", "search_space.json")["spaces"]
stages = {stage["name"]: stage for stage in rows("halide_generators", "stages.json")["stages"]}
with tempfile.TemporaryDirectory() as folder:
    for row in rows("samples", "halide", "rows.json")["variants"]:
        check(place(row) not in taken, "a name of its own", row)
        taken.add(place(row))
        name = re.sub(r"\W", "_", "agpnet_{}_{}_{}_{}_{}".format(*place(row)))
        space = [each for each in spaces if all(each[key] == row[key] for key in ("stage", "api", "layout"))]
        check(space and set(row["params"]) <= set(space[0]["parameters"]), "parameters that agpnet tune knows too", row)
        parameters = [f"{key}={value}" for key, value in row["params"].items()]
        stage = stages[row["stage"]]
        if stage["layouts"]:
            parameters.append("layout=" + row["layout"])
        if stage["kinds"]:
            parameters.append(f"{stage['kind_parameter']}={row['kind']}")
        subprocess.run([os.path.join(generators, f"agpnet_{row['stage']}_generator"), "-g", row["stage"], "-f", name,
                        "-e", "object", "-o", folder,
                        f"target={row['target']}-user_context-no_runtime", *parameters], check=True)
        check(os.path.getsize(os.path.join(folder, name + ".o")) > 1000, name)
        print("compiled", name)
