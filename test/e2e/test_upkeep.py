# SPDX-License-Identifier: Apache-2.0
"""Upkeep of the tables: whatever is folded, cleaned, rewritten or deleted, every reader finds the same rows."""
import shutil

import pytest

from mill import TABLES
from test_bad_days import HAT, SHIRT, all_is_well, some_shoppers

NOW = ("-c", "table.log_retention=0")


def log_names(mill, name):
    return sorted(p.name for p in (mill.table_path(name) / "_delta_log").iterdir())


def entries(mill, name):
    return [int(n[:20]) for n in log_names(mill, name) if n.endswith(".json")]


def sorted_rows(mill, name):
    return sorted(map(repr, mill.rows(name)))


@pytest.mark.parametrize("name", TABLES)
def test_the_log_is_folded_and_cleaned_by_hand(mill, name):
    for seed in range(4):
        some_shoppers(mill, seed=seed, events=50)
        mill.steps()
    before, status = sorted_rows(mill, name), mill.json("status")
    assert mill.json("table", "checkpoint", name) == [{"table": name, "checkpoint": 3, "removed": 0}]
    assert entries(mill, name) == [0, 1, 2, 3]
    # As if the month were over; what is needed are the last entry and its checkpoint.
    assert mill.json(*NOW, "table", "checkpoint", name)[0]["removed"] == 3
    assert log_names(mill, name) == [f"{3:020}.checkpoint.parquet", f"{3:020}.json", "_last_checkpoint"]
    history = mill.json("table", "history", name)
    assert [h["version"] for h in history] == [3]
    assert "the entries before version 3 were removed" in mill.ok("table", "history", name)
    assert sorted_rows(mill, name) == before
    after = mill.json("status")
    for key in ("events", "rejected", "duplicates", "conflicts"):
        assert after[key] == status[key]
    mill.reconciled()
    some_shoppers(mill, seed=9, events=50)
    mill.steps()
    mill.reconciled()


def test_runs_keep_the_log_up(mill):
    quick = (*NOW, "-c", "table.checkpoint_interval=2")
    for seed in range(5):
        some_shoppers(mill, seed=seed, events=50)
        mill.ok(*quick, "ingest", "--once")
        mill.ok(*quick, "run")
    assert all(len(entries(mill, name)) <= 2 for name in TABLES)
    all_is_well(mill)


def test_the_table_says_how_long(mill):
    """delta.logRetentionDuration, as Spark sets it, counts more than our configuration; nonsense is told."""
    mill.feed(SHIRT)
    mill.feed(HAT)
    log = mill.table_path("silver.events") / "_delta_log"
    first = (log / f"{0:020}.json").read_text()
    for value, code in (("interval 30 days", 0), ("interval 1 month", 5)):
        (log / f"{0:020}.json").write_text(first.replace('"configuration":{}', f'"configuration":{{"delta.logRetentionDuration":"{value}"}}'))
        if code:
            mill.fails(5, *NOW, "table", "checkpoint", "silver.events", says=[value, "logRetentionDuration"], hint="SET TBLPROPERTIES")
        else:
            assert mill.json(*NOW, "table", "checkpoint", "silver.events")[0]["removed"] == 0
        (log / f"{1:020}.checkpoint.parquet").unlink()


def test_a_step_whose_position_is_gone_begins_anew(mill, sink):
    """Silver, gold and the database are made anew from tables whose first entries are gone."""
    some_shoppers(mill, seed=1)
    mill.steps()
    some_shoppers(mill, seed=2)
    mill.steps()
    for name in TABLES:
        mill.ok(*NOW, "table", "checkpoint", name)
    rows = {name: sorted_rows(mill, name) for name in TABLES}
    sums = sink.metrics()
    shutil.rmtree(mill.table_path("gold.clickstream_metrics"))
    mill.ok("run")
    assert sorted_rows(mill, "gold.clickstream_metrics") == rows["gold.clickstream_metrics"] and sink.metrics() == sums
    shutil.rmtree(mill.table_path("silver.events"))
    mill.ok("run")
    assert sorted_rows(mill, "silver.events") == rows["silver.events"] and sink.metrics() == sums
    all_is_well(mill, sink)
