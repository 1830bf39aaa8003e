# SPDX-License-Identifier: Apache-2.0
"""Spark and Delta Lake on our tables: they read what we say is there, they write, and we go on behind them."""
import shutil

import pytest

import books
from mill import TABLES
from sinks import Sqlite
from spark import FETCH_S, Spark
from test_upkeep import NOW, verify

pytestmark = pytest.mark.timeout(600 + FETCH_S)  # the first of them may have to fetch it


@pytest.fixture(scope="module")
def spark():
    spark = Spark()
    yield spark
    spark.end()


def plain(value):
    """A value of either reader as one text; Spark's are JSON's, deltalake's are Python's."""
    if hasattr(value, "tzinfo"):
        value = value.replace(tzinfo=None)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def in_order(rows):
    return sorted(rows, key=lambda row: [(v is None, str(v)) for v in row])


def delta(mill, name):
    """The table, as Spark names it."""
    return f"delta.`{mill.lake.delta_url}/{mill.lake.folder(name)}`"


def check_readers(mill, spark):
    """Spark, deltalake and we ourselves find the same rows in every layer."""
    for name in TABLES:
        ours, table = mill.rows(name), delta(mill, name)
        columns = list(ours[0])
        quoted = ", ".join(f"`{c}`" for c in columns)
        theirs = spark.sql(f"SELECT {quoted} FROM {table}")
        assert in_order([[plain(v) for v in row] for row in theirs]) == in_order([[plain(r[c]) for c in columns] for r in ours]), name
        assert mill.json("sql", f"SELECT count(*) AS n FROM {name}")[0]["n"] == len(ours)


def some_days(mill, seed):
    """A few dates only: each is a file in each layer, and Spark takes its time with them."""
    mill.ok("produce", "--events", 300, "--seed", seed, "--duplicates", "0.1", "--bad", "0.05", "--late", "0.01")
    mill.steps()


def check_books(mill):
    kept = books.Books(books.stream_records(mill.home))
    assert sorted(r["event_key"] for r in mill.rows("silver.events")) == sorted(kept.silver)
    assert Sqlite(mill.home).metrics() == kept.gold()
    mill.reconciled()


def keep_up(mill):
    """All of upkeep, and at once what it would do in a month: the early entries and the files of old are gone."""
    for name in TABLES:
        mill.ok("table", "optimize", name)
    mill.steps()
    for name in TABLES:
        mill.ok(*NOW, "table", "checkpoint", name)
        mill.ok("table", "vacuum", name, "--retention", "0", "--force")
        assert f"{0:020}.json" not in mill.lake.read_all(mill.lake.folder(name) + "/_delta_log")
        assert set(mill.lake.files(name)) == {f["path"] for f in mill.json("table", "files", name)}


def of_gold(mill):
    return {(str(r["event_date"]), r["category"]): (r["total_events"], round(r["total_revenue"], 4)) for r in mill.rows("gold.clickstream_metrics")}


def sums_of_silver(spark, mill):
    return {(d, c): (n, round(r, 4)) for d, c, n, r in spark.sql(f"""
        SELECT event_date, category, count(*), CAST(coalesce(sum(revenue), 0) AS DOUBLE) FROM {delta(mill, "silver.events")}
        WHERE category IS NOT NULL GROUP BY 1, 2""")}


@pytest.mark.parametrize("lake", ["file", "hdfs"], indirect=True)
def test_every_layer_is_read_row_by_row(mill, lake, spark):
    for seed in (1, 2):  # appends, and days of gold replaced
        some_days(mill, seed)
    check_readers(mill, spark)
    keep_up(mill)
    check_readers(mill, spark)
    some_days(mill, 3)
    check_readers(mill, spark)


@pytest.mark.parametrize("lake", ["file", "hdfs"], indirect=True)
def test_spark_compacts_and_we_go_on(mill, lake, spark):
    """What it only rearranged is not new to silver or gold."""
    for seed in range(3):
        some_days(mill, seed)
    versions = mill.versions()
    for name in TABLES:
        spark.sql(f"OPTIMIZE {delta(mill, name)}")
    compacted = mill.versions()
    assert all(compacted[name] > versions[name] for name in TABLES[:2]), "it found something to do"
    mill.steps()
    for name in TABLES:  # at most, how far they have looked
        assert not any(action in ("add", "remove") for entry in mill.log(name)[compacted[name] + 1:] for action, _ in entry)
    check_books(mill)
    some_days(mill, 3)
    check_books(mill)
    check_readers(mill, spark)


def test_spark_changes_rows_and_gold_follows(mill, spark):
    some_days(mill, 1)
    silver = delta(mill, "silver.events")
    spark.sql(f"""MERGE INTO {silver} t USING (SELECT DISTINCT product_id FROM {silver} ORDER BY 1 LIMIT 3) s ON t.product_id = s.product_id
        WHEN MATCHED THEN UPDATE SET category = 'corrected'""")
    removed = [action for name, action in mill.log("silver.events")[-1] if name == "remove"]
    assert removed and all("stats" in action for action in removed), "as we do not write them"
    mill.steps()
    gold = of_gold(mill)
    assert gold == sums_of_silver(spark, mill) and any(category == "corrected" for _, category in gold)
    assert {(d, c) for c, d in Sqlite(mill.home).metrics()} == set(gold)
    spark.sql(f"DELETE FROM {silver} WHERE category = 'corrected'")
    mill.steps()
    assert of_gold(mill) == sums_of_silver(spark, mill) and not any(category == "corrected" for _, category in of_gold(mill))
    mill.fails(8, "reconcile", says="silver")  # rows are gone that bronze has: the proof says so
    check_readers(mill, spark)


@pytest.mark.parametrize("lake", ["hdfs"], indirect=True)
def test_spark_appends_and_is_counted(mill, lake, spark):
    some_days(mill, 1)
    silver = delta(mill, "silver.events")
    before = len(mill.rows("silver.events"))
    spark.sql(f"INSERT INTO {silver} SELECT 'by-spark-' || event_key, * EXCEPT (event_key) FROM {silver} LIMIT 5")
    mill.steps()
    assert len(mill.rows("silver.events")) == before + 5
    assert of_gold(mill) == sums_of_silver(spark, mill)
    some_days(mill, 2)
    assert of_gold(mill) == sums_of_silver(spark, mill)
    check_readers(mill, spark)


def test_a_checkpoint_of_spark_is_read(mill, spark):
    some_days(mill, 1)
    for name in TABLES:
        table, log = delta(mill, name), mill.table_path(name) / "_delta_log"
        spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.checkpointInterval' = '1')")
        made = sorted(log.glob("*.checkpoint*.parquet"))
        assert made, name
    check_readers(mill, spark)
    some_days(mill, 2)
    check_books(mill)
    check_readers(mill, spark)


def test_statistics_of_spark_are_believed_as_they_are_meant(mill, spark):
    """NaN as a text, and texts cut short: no row is lost by them, and verify finds them true."""
    some_days(mill, 1)
    gold, long = delta(mill, "gold.clickstream_metrics"), "ż" * 60
    for day in (1, 2):
        spark.sql(f"INSERT INTO {gold} VALUES ('{long}', 1, double('NaN'), date'2026-01-01'), ('a', {day}, 2.5D, date'2026-01-01')")
    spark.sql(f"OPTIMIZE {gold} WHERE event_date = '2026-01-01'")
    added = [action for name, action in mill.log("gold.clickstream_metrics")[-1] if name == "add"]
    assert len(added) == 1 and '"total_revenue":"NaN"' in added[0]["stats"] and long not in added[0]["stats"]
    assert verify(mill, "gold.clickstream_metrics", "--deep") == {}
    query = "SELECT total_events FROM gold.clickstream_metrics WHERE event_date = DATE '2026-01-01' AND "
    for where, found in ((f"category = '{long}'", [1, 1]), ("isnan(total_revenue)", [1, 1]), ("total_revenue = 2.5", [1, 2])):
        assert [r["total_events"] for r in mill.sql(query + where + " ORDER BY 1")] == found, where
    mill.ok("table", "optimize", "gold.clickstream_metrics")
    mill.ok(*NOW, "table", "checkpoint", "gold.clickstream_metrics")
    assert verify(mill, "gold.clickstream_metrics", "--deep") == {}


def test_spark_deletes_files_and_we_go_on(mill, spark):
    """VACUUM after OPTIMIZE: two entries with nothing in them for us, and files that are gone for everybody."""
    for seed in range(2):
        some_days(mill, seed)
    spark.sql("SET spark.databricks.delta.retentionDurationCheck.enabled = false")
    for name in TABLES:
        spark.sql(f"OPTIMIZE {delta(mill, name)}")
        before = len(mill.data_files(name))
        spark.sql(f"VACUUM {delta(mill, name)} RETAIN 0 HOURS")
        assert len(mill.data_files(name)) == len(mill.json("table", "files", name)) < before
        start, end = mill.log(name)[-2:]
        assert [list(dict(entry)) for entry in (start, end)] == [["commitInfo"], ["commitInfo"]]
        assert not all(isinstance(v, str) for v in dict(start)["commitInfo"]["operationParameters"].values())
        assert verify(mill, name, "--deep") == {}
    some_days(mill, 2)
    check_books(mill)


# What delta-rs does not write, or not so: see test_other_writers.py for the rest. The words, and whether it can still be read.
UPGRADES = {
    "('delta.enableDeletionVectors' = 'true')": (["deletionVectors"], False),
    "('delta.columnMapping.mode' = 'name')": (["column mapping", "delta.columnMapping.mode=name"], False),
    "('delta.checkpointPolicy' = 'v2')": (["v2Checkpoint"], False),
    "('delta.enableInCommitTimestamps' = 'true')": (["inCommitTimestamp"], True),
}


def test_what_spark_upgrades_is_refused(mill, spark):
    some_days(mill, 1)
    mill.ok("produce", "--events", 1)
    mill.ok("ingest", "--once")
    for i, (properties, (says, readable)) in enumerate(UPGRADES.items()):
        copy = mill.home / f"upgraded-{i}"
        shutil.copytree(mill.lake.path, copy)
        spark.sql(f"ALTER TABLE delta.`{copy}/silver/events` SET TBLPROPERTIES {properties}")
        there = ("-c", f"lake.url=file:{copy}")
        mill.fails(5, *there, "silver", says=["silver/events", *says])
        if readable:
            assert mill.json(*there, "sql", "SELECT count(*) > 0 AS some FROM silver.events") == [{"some": True}]
        else:
            mill.fails(5, *there, "sql", "FROM silver.events", says=["silver/events", *says])
