#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: speed and memory against DuckDB's own statements, all in one run on this machine.

    bench/run.py [--events 5000000] [--keep DIR] [--fields 12] [--rounds 2] [--only-pipeline]

Each step is run as often as --rounds says, ours and the rival's in turn; the figure is the fastest. CPU
seconds, of all threads, are the steadier figure on a machine that has other work to do.

Each figure is a whole process (start included) unless it says otherwise; the rival is the duckdb
package of the same version as the one built in, with the same number of threads, reading the same
events from an NDJSON file.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
MILL = ROOT / "build" / "clickmill"
THREADS = 2

COLUMNS12 = ("event_id:'VARCHAR', event_type:'VARCHAR', user_id:'VARCHAR', session_id:'VARCHAR', product_id:'INTEGER', "
             "category:'VARCHAR', price:'DOUBLE', quantity:'INTEGER', event_ts:'BIGINT', page_url:'VARCHAR', "
             "referrer:'VARCHAR', user_agent:'VARCHAR'")
COLUMNS4 = "product_id:'INTEGER', category:'VARCHAR', price:'DOUBLE', event_ts:'BIGINT'"
KEY = {12: "event_id", 4: "product_id, category, price, event_ts"}
REVENUE = {12: "sum(price * quantity) FILTER (WHERE event_type = 'purchase')", 4: "sum(price)"}


class Measure:
    """A finished process: seconds of wall clock and peak resident memory in MiB."""

    def __init__(self, argv, cwd, stdin=None, stdout=None, stderr=None):
        start = time.perf_counter()
        with open(os.devnull, "wb") as null:
            process = subprocess.Popen(argv, cwd=cwd, stdin=stdin, stdout=stdout or null, stderr=stderr)
            _, status, usage = os.wait4(process.pid, 0)
        self.seconds = time.perf_counter() - start
        self.cpu = usage.ru_utime + usage.ru_stime
        self.mib = usage.ru_maxrss / 1024
        if status:
            sys.exit(f"bench: {' '.join(map(str, argv))} failed ({status})")


def duckdb_statement(sql, cwd):
    program = f"import duckdb; c = duckdb.connect(config={{'threads': {THREADS}}}); c.execute({sql!r})"
    return Measure([sys.executable, "-c", program], cwd)


def rival_bronze(fields, cwd):
    columns = COLUMNS12 if fields == 12 else COLUMNS4
    return duckdb_statement(
        f"COPY (SELECT * FROM read_json('events.ndjson', format='newline_delimited', columns={{{columns}}})) "
        f"TO 'duck_bronze.parquet' (FORMAT parquet)", cwd)


def rival_silver(fields, cwd):
    shutil.rmtree(cwd / "duck_silver", ignore_errors=True)
    return duckdb_statement(
        f"COPY (SELECT DISTINCT ON ({KEY[fields]}) *, make_timestamp(event_ts * 1000000) AS event_time, "
        f"CAST(make_timestamp(event_ts * 1000000) AS DATE) AS event_date FROM 'duck_bronze.parquet') "
        f"TO 'duck_silver' (FORMAT parquet, PARTITION_BY event_date)", cwd)


def rival_silver_same(cwd):
    """The same rows: read from our bronze, told apart by the key, in the columns that silver has. Who is a bot, which of a key's
    rows stays, and prices near a tie it does not ask."""
    shutil.rmtree(cwd / "duck_same", ignore_errors=True)
    return duckdb_statement(
        "COPY (SELECT DISTINCT ON (event_key) event_key, event_id, event_type, make_timestamp(event_ts * 1000000) AS event_time, "
        "CAST(make_timestamp(event_ts * 1000000) AS DATE) AS event_date, coalesce(sku, CAST(product_id AS VARCHAR)) AS product_id, category, "
        "CAST(price AS DECIMAL(18,4)) AS price, coalesce(quantity, 1) AS quantity, currency, CASE WHEN event_type IS NULL OR event_type = 'purchase' "
        "THEN CAST(price * coalesce(quantity, 1) AS DECIMAL(18,4)) ELSE 0 END AS revenue, user_id, session_id, order_id, page_url, referrer, "
        "false AS is_bot, received_at, source_topic, source_partition, source_offset, source_index "
        "FROM 'data/lake/bronze/events/*/*.parquet' WHERE reject_reason IS NULL) TO 'duck_same' (FORMAT parquet, PARTITION_BY event_date)", cwd)


def rival_gold(fields, cwd):
    """The five tables, as one writes them by hand; who is a bot by behaviour it does not ask."""
    clicks = "(SELECT *, NULL AS event_type, NULL AS session_id, NULL AS user_id FROM {0})" if fields == 4 else "{0}"
    of_type = "count(*) FILTER (WHERE event_type = '%s')"
    tables = {
        "metrics": f"SELECT category, event_date, count(*) AS total_events, {REVENUE[fields]} AS total_revenue",
        "funnel": "SELECT category, event_date, " + ", ".join(of_type % step for step in ("view", "add_to_cart", "checkout", "purchase")),
        "products": f"SELECT product_id, event_date, count(*) AS events, {REVENUE[fields]} AS revenue",
        "traffic": f"SELECT event_date, count(*) AS events, count(DISTINCT user_id), count(DISTINCT session_id), {REVENUE[fields]} AS revenue",
        "late": f"SELECT event_date, 1780876800 - event_ts > 3600 AS late, count(*) AS events, {REVENUE[fields]} AS revenue",
    }
    silver = clicks.format("read_parquet('duck_silver/*/*.parquet', hive_partitioning=true)")
    return duckdb_statement(";".join(f"COPY ({select} FROM {silver} GROUP BY ALL) TO 'duck_{name}.parquet' (FORMAT parquet)"
                                     for name, select in tables.items()), cwd)


def in_turn(rounds, layer, ours, theirs):
    """The fastest of each; what ours made is taken away before the next round."""
    best = [None, None]
    for _ in range(rounds):
        shutil.rmtree(layer, ignore_errors=True)
        for i, run in enumerate((ours, theirs)):
            measure = run()
            if best[i] is None or measure.seconds < best[i].seconds:
                best[i] = measure
    return best


def mill(cwd, *args, stdin=None, stdout=None):
    return Measure([MILL, "-c", f"engine.threads={THREADS}", "-c", f"ingest.threads={THREADS}", *args], cwd, stdin, stdout)


class Table:
    def __init__(self):
        self.rows = [("what", "clickmill", "rival", "ratio", "target", "")]

    def add(self, what, ours, rival="", ratio="", target="", met=None):
        self.rows.append((what, ours, rival, ratio, target, "" if met is None else "reached" if met else "NOT reached"))

    def versus(self, what, ours, rival, events, target=1):
        self.add(what, f"{ours.seconds:.2f} s {events / ours.seconds / 1e6:.2f} M/s, CPU {ours.cpu:.1f} s, {ours.mib:.0f} MiB",
                 f"{rival.seconds:.2f} s, CPU {rival.cpu:.1f} s, {rival.mib:.0f} MiB",
                 f"{rival.seconds / ours.seconds:.2f}x, CPU {rival.cpu / ours.cpu:.2f}x", f"{target}x", target * ours.seconds <= rival.seconds)

    def show(self):
        widths = [max(len(row[i]) for row in self.rows) for i in range(6)]
        for row in self.rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def pipeline(table, fields, args, generator, folder):
    name = f"{fields} fields"
    cwd = folder / str(fields)
    cwd.mkdir()
    with open(cwd / "events.ndjson", "wb") as out:
        Measure([generator, str(args.events), str(fields), "1"], cwd, stdout=out)
    mill(cwd, "produce", "--from", "events.ndjson")
    lake = cwd / "data" / "lake"
    both = [
        in_turn(args.rounds, lake / "bronze", lambda: mill(cwd, "ingest", "--once"), lambda: rival_bronze(fields, cwd)),
        in_turn(args.rounds, lake / "silver", lambda: mill(cwd, "silver"), lambda: rival_silver(fields, cwd)),
        in_turn(args.rounds, lake / "gold", lambda: mill(cwd, "gold"), lambda: rival_gold(fields, cwd)),
    ]
    for step, (ours, rival) in zip(("ingest", "silver", "gold, all days"), both):
        table.versus(f"{name}: {step}", ours, rival, args.events, 2 if step == "silver" else 1)
    same = min((rival_silver_same(cwd) for _ in range(args.rounds)), key=lambda measure: measure.seconds)
    table.versus(f"{name}: silver, and DuckDB of the same bronze", both[1][0], same, args.events, 2)
    whole, whole_rival = (sum(pair[i].seconds for pair in both) for i in (0, 1))
    cpu, cpu_rival = (sum(pair[i].cpu for pair in both) for i in (0, 1))
    table.add(f"{name}: the three", f"{whole:.2f} s, CPU {cpu:.1f} s", f"{whole_rival:.2f} s, CPU {cpu_rival:.1f} s",
              f"{whole_rival / whole:.2f}x, CPU {cpu_rival / cpu:.2f}x", "1x", whole <= whole_rival)
    peak = max(pair[0].mib for pair in both)
    table.add(f"{name}: peak memory", f"{peak:.0f} MiB", f"{max(pair[1].mib for pair in both):.0f} MiB", "", "1024 MiB", peak <= 1024)
    mill(cwd, "load")
    subprocess.run([MILL, "reconcile"], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return cwd


def median_ms(run, times=5):
    return sorted(run() for _ in range(times))[times // 2] * 1000


def one_day(table, cwd):
    """One more event of one day that has a million: gold computes that day anew. Once in a process that
    makes just that, as Airflow has it, once what the step itself takes, as in `up`."""
    counter = iter(range(3600))

    def gold(*options):
        event = b'{"product_id":1,"category":"electronics","price":1.5,"event_ts":%d}\n' % (1780876799 - next(counter))
        subprocess.run([MILL, "produce", "--from", "-"], cwd=cwd, input=event, check=True, stdout=subprocess.DEVNULL)
        mill(cwd, "ingest", "--once")
        mill(cwd, "silver")
        with open(cwd / "gold.json", "wb") as out:
            return mill(cwd, "gold", "--json", *options, stdout=out).seconds

    def step(*options):
        gold(*options)
        return json.loads((cwd / "gold.json").read_text())["ms"] / 1000
    contract = ("--model", "clickstream_metrics")
    for what, run, options in (("the contract's table, the step alone", step, contract), ("the contract's table, whole process", gold, contract),
                               ("five tables, the step alone", step, ()), ("five tables, whole process", gold, ())):
        gold()  # all tables stand where silver does
        ms = median_ms(lambda: run(*options))
        table.add(f"gold of one changed day, {what}", f"{ms:.0f} ms", "", "", "50 ms", ms <= 50)


def load_rows(table, folder):
    """1,000 rows of one day: a load of all of them."""
    cwd = folder / "load"
    cwd.mkdir()
    lines = "".join('{"product_id":%d,"category":"c%d","price":1,"event_ts":1780876799}\n' % (i, i) for i in range(1000))
    subprocess.run([MILL, "produce", "--from", "-"], cwd=cwd, input=lines.encode(), check=True, stdout=subprocess.DEVNULL)
    for step in (("ingest", "--once"), ("silver",), ("gold",)):
        mill(cwd, *step)

    def run():
        (cwd / "data" / "analytics.db").unlink(missing_ok=True)
        return mill(cwd, "load", "--unchecked").seconds
    ms = median_ms(run)
    table.add("load of 1,000 rows (SQLite)", f"{ms:.0f} ms", "", "", "20 ms", ms <= 20)


def nothing_new(table, cwd):
    ms = median_ms(lambda: mill(cwd, "run").seconds)
    table.add("run with nothing new", f"{ms:.0f} ms", "", "", "50 ms", ms <= 50)


def trickle(table, folder, seconds=15, rate=10000):
    """10,000 events a second through ingest in batches of a second: its peak memory."""
    cwd = folder / "trickle"
    cwd.mkdir()
    with open(os.devnull, "wb") as null:
        ingest = subprocess.Popen([MILL, "ingest"], cwd=cwd, stdout=null, stderr=null)
        subprocess.run([MILL, "produce", "--events", str(seconds * rate), "--rate", str(rate)], cwd=cwd, check=True,
                       stdout=null, stderr=null)
        time.sleep(2)
        ingest.terminate()
        _, status, usage = os.wait4(ingest.pid, 0)
    if status:
        sys.exit(f"bench: ingest failed ({status})")
    mib = usage.ru_maxrss / 1024
    table.add("ingest at 10 k events/s: peak memory", f"{mib:.0f} MiB", "", "", "150 MiB", mib <= 150)


def micro(folder):
    """The programs that measure one part inside a process print their own lines."""
    arguments = {"decode": [], "bronze": [], "stream": [f"local:{folder}/stream", "2000000"], "sink": [f"sqlite:{folder}/sink.db"]}
    for name, args in arguments.items():
        print(f"\n--- {name}", flush=True)
        subprocess.run([ROOT / "build" / "bench" / name, *args], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--keep", type=pathlib.Path, help="a new folder for the data, kept; default: a temporary one")
    parser.add_argument("--fields", type=int, choices=(12, 4), help="only events of so many fields; default: both")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only-pipeline", action="store_true", help="ingest, silver and gold against the rival, and no more")
    args = parser.parse_args()
    folder = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="clickmill-bench-"))
    folder.mkdir(exist_ok=True)
    table = Table()
    try:
        generator = ROOT / "build" / "bench" / "events"
        cwds = [pipeline(table, fields, args, generator, folder) for fields in (12, 4) if args.fields in (None, fields)]
        if not args.only_pipeline:
            one_day(table, cwds[0])
            nothing_new(table, cwds[0])
            load_rows(table, folder)
            trickle(table, folder)
        print(f"{args.events:,} events, {THREADS} threads, {os.cpu_count()} processors")
        table.show()
        if not args.only_pipeline:
            micro(folder)
    finally:
        if not args.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
