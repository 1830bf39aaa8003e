# SPDX-License-Identifier: Apache-2.0
"""kill -9, everywhere and at any time: nothing that was acknowledged is lost, nothing is there twice.

Two kinds of drill. At each named point of the program (debug.crash_at) it kills itself; and at
random moments we do, over the whole flow with simulated shoppers, repeats, late and bad ones. Then
the work is finished, and held against the ledger of acknowledgements, the bytes in the stream and
the metrics computed from them a second time (books.py).
"""
import random
import re
import signal
import time

import pytest

import books
import lakes
from mill import ROOT, wait_for
from sinks import Sqlite

SEEDS = range(1, 9)
FAR_SEEDS = {kind: [100 + i] for i, kind in enumerate(lakes.KINDS) if kind != "file"}
KILLS_A_SEED = 26  # of processes that were alive: more than 200 in all
SHOPPERS = ("produce", "--events", "400", "--duplicates", "0.1", "--late", "0.1", "--bad", "0.05", "--ledger", "ledger")
TRICKLE = SHOPPERS + ("--rate", "4000")
INDEX = ("-c", "silver.index_min_rows=0")
SMALL = ("-c", "ingest.batch_rows=97", "-c", "silver.batch_rows=150", *INDEX, "-c", "table.checkpoint_interval=3",
         "-c", "table.upkeep_every=1ms", "-c", "table.optimize_files=2", "-c", "table.log_retention=0", "-c", "table.vacuum_every=1s")
VERBS = [SHOPPERS, TRICKLE, (*SMALL, "ingest", "--once"), ("ingest", "--once"), (*SMALL, "silver"), ("silver",), ("gold",), ("load",),
         ("run",), (*SMALL, "run"), (*SMALL, "-c", "ingest.batch_age=20ms", "-c", "up.every=50ms", "up", "--demo", "--rate", "500")]


def check_everything(mill, sink):
    """After the last kill: finish the work, then look at every layer."""
    mill.ok("ingest", "--once")
    mill.ok("run")
    records = books.stream_records(mill.home)
    check_ledger(mill, records)
    rows = mill.rows("bronze.events")
    at = sorted((r["source_partition"], r["source_offset"], r["source_index"]) for r in rows)
    assert at == [(r.partition, r.offset, 0) for r in records], "bronze holds each position once, without a gap"
    kept = books.Books(records)
    assert sorted(r["event_key"] for r in mill.rows("silver.events")) == sorted(kept.silver)
    gold = {(r["category"], str(r["event_date"])): (r["total_events"], r["total_revenue"])
            for r in mill.rows("gold.clickstream_metrics")}
    assert gold == kept.gold() == sink.metrics()
    assert mill.counts() == {"lag": 0, "events": kept.events, "rejected": kept.rejected, "duplicates": kept.duplicates,
                             "conflicts": kept.conflicts}
    mill.reconciled()
    return kept


def check_ledger(mill, records):
    """Every acknowledged record is where it was acknowledged, and in silver if it is an event."""
    ledger = books.read_ledger(mill.home / "ledger")
    there = {(r.partition, r.offset): r for r in records}
    acknowledged = set()
    for line in ledger:
        record = there[line["partition"], line["offset"]]
        event = books.oracle.decode(record.value, record.received_us)
        assert line["event_id"] == event.get("event_id"), line
        acknowledged.add(line["event_id"])
    assert len({(line["partition"], line["offset"]) for line in ledger}) == len(ledger)
    silver = {r["event_id"] for r in mill.rows("silver.events")}
    assert acknowledged - {None} <= silver, "acknowledged, and lost"


# ---- at named points ----

def crash_points():
    """Every point there is in the sources, so that a new one is drilled from its first day."""
    text = "".join(path.read_text() for path in sorted(ROOT.glob("src/**/*.c")))
    calls = re.findall(r"crash_point\(((?:[^()]|\([^()]*\))*)\)", text)
    names = {name for call in calls for name in re.findall(r'"([^"]+)"', call)}
    assert len(names) >= 8
    return sorted(names)


PRODUCE, INGEST, SILVER, GOLD, LOAD, RUN = SHOPPERS, ("ingest", "--once"), ("silver",), ("gold",), ("load",), ("run",)
OPTIMIZE = ("table", "optimize", "bronze.events")
CLEAN = ("-c", "table.log_retention=0", "table", "checkpoint", "bronze.events")
INDEXED = (*INDEX, "silver")  # with the key index, however small silver is
VACUUM = ("table", "vacuum", "bronze.events", "--retention", "0", "--force")
REBUILD = ("rebuild", "--layer", "silver")
WAYS = {  # the verbs that come to a point, by the first word of its name
    "local": [PRODUCE], "produce": [PRODUCE], "ingest": [INGEST], "engine": [SILVER, GOLD], "silver": [SILVER], "gold": [GOLD],
    "load": [LOAD], "run": [RUN], "commit": [INGEST, SILVER, GOLD], **{kind: [INGEST, SILVER, GOLD] for kind in lakes.KINDS},
    "optimize": [OPTIMIZE], "clean": [CLEAN], "vacuum": [VACUUM], "keys": [INDEXED], "rebuild": [REBUILD],
}
STEPS = [PRODUCE, INGEST, SILVER, GOLD, LOAD]
IN_THE_LAKE = {"ingest", "engine", "silver", "gold", "commit", "optimize", "clean", "vacuum"}


def family(point):
    return re.split(r"[._]", point)[0]


def drills():
    """Each point on local disk with both databases; those that concern the lake also on each other kind of it."""
    for point in crash_points():
        if family(point) in ("replay", "forget"):
            continue  # they need rejects that can be repaired, and leave another lake: test_rejects.py, test_forget.py
        kinds = [family(point)] if family(point) in lakes.KINDS else lakes.KINDS if family(point) in IN_THE_LAKE else ["file"]
        for kind in kinds:
            for database in ("sqlite", "postgresql") if kind == "file" else ("sqlite",):
                yield pytest.param(kind, database, point, id=f"{point}-{kind}-{database}")


def steps_before(verb):
    if verb in STEPS:
        return STEPS[:STEPS.index(verb)]
    if verb is RUN:
        return STEPS[:2]
    if verb is INDEXED:
        return STEPS[:3] + STEPS[:2]
    if verb is REBUILD:
        return STEPS[:4]
    return STEPS[:2] * 2 + [OPTIMIZE] * (verb is VACUUM)


@pytest.mark.parametrize("lake, sink, point", list(drills()), indirect=["lake", "sink"])
def test_kill_at_a_named_point(mill, lake, sink, point):
    for verb in WAYS[family(point)]:
        for count in (1, 2) if point.startswith("local") else (1,):
            for before in steps_before(verb):
                mill.ok(*before, *(["--seed", "1"] if before is PRODUCE else []))
            events = ("--events", "3000", "--rate", "20000") if verb is PRODUCE else ()  # in several appends
            done = mill("-c", f"debug.crash_at={point}:{count}", *verb, *events)
            assert done.code == -signal.SIGKILL, f"{verb[0]} never came to {point}"
            assert mill.json("reconcile")["ok"], "also in the middle: what is pending is no difference"
    check_everything(mill, sink)


# ---- at random moments ----

def one_kill(mill, draw, verb):
    """Starts a verb, or two at once, and kills at a random moment. How many were alive?"""
    seeded = [*verb, "--seed", draw.randrange(10**9)] if verb[0] == "produce" else verb
    started = [mill.start(*seeded)]
    if verb[0] != "produce" and draw.random() < 0.3:
        started.append(mill.start(*draw.choice([v for v in VERBS if v[0] != "produce"])))
    time.sleep(draw.random() ** 2 * (1.0 if "up" in verb or mill.lake.kind != "file" else 0.25))
    codes = [process.kill() for process in started]
    for process, code in zip(started, codes):
        # One that ended by itself in time has done its work, or found another faster.
        assert code in (0, -signal.SIGKILL), f"seed drill: exit {code}: {process.err()}"
    return codes.count(-signal.SIGKILL)


@pytest.mark.parametrize("lake, seed", [("file", seed) for seed in SEEDS] + [(kind, seed) for kind, seeds in FAR_SEEDS.items() for seed in seeds],
                         indirect=["lake"])
def test_kill_at_random_moments(mill, lake, request, seed):
    draw = random.Random(seed)
    sink = Sqlite(mill.home)
    if seed % 2 == 0:
        sink = request.getfixturevalue("postgres")
        mill.env["CLICKMILL_SINK_URL"] = sink.url
    mill.env["CLICKMILL_STREAM_PARTITIONS"] = str(1 + seed % 3)
    alive = tries = 0
    while alive < KILLS_A_SEED:
        tries += 1
        assert tries < 20 * KILLS_A_SEED, "the kills come too late"
        alive += one_kill(mill, draw, draw.choice(VERBS))
    mill.ok(*SHOPPERS, "--seed", seed)
    kept = check_everything(mill, sink)
    print(f"seed {seed}: {alive} processes killed alive in {tries} tries; {kept.events} records, {len(kept.silver)} in silver,"
          f" {len(books.read_ledger(mill.home / 'ledger'))} acknowledged in the ledger")


def test_hdfs_is_killed_while_events_come(mill, own_hdfs):
    """Not we die but the NameNode and the DataNode: what runs waits for them, and goes on."""
    mill.set_lake(own_hdfs.new_lake())
    produce = mill.start("produce", "--events", "0", "--rate", "100", "--duplicates", "0.1", "--bad", "0.05", "--ledger", "ledger")
    going_on = [mill.start("ingest"), mill.start("run", "--every", "500ms")]
    for part in ("nn", "dn", "nn"):
        before = mill.counts()["events"]
        wait_for(lambda: mill.counts()["events"] > before, "events come through again")
        own_hdfs.run("restart", part)
    assert produce.stop() == 0, produce.err()
    wait_for(lambda: mill.json("status")["lag"] == 0, "ingest has caught up")
    for process in going_on:
        assert process.alive(), process.err()
        assert process.stop() == 0, process.err()
    mill.ok("produce", "--events", "10", "--ledger", "ledger")
    check_everything(mill, Sqlite(mill.home))
