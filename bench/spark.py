#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-spark: Kafka -> bronze, clickmill and Spark Structured Streaming on the same topic, one after the other.

    bench/spark.py [--events 5000000] [--python PYTHON]

PYTHON has pyspark (test/services/spark.sh python). Spark is given 2 threads, 4 GB and one batch for
everything, and its start is not counted; clickmill's is, and it commits as often as its defaults say.
"""
import argparse
import json
import os
import subprocess

from kafka import ROOT, Bench, Measure, throughput


def spark(b, python):
    jars = subprocess.run([ROOT / "test/services/spark.sh", "jars"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    out = b.folder / "spark"
    env = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
    m = Measure([python, ROOT / "bench/spark_job.py", b.broker.address, "events", out, jars], b.folder, env, b.broker)
    m.result = json.loads(m.out.strip().splitlines()[-1])
    if m.result["rows"] != b.events:
        raise SystemExit(f"bench: Spark has {m.result['rows']} rows of {b.events}")
    return m


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--python", required=True)
    args = parser.parse_args()
    b = Bench(args.events)
    try:
        b.load()
        ours, theirs = throughput(b), spark(b, args.python)
        rate, cpu = b.events / theirs.result["seconds"], theirs.result["cpu"]
        b.add("Spark, the query alone", f"{rate / 1e3:,.0f} k events/s; {theirs.result['mib']:.0f} MiB")
        b.add("Spark, CPU an event, its start included", f"{cpu / b.events * 1e6:.2f} µs, of the broker {theirs.broker_cpu / b.events * 1e6:.2f} µs")
        b.add("processors meanwhile", f"{max(0, theirs.others - cpu / theirs.seconds):.2f} of {os.cpu_count()} by others on this machine")
        ratio = theirs.result["seconds"] / ours.seconds
        b.add("clickmill, whole process, to Spark's query: time", f"{ratio:.1f}x", "5x", ratio >= 5)
        b.add("clickmill to Spark: CPU, brokers included", f"{(cpu + theirs.broker_cpu) / (ours.cpu + ours.broker_cpu):.1f}x")
        b.show()
    finally:
        b.end()


main()
