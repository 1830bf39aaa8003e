#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-dedup: what `silver` takes for 100,000 new events, by how many keys silver knows.

    bench/dedup.py [--sizes 1,10] [--events 100000] [--rounds 3] [--keep DIR]

Sizes are in millions; 100 needs 12 GB of disk and some minutes. bench/dedup.c makes silver's rows. One in a
hundred events is known: late (of the last million rows) or old (of any age). The rival is the same program without
the key index. Each figure is a whole process, the one of the rounds with the least CPU.
"""
import argparse
import hashlib
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from run import MILL, ROOT, THREADS, Measure

PROGRAM = ROOT / "build" / "bench" / "dedup"
NEVER = 10**18
TARGET = 1.5  # growth from the last size but one to the last


def event(i):
    return json.dumps({
        "event_id": hashlib.md5(str(i).encode()).hexdigest(), "event_type": "purchase", "product_id": i % 20000,
        "category": "electronics", "price": i % 1000, "event_ts": 1771286400000000 + i % 10**9 * 100, "user_id": f"u{i * 7919 % 1000003}",
    })


class Lake:
    def __init__(self, folder):
        self.folder = folder
        self.rows = 0
        self.sent = 10**12

    def mill(self, *args, **options):
        return Measure([MILL, "-c", f"engine.threads={THREADS}", "-c", "log.level=debug", *args], self.folder, **options)

    def fill(self, rows):
        start = time.perf_counter()
        subprocess.run([PROGRAM, self.folder, "fill", str(self.rows), str(rows)], check=True)
        print(f"silver filled from {self.rows:,} to {rows:,} rows in {time.perf_counter() - start:.0f} s", flush=True)
        self.rows = rows

    def send(self, n, oldest):
        """n events, one in a hundred of the rows from `oldest` on."""
        with open(self.folder / "batch.ndjson", "w") as out:
            for k in range(n):
                self.sent += 1
                out.write(event(self.sent if k % 100 else random.randrange(oldest, self.rows)) + "\n")
        self.mill("produce", "--from", "batch.ndjson", stderr=subprocess.DEVNULL)
        self.mill("ingest", "--once", stderr=subprocess.DEVNULL)

    def silver(self, min_rows):
        with open(self.folder / "log", "w") as log:
            return self.mill("-c", f"silver.index_min_rows={min_rows}", "silver", stderr=log)

    def logged(self, message):
        """The fields of the last such line."""
        lines = [line for line in (self.folder / "log").read_text().splitlines() if f'msg="{message}"' in line]
        return dict(re.findall(r"(\w+)=(\S+)", lines[-1])) if lines else {}


def text(m):
    return f"{m.seconds:.2f} s, CPU {m.cpu:.2f} s, {m.mib:.0f} MiB"


def measured(lake, events, rounds, oldest, min_rows):
    best = None
    for _ in range(rounds):
        lake.send(events, oldest)
        m = lake.silver(min_rows)
        if best is None or m.cpu < best.cpu:
            best = m
    return best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="1,10")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=pathlib.Path, help="a folder to work in and to leave")
    args = parser.parse_args()
    random.seed(1)
    folder = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="clickmill-bench-dedup-"))
    lake, rows = Lake(folder), []
    try:
        for size in (int(float(s) * 1e6) for s in args.sizes.split(",")):
            lake.fill(size)
            shutil.rmtree(folder / "data" / "index", ignore_errors=True)
            lake.send(1, 0)
            made = lake.silver(0)
            ms = int(lake.logged("key index")["ms"])
            bytes_a_key = sum(f.stat().st_size for f in (folder / "data" / "index").rglob("*")) / size
            print(f"{size:,} keys: index made in {ms / 1000:.1f} s (process: {text(made)}), {bytes_a_key:.1f} bytes a key", flush=True)
            late = measured(lake, args.events, args.rounds, max(0, size - 1_000_000), 0)
            asked = lake.logged("key index asked")
            old = measured(lake, args.events, args.rounds, 0, 0)
            scan = measured(lake, args.events, 1, max(0, size - 1_000_000), NEVER)
            rows.append((size, late, old, scan))
            print(f"{size:,} keys: late repeats {text(late)} (asking {asked['ms']} ms); old repeats {text(old)}; "
                  f"without the index {text(scan)}", flush=True)
        if len(rows) > 1:
            (a, la, *_), (b, lb, *_) = rows[-2:]
            grown, memory = lb.cpu / la.cpu, lb.mib / la.mib
            print(f"growth from {a:,} to {b:,} keys: CPU {grown:.2f}x, time {lb.seconds / la.seconds:.2f}x, memory {memory:.2f}x, "
                  f"target {TARGET}x: {'reached' if max(grown, memory) <= TARGET else 'NOT reached'}")
            return 0 if max(grown, memory) <= TARGET else 1
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
