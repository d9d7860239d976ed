"""docs/quickstart.md as a user follows it: its blocks are run as they stand, but for that of "Install", in a folder with 50 good pictures.

    quickstart.py CMAKE BUILD MAKE_TINY_SET
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

CMAKE, BUILD, MAKE_TINY_SET = sys.argv[1:]
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/quickstart.md"


def blocks(text):
    """(heading, language, name of the file that the text before it announces or "", content) of each."""
    for found in re.finditer(r"```(\w+)\n(.*?)```", text, re.S):
        before = text[: found.start()]
        heading = re.findall(r"^## (.*)$", before, re.M)
        announced = re.search(r"`([\w.]+)`:\s*$", before)
        yield heading[-1] if heading else "", found[1], announced[1] if announced else "", found[2]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prefix, place = folder / "prefix", folder / "place"
        place.mkdir()
        environment = {
            **{key: value for key, value in os.environ.items() if key not in ("AGPNET_PLUGIN", "LD_LIBRARY_PATH", "PYTHONPATH")},
            "AGPNET_BACKBONE": str(folder / "tiny/patch14.safetensors"), # the fetched one would take minutes
            "CMAKE_GENERATOR": "Ninja",  # make need not be there
            "PATH": f"{prefix}/bin:{pathlib.Path(CMAKE).parent}:{os.environ['PATH']}",
            # what a prefix other than /usr needs
            "CMAKE_PREFIX_PATH": str(prefix),
            "PYTHONPATH": f"{prefix}/lib/python3/dist-packages",
        }

        def run(*command):
            done = subprocess.run(command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            print(done.stdout)
            if done.returncode:
                sys.exit(f"quickstart: exit code {done.returncode} of {' '.join(command)}")
            return done.stdout

        subprocess.run([CMAKE, "--install", BUILD, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([MAKE_TINY_SET, folder / "tiny"], check=True)
        run("agpnet", "demo-data", str(folder), "--product", "tile", "--train", "50", "--test-good", "6",
            "--test-defective", "2", "--side", "160")
        os.rename(folder / "tile/train/good", place / "good")
        os.rename(folder / "tile/test/good", place / "more-good")
        (place / "line").mkdir()
        pictures = [path for path in sorted((folder / "tile/test").rglob("*.png"))] + sorted((place / "more-good").iterdir())[:2]
        for number, path in enumerate(pictures, 1):
            os.link(path, place / f"line/{number}.png")

        printed, count = [], 0
        for heading, language, announced, content in blocks(DOCUMENT.read_text()):
            if heading == "Install":
                continue
            count += 1
            if announced:
                (place / announced).write_text(content)
            elif language == "sh":
                printed.append(run("bash", "-euo", "pipefail", "-c", content))
            else:
                sys.exit(f"quickstart: a block in {language} under '{heading}' is neither run nor has a name")

        scores = [float(score) for text in printed for score in re.findall(r"^score ([\d.]+)", text, re.M)]
        if count < 11 or len(scores) != 3 or scores[0] <= 0 or max(scores) - min(scores) > 2e-3 * scores[0]:
            sys.exit(f"quickstart: {count} blocks; the programs' scores are {scores}, expected three that are equal")
        if b"<html" not in (place / "report.html").read_bytes()[:2000]:
            sys.exit("quickstart: report.html is no page")
    print(f"quickstart: {count} blocks, score {scores[0]}")


main()
