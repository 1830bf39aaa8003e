# SPDX-License-Identifier: Apache-2.0
"""rejects: what was rejected can be seen, and made events of after a fix, each record once.

A shop has sent prices with a decimal comma for a while. The records are in bronze with the reason;
a mapping repairs them, replay takes them in, and the next run corrects gold and the database.
"""
import json
import signal

import pytest

from mill import ndjson, wait_for

TS = 1771286400
REPAIR = """-- a decimal comma becomes a point
SELECT source_topic, source_partition, source_offset, source_index,
       regexp_replace(raw, '"price": "(\\d+),(\\d+)"', '"price":"\\1.\\2"') AS value
FROM rejects
WHERE reason = 'wrong_type' AND detail LIKE 'price:%'
"""


def event(product, price):
    return {"product_id": product, "category": "toys", "price": price, "event_ts": TS}


def good(n, of=100):
    return [event(of + i, 1.5) for i in range(n)]


def commas(n, of=1):
    return [event(of + i, "2,50") for i in range(n)]


@pytest.fixture
def shop(mill):
    """4 good ones, 5 that a mapping repairs, 3 that nobody can, all the way down to the database."""
    (mill.home / "repair.sql").write_text(REPAIR)
    mill.feed(*good(4), *commas(5), b"not json", b"\xff\xfe\x00", {"product_id": 1, "category": "c", "price": 1})
    return mill


def replay(mill, *args):
    return mill.json("rejects", "replay", "--mapping", "repair.sql", *args)


def totals(mill):
    rows = mill.rows("gold.clickstream_metrics")
    return sum(r["total_events"] for r in rows), sum(r["total_revenue"] for r in rows)


def check(mill, events, replayed):
    """After a run: nothing is lost or twice, and the number is what it was."""
    result = mill.reconciled()
    detail = {c["name"]: c["detail"] for c in result["checks"]}["bronze.replayed"]
    assert detail == f"replayed by commits {replayed}, rows there {replayed} at {replayed} positions"
    status = mill.json("status")
    assert (status["events"], status["rejected"], status["replayed"]) == (events, status["rejected"], replayed)
    rows = [r for r in mill.rows("bronze.events") if r["reject_reason"] is None and r["reject_detail"]]
    at = {(r["source_topic"], r["source_partition"], r["source_offset"], r["source_index"]) for r in rows}
    assert len(rows) == len(at) == replayed


# ---- looking ----

def test_list_and_show(shop):
    day = shop.sql("SELECT CAST(max(ingest_date) AS VARCHAR) AS day FROM bronze.events")[0]["day"]
    rows = {(r["reason"], r["detail"]): r for r in shop.json("rejects", "list")}
    assert rows["wrong_type", 'price: "2,50"'] == {
        "day": day, "reason": "wrong_type", "detail": 'price: "2,50"', "rejects": 5, "replayed": 0,
        "first": "clickstream/0/4/0", "last": "clickstream/0/8/0"}
    assert sorted(r["rejects"] for r in rows.values()) == [1, 1, 1, 5]
    assert [r["rejects"] for r in shop.json("rejects", "list", "--reason", "wrong_type")] == [5]
    assert len(shop.json("rejects", "list", "--limit", "2")) == 2
    assert "There are more" in shop.ok("rejects", "list", "--limit", "2")
    assert shop.json("rejects", "list", "--from", "2020-01-01", "--to", "2020-01-31") == []
    assert len(shop.json("rejects", "list", "--from", day, "--to", day)) == 4

    one = shop.json("rejects", "show", "clickstream/0/4/0")
    assert [(r["position"], r["reason"], r["form"]) for r in one] == [("clickstream/0/4/0", "wrong_type", "text")]
    assert one[0]["raw"].encode() == ndjson(commas(1)[0]).strip()
    assert [r["position"] for r in shop.json("rejects", "show", "--reason", "wrong_type", "--limit", "2")] == [
        "clickstream/0/4/0", "clickstream/0/5/0"]
    assert shop.json("rejects", "show", "clickstream/0/10")[0]["raw"] == "\\xFF\\xFE\\x00"  # no UTF-8, and a NUL
    assert "\\xFF\\xFE\\x00" in shop.ok("rejects", "show")


def test_the_bytes_themselves(mill):
    """A record of more than 1 MiB, and one that is no text, come out as they went in."""
    large = b'{"product_id":1,"extra":"' + b"x" * (1 << 20) + b'"}'
    odd = bytes(b for b in range(256) if b not in b"\n")
    mill.produce(large, odd)
    mill.ok("ingest", "--once")
    for offset, record in enumerate((large, odd)):
        shown = mill.start("rejects", "show", "--raw", f"clickstream/0/{offset}/0")
        assert shown.wait() == 0 and shown.out_file.read_bytes() == record
    shown = mill.json("rejects", "show")
    assert [r["size"] for r in shown] == [len(large), len(odd)]
    assert len(mill.ok("rejects", "show")) < 4000  # on a terminal it is cut


def test_what_is_refused(shop):
    shop.fails(2, "rejects", says="expected list|show|replay")
    shop.fails(2, "rejects", "drop", says="expected list, show or replay, not 'drop'")
    shop.fails(2, "rejects", "list", "more", says="no further words")
    shop.fails(2, "rejects", "list", "--reason", "bad", says="'bad'", hint="wrong_type")
    shop.fails(2, "rejects", "list", "--from", "yesterday", says="'yesterday' is not a day", hint="2026-11-22")
    shop.fails(2, "rejects", "list", "--from", "2026-02-18", "--to", "2026-02-17", says="is after --to 2026-02-17")
    shop.fails(2, "rejects", "list", "--mapping", "repair.sql", says="an option of rejects replay")
    shop.fails(2, "rejects", "replay", "--limit", "3", says="an option of rejects list and show")
    shop.fails(2, "rejects", "show", "--raw", says="of which record", hint="topic/partition/offset")
    for position in ("clickstream", "a/1", "/1/2/3", "a/1/x", "a/1/2/3x", "a/-1/2"):
        shop.fails(2, "rejects", "show", position, says="is no position")
    shop.fails(8, "rejects", "show", "--raw", "clickstream/0/0/0", says="no record was rejected at clickstream/0/0/0")
    assert shop.json("rejects", "show", "clickstream/0/0/0") == []


def test_an_empty_lake(mill):
    assert mill.json("rejects", "list") == [] == mill.json("rejects", "show")
    assert mill.json("rejects", "replay") == {"dry_run": False, "replayed": 0, "still_rejected": 0, "commits": 0, "reasons": []}


# ---- replaying ----

def test_replay_with_a_mapping(lake, shop):
    """In every kind of lake: gold and the database are corrected by the next run."""
    before = shop.versions()
    dry = replay(shop, "--dry-run")
    assert (dry["dry_run"], dry["replayed"], dry["commits"]) == (True, 5, 0) and shop.versions() == before
    assert totals(shop) == (4, 6.0)
    done = replay(shop)
    assert (done["replayed"], done["still_rejected"], done["commits"]) == (5, 0, 1)
    assert dict(shop.log("bronze.events")[-1])["commitInfo"]["operationMetrics"]["replayed"] == "5"
    shop.ok("run")
    assert totals(shop) == (9, 6.0 + 12.5)
    check(shop, 12 + 5, 5)

    again = replay(shop)
    assert (again["replayed"], again["commits"]) == (0, 0), "nothing more"
    raw = shop.json("rejects", "replay")
    assert raw["replayed"] == 0 and {(r["reason"], r["field"], r["rejects"]) for r in raw["reasons"]} == {
        ("invalid_json", "record", 1), ("invalid_utf8", "record", 1), ("missing_field", "event_ts", 1)}
    assert sum(r["replayed"] for r in shop.json("rejects", "list")) == 5
    rows = {r["source_offset"]: r for r in shop.rows("bronze.events") if r["reject_detail"] == "wrong_type"}
    old = {r["source_offset"]: r for r in shop.rows("bronze.events") if r["reject_reason"] == "wrong_type"}
    assert sorted(rows) == sorted(old) == list(range(4, 9))
    for offset, row in rows.items():
        assert (row["price"], row["raw"], row["received_at"], row["ingest_date"]) == (
            2.5, None, old[offset]["received_at"], old[offset]["ingest_date"])


def test_only_some_of_them(shop):
    """What is filtered, and what the mapping gives no value, stays as it is."""
    assert replay(shop, "--reason", "invalid_json")["replayed"] == 0
    assert replay(shop, "--to", "2020-01-01")["replayed"] == 0
    (shop.home / "one.sql").write_text(
        "SELECT source_topic, source_partition, source_offset, source_index, CASE source_offset"
        " WHEN 4 THEN encode(replace(raw, '2,50', '2.50')) WHEN 5 THEN encode('still no JSON') END AS value FROM rejects")
    done = shop.json("rejects", "replay", "--mapping", "one.sql")
    assert (done["replayed"], done["still_rejected"]) == (1, 1)
    assert [(r["reason"], r["first"]) for r in done["reasons"]] == [("invalid_json", "clickstream/0/5/0")]
    assert replay(shop)["replayed"] == 4
    shop.ok("run")
    check(shop, 12 + 5, 5)


def test_a_record_repaired_by_hand_is_a_duplicate(shop):
    """A mapping need not read the rejects; and an event that is in silver already stays there once."""
    value = ndjson(good(1)[0]).decode().strip()
    (shop.home / "hand.sql").write_text(f"SELECT 'clickstream' AS source_topic, 0 AS source_partition, 9 AS source_offset,"
                                        f" 0 AS source_index, '{value}' AS value;")
    for replayed in (1, 0):
        assert shop.json("rejects", "replay", "--mapping", "hand.sql")["replayed"] == replayed
    shop.ok("run")
    assert totals(shop) == (4, 6.0) and shop.counts()["duplicates"] == 1
    check(shop, 12 + 1, 1)


MAPPINGS = {
    "syntax": ("SELECT FROM WHERE", "bad.sql:1"),
    "two statements": ("SELECT 1; SELECT 2", "one is wanted"),
    "more than a question": ("DROP VIEW rejects", "does more than read"),
    "files": ("SELECT * FROM read_text('/etc/hostname')", "bad.sql"),
    "no such column": ("SELECT price FROM rejects", "price"),
    "no value": ("SELECT source_topic, source_partition, source_offset, source_index FROM rejects", "gives no column value"),
    "a number": ("SELECT source_topic, source_partition, source_offset, source_index, 1 AS value FROM rejects", "value is of type INTEGER"),
    "no position": ("SELECT raw AS value FROM rejects", "gives no column source_topic"),
    "a text": ("SELECT source_topic, source_partition, 'x' AS source_offset, source_index, raw AS value FROM rejects", "not an integer"),
    "no reject": ("SELECT source_topic, source_partition, source_offset - 4 AS source_offset, source_index, raw AS value FROM rejects",
                  "first: clickstream/0/0/0"),
    "another topic": ("SELECT 'other' AS source_topic, source_partition, source_offset, source_index, raw AS value FROM rejects", "first: other/0/10/0"),
    "twice": ("SELECT r.source_topic, source_partition, source_offset, source_index, raw AS value FROM rejects r, range(2)", "more than once"),
    "it fails midway": ("SELECT source_topic, source_partition, source_offset, source_index, raw || CAST(CAST(raw AS INT) AS VARCHAR) AS value FROM rejects",
                        "Conversion Error"),
    "no UTF-8": (b"SELECT '\xff'", "no UTF-8"),
    "nothing": ("", "one is wanted"),
}


def test_a_wrong_mapping_replays_nothing(mill):
    mill.produce(*good(4), *commas(5), b"not json", b"\xff")
    mill.ok("ingest", "--once")
    for text, says in MAPPINGS.values():
        (mill.home / "bad.sql").write_bytes(text if isinstance(text, bytes) else text.encode())
        mill.fails(6, "rejects", "replay", "--mapping", "bad.sql", says=says)
    mill.fails(6, "rejects", "replay", "--mapping", "nowhere.sql", says="cannot open nowhere.sql")
    assert len(mill.log("bronze.events")) == 1


# ---- killed, at once, meanwhile ----

@pytest.mark.parametrize("point, committed", [("replay.after_data:1", 0), ("commit.before_log:2", 2), ("commit.after_log:2", 4)])
def test_kill_at_a_named_point(shop, point, committed):
    """In commits of two rows: what is committed is not replayed again, what is not is not lost."""
    slow = ("-c", "ingest.batch_rows=2", "-c", "table.checkpoint_interval=2")
    done = shop("-c", f"debug.crash_at={point}", *slow, "rejects", "replay", "--mapping", "repair.sql")
    assert done.code == -signal.SIGKILL
    result = shop.json("reconcile")
    assert result["ok"] and result["pending_bronze_rows"] == committed
    assert shop.json(*slow, "rejects", "replay", "--mapping", "repair.sql")["replayed"] == 5 - committed
    shop.ok("run")
    check(shop, 12 + 5, 5)
    assert totals(shop) == (9, 6.0 + 12.5)


def test_several_at_once_while_ingest_runs(shop):
    """Three replays and an ingest that writes to the same table."""
    ingest = shop.start("-c", "ingest.batch_age=5ms", "ingest")
    shop.produce(*commas(300, of=1000))
    wait_for(lambda: shop.json("status")["lag"] == 0, "ingest has caught up")
    feeding = shop.start("produce", "--events", "2000", "--rate", "1000")
    several = [shop.start("-c", f"ingest.batch_rows={n}", "rejects", "replay", "--mapping", "repair.sql", "--json") for n in (40, 50, 60)]
    assert [p.wait() for p in several] == [0, 0, 0], [p.err() for p in several]
    assert feeding.wait() == 0 and ingest.stop() == 0, ingest.err()
    shop.ok("ingest", "--once")
    shop.ok("run")
    result = shop.reconciled()
    assert "replayed by commits 305, rows there 305 at 305 positions" in str(result)
    assert sum(json.loads(p.out())["replayed"] for p in several) == 305
    assert replay(shop)["replayed"] == 0


def test_optimized_and_cleaned(shop):
    """The number outlives the entries it was counted in, and the files the rows were written to."""
    replay(shop)
    shop.ok("run")
    shop.ok("table", "optimize", "bronze.events")
    shop.ok("-c", "table.log_retention=0", "table", "checkpoint", "bronze.events")
    assert not (shop.table_path("bronze.events") / "_delta_log/00000000000000000001.json").exists()
    assert replay(shop)["replayed"] == 0
    check(shop, 12 + 5, 5)
