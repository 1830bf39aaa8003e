# SPDX-License-Identifier: Apache-2.0
"""Spark and Delta Lake on our tables: they read what we say is there, they write, and we go on behind them."""
import pytest

import books
from mill import TABLES
from sinks import Sqlite
from spark import Spark


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


def of_gold(mill):
    return {(str(r["event_date"]), r["category"]): (r["total_events"], round(r["total_revenue"], 4)) for r in mill.rows("gold.clickstream_metrics")}


def sums_of_silver(spark, mill):
    return {(d, c): (n, round(r, 4)) for d, c, n, r in spark.sql(f"""
        SELECT event_date, category, count(*), CAST(coalesce(sum(revenue), 0) AS DOUBLE) FROM {delta(mill, "silver.events")}
        WHERE category IS NOT NULL GROUP BY 1, 2""")}


@pytest.mark.parametrize("lake", ["file", "hdfs"], indirect=True)
def test_every_layer_is_read_row_by_row(mill, lake, spark):
    some_days(mill, 1)
    check_readers(mill, spark)
    some_days(mill, 2)  # appends, and days of gold replaced
    check_readers(mill, spark)
    for name in TABLES:
        mill.ok("table", "checkpoint", name)
    some_days(mill, 3)
    check_readers(mill, spark)


def test_spark_compacts_and_we_go_on(mill, spark):
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
    mill.steps()
    gold = of_gold(mill)
    assert gold == sums_of_silver(spark, mill) and any(category == "corrected" for _, category in gold)
    assert {(d, c) for c, d in Sqlite(mill.home).metrics()} == set(gold)
    spark.sql(f"DELETE FROM {silver} WHERE category = 'corrected'")
    mill.steps()
    assert of_gold(mill) == sums_of_silver(spark, mill) and not any(category == "corrected" for _, category in of_gold(mill))
    mill.fails(8, "reconcile", says="silver")  # rows are gone that bronze has: the proof says so
    check_readers(mill, spark)


def test_spark_appends_and_is_counted(mill, spark):
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
