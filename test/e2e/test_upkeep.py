# SPDX-License-Identifier: Apache-2.0
"""Upkeep of the tables: whatever is folded, cleaned, rewritten or deleted, every reader finds the same rows."""
import json
import shutil

import deltalake
import pyarrow.parquet
import pytest

from mill import TABLES, wait_for
from test_bad_days import HAT, SHIRT, all_is_well, some_shoppers

NOW = ("-c", "table.log_retention=0")


def log_names(mill, name):
    return sorted(mill.lake.read_all(mill.lake.folder(name) + "/_delta_log"))


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


# ---- vacuum ----

def test_vacuum_deletes_what_nobody_needs(mill):
    mill.feed(SHIRT)
    mill.feed(HAT, {**SHIRT, "event_id": "again"})  # gold replaces the shirt's day
    gold = "gold.clickstream_metrics"
    live = {f["path"] for f in mill.json("table", "files", gold)}
    all_files = {str(p.relative_to(mill.table_path(gold))) for p in mill.data_files(gold)}
    assert len(all_files - live) == 1
    before = sorted_rows(mill, gold)
    assert mill.json("table", "vacuum", gold) == []  # a week has not passed
    mill.fails(2, "table", "vacuum", gold, "--retention", "1h", says="shorter", hint="--force")
    listed = mill.json("table", "vacuum", gold, "--retention", "0", "--force", "--dry-run")
    assert {f["path"] for f in listed} == all_files - live
    assert len(mill.data_files(gold)) == len(all_files)
    assert "1 files of" in mill.ok("table", "vacuum", gold, "--retention", "0", "--force")
    assert {str(p.relative_to(mill.table_path(gold))) for p in mill.data_files(gold)} == live
    assert sorted_rows(mill, gold) == before
    last = mill.json("table", "history", gold)[-1]
    assert (last["operation"], last["metrics"].split()[0]) == ("VACUUM", "files=1")
    all_is_well(mill)


# ---- verify ----

def edit_log(mill, name, version, old, new):
    entry = mill.table_path(name) / "_delta_log" / f"{version:020}.json"
    text = entry.read_text()
    assert old in text, text
    entry.write_text(text.replace(old, new))


def verify(mill, name, *more):
    done = mill("table", "verify", name, "--json", *more)
    checks = {c["check"]: c for c in json.loads(done.out)}
    assert done.code == (0 if all(c["ok"] for c in checks.values()) else 8), done
    return {name: c["detail"] for name, c in checks.items() if not c["ok"]}


@pytest.mark.parametrize("name", TABLES)
def test_verify_finds_nothing_in_a_sound_table(mill, name):
    for seed in range(3):
        some_shoppers(mill, seed=seed, events=200)
        mill.steps()
    assert verify(mill, name, "--deep") == {}
    mill.ok("table", "checkpoint", name)
    assert verify(mill, name, "--deep") == {}
    mill.ok(*NOW, "table", "checkpoint", name)
    assert verify(mill, name, "--deep") == {}


def test_verify_of_what_is_not_there_yet(mill):
    assert verify(mill, "silver.events", "--deep") == {}


def damage_gone(mill, path):
    path.unlink()


def damage_cut(mill, path):
    path.write_bytes(path.read_bytes()[:-10])


def damage_footer(mill, path):
    data = bytearray(path.read_bytes())
    at = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    data[at:at + 40] = b"\xff" * 40
    path.write_bytes(data)


def damage_page(mill, path):
    data = bytearray(path.read_bytes())
    data[40:140] = bytes(100)
    path.write_bytes(data)


def damage_bit(mill, path):
    """In the middle of the largest column: what it says would still be values, and within the bounds."""
    group = pyarrow.parquet.ParquetFile(path).metadata.row_group(0)
    column = max((group.column(i) for i in range(group.num_columns)), key=lambda c: c.total_compressed_size)
    assert column.compression == "ZSTD" and column.total_compressed_size > 400
    data = bytearray(path.read_bytes())
    data[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage,check,says", [
    (damage_gone, "files", "is gone"), (damage_cut, "files", "bytes, not"), (damage_footer, "rows", "1 of"), (damage_page, "content", "1 of"),
    (damage_bit, "content", "1 of")],
    ids=lambda d: getattr(d, "__name__", ""))
def test_verify_names_the_damaged_file(mill, damage, check, says):
    some_shoppers(mill, events=300)
    mill.steps()
    victim = mill.data_files("silver.events")[-1]
    damage(mill, victim)
    found = verify(mill, "silver.events", "--deep")
    assert list(found)[0] == check and victim.name in found[check] and says in found[check], found
    told = mill.fails(8, "table", "verify", "silver.events", "--deep", says=[f"{check}: ", victim.name], hint="copy")
    assert "WARN" not in told


LIES = {
    "rows": (r'\"numRecords\":2', r'\"numRecords\":3', "rows", "has 2 rows, not 3"),
    "nulls": (r'\"user_id\":2', r'\"user_id\":1', "content", "user_id: 2 nulls, not 1"),
    "smallest": (r'\"minValues\":{\"product_id\":1', r'\"minValues\":{\"product_id\":2', "content", "product_id: the smallest value is 1"),
    "largest": (r'\"price\":109.95,\"event_ts\":1771329600', r'\"price\":109.9,\"event_ts\":1771329600', "content", "price: the"),
}


@pytest.mark.parametrize("lie", LIES)
def test_verify_finds_statistics_that_lie(mill, lie):
    mill.feed(SHIRT, {**SHIRT, "category": "other"})
    old, new, check, says = LIES[lie]
    edit_log(mill, "bronze.events", 0, old, new)
    found = verify(mill, "bronze.events", "--deep")
    assert list(found) == [check] and says in found[check], found


def test_verify_looks_at_the_log_itself(mill):
    for event in (SHIRT, HAT, {**HAT, "price": 7}):
        mill.feed(event)
    name = "bronze.events"
    log = mill.table_path(name) / "_delta_log"
    mill.ok("table", "checkpoint", name)
    entry = log / f"{1:020}.json"
    good = entry.read_text()
    edit_log(mill, name, 1, r'\"numRecords\":1', r'\"numRecords\":2')
    assert "1 rows in the checkpoint" in verify(mill, name)["checkpoint"]
    entry.write_text(good.replace('"version":2', '"version":0'))
    assert "version 1 moves clickmill/" in verify(mill, name)["positions"]
    entry.unlink()
    found = verify(mill, name)
    assert list(found) == ["log"] and f"{1:020}.json" in found["log"]
    entry.write_text(good)
    assert verify(mill, name, "--deep") == {}


def test_options_belong_to_their_word(mill):
    for args in (("files", "silver.events", "--deep"), ("verify", "silver.events", "--force"), ("list", "--dry-run"),
                 ("checkpoint", "silver.events", "--retention", "1d")):
        mill.fails(2, "table", *args, says="is an option of table")


# ---- optimize, and all of it together as others see it ----

def days(mill, rounds, events=60):
    for seed in range(rounds):
        some_shoppers(mill, seed=seed, events=events)
        mill.steps()


def agree(mill, before):
    """delta-rs and our own SQL find the rows there were, and the state of the log it was made with."""
    for name in TABLES:
        assert sorted_rows(mill, name) == before[name], name
        assert mill.sql(f"SELECT count(*) AS n FROM {name}") == [{"n": len(before[name])}]
        table = mill.lake.delta(name)
        files = {f["path"]: f for f in mill.json("table", "files", name)}
        adds = pyarrow.table(table.get_add_actions(flatten=True)).to_pylist()
        assert {a["path"] for a in adds} == set(files)
        for add in adds:
            assert (add["num_records"], add["size_bytes"]) == (files[add["path"]]["rows"], files[add["path"]]["bytes"])
        assert verify(mill, name, "--deep") == {}


def test_every_reader_finds_the_same_rows(mill, lake):
    days(mill, 4)
    before = {name: sorted_rows(mill, name) for name in TABLES}
    files = {name: len(mill.json("table", "files", name)) for name in TABLES}
    for name in TABLES:
        mill.ok("table", "optimize", name)
    assert len(mill.json("table", "files", "bronze.events")) == 1 < files["bronze.events"]
    assert len(mill.json("table", "files", "silver.events")) < files["silver.events"] / 3
    agree(mill, before)
    all_is_well(mill)  # the layers above have nothing to do with it
    for name in TABLES:
        mill.ok(*NOW, "table", "checkpoint", name)
        assert len(entries(mill, name)) == 1
    agree(mill, before)
    for name in TABLES:
        mill.ok("table", "vacuum", name, "--retention", "0", "--force")
        assert set(lake.files(name)) == {f["path"] for f in mill.json("table", "files", name)}
    agree(mill, before)
    some_shoppers(mill, seed=99, events=100)
    all_is_well(mill)


def test_rejects_alone_are_joined(mill):
    """No event at all, so no key: the columns that repeat each other are both without a value."""
    for _ in range(2):
        mill.produce(b"no event", b"none")
        mill.ok("ingest", "--once")
    before = sorted_rows(mill, "bronze.events")
    assert mill.json("table", "optimize", "bronze.events")[0]["rows"] == 4
    assert sorted_rows(mill, "bronze.events") == before


def test_others_rewrite_our_files(mill):
    """delta-rs compacts bronze between two runs of silver, and vacuums; silver counts nothing twice."""
    days(mill, 4)
    for seed in range(10, 13):
        some_shoppers(mill, seed=seed, events=60)
        mill.ok("ingest", "--once")
    bronze = deltalake.DeltaTable(mill.table_path("bronze.events"))
    assert bronze.optimize.compact()["numFilesRemoved"] == 7
    all_is_well(mill)
    bronze.update_incremental()
    bronze.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    bronze.create_checkpoint()
    all_is_well(mill)
    before = {name: sorted_rows(mill, name) for name in TABLES}
    for name in TABLES:
        mill.ok("table", "optimize", name)
        mill.ok(*NOW, "table", "checkpoint", name)
    agree(mill, before)
    shutil.rmtree(mill.table_path("silver.events"))  # made anew, from files that no commit of ours added
    mill.ok("run")
    assert sorted_rows(mill, "silver.events") == before["silver.events"]
    all_is_well(mill)


def test_upkeep_beside_everything_else(mill):
    """Shoppers, ingest and runs with all of upkeep in every round; then two optimize by hand at once."""
    quick = ("-c", "up.every=50ms", "-c", "ingest.batch_age=20ms", "-c", "table.upkeep_every=1ms", "-c", "table.optimize_files=2",
             "-c", "table.checkpoint_interval=5", "-c", "table.vacuum_every=1s",
             "-c", "serve.listen=127.0.0.1:0", *NOW)
    up = mill.start(*quick, "up", "--demo", "--rate", "500")
    wait_for(lambda: "files_joined" in up.err() and up.err().count("msg=upkeep") > 2, "upkeep in several rounds", seconds=120)
    assert up.stop() == 0, up.err()
    assert "level=warn" not in up.err() and "level=error" not in up.err()
    days(mill, 3)
    by_hand = [mill.start("table", "optimize", "silver.events") for _ in range(2)]
    assert [r.wait() for r in by_hand] == [0, 0], [r.err() for r in by_hand]
    for name in TABLES:
        assert verify(mill, name, "--deep") == {}
    all_is_well(mill)
