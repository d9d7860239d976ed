"""No line of C++, Python, CMake or shell is longer than the ColumnLimit of .clang-format. A line with an address or a raw string may be."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = int(re.search(r"^ColumnLimit: (\d+)$", (ROOT / ".clang-format").read_text(), re.M)[1])
FOLDERS = (".ci", "apps", "benchmarks", "cmake", "common", "halide_generators", "include", "models", "operators", "plugin", "python",
           "samples", "scripts", "tests", "tuning")
ENDINGS = (".c", ".h", ".cpp", ".hpp", ".py", ".cmake", ".sh")
UNBREAKABLE = re.compile(r'https?://|\bR"')


def is_source(file):
    if file.suffix in ENDINGS or file.name == "CMakeLists.txt":
        return True
    with open(file, "rb") as content:
        return not file.suffix and content.read(2) == b"#!"


def sources():
    yield ROOT / "CMakeLists.txt"
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and is_source(file):
                yield file


def long_lines():
    for file in sources():
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if len(line) > LIMIT and not UNBREAKABLE.search(line):
                yield f"{file.relative_to(ROOT)}:{number}: {len(line)} characters, expected at most {LIMIT}"


problems = list(long_lines())
print("\n".join(problems))
sys.exit(1 if problems else 0)
