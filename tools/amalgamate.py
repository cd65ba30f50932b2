#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes one header of all of Quaver, for those who would rather copy a file than add a dependency.

    tools/amalgamate.py -o FILE [HEADER]        HEADER: quaver/quaver.hpp where nothing else is said

Every `#include <quaver/...>` is replaced by the file it names where it first stands and dropped where it stands again.
Nothing is reordered, and the include guards stay, so the result may share a program with the separate headers. Standard
headers stay where they are; those that an earlier line included for certain are dropped. A file that is first included
under a condition stands there, and may be included again under that condition alone.
"""

import argparse
import pathlib
import re
import sys

INCLUDE_DIR = pathlib.Path(__file__).resolve().parent.parent / "include"
INCLUDE = re.compile(r"\s*#\s*include\s*[<\"]([^>\"]+)[>\"]")
CONDITION = re.compile(r"\s*#\s*(ifdef|ifndef|if|elif|else|endif)\b")
GUARD = re.compile(r"\s*#\s*ifndef\s+(\w+)\s*$")


class Amalgamation:
    def __init__(self):
        self.inlined = {}  # files of Quaver that stand in the output, and the condition that they stand under, or None
        self.certain = set()  # standard headers included outside every condition
        self.lines = []

    def add(self, name, includer, under=None):
        path = INCLUDE_DIR / name
        if not path.is_file():
            sys.exit(f"amalgamate: {includer} includes <{name}>, which is not there")
        self.inlined[name] = under
        own = None  # the outermost condition here
        depth = 0
        guard = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{name}:{number}"
            if line.startswith("// SPDX-License-Identifier:"):
                continue
            if "#pragma once" in line:
                sys.exit(f"amalgamate: {where}: a file that is pasted into another needs an include guard")
            condition = CONDITION.match(line)
            if condition:
                kind = condition.group(1)
                if kind.startswith("if"):
                    depth += 1
                elif kind == "endif":
                    depth -= 1
                # Depth 1 is inside the include guard alone. Each branch is a condition of its own.
                if depth <= 1:
                    own = None
                elif depth == 2 and kind != "endif":
                    own = where
                if guard is None:
                    match = GUARD.match(line)
                    if not match:
                        sys.exit(f"amalgamate: {where}: the first condition is not an include guard")
                    guard = match.group(1)
            include = INCLUDE.match(line)
            if include:
                self.include(line, include.group(1), under or own, where)
            else:
                self.lines.append(line)
        if guard is None or depth != 0:
            sys.exit(f"amalgamate: {name} has no include guard, or conditions that do not close")

    def include(self, line, target, under, where):
        if target.startswith("quaver/"):
            if target not in self.inlined:
                self.add(target, where, under)
            elif self.inlined[target] not in (None, under):
                sys.exit(f"amalgamate: {where}: <{target}> is there under the condition of {self.inlined[target]} only")
        elif target not in self.certain:
            if under is None:
                self.certain.add(target)
            self.lines.append(line)


def version():
    text = (INCLUDE_DIR / "quaver/base/version.hpp").read_text(encoding="utf-8")
    return ".".join(re.search(rf"#define QUAVER_VERSION_{part} (\d+)", text).group(1) for part in ("MAJOR", "MINOR", "PATCH"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("header", nargs="?", default="quaver/quaver.hpp")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    amalgamation = Amalgamation()
    amalgamation.add(arguments.header, "the command line")
    license_text = (INCLUDE_DIR.parent / "LICENSE").read_text(encoding="utf-8").strip()
    head = ["// SPDX-License-Identifier: MIT", f"// Quaver {version()}, made of {arguments.header} by tools/amalgamate.py. Do not edit.", "//"]
    head += [f"// {line}".rstrip() for line in license_text.splitlines()]

    # Blank lines left behind by dropped includes.
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(amalgamation.lines))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(head) + "\n\n" + body.strip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
