#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-kafka: Kafka -> bronze, with the broker on the same processors.

    bench/kafka.py [--events 5000000] [--parts throughput,processes,cpu,trickle,freshness]

A figure is a whole process, start and commits included, unless it says otherwise. "Readable" is the
moment the log entry of the table stands: from then on every reader of the table sees the rows.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "test" / "e2e"))

import pyarrow.parquet

from broker import Broker

MILL = ROOT / "build" / "clickmill"
QUIET = ("-c", "log.level=error")
GENERATOR = ROOT / "build" / "bench" / "events"
PARTITIONS = 4
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """Of a process that lives: user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def busy_seconds():
    """Of all processors, whoever uses them."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq) / TICK


class Measure:
    """A finished process: seconds of wall clock and of CPU, peak resident memory in MiB, its output."""

    def __init__(self, argv, cwd, env=None, broker=None):
        before, busy = cpu_seconds(broker.pid) if broker else 0, busy_seconds()
        start = time.perf_counter()
        process = subprocess.Popen(list(map(str, argv)), cwd=cwd, env=env, stdout=subprocess.PIPE, text=True)
        self.out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        self.seconds = time.perf_counter() - start
        self.cpu, self.mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        self.broker_cpu = cpu_seconds(broker.pid) - before if broker else 0
        self.others = max(0, busy_seconds() - busy - self.cpu - self.broker_cpu) / self.seconds
        if status:
            sys.exit(f"bench: {' '.join(map(str, argv))} failed ({status})\n{self.out}")


class Bench:
    def __init__(self, events):
        self.events = events
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clickmill-bench-kafka-"))
        self.broker = Broker()
        self.broker.env["KAFKA_XMX"] = "512m"
        self.rows = [("what", "measured", "target", "")]

    def add(self, what, measured, target="", met=None):
        self.rows.append((what, measured, target, "" if met is None else "reached" if met else "NOT reached"))
        print("  ".join(filter(None, self.rows[-1])), flush=True)

    def show(self):
        print()
        for row in self.rows:
            print(f"| {row[0]} | {row[1]} | {row[2]} | {row[3]} |")
            if row is self.rows[0]:
                print("|---|---|---|---|")

    def end(self):
        self.broker.end()
        shutil.rmtree(self.folder)

    def home(self, name, topic):
        """An empty folder in which clickmill reads the topic."""
        home = self.folder / name
        home.mkdir()
        (home / "clickmill.ini").write_text(f"[stream]\nurl = kafka://{self.broker.address}\ntopic = {topic}\n")
        return home

    def ndjson(self, events):
        path = self.folder / f"{events}.ndjson"
        if not path.exists():
            with open(path, "wb") as out:
                subprocess.run([GENERATOR, str(events), "12", "1"], check=True, stdout=out)
        return path

    def load(self):
        """The topic all figures of speed are taken from."""
        self.broker.start()
        self.broker.create("events", PARTITIONS)
        m = Measure([MILL, *QUIET, "produce", "--from", self.ndjson(self.events)], self.home("load", "events"), broker=self.broker)
        self.add("produce, acknowledged", f"{self.events / m.seconds / 1e3:,.0f} k events/s; CPU an event: "
                 f"{m.cpu / self.events * 1e6:.2f} µs, of the broker {m.broker_cpu / self.events * 1e6:.2f} µs")

    def ingest(self, name, prefix=(), options=()):
        home = self.home(name, "events")
        m = Measure([*prefix, MILL, *QUIET, *options, "ingest", "--once", "--json"], home, broker=self.broker)
        m.home, m.result = home, json.loads(m.out.strip().splitlines()[-1])
        if m.result["records"] != self.events or m.result["rejected"]:
            sys.exit(f"bench: not all of them came: {m.result}")
        return m


def throughput(b, times=3):
    runs = sorted((b.ingest(f"speed{i}") for i in range(times)), key=lambda m: m.seconds)
    m, n = runs[len(runs) // 2], b.events
    rate = n / m.seconds
    b.add("Kafka -> bronze", f"{rate / 1e3:,.0f} k events/s (median of {times}: " +
          ", ".join(f"{n / r.seconds / 1e3:,.0f}" for r in runs) + f"), {m.result['commits']} commits", "600 k", rate >= 600e3)
    b.add("CPU an event", f"{m.cpu / n * 1e6:.2f} µs, of the broker {m.broker_cpu / n * 1e6:.2f} µs")
    b.add("processors in use", f"{(m.cpu + m.broker_cpu) / m.seconds:.2f} of {os.cpu_count()}; {m.others:.2f} by others on this machine")
    peak = max(r.mib for r in runs)
    b.add("peak memory at full speed", f"{peak:.0f} MiB", "300 MiB", peak <= 300)
    subprocess.run([MILL, "reconcile"], cwd=m.home, check=True, stdout=subprocess.DEVNULL)
    return m


def processes(b, counts=(1, 2, 4)):
    """Several ingests of one group, started at once, share the partitions and write one table."""
    for n in counts:
        home = b.home(f"processes{n}", "events")
        busy, start = busy_seconds(), time.perf_counter()
        started = [subprocess.Popen([MILL, *QUIET, "ingest", "--once", "--json"], cwd=home, stdout=subprocess.PIPE, text=True) for _ in range(n)]
        # Each drains what it holds and ends; what it gives back the others read.
        outs = [p.communicate()[0] for p in started]
        seconds, busy = time.perf_counter() - start, busy_seconds() - busy
        if any(p.returncode for p in started):
            sys.exit(f"bench: ingest failed ({[p.returncode for p in started]})")
        results = [json.loads(out.strip().splitlines()[-1]) for out in outs]
        if sum(r["records"] for r in results) != b.events:
            sys.exit(f"bench: not all of them came, or twice: {results}")
        subprocess.run([MILL, "reconcile"], cwd=home, check=True, stdout=subprocess.DEVNULL)
        b.add(f"{n} process{'es' if n > 1 else ''} in one group", f"{b.events / seconds / 1e3:,.0f} k events/s; of them "
              + ", ".join(f"{r['records'] / b.events:.0%}" for r in results) + f"; {sum(r['commits'] for r in results)} commits; "
              f"{busy / seconds:.2f} of {os.cpu_count()} processors in use")


# ---- CPU by part ----

PARTS = {"stream": "hand on records", "event": "decode", "parquet": "encode", "table": "commit", "storage": "commit", "flow": "ingest itself",
         "base": "ingest itself", "cmd": "ingest itself"}


def functions():
    """{function: part} of our own code, from the object files of the build."""
    found = {}
    for path in (ROOT / "build").glob("src/libclickmill_core.a.p/*.o"):
        part = PARTS.get(path.name.split("_")[0])
        if part:
            for line in subprocess.run(["nm", "--defined-only", path], capture_output=True, text=True, check=True).stdout.splitlines():
                if line.split()[1] in "tT":
                    found[line.split()[2]] = part
    return found


def cpu(b):
    """perf's samples, by what the function at the top belongs to."""
    if not shutil.which("perf"):
        b.add("CPU by part", "perf is not installed (linux-perf)")
        return
    data = b.folder / "perf.data"
    m = b.ingest("profile", ["perf", "record", "-q", "-e", "cpu-clock", "-F", "499", "-o", data, "--"])
    text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"], capture_output=True, text=True).stdout
    ours, parts = functions(), collections.Counter()
    for line in text.splitlines():
        match = re.match(r"\s*(.*?)\s+[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \((.*)\)$", line)
        if not match:
            continue
        comm, function, dso = match.groups()
        kafka_thread = comm.startswith("rdk:")
        if "libzstd" in dso:
            part = "compress (zstd)"
        elif "clickmill" in dso and not kafka_thread and function.split(".")[0] in ours:
            part = ours[function.split(".")[0]]
        elif kafka_thread or "clickmill" in dso:
            part = "consume (librdkafka, the kernel for it)"
        else:
            part = "kernel and libc for the rest: copying, page faults, write, sync"
        parts[part] += 1
    total = sum(parts.values())
    for part, n in parts.most_common():
        b.add(f"CPU an event: {part}", f"{n / total * m.cpu / b.events * 1e6:.3f} µs, {n / total:.0%}")


# ---- slow streams ----

def beside(b, name, rate, seconds, *options):
    """An ingest that runs while events come at this rate; gives its home and peak MiB."""
    b.broker.create(name, PARTITIONS)
    home = b.home(name, name)
    with open(os.devnull, "wb") as null:
        ingest = subprocess.Popen([MILL, *QUIET, *options, "ingest"], cwd=home, stdout=null, stderr=null)
        time.sleep(2)
        subprocess.run([MILL, *QUIET, "produce", "--from", b.ndjson(rate * seconds), "--rate", str(rate)], cwd=home, check=True, stdout=null)
        time.sleep(2)
        ingest.terminate()
        _, status, usage = os.wait4(ingest.pid, 0)
    if status:
        sys.exit(f"bench: ingest failed ({status})")
    return home, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def trickle(b):
    _, mib, seconds = beside(b, "trickle", 10_000, 20)
    b.add("10 k events/s: peak memory", f"{mib:.0f} MiB; CPU {seconds / 200_000 * 1e6:.1f} µs an event", "120 MiB", mib <= 120)


def freshness(b, ages=("500ms", "2s", "10s")):
    for age in ages:
        fresh(b, age)


def fresh(b, age, rate=50_000, seconds=30):
    """From the producer's time in the record to the log entry that makes its row readable."""
    home, mib, _ = beside(b, f"fresh-{age}", rate, seconds, "-c", f"ingest.batch_age={age}")
    table, waits, files, commits = home / "data/lake/bronze/events", [], 0, 0
    for entry in sorted((table / "_delta_log").glob("*.json")):
        readable = entry.stat().st_ctime  # of the link that put it there
        commits += 1
        for action in map(json.loads, entry.read_text().splitlines()):
            if "add" in action:
                files += 1
                column = pyarrow.parquet.ParquetFile(table / action["add"]["path"]).read(columns=["received_at"]).column(0)
                waits += [readable - us / 1e6 for us in column.cast("int64").to_pylist()]
    waits.sort()
    if len(waits) != rate * seconds:
        sys.exit(f"bench: {len(waits)} of {rate * seconds} rows")
    p50, p99 = (waits[int(len(waits) * p)] for p in (0.5, 0.99))
    b.add(f"{rate // 1000} k events/s, batches of {age}: produce -> readable", f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, "
          f"most {waits[-1] * 1e3:.0f} ms; {files} files in {commits} commits of {seconds} s; {mib:.0f} MiB", *(("p99 1 s", p99 <= 1) if age == "500ms" else ()))


ALL = {"throughput": throughput, "processes": processes, "cpu": cpu, "trickle": trickle, "freshness": freshness}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--parts", default=",".join(ALL))
    args = parser.parse_args()
    b = Bench(args.events)
    try:
        print(f"{args.events:,} events of 12 fields, {PARTITIONS} partitions, {os.cpu_count()} processors, broker on the same", flush=True)
        b.load()
        for name in args.parts.split(","):
            ALL[name](b)
        b.show()
    finally:
        b.end()


if __name__ == "__main__":
    main()
