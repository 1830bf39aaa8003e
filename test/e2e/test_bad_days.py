# SPDX-License-Identifier: Apache-2.0
"""Bad days: full and read-only disks, damaged files, foreign hands in the tables, two of everything at once.

Each day goes the same way: something breaks, the program says what with the right exit code, the
damage is mended, the work goes on, and in the end nothing is missing and nothing is there twice.
"""
import json
import shutil
import signal
import subprocess
import threading
import time

import pytest

import books
from mill import TABLES, wait_for
from sinks import Postgres, Sqlite

NOON = 1771329600
SHIRT = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": NOON}
HAT = {"product_id": 2, "category": "hats", "price": 20, "event_ts": NOON + 86400}
STEPS = [("ingest", "--once"), ("silver",), ("gold",), ("load",)]


def some_shoppers(mill, seed=1, events=1000):
    mill.ok("produce", "--events", events, "--seed", seed, "--duplicates", "0.1", "--bad", "0.05", "--late", "0.1")


def all_is_well(mill, sink=None):
    """The work is finished and everything agrees, also with the books."""
    mill.steps()
    mill.reconciled()
    kept = books.Books(books.stream_records(mill.home))
    assert (sink or Sqlite(mill.home)).metrics() == kept.gold()
    assert mill.counts() == {"lag": 0, "events": kept.events, "rejected": kept.rejected, "duplicates": kept.duplicates,
                             "conflicts": kept.conflicts}


# ---- disks ----

class Disk:
    """A small disk of its own, mounted on a folder."""

    def __init__(self, folder, size):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.run("mount", "-t", "tmpfs", "-o", f"size={size}", "clickmill-test", folder)

    def run(self, *command):
        subprocess.run(command, check=True, timeout=30)

    def remount(self, option):
        self.run("mount", "-o", f"remount,{option}", self.folder)

    def fill(self, leave=0):
        """Leaves so many bytes free; in whole pages."""
        filler = self.folder / "filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 65536):
                    pass
            except OSError:
                pass
            f.truncate(max(f.tell() - leave, 0))

    def make_room(self):
        (self.folder / "filler").unlink()

    def unmount(self):
        self.run("umount", "-l", self.folder)


@pytest.fixture
def disk(request):
    def make(folder, size="64m"):
        made = Disk(folder, size)
        request.addfinalizer(made.unmount)
        return made
    return make


def test_the_stream_s_disk_is_full(mill, disk):
    small = disk(mill.home / "data/stream", "1m")
    told = mill.fails(4, "produce", "--events", "100000", "--seed", "1", "--ledger", "ledger", says="No space left", hint="free")
    assert "data/stream" in told
    acknowledged = {(line["partition"], line["offset"]) for line in books.read_ledger(mill.home / "ledger")}
    assert acknowledged <= {(r.partition, r.offset) for r in books.stream_records(mill.home)}
    mill.ok("ingest", "--once")  # what is there can be read

    small.remount("size=64m")
    some_shoppers(mill, seed=2)
    assert acknowledged <= {(r.partition, r.offset) for r in books.stream_records(mill.home)}
    all_is_well(mill)


@pytest.mark.parametrize("leave", [0, 8192, 40960])
@pytest.mark.parametrize("step", STEPS[:3], ids=lambda s: s[0])
def test_the_lake_s_disk_is_full(mill, disk, step, leave):
    lake = disk(mill.home / "data/lake")
    some_shoppers(mill, seed=1)
    mill.steps()
    some_shoppers(mill, seed=2)
    for before in STEPS[:STEPS.index(step)]:
        mill.ok(*before)
    versions = mill.versions()
    lake.fill(leave)
    done = mill(*step)
    if leave < 40960 or done.code:
        assert done.code in (5, 6) and "No space left" in done.err and "HINT: " in done.err, done
        assert mill.versions() == versions, "nothing was committed"
        mill.ok("sql", "SELECT count(*) FROM silver.events")
    lake.make_room()
    all_is_well(mill)


@pytest.mark.parametrize("leave", [0, 8192])
def test_the_database_s_disk_is_full(mill, disk, leave):
    small = disk(mill.home / "db")
    mill.env["CLICKMILL_SINK_URL"] = "sqlite:db/analytics.db"
    sink = Sqlite(mill.home)
    sink.path = mill.home / "db/analytics.db"
    mill.feed(SHIRT)
    rows = sink.everything()
    mill.produce(*[{**SHIRT, "category": f"category {i} {'x' * 200}", "price": i} for i in range(500)])
    for step in STEPS[:3]:
        mill.ok(*step)
    small.fill(leave)
    mill.fails(7, "load", says="full")
    assert sink.everything() == rows, "not half a load"
    small.make_room()
    all_is_well(mill, sink)


def test_a_first_load_onto_a_full_disk(mill, disk):
    small = disk(mill.home / "db", "1m")
    mill.env["CLICKMILL_SINK_URL"] = "sqlite:db/analytics.db"
    mill.produce(SHIRT)
    for step in STEPS[:3]:
        mill.ok(*step)
    small.fill()
    mill.fails(7, "load")
    small.make_room()
    mill.ok("load")
    mill.reconciled()


READ_ONLY = {"produce": ("stream", 4, ("produce", "--events", "5")), "ingest": ("lake", 5, ("ingest", "--once")),
             "silver": ("lake", 5, ("silver",)), "gold": ("lake", 5, ("gold",)), "load": (".", 7, ("load",))}


@pytest.mark.parametrize("verb", READ_ONLY)
def test_a_read_only_folder(mill, disk, verb):
    folder, code, command = READ_ONLY[verb]
    own = disk(mill.home / "data" / folder)
    mill.env["CLICKMILL_ENGINE_TEMP_DIR"] = str(mill.home / "elsewhere")
    mill.feed(SHIRT)
    mill.produce(HAT)
    names = [s[0] for s in STEPS]
    for before in STEPS[:names.index(verb) if verb in names else 0]:
        mill.ok(*before)
    own.remount("ro")
    told = mill.fails(code, *command)
    assert "ead-only" in told or "readonly" in told, told
    for reading in (("sql", "SELECT * FROM silver.events"), ("table", "list"), ("status",), ("reconcile",)):
        mill.ok(*reading)
    own.remount("rw")
    all_is_well(mill)


def test_a_read_only_home_can_still_be_looked_at(mill, disk):
    own = disk(mill.home / "data")
    mill.feed(SHIRT)
    own.remount("ro")
    mill.fails(6, "sql", "SELECT 1", says=["engine.temp_dir", "Read-only"], hint="engine.temp_dir")
    mill.ok("silver")  # nothing to do needs no room
    mill.env["CLICKMILL_ENGINE_TEMP_DIR"] = str(mill.home / "elsewhere")
    assert mill.sql("SELECT count(*) AS n FROM bronze.events") == [{"n": 1}]
    mill.reconciled()
    assert mill.counts()["events"] == 1
    own.remount("rw")


# ---- foreign hands in the log ----

def append_entry(mill, name, *actions):
    """A commit that is not ours; gives its file."""
    log = mill.table_path(name) / "_delta_log"
    version = len(list(log.glob("*.json")))
    entry = log / f"{version:020}.json"
    entry.write_text("".join(json.dumps(a) + "\n" for a in actions))
    return entry


def protocol(reader, writer, **features):
    return {"protocol": {"minReaderVersion": reader, "minWriterVersion": writer, **features}}


def changed_metadata(mill, name, change):
    meta = dict(mill.log(name)[0])["metaData"]
    return {"metaData": change(json.loads(json.dumps(meta)))}


def with_setting(key, value):
    return lambda meta: {**meta, "configuration": {key: value}}


def with_type(column, kind):
    def change(meta):
        schema = json.loads(meta["schemaString"])
        for field in schema["fields"]:
            if field["name"] == column:
                field["type"] = kind
        return {**meta, "schemaString": json.dumps(schema)}
    return change


STEP_OF = {"bronze.events": ("ingest", "--once"), "silver.events": ("silver",), "gold.clickstream_metrics": ("gold",)}
UPGRADES = {
    "readers and writers": (lambda m, n: [protocol(3, 7, readerFeatures=["deletionVectors"], writerFeatures=["deletionVectors"])],
                            False, ["reader version 3", "deletionVectors"]),
    "column mapping": (lambda m, n: [protocol(2, 5), changed_metadata(m, n, with_setting("delta.columnMapping.mode", "name"))],
                       False, ["column mapping", "delta.columnMapping.mode=name"]),
    "writers only": (lambda m, n: [protocol(1, 7, writerFeatures=["rowTracking"])], True, ["writer version 7", "rowTracking"]),
    "forgetful positions": (lambda m, n: [changed_metadata(m, n, with_setting("delta.setTransactionRetentionDuration", "interval 1 day"))],
                            True, ["setTransactionRetentionDuration"]),
    "another type": (lambda m, n: [changed_metadata(m, n, with_type("category", "integer"))], False, ["category"]),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_table_that_somebody_upgraded(mill, name, upgrade):
    actions, readable, says = UPGRADES[upgrade]
    mill.feed(SHIRT)
    mill.produce(HAT)
    for step in STEPS[:list(STEP_OF).index(name)]:
        mill.ok(*step)
    entry = append_entry(mill, name, *actions(mill, name))
    files = set(mill.data_files(name))

    told = mill.fails(5, *STEP_OF[name], says=says)
    assert name.replace(".", "/") in told and "HINT: " in told
    mill(*STEP_OF[name])
    reading = mill("sql", f"SELECT count(*) AS n FROM {name}")
    assert reading.code == (0 if readable else 5), reading
    assert mill("status").code == mill("table", "list").code == reading.code
    assert entry == sorted((mill.table_path(name) / "_delta_log").glob("*.json"))[-1], "nothing was written behind it"
    assert set(mill.data_files(name)) == files, "and no file left over"

    entry.unlink()
    all_is_well(mill)


def test_an_append_only_table_is_not_overwritten(mill):
    mill.feed(SHIRT)
    entry = append_entry(mill, "gold.clickstream_metrics",
                         changed_metadata(mill, "gold.clickstream_metrics", with_setting("delta.appendOnly", "true")))
    mill.produce({**SHIRT, "price": 1})
    for step in STEPS[:2]:
        mill.ok(*step)
    mill.fails(5, "gold", says="append-only")
    entry.unlink()
    all_is_well(mill)


@pytest.mark.parametrize("name", TABLES)
def test_a_log_entry_cut_short(mill, name):
    mill.feed(SHIRT)
    mill.feed(HAT)
    entry = mill.table_path(name) / "_delta_log/00000000000000000001.json"
    whole = entry.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 2):
        entry.write_bytes(whole[:size])
        mill.produce(SHIRT)
        told = mill.fails(5, *STEP_OF[name])
        assert entry.name in told or "00000000000000000001" in told, told
        mill.fails(5, "status")
    entry.write_bytes(whole)
    all_is_well(mill)


@pytest.mark.parametrize("name", TABLES)
def test_a_log_entry_missing_in_the_middle(mill, name):
    for event in (SHIRT, HAT, {**SHIRT, "price": 1}):
        mill.feed(event)
    mill.produce({**SHIRT, "price": 2})
    for step in STEPS[:list(STEP_OF).index(name)]:
        mill.ok(*step)
    for version in (0, 1):
        entry = mill.table_path(name) / f"_delta_log/{version:020}.json"
        aside = entry.rename(mill.home / "aside")
        mill.fails(5, *STEP_OF[name], says=name.replace(".", "/"))
        aside.rename(entry)
    all_is_well(mill)


@pytest.mark.parametrize("name", TABLES)
def test_the_last_log_entry_lost_is_made_again(mill, name):
    """As after a power cut with a disk that lied: what was in the entry is done once more."""
    mill.feed(SHIRT)
    mill.produce(HAT)
    for step in STEPS[:list(STEP_OF).index(name) + 1]:
        mill.ok(*step)
    (mill.table_path(name) / "_delta_log/00000000000000000001.json").unlink()
    all_is_well(mill)


# ---- damaged data ----

def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x20
    path.write_bytes(data)


def test_a_damaged_stream_segment(mill):
    some_shoppers(mill)
    [segment] = (mill.home / "data/stream/clickstream/0").glob("*.log")
    whole = segment.read_bytes()
    flip(segment, len(whole) // 2)
    told = mill.fails(4, "ingest", "--once", says=segment.name)
    assert "HINT: " in told
    rows = mill.rows("bronze.events") if mill.table_path("bronze.events").exists() else []
    assert len(rows) < 1000, "nothing from behind the damage"
    segment.write_bytes(whole)
    all_is_well(mill)


def test_a_stream_segment_cut_short(mill):
    some_shoppers(mill)
    [segment] = (mill.home / "data/stream/clickstream/0").glob("*.log")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:len(whole) // 2])
    mill.fails(4, "ingest", "--once", says=segment.name)
    mill.fails(4, "produce", "--events", "1", says=segment.name)
    segment.write_bytes(whole)
    all_is_well(mill)


@pytest.mark.parametrize("tail", ["half a record", "zeros", "noise"])
def test_a_torn_end_of_the_stream_is_cut(mill, tail):
    """What a power cut leaves behind the last acknowledged record is no record and no error."""
    some_shoppers(mill, seed=1)
    [segment] = (mill.home / "data/stream/clickstream/0").glob("*.log")
    whole = segment.read_bytes()
    torn = {"half a record": whole[:100], "zeros": bytes(5000), "noise": bytes(range(256)) * 20}[tail]
    segment.write_bytes(whole + torn)
    mill.ok("ingest", "--once")
    before = mill.counts()
    assert before["lag"] == 0 and before["events"] == len(books.segment_records(0, 0, whole))
    some_shoppers(mill, seed=2)
    now = segment.read_bytes()
    assert now.startswith(whole) and not now[len(whole):].startswith(torn)
    assert len(books.stream_records(mill.home)) > before["events"]
    all_is_well(mill)


def test_a_stream_that_was_replaced_by_another_is_not_mixed_up(mill):
    """Another cluster id: it is read from its own beginning, and the old positions stay."""
    mill.feed(SHIRT, HAT)
    shutil.rmtree(mill.home / "data/stream")
    mill.feed({**SHIRT, "price": 1})
    assert mill.counts() == {"lag": 0, "events": 3, "rejected": 0, "duplicates": 0, "conflicts": 0}
    mill.reconciled()


DAMAGES = {"bytes changed": lambda p, whole: p.write_bytes(whole[:4] + b"\xff" * (len(whole) - 8) + whole[-4:]),
           "cut short": lambda p, whole: p.write_bytes(whole[:len(whole) // 2]),
           "empty": lambda p, whole: p.write_bytes(b""),
           "gone": lambda p, whole: p.unlink()}


@pytest.mark.parametrize("name,step", [("bronze.events", "silver"), ("silver.events", "gold"), ("gold.clickstream_metrics", "load")])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_data_file(mill, name, step, damage):
    some_shoppers(mill)
    names = [s[0] for s in STEPS]
    for before in STEPS[:names.index(step)]:
        mill.ok(*before)
    file = mill.data_files(name)[0]
    whole = file.read_bytes()
    DAMAGES[damage](file, whole)
    versions = {n: len(mill.log(n)) for n in TABLES if mill.table_path(n).exists()}
    done = mill(step)
    assert done.code in (5, 6) and file.name in done.err, done
    assert versions == {n: len(mill.log(n)) for n in TABLES if mill.table_path(n).exists()}
    file.write_bytes(whole)
    all_is_well(mill)


# ---- reconcile finds it: exit 8 ----

def differs(mill, *says):
    done = mill("reconcile", "--json")
    assert done.code == 8 and json.loads(done.out)["ok"] is False, done
    assert all(text in done.err for text in says), done.err


EDITS = {"UPDATE clickstream_metrics SET total_events = total_events + 1 WHERE category = 'hats'": "hats",
         "UPDATE clickstream_metrics SET total_revenue = 20.01 WHERE category = 'hats'": "hats",
         "DELETE FROM clickstream_metrics WHERE category = 'hats'": "hats",
         "UPDATE clickstream_metrics SET category = 'caps' WHERE category = 'hats'": "2026-02-18",
         "INSERT INTO clickstream_metrics VALUES ('ghosts', 1, 1.0, '2026-02-17')": "ghosts",
         "INSERT INTO clickstream_metrics VALUES ('ghosts', 1, 1.0, '1999-12-31')": "ghosts"}


def test_reconcile_names_a_row_edited_in_the_database(mill, sink):
    mill.feed(SHIRT, HAT)
    good = sink.query("SELECT category, total_events, total_revenue, event_date FROM clickstream_metrics")
    mark = "%s" if isinstance(sink, Postgres) else "?"
    for edit, named in EDITS.items():
        sink.query(edit)
        differs(mill, "sink.rows", named)
        sink.query("DELETE FROM clickstream_metrics")
        for row in good:
            sink.query(f"INSERT INTO clickstream_metrics VALUES ({mark}, {mark}, {mark}, {mark})", *row)
    mill.reconciled()


@pytest.mark.parametrize("name", TABLES)
def test_reconcile_names_a_data_file_that_is_gone_or_cut(mill, name):
    mill.feed(SHIRT, HAT)
    mill.feed({**SHIRT, "price": 7})
    file = mill.data_files(name)[-1]
    whole = file.read_bytes()
    file.unlink()
    differs(mill, name.split(".")[0] + ".files", file.name, "is gone")
    file.write_bytes(whole[:-1])
    differs(mill, name.split(".")[0] + ".files", file.name, "bytes")
    file.write_bytes(whole)
    mill.reconciled()


def test_reconcile_looks_at_the_notes_of_the_commits(mill):
    """A commit that does not begin where the one before ended is a gap, whatever the rows say."""
    mill.feed(SHIRT)
    mill.feed(HAT)
    last = sorted((mill.table_path("bronze.events") / "_delta_log").glob("*.json"))[-1]
    good = last.read_text()
    for wrong in (good.replace(r'\"from\":1', r'\"from\":0'), good.replace(r'\"records\":1', r'\"records\":0'),
                  good.replace(r'\"to\":2', r'\"to\":3'), good.replace(r'[{\"partition', r'[{\"part')):
        assert wrong != good
        last.write_text(wrong)
        differs(mill, "bronze.", "version 1")
    last.write_text(good.replace('"positions":', '"was_positions":'))  # as commits were before there were notes
    mill.reconciled()
    last.write_text(good)
    mill.reconciled()


def test_records_removed_before_they_were_read(mill):
    mill.feed(SHIRT)
    cluster = (mill.home / "data/stream/cluster_id").read_text().strip()
    partition = mill.home / "data/stream/clickstream/0"
    mill.produce(HAT, HAT)
    # As if the segment with offsets 0 to 2 had been removed, and five more before the next one.
    shutil.move(partition / f"{0:020}.log", partition / f"{8:020}.log")
    (partition / "durable").unlink()
    mill.fails(4, "ingest", "--once", says=["position 1", "8"], hint="--accept-loss")
    result = mill.json("ingest", "--once", "--accept-loss")
    assert (result["records"], result["lost"]) == (3, 7)
    assert mill.json("status")["lost"] == 7
    info = dict(mill.log("bronze.events")[-1])["commitInfo"]
    assert json.loads(info["operationParameters"]["positions"]) == [{"partition": 0, "from": 1, "to": 11, "records": 3}]
    assert json.loads(info["operationParameters"]["lost"]) == [{"partition": 0, "from": 1, "to": 8}]
    assert [t["appId"].removeprefix(f"clickmill/{cluster}/clickstream/0") for action, t in mill.log("bronze.events")[-1]
            if action == "txn"] == ["", "#lost"]
    mill.steps()
    mill.reconciled()


def test_a_topic_that_is_gone_is_not_nothing_to_do(mill):
    mill.feed(SHIRT)
    shutil.rmtree(mill.home / "data/stream/clickstream")
    mill.fails(4, "ingest", "--once", says="no such topic", hint="stream.app")


def test_two_apps_and_two_clusters_feed_one_table(mill):
    mill.feed(SHIRT, HAT)
    mill.env["CLICKMILL_STREAM_APP"] = "another"
    mill.steps()
    mill.env["CLICKMILL_STREAM_URL"] = "local:data/other"
    mill.produce(SHIRT, HAT, {**HAT, "price": 3})
    warned = mill("ingest", "--once")
    assert warned.code == 0 and warned.err.count("another cluster") == 1, warned
    mill.steps()
    checks = {c["name"]: c["detail"] for c in mill.reconciled()["checks"]}
    assert "of 3 partitions" in checks["bronze.gaps"] and "records 7" in checks["bronze.gaps"]
    assert mill.counts()["duplicates"] == 4


def add_of(mill, name, version=0):
    return next(action for kind, action in mill.log(name)[version] if kind == "add")


@pytest.mark.parametrize("name,check", [("bronze.events", "bronze."), ("silver.events", "silver."), ("gold.clickstream_metrics", "gold.")])
def test_reconcile_finds_rows_taken_out(mill, name, check):
    mill.feed(SHIRT, HAT)
    add = add_of(mill, name)
    append_entry(mill, name, {"remove": {"path": add["path"], "deletionTimestamp": 1, "dataChange": True,
                                         "partitionValues": add["partitionValues"], "size": add["size"]}})
    differs(mill, check)


@pytest.mark.parametrize("name,check", [("bronze.events", "bronze."), ("silver.events", "silver."), ("gold.clickstream_metrics", "gold.")])
def test_reconcile_finds_rows_put_in_twice(mill, name, check):
    mill.feed(SHIRT, HAT)
    add = add_of(mill, name)
    path = add["path"].replace(".parquet", "-again.parquet")
    shutil.copy(mill.table_path(name) / add["path"], mill.table_path(name) / path)
    append_entry(mill, name, {"add": {**add, "path": path}})
    differs(mill, check)


# ---- two at once ----

def all_end_well(*running):
    for r in running:
        assert r.wait() == 0, r.err()


def test_two_ingests_at_once(mill):
    mill.env["CLICKMILL_STREAM_PARTITIONS"] = "2"
    mill.ok("produce", "--events", "20000", "--seed", "1")
    all_end_well(*[mill.start("-c", "ingest.batch_rows=1500", "ingest", "--once", "--json") for _ in range(3)])
    committed = sum(int(dict(entry)["commitInfo"]["operationMetrics"]["records"]) for entry in mill.log("bronze.events"))
    assert committed == 20000
    told = [json.loads(r.out()) for r in mill.running]
    assert sum(t["records"] for t in told) == 20000, "each record is claimed by one of them"
    all_is_well(mill)


def test_ingests_that_come_and_go_while_others_produce(mill):
    mill.env |= {"CLICKMILL_INGEST_BATCH_AGE": "20ms", "CLICKMILL_STREAM_PARTITIONS": "2"}
    following = [mill.start("ingest") for _ in range(3)]
    producing = [mill.start("produce", "--events", "3000", "--rate", "3000", "--seed", i, "--ledger", f"ledger{i}") for i in range(2)]
    time.sleep(.3)
    assert following[0].kill() == -signal.SIGKILL
    all_end_well(*producing)
    following.append(mill.start("ingest"))
    wait_for(lambda: mill.counts()["lag"] == 0, "everything is taken in")
    for ingest in following[1:]:
        assert ingest.stop() == 0, ingest.err()
    ledgers = [{(line["partition"], line["offset"]) for line in books.read_ledger(mill.home / f"ledger{i}")} for i in range(2)]
    assert len(ledgers[0] | ledgers[1]) == sum(map(len, ledgers)) == len(books.stream_records(mill.home))
    all_is_well(mill)


def test_two_of_each_step_at_once(mill, sink):
    for seed in range(4):
        some_shoppers(mill, seed=seed, events=2000)
        mill.ok("ingest", "--once")
        for step in ("silver", "gold", "load", "run"):
            all_end_well(*[mill.start(step) for _ in range(3)])
    assert mill.versions() == {"bronze.events": 3, "silver.events": 3, "gold.clickstream_metrics": 3}
    all_is_well(mill, sink)


def test_readers_while_everything_is_written(mill):
    """Readers see whole commits: silver's rows are always those its counters tell."""
    up = mill.start("-c", "up.every=50ms", "-c", "ingest.batch_age=20ms", "up", "--demo", "--rate", "2000")
    wait_for(lambda: mill.json("status")["sink_version"] >= 0, "a first load")
    for _ in range(15):
        assert mill.json("reconcile")["ok"]
        [row] = mill.sql("SELECT count(*) AS n, count(DISTINCT event_key) AS keys FROM silver.events")
        assert row["n"] == row["keys"] > 0
    assert up.stop() == 0, up.err()
    all_is_well(mill)


# ---- memory is short ----

def test_a_batch_that_the_memory_does_not_hold(mill):
    """Silver knows all of it, from a topic that is read again: it goes on with less at a time."""
    events = "".join(json.dumps({**SHIRT, "event_id": f"{i:064d}", "page_url": f"/{i:0500d}"}) + "\n" for i in range(120_000)).encode()
    mill.ok("produce", "--from", "-", input=events)
    for step in STEPS[:2]:
        mill.ok(*step)
    mill.ok("produce", "--from", "-", input=events)
    mill.ok("-c", "ingest.batch_rows=20000", "ingest", "--once")
    done = mill("-c", "engine.memory=64MiB", "silver", "--json")
    assert done.code == 0, done.err
    assert "silver batch too large for engine.memory, halved" in done.err
    made = json.loads(done.out)
    assert made["commits"] > 1 and (made["duplicates"], made["rows"]) == (120_000, 0)
    mill.steps()
    mill.reconciled()


# ---- the database goes away ----

def test_the_database_crashes_in_the_middle(mill, own_postgres):
    sink = Postgres(own_postgres.url)
    mill.env |= {"CLICKMILL_SINK_URL": own_postgres.url, "CLICKMILL_SINK_TIMEOUT": "300ms", "CLICKMILL_RUN_RETRIES": "0"}
    mill.feed(SHIRT)
    run = mill.start("run", "--every", "50ms")
    stop = threading.Event()

    def keep_producing():
        for seed in range(1000):
            if stop.is_set():
                return
            some_shoppers(mill, seed=seed, events=200)
            mill.ok("ingest", "--once")
    feeding = threading.Thread(target=keep_producing)
    feeding.start()
    try:
        for _ in range(3):
            before = sink.watermark()
            wait_for(lambda: sink.watermark() != before, "loads go on")
            told = run.err().count("run failed")
            own_postgres.run("crash")
            wait_for(lambda: run.err().count("run failed") > told, "the crash is noticed")
            own_postgres.start()
    finally:
        stop.set()
        feeding.join()
    assert run.alive() and run.stop() == 0, run.err()
    all_is_well(mill, sink)


@pytest.mark.parametrize("away", ["DROP TABLE clickstream_metrics", "ALTER TABLE clickstream_metrics RENAME TO old_metrics"])
def test_a_table_of_the_database_that_is_made_anew_is_filled_anew(mill, sink, away):
    some_shoppers(mill)
    mill.steps()
    before = sink.metrics()
    sink.query(away)
    mill.ok("load")
    assert sink.metrics() == before
    all_is_well(mill, sink)


def test_a_database_that_holds_a_table_that_does_not_fit(mill, sink):
    if isinstance(sink, Sqlite):
        sink.path.parent.mkdir()
    sink.query("CREATE TABLE clickstream_metrics (category TEXT, total_events TEXT, event_date DATE)")
    mill.produce(SHIRT)
    for step in STEPS[:3]:
        mill.ok(*step)
    told = mill.fails(7, "load", says="clickstream_metrics")
    assert "HINT: " in told
    assert sink.query("SELECT * FROM clickstream_metrics") == []
    sink.query("DROP TABLE clickstream_metrics")
    all_is_well(mill, sink)


def test_a_table_of_the_user_s_own_that_fits_is_used(mill, sink):
    if isinstance(sink, Sqlite):
        sink.path.parent.mkdir()
    sink.query("CREATE TABLE clickstream_metrics (event_date DATE, remark TEXT, category TEXT, total_revenue DOUBLE PRECISION,"
               " total_events BIGINT, PRIMARY KEY (event_date, category))")
    mill.feed(SHIRT)
    sink.query("UPDATE clickstream_metrics SET remark = 'mine'")
    mill.feed({**SHIRT, "price": 1})
    assert sink.query("SELECT total_events, total_revenue, remark FROM clickstream_metrics") == [(2, 110.95, "mine")]
    mill.reconciled()
