#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-tables: the table log on local disk: commits, and opening what is large.

    bench/tables.py [--fed 50000]

Fails where a target is not reached. bench/table.c makes the tables. An entry, a data file and their folders are synced, as always.
"""
import argparse
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "build" / "bench" / "table"
INTERVAL = 100  # table.checkpoint_interval


def table(folder, *args):
    print(f"$ bench/table {' '.join(map(str, args))}", flush=True)
    out = subprocess.run([PROGRAM, folder, *map(str, args)], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(out, flush=True)
    return out


def opened(folder, times=7):
    """Median ms, the files, and the peak MiB of a process that opens the table so many times."""
    lines = re.findall(r"(\d+) files: ([\d.]+) ms .* peak (\d+) KiB", table(folder, "open", times))
    return statistics.median(float(ms) for _, ms, _ in lines), int(lines[0][0]), max(int(kib) for *_, kib in lines) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fed", type=int, default=50_000, help="commits of the table that is fed every second")
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="clickmill-bench-tables-"))
    rows = []

    def add(what, measured, target, met):
        rows.append((what, measured, target, "" if met is None else "reached" if met else "NOT reached"))

    try:
        out = table(folder / "commits", 10_000, 1, INTERVAL)
        last = float(re.search(r"the last 100 ([\d.]+) ms", out)[1])
        add("a commit at 10,000 versions", f"{last:.2f} ms", "5 ms", last <= 5)

        table(folder / "files", 1_000, 100, INTERVAL)
        ms, files, mib = opened(folder / "files")
        add(f"opening a table of {files:,} files", f"{ms:.0f} ms, {mib:.0f} MiB", "300 ms", ms <= 300)

        out = table(folder / "million", 2_000, 500, 500)
        mib = int(re.search(r"peak (\d+) KiB", out)[1]) / 1024
        longest = float(re.search(r"longest ([\d.]+) ms", out)[1])
        add("a checkpoint of up to 750,000 files, 250,000 of them new", f"{longest / 1000:.1f} s", "", None)
        add("peak memory of the process that made 1,000,000 files", f"{mib:.0f} MiB", "", None)
        ms, files, mib = opened(folder / "million", 3)
        add(f"opening a table of {files:,} files", f"{ms:.0f} ms, {mib:.0f} MiB", "", None)
        shutil.rmtree(folder / "million")

        # Fed every second, its small files joined as `run` and `up` do; then all of upkeep once, as once an hour.
        table(folder / "fed", args.fed, 1, INTERVAL, "real", 20)
        before, files, mib = opened(folder / "fed")
        add(f"opening a table after {args.fed:,} commits, {files:,} files live", f"{before:.0f} ms, {mib:.0f} MiB", "100 ms", before <= 100)
        table(folder / "fed", "upkeep")
        after, files, mib = opened(folder / "fed")
        add("the same after upkeep", f"{after:.0f} ms, {mib:.0f} MiB", "100 ms", after <= 100)
    finally:
        shutil.rmtree(folder)
    print("\n| what | measured | target | |\n|---|---|---|---|")
    for row in rows:
        print("| %s |" % " | ".join(row))
    sys.exit(any(row[-1].startswith("NOT") for row in rows))


main()
