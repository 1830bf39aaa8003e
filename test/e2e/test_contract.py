# SPDX-License-Identifier: Apache-2.0
"""The data contract, seen in what the real program leaves in its tables.

(The decoder alone, against thousands of odd records, is test_decoder_oracle.py.)
"""
import datetime
import decimal
import hashlib
import json
import re
import time

import deltalake
import pyarrow.parquet
import pytest

import books
from mill import TABLES, ndjson

NOON = 1771329600  # 2026-02-17T12:00:00Z
DAY = 86400
SHIRT = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": NOON}
UTC = datetime.timezone.utc

BRONZE = """product_id integer, category string, price double, event_ts long, event_key string, event_id string,
    event_type string, user_id string, session_id string, sku string, quantity integer, currency string, order_id string,
    page_url string, referrer string, user_agent string, extra string, protocol string, received_at timestamp,
    source_topic string, source_partition integer, source_offset long, source_index integer, reject_reason string,
    reject_detail string, raw binary, ingest_date date"""
SILVER = """event_key string, event_id string, event_type string, event_time timestamp, event_date date, product_id string,
    category string, price decimal(18,4), quantity integer, currency string, revenue decimal(18,4), user_id string,
    session_id string, order_id string, page_url string, referrer string, is_bot boolean, received_at timestamp,
    source_topic string, source_partition integer, source_offset long, source_index integer"""
GOLD = "category string, total_events integer, total_revenue double, event_date date"
CONTRACT = {"bronze.events": (BRONZE, "ingest_date"), "silver.events": (SILVER, "event_date"),
            "gold.clickstream_metrics": (GOLD, "event_date")}


def fields(text):
    return [tuple(f.split()) for f in re.split(r",\s(?!\d)", " ".join(text.split()))]


# ---- the tables ----

def test_columns_and_partitions(mill):
    mill.feed(SHIRT)
    for name, (columns, partition) in CONTRACT.items():
        table = deltalake.DeltaTable(mill.table_path(name))
        schema = json.loads(table.schema().to_json())
        found = [(f["name"], f["type"]) for f in schema["fields"]]
        # The partition column may stand anywhere; the others have their order.
        assert sorted(found) == sorted(fields(columns)), name
        assert [f for f in found if f[0] != partition] == [f for f in fields(columns) if f[0] != partition], name
        assert all(f["nullable"] for f in schema["fields"]), name
        assert table.metadata().partition_columns == [partition], name


def test_the_log_is_plain_delta(mill):
    mill.feed(SHIRT)
    mill.feed({**SHIRT, "price": 1}, {**SHIRT, "event_ts": NOON + DAY})
    for name in TABLES:
        entries = mill.log(name)  # which checks that the versions have no gap
        first = dict(entries[0])
        assert first["protocol"] == {"minReaderVersion": 1, "minWriterVersion": 2}, name
        assert first["metaData"]["format"]["provider"] == "parquet"
        assert sum(action in ("protocol", "metaData") for e in entries for action, _ in e) == 2, name
        for entry in entries:
            assert entry[0][0] == "commitInfo"
            check_files(mill, name, entry)


def check_files(mill, name, entry):
    partition = CONTRACT[name][1]
    for action, add in entry:
        if action != "add":
            continue
        file = mill.table_path(name) / add["path"]
        assert file.stat().st_size == add["size"]
        assert list(add["partitionValues"]) == [partition]
        datetime.date.fromisoformat(add["partitionValues"][partition])
        parquet = pyarrow.parquet.read_metadata(file)
        assert json.loads(add["stats"])["numRecords"] == parquet.num_rows > 0
        assert partition not in parquet.schema.names
        assert add["dataChange"] is True


def test_positions_and_counters_stand_in_the_commits(mill):
    mill.feed(SHIRT, SHIRT, b"nonsense")
    mill.feed({**SHIRT, "event_id": "e"}, {**SHIRT, "event_id": "e", "price": 5})
    ids = {name: dict(mill.log(name)[0])["metaData"]["id"] for name in TABLES}
    cluster = (mill.home / "data/stream/cluster_id").read_text().strip()

    def txn(name, totals=False):
        return [(t["appId"], t["version"]) for entry in mill.log(name) for action, t in entry
                if action == "txn" and ("#" in t["appId"]) == totals]

    def counters(name):
        return [dict(entry)["commitInfo"]["operationMetrics"] for entry in mill.log(name)]

    assert txn("bronze.events") == [(f"clickmill/{cluster}/clickstream/0", 3), (f"clickmill/{cluster}/clickstream/0", 5)]
    assert counters("bronze.events") == [{"records": "3", "events": "3", "rejected": "1"},
                                         {"records": "2", "events": "2", "rejected": "0"}]
    notes = [dict(entry)["commitInfo"]["operationParameters"] for entry in mill.log("bronze.events")]
    assert [json.loads(n["positions"]) for n in notes] == [[{"partition": 0, "from": 0, "to": 3, "records": 3}],
                                                           [{"partition": 0, "from": 3, "to": 5, "records": 2}]]
    assert not any("lost" in n or "topicId" in n for n in notes)
    assert txn("silver.events") == [(f"silver/{ids['bronze.events']}", 0), (f"silver/{ids['bronze.events']}", 1)]
    assert counters("silver.events") == [
        {"events": "3", "rejected": "1", "duplicates": "1", "conflicts": "0", "rows": "1"},
        {"events": "2", "rejected": "0", "duplicates": "0", "conflicts": "1", "rows": "1"}]
    # and beside the positions, what has added up so far (where it is not 0, and has changed)
    position = f"silver/{ids['bronze.events']}#"
    assert txn("bronze.events", totals=True) == [(f"clickmill/{cluster}/clickstream/0#first", 0), (f"clickmill/{cluster}/clickstream/0#rejected", 1)]
    assert txn("silver.events", totals=True) == [(position + "events", 3), (position + "rejected", 1), (position + "duplicates", 1),
                                                 (position + "events", 5), (position + "conflicts", 1)]
    assert txn("gold.clickstream_metrics") == [(f"gold/{ids['silver.events']}", 0), (f"gold/{ids['silver.events']}", 1)]
    assert counters("gold.clickstream_metrics") == [{"dates": "1", "rows": "1"}] * 2


def test_versions_without_rows_are_still_consumed(mill):
    mill.feed(b"nonsense")
    mill.feed(b"more of it")
    assert mill.versions() == {"bronze.events": 1, "silver.events": 1, "gold.clickstream_metrics": 1}
    assert mill.rows("silver.events") == mill.rows("gold.clickstream_metrics") == []
    assert mill.json("silver")["commits"] == mill.json("gold")["commits"] == 0
    mill.reconciled()


def test_another_app_reads_the_same_stream_for_itself(mill):
    mill.produce(SHIRT)
    mill.ok("ingest", "--once")
    mill.ok("-c", "stream.app=other", "-c", "lake.url=file:data/other", "ingest", "--once")
    other = deltalake.DeltaTable(mill.home / "data/other/bronze/events")
    assert other.to_pyarrow_table().num_rows == len(mill.rows("bronze.events")) == 1


# ---- other readers ----

def test_deltalake_reads_the_same_rows_as_clickmill_sql(mill):
    mill.ok("produce", "--events", "2000", "--seed", "7", "--duplicates", "0.1", "--late", "0.1", "--bad", "0.1")
    mill.steps()
    for name in TABLES:
        theirs = mill.rows(name)
        assert len(theirs) > 0
        columns = list(theirs[0])
        ours = mill.sql("SELECT " + ", ".join(spelled(c) for c in columns) + f" FROM {name}")
        assert as_set(theirs, columns) == as_set(ours, columns), name


def spelled(column):
    """In SQL, so that both sides give the same text."""
    if column in ("received_at", "event_time"):
        return f"epoch_us({column}) AS {column}"
    return f"hex({column}) AS {column}" if column == "raw" else column


def as_set(rows, columns):
    def plain(value):
        if isinstance(value, datetime.datetime):
            value = (value - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(microseconds=1)
        if isinstance(value, bytes):
            return value.hex().upper()
        if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool):
            return str(decimal.Decimal(str(value)).normalize())
        return str(value).lower() if isinstance(value, bool) else value if value is None else str(value)
    made = {tuple(plain(r[c]) for c in columns) for r in rows}
    assert len(made) == len(rows), "every row is another one"
    return made


# ---- records: accepted or rejected, and why ----

def shirt(**changes):
    return json.dumps({**SHIRT, **changes}).encode()


def without(name, **more):
    return json.dumps({k: v for k, v in {**SHIRT, **more}.items() if k != name}).encode()


def nested(levels):
    return b'{"product_id":1,"category":"a","price":1,"event_ts":%d,"x":%s}' % (NOON, b"[" * (levels - 1) + b"]" * (levels - 1))


def padded(size):
    return shirt().ljust(size)


REJECTED = [
    (padded(2**20 + 1), "too_large"), (nested(129), "too_large"), (shirt(user_id="u" * 257), "too_large"),
    (shirt(page_url="p" * 4097), "too_large"), (shirt(category="c" * 257), "too_large"),
    (b'{"category":"\xff"}', "invalid_utf8"),
    (b"nonsense", "invalid_json"), (shirt() + b"}", "invalid_json"), (b"\xef\xbb\xbf" + shirt(), "invalid_json"),
    (b'{"category":"\\ud800"}', "invalid_json"), (b'{"price":NaN}', "invalid_json"),
    (b"[]", "not_an_object"), (b"1", "not_an_object"), (b'"text"', "not_an_object"), (b"null", "not_an_object"),
    (without("event_ts"), "missing_field"), (without("product_id"), "missing_field"), (without("category"), "missing_field"),
    (without("price"), "missing_field"), (shirt(category="  "), "missing_field"), (shirt(price=None), "missing_field"),
    (shirt(event_ts="soon"), "wrong_type"), (shirt(event_ts=NOON + .5), "wrong_type"), (shirt(product_id=1.5), "wrong_type"),
    (shirt(price="007"), "wrong_type"), (shirt(price={}), "wrong_type"), (shirt(quantity=True), "wrong_type"),
    (shirt(category=[]), "wrong_type"), (shirt(user_id={}), "wrong_type"),
    (shirt(price=-0.01), "out_of_range"), (shirt(price=1e9 + 1), "out_of_range"), (shirt(quantity=-1), "out_of_range"),
    (shirt(quantity=1000001), "out_of_range"), (shirt(price=1e9, quantity=100000), "out_of_range"),
    (shirt(event_ts=946684799), "out_of_range"), (shirt(event_ts=int(time.time()) + 2 * DAY), "out_of_range"),
    (shirt(user_id="a\0b"), "out_of_range"),
]

ACCEPTED = [
    (padded(2**20), {}), (nested(128), {}), (shirt(user_id="u" * 256), {"user_id": "u" * 256}),
    (shirt(page_url="p" * 4096), {"page_url": "p" * 4096}),
    (shirt(product_id="42"), {"product_id": 42, "sku": None}), (shirt(product_id="007"), {"product_id": None, "sku": "007"}),
    (shirt(product_id=2**31), {"product_id": None, "sku": "2147483648"}), (shirt(product_id=1e0), {"product_id": 1}),
    (shirt(category=" a\t"), {"category": "a"}), (shirt(category=42), {"category": "42"}),
    (shirt(price="12.5"), {"price": 12.5}), (shirt(price=0), {"price": 0.0}), (shirt(price=1e9), {"price": 1e9}),
    (shirt(quantity=0), {"quantity": 0}), (shirt(quantity=1000000), {"quantity": 1000000}),
    (shirt(price=1e9, quantity=99999), {"quantity": 99999}),
    (shirt(event_ts=946684800), {"event_ts": 946684800}), (shirt(event_ts=int(time.time()) + DAY - 60), {}),
    (shirt(event_ts=NOON * 1000), {"event_ts": NOON * 1000}), (shirt(event_ts=str(NOON)), {"event_ts": NOON}),
    (shirt(user_id=42), {"user_id": "42"}), (shirt(user_id=None), {"user_id": None}), (shirt(user_id=" "), {"user_id": None}),
    (without("price", event_type="view"), {"price": None, "event_type": "view"}),
    (json.dumps({"event_ts": NOON, "event_type": "dance"}).encode(), {"event_type": "dance", "category": None}),
    (b'{"x": 1.50, "price":1,"product_id":1,"category":"a","event_ts":1771329600,"price":2, "y":null,"z":" "}',
     {"price": 2.0, "extra": '{"x":1.50,"z":" "}'}),
]


def test_rejected_records_keep_their_bytes_and_say_why(mill):
    records = [r for r, _ in REJECTED]
    mill.feed(*records)
    rows = sorted(mill.rows("bronze.events"), key=lambda r: r["source_offset"])
    assert [(r["source_offset"], r["reject_reason"]) for r in rows] == [(i, why) for i, (_, why) in enumerate(REJECTED)]
    assert [r["raw"] for r in rows] == records
    filled = {"source_topic", "source_partition", "source_offset", "source_index", "received_at", "ingest_date", "protocol",
              "reject_reason", "reject_detail", "raw"}
    for row in rows:
        assert {name for name, value in row.items() if value is not None} == filled
        assert row["protocol"] == "native" and row["reject_detail"].strip()
    assert mill.counts()["rejected"] == len(REJECTED)
    assert mill.rows("silver.events") == []
    mill.reconciled()


def test_accepted_records_at_the_edge_of_every_limit(mill):
    mill.produce(*[r for r, _ in ACCEPTED])
    mill.ok("ingest", "--once")
    rows = sorted(mill.rows("bronze.events"), key=lambda r: r["source_offset"])
    assert len(rows) == len(ACCEPTED)
    for row, (record, expected) in zip(rows, ACCEPTED):
        assert row["reject_reason"] is None, (record[:200], row["reject_detail"])
        assert {name: row[name] for name in expected} == expected
        assert row["raw"] is None and row["source_index"] == 0


def test_raw_is_kept_of_every_record_by_option(mill):
    mill.produce(SHIRT)
    mill.ok("-c", "ingest.keep_raw=true", "ingest", "--once")
    assert [r["raw"] for r in mill.rows("bronze.events")] == [json.dumps(SHIRT).encode()]


def test_the_event_key_is_the_hash_the_contract_spells_out(mill):
    mill.feed({**SHIRT, "user_id": "u1", "quantity": 1, "tag": "x"}, {**SHIRT, "event_id": "e-1"}, {**SHIRT, "product_id": "a", "quantity": 2})
    lines = ["product_id=1\ncategory=men's clothing\nprice=109.95\nevent_ts=%d\nuser_id=u1\nextra={\"tag\":\"x\"}\n",
             None, "sku=a\ncategory=men's clothing\nprice=109.95\nevent_ts=%d\nquantity=2\n"]
    keys = [r["event_key"] for r in sorted(mill.rows("bronze.events"), key=lambda r: r["source_offset"])]
    assert keys == [hashlib.sha256((text % (NOON * 10**6)).encode()).hexdigest()[:32] if text else "e-1" for text in lines]
    assert sorted(keys) == sorted(r["event_key"] for r in mill.rows("silver.events"))


# ---- each event once ----

REPEATS = [  # the first event, a later one, what the later one is
    (SHIRT, {}, "duplicate"),
    (SHIRT, {"event_ts": NOON * 1000}, "duplicate"),
    (SHIRT, {"event_ts": NOON * 10**9 + 999}, "duplicate"),
    (SHIRT, {"price": "109.950"}, "duplicate"),
    (SHIRT, {"product_id": "1", "quantity": 1}, "duplicate"),
    (SHIRT, {"user_id": "someone"}, "row"),
    (SHIRT, {"event_ts": NOON + DAY}, "row"),
    ({**SHIRT, "event_id": "e"}, {}, "duplicate"),
    ({**SHIRT, "event_id": "e"}, {"user_id": "other", "page_url": "/", "extra": 1, "order_id": 5, "currency": "EUR"}, "duplicate"),
    ({**SHIRT, "event_id": "e"}, {"price": 109.96}, "conflict"),
    ({**SHIRT, "event_id": "e"}, {"price": 109.95000001}, "conflict"),
    ({**SHIRT, "event_id": "e", "price": 0.00001}, {"price": 0.00002}, "conflict"),
    ({**SHIRT, "event_id": "e"}, {"category": "other"}, "conflict"),
    ({**SHIRT, "event_id": "e"}, {"product_id": 2}, "conflict"),
    ({**SHIRT, "event_id": "e", "product_id": 7}, {"product_id": "007"}, "conflict"),
    ({**SHIRT, "event_id": "e"}, {"quantity": 2}, "conflict"),
    ({**SHIRT, "event_id": "e"}, {"quantity": 1}, "duplicate"),
    ({**SHIRT, "event_id": "e"}, {"event_type": "purchase"}, "conflict"),
    ({**SHIRT, "event_id": "e"}, {"event_ts": NOON * 10**6 + 1}, "conflict"),
    ({**SHIRT, "event_id": "e"}, {"event_ts": NOON + 3 * DAY}, "conflict"),
    ({**SHIRT, "event_id": "e"}, {"event_ts": NOON - 300 * DAY}, "conflict"),
]


@pytest.mark.parametrize("commits", ["one commit", "two bronze commits", "two silver commits", "long before"])
def test_no_key_stands_in_silver_twice(mill, commits):
    """All pairs at once, each with an id of its own where it has one."""
    first, later, kinds = [], [], []
    for i, (event, change, kind) in enumerate(REPEATS):
        own = {"event_id": f"e{i}"} if "event_id" in event else {"session_id": f"s{i}"}
        first.append({**event, **own})
        later.append({**event, **own, **change})
        kinds.append(kind)
    mill.produce(*first)
    if commits != "one commit":
        mill.ok("ingest", "--once")
    if commits == "two silver commits":
        mill.ok("silver")
    if commits == "long before":
        mill.steps()
        mill.feed({**SHIRT, "event_id": "between", "event_ts": NOON + 5 * DAY})
    mill.produce(*later)
    mill.steps()

    counts = mill.counts()
    assert (counts["duplicates"], counts["conflicts"]) == (kinds.count("duplicate"), kinds.count("conflict"))
    rows = {r["source_offset"]: r for r in mill.rows("silver.events") if r["event_id"] != "between"}
    n, skip = len(REPEATS), commits == "long before"
    second_rows = {i for i, kind in enumerate(kinds) if kind == "row"}
    assert set(rows) == set(range(n)) | {n + skip + i for i in second_rows}, "the first of each key stays"
    assert len({r["event_key"] for r in rows.values()}) == len(rows)
    mill.reconciled()


def test_the_same_key_many_times_over_many_commits(mill):
    for commit in range(4):
        mill.feed(*[{**SHIRT, "event_id": f"e{i}", "event_ts": NOON + DAY * (commit + i)} for i in range(5)] * 2)
    assert len(mill.rows("silver.events")) == 5
    assert mill.counts() == {"lag": 0, "events": 40, "rejected": 0, "duplicates": 5, "conflicts": 30}
    mill.reconciled()


# ---- silver's values ----

MONEY = [  # event, silver's price, revenue
    ({}, "109.9500", "109.9500"),
    ({"quantity": 3}, "109.9500", "329.8500"),
    ({"event_type": "purchase", "quantity": 2}, "109.9500", "219.9000"),
    ({"event_type": "refund", "quantity": 2}, "109.9500", "-219.9000"),
    ({"event_type": "view", "quantity": 2}, "109.9500", "0.0000"),
    ({"event_type": "Purchase"}, "109.9500", "0.0000"),
    ({"event_type": "purchase", "price": None}, None, "0.0000"),
    ({"price": 0.00005}, "0.0001", "0.0001"),
    ({"price": 0.00004999}, "0.0000", "0.0000"),
    ({"price": 1.00005, "quantity": 3}, "1.0001", "3.0003"),
    ({"price": 2.00015}, "2.0002", "2.0002"),
    ({"price": 0.1, "quantity": 3}, "0.1000", "0.3000"),
    ({"price": 1e9, "quantity": 99999}, "1000000000.0000", "99999000000000.0000"),
    ({"quantity": 0}, "109.9500", "0.0000"),
]


def test_price_and_revenue(mill):
    mill.feed(*[{**SHIRT, **change, "event_id": str(i)} for i, (change, _, _) in enumerate(MONEY)])
    rows = sorted(mill.rows("silver.events"), key=lambda r: int(r["event_id"]))
    text = [(None if r["price"] is None else str(r["price"]), str(r["revenue"])) for r in rows]
    assert text == [(price, revenue) for _, price, revenue in MONEY]


def test_silver_is_typed_and_clean(mill):
    agents = {"Mozilla/5.0 (X11) Firefox/130.0": False, "Mozilla/5.0 (compatible; Googlebot/2.1)": True, "CURL/8.1": True}
    full = {**SHIRT, "event_id": "e", "event_type": "purchase", "user_id": 42, "session_id": "s", "quantity": 2, "currency": "EUR",
            "order_id": "o", "page_url": "/p", "referrer": "/r"}
    mill.feed(full, {**SHIRT, "product_id": "sku-1"}, *[{**SHIRT, "user_agent": a} for a in agents])
    rows = sorted(mill.rows("silver.events"), key=lambda r: r["source_offset"])
    one = dict(rows[0])
    received = one.pop("received_at")
    assert abs(received.timestamp() - time.time()) < 60
    assert one == {"event_key": "e", "event_id": "e", "event_type": "purchase",
                   "event_time": datetime.datetime(2026, 2, 17, 12, tzinfo=UTC), "event_date": datetime.date(2026, 2, 17),
                   "product_id": "1", "category": "men's clothing", "price": decimal.Decimal("109.9500"), "quantity": 2,
                   "currency": "EUR", "revenue": decimal.Decimal("219.9000"), "user_id": "42", "session_id": "s", "order_id": "o",
                   "page_url": "/p", "referrer": "/r", "is_bot": False, "source_topic": "clickstream", "source_partition": 0,
                   "source_offset": 0, "source_index": 0}
    assert (rows[1]["product_id"], rows[1]["quantity"], rows[1]["event_type"], rows[1]["is_bot"]) == ("sku-1", 1, None, False)
    assert [r["is_bot"] for r in rows[2:]] == list(agents.values())


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
def test_days_are_utc_days_wherever_the_machine_stands(mill, zone):
    mill.env["TZ"] = zone
    midnight = NOON + DAY // 2
    for us in (-1, 0, 1, DAY * 10**6 - 1):
        mill.feed({**SHIRT, "event_ts": midnight * 10**6 + us})
    mill.feed({**SHIRT, "event_ts": 946684800})
    expected = {"2000-01-01": 1, "2026-02-17": 1, "2026-02-18": 3}
    assert {str(r["event_date"]): r["total_events"] for r in mill.rows("gold.clickstream_metrics")} == expected
    for row in mill.rows("silver.events"):
        assert row["event_time"].date() == row["event_date"]
    for row in mill.rows("bronze.events"):
        assert row["received_at"].date() == row["ingest_date"]
    mill.reconciled()


def test_sums_are_decimal_until_the_last(mill):
    events = [{**SHIRT, "price": 0.1, "event_ts": NOON + i} for i in range(10)]
    events += [{**SHIRT, "category": "big", "price": p, "event_ts": NOON + i} for i, p in enumerate([999999999.9999, 0.0001, 0.0002])]
    mill.feed(*events)
    assert {r["category"]: r["total_revenue"] for r in mill.rows("gold.clickstream_metrics")} == {
        "men's clothing": 1.0, "big": 1000000000.0002}


def test_gold_counts_only_events_with_a_category(mill):
    mill.feed(SHIRT, {"event_ts": NOON, "event_type": "search"}, {**SHIRT, "event_type": "view"})
    assert [(r["category"], r["total_events"], r["total_revenue"]) for r in mill.rows("gold.clickstream_metrics")] == [
        ("men's clothing", 2, 109.95)]


def test_the_whole_agrees_with_the_books(mill):
    """Shoppers with every kind of trouble, three partitions: counters, silver and gold as computed a second time."""
    mill.env["CLICKMILL_STREAM_PARTITIONS"] = "3"
    for seed in (1, 2, 3):
        mill.ok("produce", "--events", "1500", "--seed", seed, "--duplicates", "0.1", "--late", "0.1", "--bad", "0.1")
        mill.steps()
    kept = books.Books(books.stream_records(mill.home))
    assert mill.counts() == {"lag": 0, "events": kept.events, "rejected": kept.rejected, "duplicates": kept.duplicates,
                             "conflicts": kept.conflicts}
    assert {r["event_key"] for r in mill.rows("silver.events")} == set(kept.silver)
    assert {(r["category"], str(r["event_date"])): (r["total_events"], r["total_revenue"])
            for r in mill.rows("gold.clickstream_metrics")} == kept.gold()
    assert kept.rejected > 0 and kept.duplicates > 0


# ---- produce ----

def test_the_ledger_names_every_acknowledged_record(mill):
    events = [{**SHIRT, "event_id": "a"}, SHIRT, b"nonsense", {**SHIRT, "event_id": 5}]
    mill.ok("produce", "--from", "-", "--ledger", "ledger", input=ndjson(*events))
    lines = [json.loads(line) for line in (mill.home / "ledger").read_text().splitlines()]
    assert lines == [{"topic": "clickstream", "partition": 0, "offset": i, "event_id": id}
                     for i, id in enumerate(["a", None, None, "5"])]
    mill.ok("produce", "--from", "-", "--ledger", "ledger", input=ndjson({**SHIRT, "event_id": "b"}))
    assert [line["event_id"] for line in books.read_ledger(mill.home / "ledger")] == ["a", None, None, "5", "b"]


def test_a_file_is_published_line_by_line_as_it_is(mill):
    (mill.home / "events.ndjson").write_bytes(b' {"a":1} \r\n\n\nx\xff\n  \n{"no":"newline at the end"}')
    mill.ok("produce", "--from", "events.ndjson")
    records = books.stream_records(mill.home)
    assert [r.value for r in records][:2] == [b' {"a":1} \r', b"x\xff"]
    assert records[-1].value == b'{"no":"newline at the end"}'
    assert {r.key for r in records} == {None}


def test_plain_shoppers_send_just_the_four_fields(mill):
    mill.ok("produce", "--plain", "--events", "300", "--seed", "1")
    records = books.stream_records(mill.home)
    assert len(records) == 300
    for record in records:
        event = json.loads(record.value)
        assert list(event) == ["product_id", "category", "price", "event_ts"], event
        assert [type(v) for v in event.values()] in ([int, str, float, int], [int, str, int, int]), event


def test_shoppers_are_the_same_for_the_same_seed(mill):
    def shoppers(topic, seed):
        mill.ok("-c", f"stream.topic={topic}", "produce", "--events", "400", "--seed", seed, "--now", NOON, "--duplicates", "0.1",
                "--bad", "0.1", "--late", "0.1")
        return [(r.key, r.value) for r in books.stream_records(mill.home, topic)]
    assert shoppers("one", 5) == shoppers("two", 5) != shoppers("three", 6)


def test_shoppers_behave_like_shoppers(mill):
    mill.ok("produce", "--events", "3000", "--seed", "3")
    records = books.stream_records(mill.home)
    events = [json.loads(r.value) for r in records]
    kinds = {e["event_type"] for e in events}
    assert kinds >= {"view", "add_to_cart", "purchase"} and len(events) == 3000
    assert all(r.key == (e["user_id"].encode() if "user_id" in e else None) for r, e in zip(records, events))
    assert len({e["event_id"] for e in events}) == 3000
    mill.steps()
    assert mill.counts()["rejected"] == mill.counts()["duplicates"] == mill.counts()["conflicts"] == 0
