#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# lint.py: the rules of the house that no compiler knows. Each check is one test of `make test`.
# Prints file:line: what is wrong; exits 1 if anything is.
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FUNCTION, MAX_FILE = 80, 600  # lines

# Who may include whom, besides itself and base.
PARTS = {"net", "event", "parquet", "stream", "storage", "engine", "sink"}
LAYERS = {
    "base": set(),
    "net": set(),
    "event": set(),
    "parquet": {"event"},
    "stream": {"net"},
    "storage": {"net"},
    "engine": {"parquet", "storage"},
    "sink": set(),
    "index": {"storage"},
    "table": PARTS,
    "flow": PARTS | {"index", "table"},
    "serve": PARTS | {"table", "flow"},
    "cmd": PARTS | {"table", "flow", "serve"},
}

# Foreign headers and the files that may know them.
FOREIGN = {
    r"duckdb\.h": r"src/engine/duckdb\w*\.c|src/engine/duckdb_priv\.h",
    r"(librdkafka/)?rdkafka\w*\.h": r"src/stream/kafka_private\.h",
    r"(postgresql/)?libpq.*\.h": r"src/sink/postgres\.c",
    r"sqlite3\.h": r"src/sink/sqlite\.c",
    r"curl/.*": r"src/net/http\.c",
    r"yyjson\.h": r"src/base/json\.c",
    r"nettle/.*": r"src/base/sha256\.c",
    r"expat\.h": r"src/base/xml\.c",
    r"microhttpd\.h": r"src/serve/server\.c",
    r"zstd\w*\.h": r"src/parquet/\w+\.c",
}

# Hosts the tree may name. Where packages come from is the business of the machine that builds.
HOSTS = {
    "amazonaws.com", "apache.org", "delta.io", "duckdb.org", "fakestoreapi.com", "github.com", "golang.org", "json-schema.org", "postgresql.org",
    "rfc-editor.org", "spdx.org", "sqlite.org", "w3.org",
}
HOST = re.compile(r"(?:(?<=//)|(?<![\w.@/-]))(?:[a-z][a-z0-9-]*\.)+(?:com|org|net|io|dev)(?![\w-]|\.\w|\()")
MACHINE_PATH = re.compile(r"(?<![\w.}])/(?:work|root|home|Users)/[\w.]")


def tree():
    """Every text file that is, or would be, committed."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE,
    ).stdout.decode().split("\0")
    for name in sorted(filter(None, set(names))):
        path = ROOT / name
        if path.is_file() and not name.startswith("test/fuzz/corpus/"):
            data = path.read_bytes()
            if b"\0" not in data:
                yield name, data.decode("utf-8", "replace").splitlines()


def c_files():
    return [(name, lines) for name, lines in tree() if re.match(r"(src|test)/.*\.[ch]$", name)]


def includes(lines):
    for number, line in enumerate(lines, 1):
        if match := re.match(r'\s*#\s*include\s*[<"]([^>"]+)', line):
            yield number, match[1]


def layers():
    for name, lines in c_files():
        parts = name.split("/")
        if parts[0] != "src" or len(parts) < 3:
            continue
        allowed = LAYERS.get(parts[1])
        if allowed is None:
            yield f"{name}:1: no layer known for src/{parts[1]}"
            continue
        for number, header in includes(lines):
            other = header.split("/")[0]
            if "/" in header and other in LAYERS and other not in allowed | {parts[1], "base"}:
                yield f"{name}:{number}: {parts[1]} may not include {other}"


def foreign_headers():
    for name, lines in c_files():
        for number, header in includes(lines):
            for pattern, where in FOREIGN.items():
                if name.startswith("src/") and re.fullmatch(pattern, header) and not re.fullmatch(where, name):
                    yield f"{name}:{number}: <{header}> belongs into {where} only"


def clang_format():
    files = [name for name, _ in c_files()]
    if files:
        text = subprocess.run(
            ["clang-format", "--dry-run", "-Werror", *files], cwd=ROOT, stderr=subprocess.PIPE, text=True
        ).stderr
        found = re.findall(r"^(\S+?:\d+):\d+: error: (?:code should be )?(.*?)(?: \[.*)?$", text, re.M)
        yield from (f"{where}: {what} (make fmt)" for where, what in found)


def sizes():
    """scripts/lint-exceptions.txt: `path` or `path:function` a line; the list only shrinks."""
    excepted = {
        line for line in (ROOT / "scripts/lint-exceptions.txt").read_text().splitlines() if not line.startswith("#")
    }
    files = c_files()
    for name, lines in files:
        if len(lines) > MAX_FILE and name not in excepted:
            yield f"{name}:{len(lines)}: file of {len(lines)} lines, {MAX_FILE} allowed"
    sources = [name for name, _ in files if name.endswith(".c")]
    text = subprocess.run(
        ["pmccabe", *sources], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout if sources else ""
    for row in text.splitlines():
        _, _, _, first, length, where = row.split("\t", 5)
        name, function = re.fullmatch(r"(.*)\(\d+\): (.*)", where).groups()
        if int(length) > MAX_FUNCTION and f"{name}:{function}" not in excepted:
            yield f"{name}:{first}: {function}: {length} lines, {MAX_FUNCTION} allowed"


def foreign_words():
    for name, lines in tree():
        for number, line in enumerate(lines, 1):
            for match in HOST.finditer(line):
                host = match[0]
                if not any(host == h or host.endswith("." + h) for h in HOSTS) and "example" not in host:
                    yield f"{name}:{number}: names the host {host}"
            if match := MACHINE_PATH.search(line):
                yield f"{name}:{number}: a path of one machine: {match[0]}…"


def licence_lines():
    source = re.compile(r".*(\.([ch]|py|sh|sql|js|css|html|in|ya?ml)|meson\.build|Makefile|Dockerfile.*)$")
    for name, lines in tree():
        script = lines and lines[0].startswith("#!")
        if (source.match(name) or script) and not any("SPDX-License-Identifier: Apache-2.0" in l for l in lines[:5]):
            yield f"{name}:1: no SPDX-License-Identifier line"


CHECKS = {
    "layers": layers,
    "foreign headers": foreign_headers,
    "format": clang_format,
    "sizes": sizes,
    "hosts and paths": foreign_words,
    "licence lines": licence_lines,
}


def report(name, check):
    problems = list(check())
    for problem in problems:
        print(problem)
    print("lint %s: %s" % (name, "%d problems" % len(problems) if problems else "ok"), flush=True)
    return problems


if __name__ == "__main__":
    sys.exit(any([report(name, check) for name, check in CHECKS.items()]))
