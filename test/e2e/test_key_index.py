# SPDX-License-Identifier: Apache-2.0
"""The key index of silver is a cache: with it, without it, and whatever becomes of it, silver is the same."""
import shutil

INDEX = {"CLICKMILL_SILVER_INDEX_MIN_ROWS": "0"}  # however small silver is
FEW = 40


def event(i, price=10):
    return {"event_id": f"e{i}", "product_id": i % 7, "category": "jewelery", "price": price, "event_ts": 1771286400 - i * 60}


def runs_of(mill):
    return sorted((mill.home / "data" / "index").glob("*/*.run"))


def feed(mill, *events):
    """-> what silver counted, and what it logged"""
    mill.produce(*events)
    mill.ok("ingest", "--once")
    done = mill("silver", "--json", env=INDEX)
    assert done.code == 0, done.err
    return mill.counts(), done.err


def test_the_index_is_made_used_deleted_and_made_anew(mill):
    feed(mill, *map(event, range(FEW)))
    assert not runs_of(mill), "silver was empty: there was nothing to look up"
    counts, log = feed(mill, event(3), event(4, price=11), *map(event, range(FEW, 2 * FEW)))
    assert (counts["duplicates"], counts["conflicts"]) == (1, 1) and "warn" not in log
    assert len(runs_of(mill)) == 1
    shutil.rmtree(mill.home / "data" / "index")
    counts, log = feed(mill, event(3), event(FEW + 4, price=11))
    assert (counts["duplicates"], counts["conflicts"]) == (2, 2) and "warn" not in log
    assert runs_of(mill)
    mill.ok("run")
    mill.reconciled()


def test_a_damaged_index_is_told_once_and_made_anew(mill):
    feed(mill, *map(event, range(FEW)))
    feed(mill, event(FEW))
    run = runs_of(mill)[0]
    data = bytearray(run.read_bytes())
    data[100] ^= 1
    run.write_bytes(data)
    counts, log = feed(mill, *map(event, range(FEW)))
    assert counts["duplicates"] == FEW and log.count("level=warn") == 1, log
    assert "no key index: silver itself is read" in log and "does not have the bytes that were written" in log
    counts, log = feed(mill, *map(event, range(FEW)))
    assert counts["duplicates"] == 2 * FEW and "warn" not in log
    run = runs_of(mill)[-1]
    run.write_bytes(run.read_bytes()[:-1])
    counts, log = feed(mill, *map(event, range(FEW)))
    assert counts["duplicates"] == 3 * FEW and log.count("level=warn") == 1 and "made anew" in log, log
    mill.ok("run")
    mill.reconciled()


def test_an_index_that_cannot_be_written_fails_no_run(mill):
    (mill.home / "data").mkdir(exist_ok=True)
    (mill.home / "data" / "index").write_text("no folder")
    feed(mill, *map(event, range(FEW)))
    counts, log = feed(mill, *map(event, range(FEW)))
    assert counts["duplicates"] == FEW and log.count("level=warn") == 1 and "data/index" in log, log
    mill.ok("run")
    mill.reconciled()


def test_a_silver_that_was_made_anew_has_an_index_of_its_own(mill):
    feed(mill, *map(event, range(FEW)))
    feed(mill, event(FEW))
    shutil.rmtree(mill.table_path("silver.events"))
    shutil.rmtree(mill.table_path("gold.clickstream_metrics"), ignore_errors=True)
    mill.ok("silver", env=INDEX)
    counts, _ = feed(mill, *map(event, range(FEW)))
    assert counts["duplicates"] == FEW
    assert len({run.parent for run in runs_of(mill)}) == 2
