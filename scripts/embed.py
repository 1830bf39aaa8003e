#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# embed.py ROOT OUT FILE...: a C file with the text of each FILE, named by its path below ROOT,
# as the table that src/engine/models.h declares.
import os
import sys

ESCAPES = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n"}


def literal(line):
    """One C string; octal escapes have a fixed length, so no digit after them can join in."""
    return '"%s"' % "".join(
        ESCAPES.get(b) or (chr(b) if 0x20 <= b < 0x7F and b != 0x3F else "\\%03o" % b) for b in line
    )


def main(root, out, *files):
    rows = []
    for path in files:
        with open(path, "rb") as f:
            data = f.read()
        text = "\n     ".join(literal(line) for line in data.splitlines(keepends=True)) or '""'
        rows.append('    {"%s",\n     %s,\n     %d},\n' % (os.path.relpath(path, root), text, len(data)))
    with open(out, "w") as f:
        f.write('#include "engine/models.h"\n\n')
        f.write("const struct model_file model_files[] = {\n%s    {NULL, NULL, 0},\n};\n" % "".join(rows))
        f.write("const size_t model_files_n = %d;\n" % len(rows))


main(*sys.argv[1:])
