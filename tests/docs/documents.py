"""The documents against what they speak of; one check each:

    documents.py links       relative links lead to files that are there, and to headings that are there
    documents.py blocks      json blocks are JSON; agpnet's commands in sh blocks have options that the program knows (docs/cli.md, which a
                             test of its own compares with the program)
    documents.py messages    the messages of docs/troubleshooting.md still stand in the sources
    documents.py words       no document uses a word that docs/glossary.md replaces (in code type in its third column)
"""
import json
import pathlib
import re
import shlex
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WRITTEN_BY_HAND = ("common", "halide_generators", "tuning", "models", "operators", "plugin", "apps", "include", "python", "scripts",
                   "cmake")
WORDS_CHECKED_IN = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "include/agpnet/*.hpp",
)
MEASURED = ("docs/benchmarks.md",)  # rows of tables stay as they were recorded


def without_code(text):
    """Blocks and spans of code hold no links; lines stay where they are."""
    text = re.sub(r"^```.*?^```", lambda block: "\n" * block[0].count("\n"), text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(document):
    """GitHub's: lower case; letters, digits, hyphens, underscores and blanks stay, and blanks become hyphens; a second one of a name gets
    -1."""
    found = set()
    for line in re.sub(r"^```.*?^```", "", document.read_text(), flags=re.S | re.M).splitlines():
        heading = re.match(r"#{1,6} (.*?)\s*#*$", line)
        if not heading:
            continue
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])  # of a link, what is read
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        again, number = name, 0
        while again in found:
            number += 1
            again = f"{name}-{number}"
        found.add(again)
    return found


def links():
    for document in DOCUMENTS:
        for line, text in enumerate(without_code(document.read_text()).splitlines(), 1):
            for target in re.findall(r"\]\(([^)\s]+)\)|\b(?:src|href|srcset)=\"([^\"]+)\"", text):
                target = target[0] or target[1]
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                file = (document.parent / path).resolve() if path else document
                if not file.exists():
                    yield f"{document.relative_to(ROOT)}:{line}: {target}: there is no such file"
                elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                    known = ", ".join(sorted(anchors(file)))
                    yield f"{document.relative_to(ROOT)}:{line}: {target}: there is no such heading; there are {known}"


def known_options():
    """Of each command ('train', 'tune merge'): its options, and whether a value follows."""
    commands = {}
    for title, text in re.findall(r"^## agpnet ?([\w -]*)\n```text\n(.*?)^```", (ROOT / "docs/cli.md").read_text(), re.M | re.S):
        commands[title] = set(re.findall(r"^ +(?:-\w,)?(--[\w-]+)", text, re.M))
    return commands


def commands_in(block):
    """Each agpnet command of a sh block, as words."""
    for line in block.replace("\\\n", " ").splitlines():
        quoted = "'" in line or '"' in line
        bare = re.sub(r"\s#.*$" if quoted else r"(?:^|\s)#.*$", "", line)
        for command in [bare] if quoted else re.split(r"&&|\||;", bare):
            try:
                words = shlex.split(command)
            except ValueError as error:
                yield [command, str(error)]
                continue
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words and words[0] == "agpnet":
                yield words[1:]


def blocks():
    known = known_options()
    if len(known) < 10 or "--out" not in known.get("train", ()):
        yield "docs/cli.md: the commands' options are not found in it"
        return
    for document in DOCUMENTS:
        text = document.read_text()
        for block in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.S | re.M):
            where = f"{document.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 1}"
            if block[1] == "json":
                try:
                    json.loads(block[2])
                except ValueError as error:
                    yield f"{where}: is not JSON: {error}"
            elif block[1] in ("sh", "bash"):
                for words in commands_in(block[2]):
                    name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0] if words and words[0] in known else ""
                    for word in words:
                        if word.startswith("--") and word.split("=")[0] not in known[name]:
                            yield f"{where}: agpnet {' '.join(words)}: '{name or 'agpnet'}' has no option {word}"
                    if not name and words and not words[0].startswith("-"):
                        yield f"{where}: agpnet {' '.join(words)}: there is no command '{words[0]}'"


def sources():
    """Everything that people wrote and that speaks to users, with the pieces of a text that is broken over lines put together."""
    files = [file for folder in WRITTEN_BY_HAND for file in sorted((ROOT / folder).rglob("*"))
             if file.is_file() and "__pycache__" not in file.parts]
    text = "\n".join(file.read_text(errors="replace") for file in files)
    text = re.sub(r"\n\s*<<", " <<", text)
    return re.sub(r'"\s*\n\s*f?"', "", text).replace('\\"', '"')


def messages():
    """Messages are headings of the third level in code: what stands for something else is in capitals, and fixed words between must be in
    the sources, one after the other on one line."""
    quoted = re.findall(r"^### `(.*)`$", (ROOT / "docs/troubleshooting.md").read_text(), re.M)
    if len(quoted) < 10:
        yield f"docs/troubleshooting.md: {len(quoted)} messages, expected more"
    text = sources()
    for message in quoted:
        pieces = [piece.strip() for piece in re.split(r"\b[A-Z]{3,}\b|…", message.replace("AGPNET_", "agpnet_env_"))]
        pieces = [piece.replace("agpnet_env_", "AGPNET_") for piece in pieces if re.search(r"\w\w", piece)]
        if not pieces:
            yield f"docs/troubleshooting.md: '{message}' has no fixed words"
        elif not re.search("[^\n]*?".join(re.escape(piece) for piece in pieces), text):
            yield f"docs/troubleshooting.md: '{message}': these words are not in the sources: {' ... '.join(pieces)}"


def banned_words():
    """Of the glossary's table what stands in code in the third column."""
    rows = [line.strip("|").split("|") for line in (ROOT / "docs/glossary.md").read_text().splitlines() if line.startswith("|")]
    return [word for row in rows if len(row) == 3 for word in re.findall(r"`([^`]+)`", row[2])]


def prose(document):
    """The text without code blocks (the help in docs/cli.md is prose in blocks of `text`), code spans, targets of links and names of
    options; lines stay where they are. Of a header, the comments."""
    name = document.relative_to(ROOT).as_posix()
    text = document.read_text()
    if document.suffix == ".md":
        lines, block = [], None
        for line in text.splitlines():
            if line.startswith("```"):
                block = line[3:] if block is None else None
                line = ""
            elif block is not None and not (block == "text" and name == "docs/cli.md"):
                line = ""
            elif line.startswith("|") and name in MEASURED:
                line = ""
            lines.append(line)
        text = re.sub(r"\]\([^)\s]*\)", "]", "\n".join(lines))
    else:
        text = "\n".join(re.sub(r"^.*?(//|$)", "", line) for line in text.splitlines())
    return re.sub(r"--[\w-]+", "", re.sub(r"`[^`\n]*`", "", text))


def words():
    banned = banned_words()
    if len(banned) < 10:
        yield f"docs/glossary.md: {len(banned)} words to avoid, expected more"
        return
    between = r"[\s/*-]+"  # a line may end there, and the next one begin with a comment's mark
    pattern = re.compile("|".join(rf"\b{between.join(re.split('[ -]', word))}\b" for word in sorted(banned, key=len, reverse=True)), re.I)
    documents = {file for name in WORDS_CHECKED_IN for file in ROOT.glob(name)}
    for document in sorted(documents):
        text = prose(document)
        for found in pattern.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{document.relative_to(ROOT)}:{line}: '{' '.join(found[0].split())}': docs/glossary.md has the word to use"


def main():
    checks = {"links": links, "blocks": blocks, "messages": messages, "words": words}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    problems = list(checks[sys.argv[1]]())
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
