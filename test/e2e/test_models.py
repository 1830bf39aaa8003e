# SPDX-License-Identifier: Apache-2.0
"""The gold models as a user meets them: five built in, his own beside them, wrong ones; in both databases.

(What the built-in ones compute, over events odd in every way, is test_models_oracle.py.)
"""
import datetime
import decimal
import json
import random

import pytest

import oracle_models as oracle

NOON, DAY = 1771329600, 86400  # 2026-02-17T12:00:00Z
SHIRT = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": NOON}
KEYS = {"clickstream_metrics": ["category", "event_date"], "funnel_daily": ["category", "event_date"],
        "late_daily": ["age", "event_date"], "products_daily": ["product_id", "event_date"], "traffic_daily": ["event_date"]}

HEADER = """-- Name:        {name}
-- Description: Of a test.
-- Inputs:      {inputs}
-- Partition:   event_date
-- Grain:       {grain}
"""
SALES = "SELECT coalesce(currency, 'none') AS currency, count(*) AS sales,\n" \
        "    CAST(sum(revenue) AS DECIMAL(18,4)) AS revenue, event_date\n" \
        "FROM silver_events GROUP BY ALL\n"


def put_model(mill, name, select, inputs="silver_events", grain="currency, event_date"):
    folder = mill.home / "models"
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.sql"
    file.write_text(HEADER.format(name=name, inputs=inputs, grain=grain) + select)
    return file


def micros(instant):
    return (instant - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)


def silver(mill):
    return [{**row, "event_time": micros(row["event_time"]), "received_at": micros(row["received_at"])}
            for row in mill.rows("silver.events")]


def in_sink(sink, name, columns):
    """The database's rows; SQLite keeps days as text and truths as 0 and 1."""
    def plain(column, value):
        return datetime.date.fromisoformat(value) if column == "event_date" and isinstance(value, str) else value
    rows = sink.query(f"SELECT {', '.join(columns)} FROM {name}")
    return oracle.as_set([{c: plain(c, v) for c, v in zip(columns, row)} for row in rows])


def check_all(mill, sink):
    """Every model's gold table and every table of the database are what silver's rows give."""
    for name, rows in oracle.gold(silver(mill)).items():
        assert oracle.as_set(mill.rows(f"gold.{name}")) == rows, name
        columns = sorted(dict(next(iter(rows))))
        assert in_sink(sink, name, columns) == rows, name
    mill.reconciled()


# ---- those built in -------------------------------------------------------------------------

def test_every_model_is_a_table_of_its_name(mill, sink):
    """Shoppers of several weeks in batches; then a robot, a late event and a refund correct what stands there."""
    for seed in 1, 2:
        mill.ok("produce", "--events", 1500, "--seed", seed, "--duplicates", 0.1, "--late", 0.2, "--bad", 0.05)
        mill.steps()
    check_all(mill, sink)
    before = dict(in_sink_one(sink, "traffic_daily"))
    robot = [{**SHIRT, "event_type": "view", "session_id": "r", "event_ts": NOON * 10**6 + i} for i in range(121)]
    late = {**SHIRT, "event_id": "late", "event_ts": NOON - 30 * DAY, "order_id": "o"}
    mill.feed(*robot, late, {**late, "event_id": "back", "event_type": "refund"})
    check_all(mill, sink)
    after = dict(in_sink_one(sink, "traffic_daily"))
    assert after["2026-02-17"][1] >= 121 and after["2026-01-18"][4] >= 1
    assert {day: after[day] for day in before if day not in ("2026-02-17", "2026-01-18")} == {
        day: row for day, row in before.items() if day not in ("2026-02-17", "2026-01-18")}
    for name, key in KEYS.items():
        assert {column for column, _, place in sink.tables()[name] if place} == set(key), name
    assert {row[0] for row in sink.watermark()} == set(KEYS)


def in_sink_one(sink, name):
    return [(str(row[-1]), row) for row in sink.query(f"SELECT * FROM {name}")]


def test_any_split_into_batches_gives_the_same_gold(mill):
    draw = random.Random(3)
    events = [{"event_id": str(i % 350), "event_ts": NOON - draw.randrange(4) * DAY - draw.randrange(600),
               "event_type": draw.choice([None, "view", "add_to_cart", "checkout", "purchase", "refund"]),
               "category": draw.choice(["a", "b'c", None]), "product_id": draw.choice([1, 2, "sku-1"]), "price": 0.1,
               "session_id": draw.choice(["s", "t", None]), "order_id": draw.choice(["o", None])} for i in range(400)]
    events = [{**ev, "product_id": 1, "category": "a"} if ev["event_type"] is None else ev for ev in events]
    made = []
    for n in 1, 2, 5:
        mill.common = ["-c", f"stream.topic=t{n}", "-c", f"lake.url=file:data/lake{n}", "-c", f"sink.url=sqlite:data/sink{n}.db"]
        for i in range(n):
            mill.feed(*events[len(events) * i // n:len(events) * (i + 1) // n])
        made.append({name: sorted(map(repr, mill.sql(f"SELECT * FROM gold.{name}"))) for name in KEYS if name != "late_daily"})
    assert made[0] == made[1] == made[2] and all(made[0].values())


def test_nothing_new_makes_no_commit_and_a_changed_day_replaces_that_day(mill):
    mill.feed(SHIRT, {**SHIRT, "event_ts": NOON - DAY})
    files = {name: mill.data_files(f"gold.{name}") for name in KEYS}
    mill.steps()
    assert {name: len(mill.log(f"gold.{name}")) for name in KEYS} == dict.fromkeys(KEYS, 1)
    mill.feed({**SHIRT, "price": 2})
    for name in KEYS:
        _, second = mill.log(f"gold.{name}")
        assert ["2026-02-17" in action["path"] for kind, action in second if kind == "remove"] == [True], name
        kept = [f for f in files[name] if "2026-02-16" in str(f)]
        assert kept and all(f.exists() for f in kept)


# ---- the user's own -------------------------------------------------------------------------

def test_a_file_in_the_folder_is_a_table_everywhere(mill, sink):
    put_model(mill, "sales_by_currency", SALES)
    mill.feed(SHIRT, {**SHIRT, "currency": "EUR", "price": 0.1}, {**SHIRT, "currency": "EUR", "price": 0.2})
    expected = {("none", 1, decimal.Decimal("109.9500")), ("EUR", 2, decimal.Decimal("0.3000"))}
    assert {(r["currency"], r["sales"], r["revenue"]) for r in mill.rows("gold.sales_by_currency")} == expected
    assert {(c, n, decimal.Decimal(str(r)).quantize(decimal.Decimal("0.0001")))
            for c, n, r in sink.query("SELECT currency, sales, revenue FROM sales_by_currency")} == expected
    assert len(mill.sql("SELECT * FROM gold.sales_by_currency")) == 2
    assert any(l["table"] == "gold.sales_by_currency" and l["sink_is_current"] for l in mill.json("status")["layers"])
    assert any(t["table"] == "gold.sales_by_currency" and t["rows"] == 2 for t in mill.json("table", "list"))
    assert "6 can be made" in mill.ok("doctor")
    mill.ok("table", "verify", "--deep", "gold.sales_by_currency")
    mill.feed({**SHIRT, "currency": "EUR", "event_ts": NOON + DAY})
    assert len(mill.rows("gold.sales_by_currency")) == 3
    mill.reconciled()


def test_people_and_bots_can_be_read(mill):
    put_model(mill, "robots", "SELECT count(*) AS n, event_date FROM bots GROUP BY ALL\n", "bots", "event_date")
    put_model(mill, "visits", "SELECT count(*) AS n, event_date FROM people GROUP BY ALL\n", "people", "event_date")
    mill.feed(SHIRT, *[{**SHIRT, "session_id": "r", "event_ts": NOON * 10**6 + i} for i in range(121)])
    day = datetime.date(2026, 2, 17)
    assert [(r["n"], r["event_date"]) for r in mill.rows("gold.robots")] == [(1, day)]
    assert [(r["n"], r["event_date"]) for r in mill.rows("gold.visits")] == [(1, day)]


def test_every_type_reaches_the_database(mill, sink):
    put_model(mill, "types", """SELECT category, event_date, CAST(-7 AS INT) AS an_int, CAST(9007199254740993 AS BIGINT) AS a_bigint,
    CAST(0.1 AS DOUBLE) AS a_double, CAST(12.5 AS DECIMAL(18,4)) AS money, max(event_time) AS happened, bool_or(is_bot) AS a_truth,
    max(to_date(event_time)) AS a_day, CAST(NULL AS STRING) AS unknown FROM silver_events GROUP BY ALL
""", grain="category, event_date")
    mill.feed(SHIRT)
    row, = mill.rows("gold.types")
    assert (row["an_int"], row["a_bigint"], row["a_double"], row["money"], row["a_truth"], row["unknown"]) == (
        -7, 9007199254740993, 0.1, decimal.Decimal("12.5000"), False, None)
    stored, = sink.query("SELECT an_int, a_bigint, a_double, money, a_truth, unknown FROM types")
    assert (*stored[:3], float(stored[3]), bool(stored[4]), stored[5]) == (-7, 9007199254740993, 0.1, 12.5, False, None)
    mill.reconciled()


def test_a_changed_model_is_made_anew_for_all_days(mill):
    put_model(mill, "mine", SALES)
    mill.feed(SHIRT)
    mill.feed({**SHIRT, "event_ts": NOON - 5 * DAY})
    put_model(mill, "mine", "-- another note\n" + SALES)
    assert mill.json("gold")["commits"] == 0
    put_model(mill, "mine", SALES.replace("count(*)", "10 * count(*)"))
    assert mill.json("gold")["commits"] == 1
    assert [r["sales"] for r in mill.rows("gold.mine")] == [10, 10]
    mill.ok("load")
    mill.reconciled()


def test_a_model_with_other_columns(mill, sink):
    """Gold follows; a table of the database is the user's, and he is told how to alter it. The rest goes on."""
    put_model(mill, "mine", SALES)
    mill.feed(SHIRT)
    put_model(mill, "mine", SALES.replace("count(*) AS sales", "count(*) AS sales, max(price) AS dearest"))
    mill.produce({**SHIRT, "price": 2})
    mill.ok("ingest", "--once")
    mill.fails(7, "run", says=["mine", "dearest"])
    assert [(r["sales"], r["dearest"]) for r in mill.rows("gold.mine")] == [(2, decimal.Decimal("109.9500"))]
    assert [n for n, _ in sink.metrics().values()] == [2]
    sink.query("DROP TABLE mine")
    mill.ok("run")
    assert [n for n, in sink.query("SELECT sales FROM mine")] == [2]
    mill.reconciled()


def test_a_model_that_is_removed_leaves_its_tables(mill, sink):
    file = put_model(mill, "mine", SALES)
    mill.feed(SHIRT)
    file.unlink()
    mill.feed({**SHIRT, "price": 2})
    assert "gold.mine has no model any more" in mill.ok("status")
    assert [r["sales"] for r in mill.rows("gold.mine")] == [1] and sink.query("SELECT sales FROM mine") == [(1,)]
    assert mill.sql("SELECT sales FROM gold.mine") == [{"sales": 1}]
    mill.reconciled()
    put_model(mill, "mine", SALES)
    mill.ok("run")
    assert sink.query("SELECT sales FROM mine") == [(2,)]


# ---- wrong ones -----------------------------------------------------------------------------

WRONG = [  # SELECT, what the message says, the hint
    ("SELECT currency,\n    no_such_column, event_date\nFROM silver_events GROUP BY ALL\n", ["mine.sql:7", "no_such_column"], None),
    ("SELECT currency, event_date FRM silver_events\n", ["mine.sql:6", "syntax error"], None),
    ("SELECT currency, event_date FROM gold.clickstream_metrics\n", ["mine.sql:6", "clickstream_metrics"], "Inputs"),
    ("SELECT currency, event_date FROM bots\n", ["mine.sql:6", "bots"], "Inputs"),
    ("SELECT 1 AS currency\n", ["mine.sql", "must give a DATE called event_date"], None),
    ("SELECT event_date FROM silver_events\n", ["mine.sql", "currency, which is no column"], None),
    ("SELECT currency, event_date, [1] AS list FROM silver_events\n", ["mine.sql", "list has the type"], "CAST"),
    ("SELECT currency, event_date, 1 AS \"order\" FROM silver_events\n", ["mine.sql", "'order'", "word of SQL"], "AS total_events"),
    ("SELECT DISTINCT currency, event_date FROM silver_events\n", ["mine.sql", "no value in a column of the grain"], "coalesce"),
    ("SELECT 'x' AS currency, event_date FROM silver_events\n", ["mine.sql", "does not tell rows apart"], "GROUP BY"),
    ("SELECT 'x' AS currency, CAST('2001-01-01' AS DATE) AS event_date\n", ["mine.sql", "2001-01-01", "were not asked for"], "event_date"),
    ("SELECT 'x' AS currency, CAST('inf' AS DOUBLE) AS n, event_date FROM silver_events GROUP BY ALL\n", ["mine.sql", "infinite"],
     "division"),
    ("SELECT 'x' AS currency, CAST(category AS INT) AS n, event_date FROM silver_events\n", ["mine.sql", "men's clothing"], None),
    ("DELETE FROM silver_events\n", ["mine.sql", "delete"], None),
    ("CREATE TABLE x AS SELECT 1\n", ["mine.sql", "more than read"], "SELECT"),
    ("SELECT 'x' AS currency, event_date FROM silver_events; DROP TABLE x\n", ["mine.sql", "2 statements"], None),
    ("SELECT column0 AS currency, CAST('2026-02-17' AS DATE) AS event_date FROM read_csv('/etc/hostname')\n", ["mine.sql"], None),
    ("SELECT content AS currency, CAST('2026-02-17' AS DATE) AS event_date FROM read_text('clickmill.ini')\n", ["mine.sql"], None),
    ("SELECT getenv('HOME') AS currency, event_date FROM silver_events GROUP BY ALL\n", ["mine.sql"], None),
]


@pytest.mark.parametrize("select, says, hint", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_a_wrong_model_is_named_and_stops_nothing_else(mill, select, says, hint):
    put_model(mill, "mine", SALES)
    mill.feed(SHIRT)
    put_model(mill, "mine", select)
    put_model(mill, "zz_good", SALES)
    mill.produce({**SHIRT, "price": 2}, {**SHIRT, "event_ts": NOON + DAY})
    mill.ok("ingest", "--once")
    mill.fails(6, "run", says=says, hint=hint)
    layers = {l["table"]: l for l in mill.json("status")["layers"]}
    for name in (*KEYS, "zz_good"):
        assert layers[f"gold.{name}"]["behind"] == 0 and layers[f"gold.{name}"]["sink_is_current"], name
    assert layers["gold.mine"]["version"] == 0 and layers["gold.mine"]["behind"] == 1
    assert [r["sales"] for r in mill.rows("gold.mine")] == [1]
    mill.fails(6, "gold", says=says)
    put_model(mill, "mine", SALES)
    mill.ok("run")
    assert sum(r["sales"] for r in mill.rows("gold.mine")) == 3
    mill.reconciled()


def test_one_model_alone(mill):
    put_model(mill, "mine", SALES)
    mill.produce(SHIRT)
    mill.fails(2, "gold", "--model", "mina", says='no model "mina"', hint="traffic_daily, mine")  # also while there is no silver
    mill.ok("ingest", "--once")
    mill.ok("silver")
    made = mill.json("gold", "--model", "mine")
    assert (made["commits"], made["rows"], made["failed"]) == (1, 1, 0)
    assert [l["table"] for l in mill.json("status")["layers"] if l["version"] >= 0] == ["bronze.events", "silver.events", "gold.mine"]
    put_model(mill, "wrong", "SELECT nothing\n")
    assert mill.json("gold", "--model", "traffic_daily")["commits"] == 1
    mill.fails(6, "gold", "--model", "wrong", says="models/wrong.sql")
    (mill.home / "models/wrong.sql").unlink()
    assert mill.json("gold")["commits"] == 4  # those that are left
    mill.steps()
    mill.reconciled()


def test_files_that_are_no_models_are_shown(mill):
    mill.feed(SHIRT)
    put_model(mill, "funnel_daily", SALES)
    put_model(mill, "Odd Name", SALES)
    (mill.home / "models/no_header.sql").write_text("SELECT 1\n")
    (mill.home / "models/bytes.sql").write_bytes(b"-- Name: bytes\n\xff\n")
    (mill.home / "models/folder.sql").mkdir()
    (mill.home / "models/README.txt").write_text("no model")
    wrong = ["models/no_header.sql:1: the header does not say its Name", "models/bytes.sql:2: this is no UTF-8",
             "models/folder.sql is not a file", "no model can be called 'funnel_daily': it is built in",
             "no model can be called 'Odd Name'"]
    mill.fails(6, "run", says=wrong)
    status, doctor = mill.ok("status"), mill("doctor")
    assert doctor.code == 6
    for text in wrong:
        assert f"WRONG model: {text}" in status.replace("WRONG model: models/funnel_daily.sql: ", "WRONG model: ").replace(
            "WRONG model: models/Odd Name.sql: ", "WRONG model: ")
        assert text in doctor.out and "WRONG models" in doctor.out
    assert len(mill.json("status")["refused_models"]) == 2
    for file in (mill.home / "models").glob("*.sql"):
        file.rmdir() if file.is_dir() else file.unlink()
    mill.ok("run")
    assert "5 can be made" in mill.ok("doctor") and "WRONG" not in mill.ok("status")


def test_a_folder_that_cannot_be_read_is_an_error(mill):
    mill.fails(3, "-c", "models.dir=elsewhere", "run", says=["models.dir", "elsewhere"], hint="make it")
    doctor = mill("-c", "models.dir=elsewhere", "doctor", "--json")
    assert doctor.code == 3
    assert {line["part"] for line in json.loads(doctor.out) if line["state"] == "WRONG"} == {"models"}
    (mill.home / "elsewhere").write_text("a file")
    mill.fails(3, "-c", "models.dir=elsewhere", "status", says=["models.dir", "elsewhere"])


# ---- what reconcile sees --------------------------------------------------------------------

def test_reconcile_names_the_row_that_was_edited(mill, sink):
    mill.feed(SHIRT, {**SHIRT, "event_type": "view"})
    mill.reconciled()
    sink.query("UPDATE funnel_daily SET views = views + 1")
    done = mill("reconcile")
    assert done.code == 8 and "funnel_daily" in done.out and "gold has views 1" in done.out and "the sink has views 2" in done.out
    sink.query("UPDATE funnel_daily SET views = views - 1")
    mill.reconciled()
    sink.query("DELETE FROM traffic_daily")
    done = mill("reconcile")
    assert done.code == 8 and "traffic_daily" in done.out and "the sink has no row" in done.out


@pytest.mark.parametrize("change, grain", [(("AS sales", "AS sold"), "currency, event_date"),
                                           (("AS sales", "AS sales, product_id"), "currency, product_id, event_date"),
                                           (("coalesce(currency, 'none') AS currency, ", ""), "event_date")],
                         ids=["column", "more grain", "less grain"])
def test_a_changed_model_is_pending_until_gold_has_made_it(mill, sink, change, grain):
    put_model(mill, "mine", SALES)
    mill.feed(SHIRT, {**SHIRT, "currency": "EUR", "event_ts": NOON + DAY})
    mill.reconciled()
    put_model(mill, "mine", SALES.replace(*change), grain=grain)
    result = mill.json("reconcile")
    assert result["ok"] and result["pending_dates"] == 2
    names = {check["name"] for check in result["checks"]}
    assert "gold.funnel_daily" in names and not names & {"gold.mine", "sink.mine"}
    before = sink.query("SELECT * FROM mine ORDER BY event_date")
    assert mill.json("load")["loads"] == 0 and sink.query("SELECT * FROM mine ORDER BY event_date") == before
    sink.query("DROP TABLE mine")
    mill.ok("run")
    names = {check["name"] for check in mill.reconciled()["checks"]}
    assert names >= {"gold.mine", "sink.mine"}


def test_a_table_whose_new_model_is_wrong_is_not_loaded_with_its_grain(mill, sink):
    put_model(mill, "mine", SALES)
    mill.produce(SHIRT)
    for step in ("ingest", "--once"), ("silver",), ("gold",):
        mill.ok(*step)
    put_model(mill, "mine", SALES.replace("count(*)", "no_such"), grain="event_date")
    err = mill.fails(6, "run", says="no_such")
    assert "load:" not in err and "mine" not in sink.tables() and sink.metrics()
    put_model(mill, "mine", SALES)
    mill.ok("run")
    assert sink.query("SELECT sales FROM mine") == [(1,)]
    mill.reconciled()


def test_reconcile_names_a_model_that_needs_more_than_its_own_day(mill):
    """Made day by day it is another table than made in one go."""
    put_model(mill, "share", "SELECT count(*) * 100 // (SELECT count(*) FROM silver_events) AS percent, event_date\n"
              "FROM silver_events GROUP BY event_date\n", grain="event_date")
    mill.feed(SHIRT)
    mill.feed({**SHIRT, "event_ts": NOON + DAY})
    done = mill("reconcile")
    assert done.code == 8 and "share" in done.out and "differ from silver" in done.out
