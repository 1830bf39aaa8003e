# SPDX-License-Identifier: Apache-2.0
"""rebuild: a layer made anew from the one below; readers see the old or the new, and the sink follows."""
import datetime
import signal
import threading
import time

import deltalake
import pytest

import books
from mill import TABLES
from sinks import Sqlite
from test_bad_days import HAT, SHIRT, all_is_well, some_shoppers

SILVER, GOLD = ("rebuild", "--layer", "silver"), ("rebuild", "--layer", "gold")
RUSH = ("-c", "up.every=50ms", "-c", "ingest.batch_age=20ms", "-c", "table.upkeep_every=1ms", "-c", "table.optimize_files=2",
        "-c", "serve.listen=off")

SLOW_S = 400  # what others commit meanwhile is taken in, and a slow machine gives them time for much


def busy_days(mill, rounds=3, events=400):
    for seed in range(rounds):
        some_shoppers(mill, seed=seed, events=events)
        mill.steps()


def content(mill, sink=None):
    rows = {name: sorted(map(repr, mill.rows(name))) for name in TABLES}
    return rows, (sink or Sqlite(mill.home)).metrics(), mill.counts()


def middle_day(mill):
    days = sorted({str(r["event_date"]) for r in mill.rows("silver.events")})
    return days[len(days) // 2]


def parked(mill, *verb):
    """One that has published rows and not committed: stopped there. It needs many days, each of which is a file."""
    for _ in range(20):
        silver, files = mill.table_path("silver.events"), set(mill.data_files("silver.events"))
        before = len(mill.log("silver.events"))
        running = mill.start(*verb)
        while running.alive() and not set(silver.glob("*/*.parquet")) - files:
            time.sleep(0.0005)
        running.process.send_signal(signal.SIGSTOP)
        if running.alive() and len(mill.log("silver.events")) == before:
            return running
        running.process.send_signal(signal.SIGCONT)
        assert running.wait() == 0, running.err()
    raise AssertionError("it was always faster")


def test_a_key_that_came_to_another_day_meanwhile(mill):
    """The range has lost it, a silver step takes it in again elsewhere, and the rebuild had made it by then."""
    mill.feed(*[{**SHIRT, "event_id": f"e{day}", "event_ts": SHIRT["event_ts"] + 86400 * day} for day in range(40)])
    deltalake.DeltaTable(mill.table_path("silver.events")).delete("event_id = 'e5'")
    first, last = (str(datetime.date.fromtimestamp(SHIRT["event_ts"]) + datetime.timedelta(days=n)) for n in (0, 39))
    rebuild = parked(mill, *SILVER, "--from", first, "--to", last)
    mill.produce({**SHIRT, "event_id": "e5", "event_ts": SHIRT["event_ts"] + 86400 * 60})
    mill.ok("ingest", "--once")
    assert mill.json("silver")["rows"] == 1
    rebuild.process.send_signal(signal.SIGCONT)
    assert rebuild.wait() == 0, rebuild.err()
    rows = [r["event_key"] for r in mill.rows("silver.events")]
    assert sorted(rows) == sorted(f"e{day}" for day in range(40))
    mill.reconciled()


def test_a_sound_lake_stays_as_it_is(mill):
    busy_days(mill, rounds=2)
    before = content(mill)
    day = middle_day(mill)
    for layer, days in ((SILVER, ()), (SILVER, ("--from", day, "--to", day)), (SILVER, ("--from", day)), (GOLD, ()), (GOLD, ("--to", day))):
        done = mill.json(*layer, *days)
        changed = done[layer[2]]
        assert changed["rows_before"] == changed["rows"] > 0, done
        assert done["load"]["upserted"] == done["load"]["deleted"] == 0, done
        assert done["from"] == (day if "--from" in days else None)
        assert days or changed["dates"] == len({r["event_date"] for r in mill.rows("silver.events")})
        assert content(mill) == before
    all_is_well(mill)


def test_rebuild_takes_in_what_silver_has_not_read(mill):
    busy_days(mill, rounds=1)
    day = middle_day(mill)
    some_shoppers(mill, seed=7, events=300)
    mill.ok("ingest", "--once")
    before = content(mill)
    mill.ok(*SILVER, "--from", day, "--to", day)
    assert content(mill) == before  # a range is made of what silver has read
    done = mill.json(*SILVER)
    kept = books.Books(books.stream_records(mill.home))
    assert done["silver"]["events"] == kept.events and done["silver"]["rows"] == len(kept.silver)
    assert mill.json("silver")["commits"] == 0
    mill.reconciled()
    all_is_well(mill)


def damage_rows(mill):
    """Another writer takes some rows out, and changes others."""
    silver = deltalake.DeltaTable(mill.table_path("silver.events"))
    silver.delete("source_offset % 7 = 3")
    silver.update({"category": "'spoilt'", "quantity": "7"}, predicate="source_offset % 5 = 1")


def test_damaged_rows_are_healed_and_the_sink_follows(mill, sink):
    busy_days(mill, rounds=2)
    before = content(mill, sink)
    damage_rows(mill)
    mill.ok("run")
    assert content(mill, sink)[1] != before[1]
    assert mill("reconcile").code == 8
    mill.ok(*SILVER)
    assert content(mill, sink) == before
    all_is_well(mill, sink)


def test_files_that_are_gone_are_healed(mill):
    """Also where silver could not go on for want of them."""
    busy_days(mill, rounds=2)
    before = content(mill)
    for victim in mill.data_files("silver.events")[:2]:
        victim.unlink()
    some_shoppers(mill, seed=2, events=100)
    mill.ok("ingest", "--once")
    mill.fails(5, "silver", says="silver/events")
    mill.ok(*SILVER)
    assert set(content(mill)[0]["silver.events"]) > set(before[0]["silver.events"])
    all_is_well(mill)


def test_only_the_range_is_healed(mill):
    busy_days(mill, rounds=2)
    before = content(mill)
    day = middle_day(mill)
    damage_rows(mill)
    damaged = [r for r in mill.rows("silver.events") if str(r["event_date"]) != day]
    mill.ok(*SILVER, "--from", day, "--to", day)
    rows = mill.rows("silver.events")
    assert sorted(map(repr, (r for r in rows if str(r["event_date"]) != day))) == sorted(map(repr, damaged))
    assert sorted(repr(r) for r in rows if str(r["event_date"]) == day) == [
        r for r in before[0]["silver.events"] if f"'event_date': {datetime.date.fromisoformat(day)!r}" in r]
    assert len({r["event_key"] for r in rows}) == len(rows)
    mill.ok(*SILVER)
    assert content(mill) == before
    all_is_well(mill)


def test_a_key_outside_of_the_range_is_taken(mill):
    """The first of a key stands on another day: the range does not bring its repeat back."""
    mill.feed({**SHIRT, "event_id": "a"})
    mill.feed({**SHIRT, "event_id": "a", "event_ts": SHIRT["event_ts"] + 86400}, {**HAT, "event_id": "b"})
    before = content(mill)
    assert before[2]["conflicts"] == 1
    mill.ok(*SILVER, "--from", "2026-02-18")
    assert content(mill) == before
    mill.ok(*SILVER)
    assert content(mill) == before
    mill.reconciled()


def test_damaged_gold_is_healed(mill):
    busy_days(mill, rounds=1)
    before = content(mill)
    gold = deltalake.DeltaTable(mill.table_path("gold.clickstream_metrics"))
    gold.update({"total_events": "total_events + 1"})
    mill.data_files("gold.funnel_daily")[0].unlink()
    mill.ok("load")
    assert mill("reconcile").code == 8 and content(mill)[1] != before[1]
    mill.ok(*GOLD)
    assert content(mill) == before
    all_is_well(mill)


def test_a_day_without_events_loses_its_metrics(mill):
    mill.feed(SHIRT)
    before = content(mill)
    mill.feed(HAT)
    deltalake.DeltaTable(mill.table_path("silver.events")).delete("product_id = '2'")
    mill.ok(*GOLD)
    assert content(mill)[1] == before[1]
    mill.ok(*SILVER)
    all_is_well(mill)


def test_bronze_that_holds_less_than_silver_was_made_of(mill):
    mill.feed(SHIRT, HAT)
    mill.feed({**HAT, "price": 7})
    before = content(mill)
    deltalake.DeltaTable(mill.table_path("bronze.events")).delete("product_id = 1")  # the other row of its file comes again
    for args in ((), ("--from", "2026-02-17")):
        mill.fails(8, *SILVER, *args, says="bronze holds 1 of the 3 rows", hint="--force")
    mill.fails(8, *SILVER, "--from", "2026-02-17", "--force", says="bronze holds 1 of the 3 rows")
    assert content(mill)[0]["silver.events"] == before[0]["silver.events"]
    done = mill.json(*SILVER, "--force")
    assert done["silver"]["rows"] == 2 and done["load"]["deleted"] > 0
    assert len(mill.rows("silver.events")) == 2


def test_nothing_there_yet_and_words_that_are_none(mill):
    assert mill.json(*SILVER)["silver"]["rows"] == 0 and mill.json(*GOLD)["gold"]["rows"] == 0
    mill.fails(2, "rebuild", says="--layer silver or --layer gold")
    mill.fails(2, "rebuild", "--layer", "bronze", says="'bronze'", hint="stream")
    mill.fails(2, *SILVER, "--from", "2026-02-30", says="--from '2026-02-30' is not a day", hint="2026-11-22")
    mill.fails(2, *SILVER, "--from", "2026-02-03", "--to", "2026-02-02", says="is after")
    mill.fails(2, *GOLD, "--force", says="--force")


# ---- while others are at work ----

class Reader(threading.Thread):
    """Looks at silver again and again: each key once, and never fewer than before."""

    def __init__(self, mill):
        super().__init__()
        self.mill, self.ended, self.looks, self.wrong, self.most = mill, threading.Event(), 0, [], 0

    def run(self):
        while not self.ended.is_set() and not self.wrong:
            try:
                keys = [r["event_key"] for r in self.mill.rows("silver.events")]
            except Exception as error:  # a reader must never meet a table that cannot be read
                self.wrong.append(error)
                break
            if len(set(keys)) != len(keys) or len(keys) < self.most:
                self.wrong.append((len(set(keys)), len(keys), self.most))
            self.most = max(self.most, len(keys))
            self.looks += 1

    def end(self):
        self.ended.set()
        self.join(60)


@pytest.mark.timeout(1200)
def test_while_everything_else_goes_on(mill):
    """Shoppers, ingest, silver, gold, load and optimize beside it; a reader sees the old or the new."""
    busy_days(mill, rounds=2, events=2000)
    up = mill.start(*RUSH, "-c", "ingest.batch_age=200ms", "up", "--demo", "--rate", "300")
    reader = Reader(mill)
    reader.start()
    try:
        done = [mill.json(*SILVER, seconds=SLOW_S) for _ in range(3)]
        day = middle_day(mill)
        done += [mill.json(*SILVER, "--from", day, "--to", day, seconds=SLOW_S), mill.json(*GOLD, seconds=SLOW_S)]
        at_once = [mill.start(*verb) for verb in (SILVER, SILVER, GOLD)]
        assert [r.wait(SLOW_S) for r in at_once] == [0, 0, 0], [r.err() for r in at_once]
    finally:
        reader.end()
    assert up.alive(), up.err()
    assert up.stop() == 0, up.err()
    assert reader.looks > 3 and not reader.wrong, reader.wrong
    all_is_well(mill)


def test_killed_it_leaves_the_old_or_the_new(mill):
    busy_days(mill, rounds=2, events=100)
    before = content(mill)
    for point in ("engine.published", "rebuild.after_data", "commit.before_log", "commit.after_log", "rebuild.after_gold"):
        done = mill("-c", f"debug.crash_at={point}", *SILVER)
        assert done.code == -signal.SIGKILL, done
        assert content(mill) == before
    mill.ok("run")
    assert content(mill) == before
    all_is_well(mill)
