# SPDX-License-Identifier: Apache-2.0
"""The whole way: events in, metrics out, with every kind of lake and both databases; and again, and again."""
import collections
import decimal
import json
import random

from mill import ndjson
from sinks import Sqlite

PRODUCTS = {1: ("men's clothing", "109.95"), 2: ("men's clothing", "22.3"), 5: ("jewelery", "695"),
            9: ("electronics", "64"), 14: ("electronics", "999.99"), 18: ("women's clothing", "9.85")}
MIDNIGHT = 1771286400  # 2026-02-17T00:00:00Z
CONTRACT = {"clickstream_metrics", "clickmill_loads"}
MODELS = {"funnel_daily", "late_daily", "products_daily", "traffic_daily"}
DAYS = {0: "2026-02-17", 1: "2026-02-18", 2: "2026-02-19"}


def sales(seed, n, hour=0):
    """Plain events of three days, all different, as lines of NDJSON."""
    draw = random.Random(seed)
    lines = []
    for i in range(n):
        product = draw.choice(list(PRODUCTS))
        category, price = PRODUCTS[product]
        second = MIDNIGHT + 86400 * (i % len(DAYS)) + 3600 * hour + 10 * i + draw.randrange(10)
        lines.append(b'{"product_id":%d,"category":"%s","price":%s,"event_ts":%d}'
                     % (product, category.encode(), price.encode(), second))
    return lines


def metrics_of(lines):
    """What the database must show: counted and added up from the lines themselves."""
    sums = collections.defaultdict(lambda: [0, decimal.Decimal(0)])
    for line in lines:
        event = json.loads(line, parse_float=decimal.Decimal, parse_int=decimal.Decimal)
        row = sums[event["category"], DAYS[int(event["event_ts"] - MIDNIGHT) // 86400]]
        row[0] += 1
        row[1] += event["price"]
    return {key: (n, float(total)) for key, (n, total) in sums.items()}


def test_from_the_first_event_to_the_metrics(mill, lake, sink):
    morning = sales(seed=1, n=500)
    mill.ok("produce", "--from", "-", input=ndjson(*morning))
    mill.ok("ingest", "--once")
    mill.ok("silver")
    mill.ok("gold")
    mill.ok("load")

    assert sink.metrics() == metrics_of(morning)
    assert mill.counts() == {"lag": 0, "events": 500, "rejected": 0, "duplicates": 0, "conflicts": 0}
    mill.reconciled()
    asked = mill.sql("SELECT category, event_date, total_events, total_revenue FROM gold.clickstream_metrics")
    assert {(r["category"], r["event_date"]): (r["total_events"], r["total_revenue"]) for r in asked} == metrics_of(morning)

    # In the evening more comes, some of it for days that were already counted, and some of it again.
    evening = sales(seed=2, n=200, hour=18)
    mill.ok("produce", "--from", "-", input=ndjson(*evening, *morning[:20]))
    mill.ok("ingest", "--once")
    mill.ok("run")

    assert sink.metrics() == metrics_of(morning + evening)
    assert mill.counts() == {"lag": 0, "events": 720, "rejected": 0, "duplicates": 20, "conflicts": 0}
    mill.reconciled()


def test_repeating_anything_changes_nothing(mill, lake, sink):
    mill.feed(*sales(seed=3, n=300))
    versions, rows = mill.versions(), sink.everything()
    files = {name: lake.files(name) for name in versions}

    for _ in range(2):
        assert mill.json("ingest", "--once")["commits"] == 0
        assert mill.json("silver")["commits"] == 0
        assert mill.json("gold")["commits"] == 0
        assert mill.json("load")["loads"] == 0
        mill.ok("run")
        mill.ok("status")
        mill.reconciled()

    assert mill.versions() == versions
    assert sink.everything() == rows, "rows, watermark, and the places where the database keeps them"
    assert {name: lake.files(name) for name in versions} == files


def test_only_changed_days_are_touched(mill, lake, sink):
    day1 = {"product_id": 1, "category": "a", "price": 1, "event_ts": MIDNIGHT}
    day2 = {"product_id": 1, "category": "a", "price": 2, "event_ts": MIDNIGHT + 86400}
    mill.feed(day1, day2)
    places = {row[-1]: row for row in sink.query(sink.PLACES)}
    mill.feed({**day2, "price": 3})
    done = mill.json("gold")
    assert done.pop("ms") >= 0 and done == {"commits": 0, "dates": 0, "rows": 0, "failed": 0}
    assert sink.metrics() == {("a", DAYS[0]): (1, 1.0), ("a", DAYS[1]): (2, 5.0)}
    after = {row[-1]: row for row in sink.query(sink.PLACES)}
    [untouched] = set(places.values()) & set(after.values())
    assert str(untouched[-1]) == DAYS[0]
    metrics = dict(mill.log("gold.clickstream_metrics")[-1])["commitInfo"]["operationMetrics"]
    assert metrics == {"dates": "1", "rows": "1"}


def test_a_day_that_is_loaded_again_is_not_written_again(mill, sink):
    """A run that makes a day anew with the same rows leaves the rows in the database alone."""
    day1 = {"product_id": 1, "category": "a", "price": 1, "event_ts": MIDNIGHT}
    mill.feed(day1, {**day1, "category": "b"})
    before = sink.query(sink.PLACES)
    mill.produce({**day1, "event_type": "search", "category": None})  # without a category: for no metric
    mill.ok("ingest", "--once")
    mill.ok("silver")
    assert mill.json("gold")["dates"] == 1
    load = mill.json("load")
    # It changes what late_daily, products_daily and traffic_daily say of the day, and nothing else.
    assert (load["loads"], load["upserted"], load["unchanged"], load["deleted"]) == (5, 3, 4, 0)
    assert sink.query(sink.PLACES) == before


def test_the_database_tables_are_those_of_the_contract_in_sqlite(mill):
    sink = Sqlite(mill.home)
    mill.feed(*sales(seed=4, n=10))
    tables = sink.tables()
    assert set(tables) == CONTRACT | MODELS
    assert {name: tables[name] for name in CONTRACT} == {
        "clickstream_metrics": [("category", "TEXT", 1), ("total_events", "INT", 0),
                                ("total_revenue", "DOUBLE PRECISION", 0), ("event_date", "DATE", 2)],
        "clickmill_loads": [("table_name", "TEXT", 1), ("gold_table_id", "TEXT", 0), ("gold_version", "BIGINT", 0),
                            ("loaded_at", "TIMESTAMPTZ", 0)],
    }
    [(sql,)] = sink.query("SELECT sql FROM sqlite_master WHERE name = 'clickstream_metrics'")
    assert "".join(sql.split()) == "".join("""CREATE TABLE clickstream_metrics (category TEXT, total_events INT,
        total_revenue DOUBLE PRECISION, event_date DATE, PRIMARY KEY (category, event_date))""".split())
    assert all(len(day) == 10 and day[4] == day[7] == "-" for (_, day) in sink.metrics())
    marks = {name: mark for name, *mark in sink.watermark()}
    assert set(marks) == MODELS | {"clickstream_metrics"}
    table_id, version, loaded_at = marks["clickstream_metrics"]
    assert version == 0
    assert table_id == dict(mill.log("gold.clickstream_metrics")[0])["metaData"]["id"]
    assert loaded_at.endswith("Z") and loaded_at[10] == "T"


def test_the_database_tables_are_those_of_the_contract_in_postgresql(mill, postgres):
    mill.env["CLICKMILL_SINK_URL"] = postgres.url
    mill.feed(*sales(seed=4, n=10))
    tables = postgres.tables()
    assert set(tables) == CONTRACT | MODELS
    assert {name: tables[name] for name in CONTRACT} == {
        "clickstream_metrics": [("category", "text", 1), ("total_events", "integer", 0),
                                ("total_revenue", "double precision", 0), ("event_date", "date", 2)],
        "clickmill_loads": [("table_name", "text", 1), ("gold_table_id", "text", 0), ("gold_version", "bigint", 0),
                            ("loaded_at", "timestamp with time zone", 0)],
    }
    required = postgres.query("""SELECT column_name FROM information_schema.columns
        WHERE table_name = 'clickmill_loads' AND is_nullable = 'NO' ORDER BY ordinal_position""")
    assert [c for c, in required] == ["table_name", "gold_table_id", "gold_version", "loaded_at"]
    assert postgres.query("SELECT DISTINCT now() - loaded_at < interval '1 minute' FROM clickmill_loads") == [(True,)]
