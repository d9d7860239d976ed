#!/usr/bin/env python3
"""Writes unicode_tables.h out of the tables that Python has: python3.11 make_unicode_tables.py >unicode_tables.h
The committed one is of Python 3.11, Unicode 14."""
import unicodedata

SURROGATES = range(0xD800, 0xE000)
SPACES = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
KINDS = {"L": "Letter", "N": "Number", "P": "Punctuation", "Mn": "Accent", "Cc": "Control", "Cf": "Control", "Co": "Control"}
CHARACTERS = [c for c in range(0x110000) if c not in SURROGATES]


def kind(c):
    if c in SPACES:
        return "Space"
    category = unicodedata.category(chr(c))
    return KINDS.get(category) or KINDS.get(category[0])


def ranges(value):
    """[first, last, value] of neighbours with one value; without those of none."""
    result = []
    for c in CHARACTERS:
        v = value(c)
        if not v:
            continue
        if result and result[-1][1] == c - 1 and result[-1][2] == v:
            result[-1][1] = c
        else:
            result.append([c, c, v])
    return result


def lower_ranges():
    """[first, last, step, distance]: every step-th character has its small letter at that distance."""
    result = []
    for c in CHARACTERS:
        small = chr(c).lower()
        if small == chr(c) or len(small) > 1:  # I with a dot is the only one that becomes two
            continue
        distance = ord(small) - c
        last = result[-1] if result else None
        if last and last[3] == distance and (c - last[1] == last[2] or (last[0] == last[1] and c - last[1] in (1, 2))):
            last[1], last[2] = c, c - last[1]
        else:
            result.append([c, c, 1, distance])
    return result


def decompositions():
    """[character, first, second or 0, whether the two become one again]; the Korean ones follow a rule."""
    for c in CHARACTERS:
        text = unicodedata.decomposition(chr(c))
        if not text or text.startswith("<") or 0xAC00 <= c <= 0xD7A3:
            continue
        parts = [int(part, 16) for part in text.split()] + [0]
        whole = parts[1] and unicodedata.normalize("NFC", chr(parts[0]) + chr(parts[1])) == chr(c)
        yield [c, parts[0], parts[1], "true" if whole else "false"]


def table(type_name, name, rows):
    print(f"\nconstexpr {type_name} {name}[] = {{")
    line = "   "
    for row in rows:
        item = " {" + ", ".join(f"0x{v:x}" if isinstance(v, int) and v >= 0 else str(v) for v in row) + "},"
        if len(line) + len(item) > 138:
            print(line)
            line = "   "
        line += item
    print(line + "\n};")


print(f"""// Written by make_unicode_tables.py, of Unicode {unicodedata.unidata_version}.
// clang-format off
#pragma once

#include "models/text/tokenizers/unicode.h"

namespace agpnet::unicode
{{

using enum CharacterKind;

struct Kind {{ char32_t first, last; CharacterKind kind; }};
struct Class {{ char32_t first, last; uint8_t order; }}; // canonical combining class
struct Lower {{ char32_t first, last; uint8_t step; int32_t distance; }};
struct Decomposition {{ char32_t whole, first, second; bool composes; }};""")
table("Kind", "kinds", ranges(kind))
table("Class", "classes", ranges(lambda c: unicodedata.combining(chr(c))))
table("Lower", "lowers", lower_ranges())
table("Decomposition", "decompositions", decompositions())
print("\n} // namespace agpnet::unicode")
