# SPDX-License-Identifier: Apache-2.0
"""reconcile finds what was done to the lake or the database behind clickmill's back: exit 8, the check, the place, what to do."""
import json
import shutil

import pyarrow.compute
import pyarrow.parquet
import pytest

from mill import Mill
from sinks import Sqlite

FIRST, SECOND = 1771286400, 1771286400 + 86400  # 2026-02-17 and -18


def event(product, category, ts):
    return {"product_id": product, "category": category, "price": 2.5, "event_ts": ts}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Three commits of each layer: 4 records each, one of them rejected, on two days."""
    mill = Mill(tmp_path_factory.mktemp("sound"))
    for i in range(3):
        mill.feed(event(10 * i, "toys", FIRST), event(10 * i + 1, "books", FIRST), event(10 * i + 2, "toys", SECOND), b"?")
    return mill


@pytest.fixture
def mill(sound, tmp_path):
    shutil.copytree(sound.home / "data", tmp_path / "data")
    return Mill(tmp_path)


# ---- what is done to it ----

def entries(mill, name):
    return sorted((mill.table_path(name) / "_delta_log").glob("*.json"))


def live(mill, name):
    """{path in the table: its add action}, as the log adds up."""
    files = {}
    for entry in mill.log(name):
        for kind, action in entry:
            if kind == "add":
                files[action["path"]] = action
            elif kind == "remove":
                files.pop(action["path"])
    return dict(sorted(files.items()))


def commit(mill, name, *actions):
    """As another writer would."""
    path = mill.table_path(name) / "_delta_log" / f"{len(entries(mill, name)):020}.json"
    path.write_text("".join(json.dumps(a) + "\n" for a in ({"commitInfo": {"operation": "WRITE"}}, *actions)))


def delete(name):
    def damage(mill):
        path = next(iter(live(mill, name)))
        (mill.table_path(name) / path).unlink()
        return f"{name.replace('.', '/')}/{path}"
    return damage


def double(name):
    """The same rows once more, as a file of another name."""
    def damage(mill):
        path, add = next(iter(live(mill, name).items()))
        other = path.replace("part-", "part-0")
        shutil.copy(mill.table_path(name) / path, mill.table_path(name) / other)
        commit(mill, name, {"add": {**add, "path": other}})
    return damage


def take_out(name):
    """A file leaves the table, which is no damage to Delta."""
    def damage(mill):
        path, add = next(iter(live(mill, name).items()))
        commit(mill, name, {"remove": {"path": path, "deletionTimestamp": 1, "dataChange": True, "partitionValues": add["partitionValues"]}})
    return damage


def cut(name, which, checkpoint=False):
    """Entries of the log are removed."""
    def damage(mill):
        if checkpoint:
            mill.ok("table", "checkpoint", name)
        for entry in entries(mill, name)[which]:
            entry.unlink()
    return damage


def tear(name):
    """One entry ends in the middle."""
    def damage(mill):
        entry = entries(mill, name)[1]
        entry.write_bytes(entry.read_bytes()[:100])
    return damage


def scribble(name):
    """A file of the right size holds nonsense."""
    def damage(mill):
        file = mill.table_path(name) / next(iter(live(mill, name)))
        file.write_bytes(bytes(len(file.read_bytes())))
    return damage


def arrive_later(mill):
    """The rows of one file say that they were received a day later."""
    path, add = next(iter(live(mill, SILVER).items()))
    other = path.replace("part-", "part-1")
    rows = pyarrow.parquet.read_table(mill.table_path(SILVER) / path, partitioning=None)
    column = rows.schema.get_field_index("received_at")
    later = pyarrow.compute.add(rows["received_at"], pyarrow.scalar(86400 * 10**6, pyarrow.duration("us")))
    rows = rows.set_column(column, rows.schema.field(column), later)
    pyarrow.parquet.write_table(rows, mill.table_path(SILVER) / other)
    stats = json.dumps({"numRecords": rows.num_rows})
    take_out(SILVER)(mill)
    commit(mill, SILVER, {"add": {**add, "path": other, "size": (mill.table_path(SILVER) / other).stat().st_size, "stats": stats}})
    return str(later[0].as_py().date())


def sql(statement):
    return lambda mill: Sqlite(mill.home).query(statement) and None


HEAD, MIDDLE, TAIL = slice(0, 1), slice(1, 2), slice(-1, None)
BRONZE, SILVER, GOLD = "bronze.events", "silver.events", "gold.clickstream_metrics"
COPY, ANEW, LOAD, HISTORY = "from a copy", "make them anew", "DELETE its row FROM clickmill_loads", "clickmill table history"
#       what was done, the first check that fails, one of those that fail and its place, in its detail, in the hint
DAMAGES = {
    "bronze file deleted": (delete(BRONZE), "bronze.files", "bronze.files", ..., "is gone", "nothing below bronze but the stream"),
    "silver file deleted": (delete(SILVER), "silver.files", "silver.files", ..., "is gone", "rebuild --layer silver"),
    "gold file deleted": (delete(GOLD), "gold.files", "gold.files", ..., "is gone", "rebuild --layer gold"),
    "bronze file doubled": (double(BRONZE), "bronze.records", "bronze.records", "clickstream/0/", "is there 2 times", HISTORY),
    "each position once": (double(BRONZE), "bronze.records", "bronze.once", "clickstream/0/", "is there 2 times", HISTORY),
    "silver file doubled": (double(SILVER), "silver.rows", "silver.once", "clickstream/0/", "of 2026-02-17", "silver.events"),
    "gold file doubled": (double(GOLD), "gold.metrics", "gold.metrics", "2026-02-17, books", "silver has 3 events, revenue 7.5; gold has 6, 15.0",
                          "rebuild --layer gold"),
    "bronze file taken out": (take_out(BRONZE), "bronze.records", "bronze.records", "clickstream/0/", "is not there", HISTORY),
    "silver file taken out": (take_out(SILVER), "silver.rows", "silver.keys", "clickstream/0/", "of bronze is not in silver", "silver.events"),
    "silver row of another day's arrival": (arrive_later, "silver.arrivals", "silver.arrivals", ..., "bronze 0 and 0 rejects", "rebuild --layer silver"),
    "sink row edited": (sql("UPDATE clickstream_metrics SET total_revenue = 8 WHERE category = 'toys' AND event_date = '2026-02-18'"),
                        "sink.rows", "sink.rows", "2026-02-18, toys", "gold has total_events 3, total_revenue 7.5; the sink has total_events 3, total_revenue 8", LOAD),
    "sink row added": (sql("INSERT INTO clickstream_metrics VALUES ('cars', 1, 1, '2026-02-17')"),
                       "sink.rows", "sink.rows", "2026-02-17, cars", "gold has no row", LOAD),
    "sink row deleted": (sql("DELETE FROM clickstream_metrics WHERE category = 'books'"),
                         "sink.rows", "sink.rows", "2026-02-17, books", "the sink has no row", LOAD),
    **{f"{layer} log without its {word}": (cut(name, which), f"{layer}.log", f"{layer}.log", place or name, says, COPY)
       for layer, name, reader in (("bronze", BRONZE, "silver"), ("silver", SILVER, "gold."), ("gold", GOLD, "the sink"))
       for word, which, place, says in (("beginning", HEAD, None, "the entries before version 1 are gone"),
                                        ("middle", MIDDLE, None, "version 1 is missing, though the log goes on to 2"),
                                        ("end", TAIL, f"{name} version 2", f"ends at version 1, though {reader}"))},
    "log shorter than its checkpoint": (cut(BRONZE, TAIL, checkpoint=True), "bronze.log", "bronze.log", BRONZE, "of which there is a checkpoint", COPY),
    "an entry torn": (tear(SILVER), "silver.log", "silver.log", SILVER, "malformed JSON", ANEW),
    "a file of nonsense": (scribble(BRONZE), "bronze.files", "bronze.files", BRONZE, "No magic bytes", COPY),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_it_is_found(mill, what):
    damage, first_failing, check, place, detail, hint = DAMAGES[what]
    damaged = damage(mill)
    done = mill("reconcile", "--json")
    assert done.code == 8, done.err
    result = json.loads(done.out)
    failed = {c["name"]: c for c in reversed(result["checks"]) if not c["ok"]}
    assert not result["ok"] and next(iter(reversed(failed))) == first_failing, failed
    found = failed[check]
    assert found["first"] == damaged if place is ... else found["first"].startswith(place), found
    assert detail in found["detail"] and found["hint"], found
    assert f"clickmill: reconcile: {first_failing}: {failed[first_failing]['detail']}\n" in done.err
    assert f"HINT: {failed[first_failing]['hint']}\n" in done.err and hint in found["hint"]
    assert all(c["first"] is None and c["hint"] is None for c in result["checks"] if c["ok"])


def test_nothing_is_found_in_a_sound_one(mill):
    mill.reconciled()
    mill.ok("table", "checkpoint", BRONZE)
    mill.ok("-c", "table.log_retention=0", "table", "checkpoint", SILVER)
    mill.reconciled()


@pytest.mark.parametrize("damage", [delete, take_out, double])
@pytest.mark.parametrize("name", [SILVER, GOLD])
def test_the_hint_for_files_helps(mill, name, damage):
    layer = name.split(".")[0]
    damage(name)(mill)
    mill.fails(8, "reconcile", hint=f"clickmill rebuild --layer {layer}")
    mill.ok("rebuild", "--layer", layer)
    mill.reconciled()


def test_the_hint_for_a_log_helps(mill):
    """The table's folder moved away, with those above it: all is there again."""
    tear(SILVER)(mill)
    mill.fails(8, "reconcile", hint="folder away")
    for layer in ("silver", "gold"):
        (mill.home / "data/lake" / layer).rename(mill.home / f"old-{layer}")
    mill.ok("run")
    mill.reconciled()


def test_the_hint_for_the_database_helps(mill):
    sink = Sqlite(mill.home)
    sink.query("UPDATE clickstream_metrics SET total_events = total_events + 1")
    mill.fails(8, "reconcile", says="sink.rows", hint=LOAD)
    sink.query("DELETE FROM clickmill_loads WHERE table_name = 'clickstream_metrics'")
    mill.ok("load")
    mill.reconciled()
