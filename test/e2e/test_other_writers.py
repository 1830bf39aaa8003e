# SPDX-License-Identifier: Apache-2.0
"""What others do to our tables with delta-rs: columns that come and go, rules we cannot keep, commits without rows.

Real logs, each by the program that writes such. What it only adds is lived with; what would make us read rows wrongly or
break its promise is refused, in words that name it. Spark's part is in test_spark.py.
"""
import json
import shutil

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, TableFeatures, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.schema import Field, PrimitiveType

from mill import TABLES, wait_for
from test_bad_days import HAT, SHIRT, all_is_well, some_shoppers
from test_delta_readers import GOLD, GOLD_SQL, Lake
from test_upkeep import NOW, sorted_rows, verify

BRONZE, SILVER, METRICS = TABLES


def open_delta(mill, name):
    return DeltaTable(mill.table_path(name))


# ---- columns that come later ----

def test_two_versions_of_clickmill_write_one_table(mill):
    """The later one knows a column more. Old files have NULL there, whoever reads them; the earlier one goes on beside it."""
    before = Lake(mill.home / "data", GOLD, GOLD_SQL)
    later = before.later("margin", "double", GOLD_SQL.replace("AS total_revenue", "AS total_revenue, i * 0.5::DOUBLE AS margin"))
    before.commit(add=[("2026-11-21", 0, 3)])
    later.commit(add=[("2026-11-21", 3, 5)])
    before.commit(add=[("2026-11-22", 5, 6)])
    later.commit(add=[("2026-11-22", 6, 7)])
    margins = [None, None, None, 1.5, 2.0, None, 3.0]
    assert [v for v, entry in enumerate(mill.log(METRICS)) if "metaData" in dict(entry)] == [0, 1], "once, with the first rows"

    def check_margins(dt):
        assert [f.name for f in dt.schema().fields] == ["category", "total_events", "total_revenue", "event_date", "margin"]
        assert [r["margin"] for r in before.query(dt, "SELECT margin FROM t ORDER BY total_events")] == margins

    check_margins(before.read())
    # For the program of today the column is another's: read around, and not lost by a rewrite.
    assert mill.sql("SELECT count(*) AS n, sum(total_events) AS s FROM gold.clickstream_metrics") == [{"n": 7, "s": 21}]
    assert verify(mill, METRICS, "--deep") == {}
    mill.fails(5, "table", "optimize", METRICS, says=["gold/clickstream_metrics", "margin"], hint="added the column")
    mill.ok(*NOW, "table", "checkpoint", METRICS)
    check_margins(open_delta(mill, METRICS))
    assert open_delta(mill, METRICS).optimize.compact()["numFilesRemoved"] == 4
    margins.append(3.5)
    later.commit(add=[("2026-11-22", 7, 8)])
    check_margins(open_delta(mill, METRICS))
    assert verify(mill, METRICS, "--deep") == {}


def forget_columns(mill, name, *columns):
    """The table's files so far, as a clickmill made them that did not know these columns yet."""
    folder = mill.table_path(name)
    for entry in sorted((folder / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in entry.read_text().splitlines()]
        for add in (a["add"] for a in actions if "add" in a):
            path = folder / add["path"]
            duckdb.connect().execute(f"""SET TimeZone='UTC'; COPY (SELECT * EXCLUDE ({', '.join(columns)})
                FROM read_parquet('{path}', hive_partitioning=false)) TO '{path}.new' (FORMAT parquet)""")
            path.with_name(path.name + ".new").rename(path)
            stats = json.loads(add["stats"])
            for part in ("minValues", "maxValues", "nullCount"):
                stats[part] = {c: v for c, v in stats.get(part, {}).items() if c not in columns}
            add.update(size=path.stat().st_size, stats=json.dumps(stats))
        entry.write_text("".join(json.dumps(a) + "\n" for a in actions))


def test_files_from_before_a_column_go_through_all_layers(mill):
    """Silver reads such bronze, gold such silver; optimize joins them with newer ones."""
    def shoppers(seed):
        mill.produce({**SHIRT, "event_id": f"s-{seed}", "session_id": f"s-{seed}", "user_agent": "Googlebot/2.1", "extra_member": seed})

    for seed in range(2):
        shoppers(seed)
        mill.ok("ingest", "--once")
    forget_columns(mill, BRONZE, "session_id", "user_agent", "extra")
    shoppers(2)
    mill.steps()
    rows = {r["event_id"]: r for r in mill.rows(SILVER)}
    assert [(rows[f"s-{i}"]["session_id"], rows[f"s-{i}"]["is_bot"]) for i in range(3)] == [(None, False), (None, False), ("s-2", True)]
    forget_columns(mill, SILVER, "session_id", "is_bot", "currency")
    shoppers(3)
    all_is_well(mill)
    query = "SELECT event_id, session_id, is_bot, revenue FROM silver.events ORDER BY 1"
    found = mill.sql(query)
    assert [(r["event_id"], r["session_id"], r["is_bot"]) for r in found] == [("s-0", None, None), ("s-1", None, None), ("s-2", None, None),
                                                                             ("s-3", "s-3", True)]
    kept = {name: sorted_rows(mill, name) for name in TABLES}
    for name in TABLES:
        assert verify(mill, name, "--deep") == {}
        mill.ok("table", "optimize", name)
        mill.ok(*NOW, "table", "checkpoint", name)
        assert len(mill.json("table", "files", name)) == 1
        assert verify(mill, name, "--deep") == {}
        assert sorted_rows(mill, name) == kept[name], name
    assert mill.sql(query) == found
    shoppers(4)
    all_is_well(mill)


def test_a_column_of_others_is_lived_with(mill):
    """Added to every layer by another program: we read, append and replace; its values in files that stay do stay."""
    mill.feed(SHIRT)
    for name in TABLES:
        open_delta(mill, name).alter.add_columns([Field("note", PrimitiveType("string"), True)])
    silver = open_delta(mill, SILVER)
    theirs = silver.to_pyarrow_table().to_pylist()[0]
    theirs.update(event_key="theirs", note="by hand")
    write_deltalake(silver, pa.Table.from_pylist([theirs], schema=pa.schema(silver.schema().to_arrow())), mode="append")
    mill.feed(HAT)
    mill.ok("run")  # with its upkeep, which leaves these tables' files alone
    assert sorted((r["event_key"] == "theirs", r["note"]) for r in mill.rows(SILVER)) == [(False, None), (False, None), (True, "by hand")]
    assert {r["category"]: r["total_events"] for r in mill.rows(METRICS)} == {"men's clothing": 2, "hats": 1}
    assert mill.sql("SELECT count(*) AS n FROM silver.events") == [{"n": 3}]
    mill.fails(8, "reconcile", says="silver")  # a row that bronze has not
    for name in TABLES:
        assert verify(mill, name, "--deep") == {}
        mill.ok(*NOW, "table", "checkpoint", name)
        assert [f.name for f in open_delta(mill, name).schema().fields][-1] == "note"
    mill.fails(5, "table", "optimize", SILVER, says=["silver/events", "column note"], hint="added the column")


def add_column(mill, name, column):
    """False: others committed faster than it could try."""
    try:
        open_delta(mill, name).alter.add_columns([Field(column, PrimitiveType("string"), True)])
        return True
    except CommitFailedError:
        return False


def test_columns_come_while_all_is_at_work(mill):
    """A change of a table's definition refuses the commits that meet it: they are decided anew, and nothing is lost or doubled."""
    up = mill.start("-c", "up.every=50ms", "-c", "ingest.batch_age=20ms", "-c", "serve.listen=127.0.0.1:0", "up", "--demo", "--rate", "500")

    def commits(name):
        log = mill.table_path(name) / "_delta_log"
        return len(list(log.glob("*.json"))) if log.exists() else 0

    for i in range(3):
        for name in TABLES:
            before = commits(name)
            wait_for(lambda: commits(name) > before, f"a commit of {name}")
            wait_for(lambda: add_column(mill, name, f"note_{i}"), f"a column of {name}")
            before = commits(name)
            wait_for(lambda: commits(name) > before, f"a commit of {name} behind the change")
    assert up.stop() == 0, up.err()
    assert "level=error" not in up.err()
    for name in TABLES:
        assert len([1 for entry in mill.log(name) if "metaData" in dict(entry)]) == 4
    all_is_well(mill)


def change_columns(mill, name, change):
    """Overwrites the table with others: what delta-rs calls a new schema."""
    table = open_delta(mill, name)
    write_deltalake(table, change(table.to_pyarrow_table()), mode="overwrite", schema_mode="overwrite",
                    partition_by=table.metadata().partition_columns)


def as_type(column, kind):
    return lambda rows: rows.set_column(rows.schema.get_field_index(column), column, rows[column].cast(kind))


@pytest.mark.parametrize("name,change,says,verbs", [
    (BRONZE, lambda rows: rows.drop_columns(["raw"]), ["bronze/events", "no column raw (binary)"], [("ingest", "--once"), ("silver",)]),
    (SILVER, as_type("quantity", pa.int64()), ["silver/events", "column quantity", '"long"', '"integer"'], [("silver",), ("gold",)]),
    (METRICS, as_type("total_revenue", pa.decimal128(18, 2)), ["gold/clickstream_metrics", "total_revenue", '"decimal(18,2)"', '"double"'],
     [("gold",), ("load",)]),
    (METRICS, lambda rows: rows.rename_columns(["Category", *rows.column_names[1:]]),
     ["gold/clickstream_metrics", "no column category (string), but one named Category"], [("gold",), ("sql", "FROM gold.clickstream_metrics")]),
], ids=["removed", "retyped", "narrower", "renamed"])
def test_columns_taken_away_are_told(mill, name, change, says, verbs):
    mill.feed(SHIRT)
    change_columns(mill, name, change)
    mill.produce(HAT)
    before = mill.versions()
    for verb in (*verbs, ("table", "history", name)):
        mill.fails(5, *verb, says=[*says, f"{1:020}.json"], hint="somebody changed the table's columns")
    assert mill.versions() == before


# ---- rules ----

CANNOT_READ = ["DeletionVectors", "ColumnMapping", "V2Checkpoint", "TimestampWithoutTimezone", "VariantType"]
CANNOT_WRITE = ["RowTracking", "CheckConstraints", "GeneratedColumns", "IdentityColumns", "ChangeDataFeed", "IcebergCompatV1", "DomainMetadata"]


def upgraded(mill, feature):
    """The name by which the log calls it."""
    open_delta(mill, SILVER).alter.add_feature(getattr(TableFeatures, feature), allow_protocol_versions_increase=True)
    return dict(mill.log(SILVER)[-1])["protocol"]["writerFeatures"][0]


@pytest.fixture
def silver_log(mill):
    """Takes back what was done to silver."""
    mill.feed(SHIRT)
    mill.produce(HAT)
    mill.ok("ingest", "--once")
    log, copy = mill.table_path(SILVER) / "_delta_log", mill.home / "log"
    shutil.copytree(log, copy)

    def undo():
        shutil.rmtree(log)
        shutil.copytree(copy, log)
    return undo


def test_tables_upgraded_beyond_us_are_not_read(mill, silver_log):
    for feature in CANNOT_READ:
        name = upgraded(mill, feature)
        for verb in (("silver",), ("gold",), ("sql", "FROM silver.events")):
            mill.fails(5, *verb, says=["silver/events", "reader version 3", name], hint="somebody upgraded the table")
        silver_log()
    all_is_well(mill)


def test_tables_upgraded_beyond_us_are_not_written(mill, silver_log):
    """Read they are, and the layer above goes on."""
    for feature in CANNOT_WRITE:
        name = upgraded(mill, feature)
        for verb in (("silver",), ("table", "optimize", SILVER)):
            mill.fails(5, *verb, says=["silver/events cannot be written to", "writer version 7", name], hint="somebody upgraded the table")
        assert mill.sql("SELECT count(*) AS n FROM silver.events") == [{"n": 1}]
        silver_log()
    all_is_well(mill)
    upgraded(mill, "RowTracking")
    mill.ok("gold")


RULES = {
    "a constraint": (lambda t: t.alter.add_constraint({"sane": "quantity > 0"}), ["constraint", "delta.constraints.sane", "quantity > 0"]),
    "a change data feed": (lambda t: t.alter.set_table_properties({"delta.enableChangeDataFeed": "true"}), ["delta.enableChangeDataFeed"]),
    "a column that must be": (lambda t: t.alter.add_columns([Field("note", PrimitiveType("string"), False)]), ["column note is NOT NULL"]),
    "positions that expire": (lambda t: t.alter.set_table_properties({"delta.setTransactionRetentionDuration": "interval 7 days"}),
                              ["delta.setTransactionRetentionDuration"]),
}


def test_rules_we_cannot_keep_are_told(mill, silver_log):
    for change, says in RULES.values():
        change(open_delta(mill, SILVER))
        mill.fails(5, "silver", says=["silver/events cannot be written to", *says])
        assert mill.sql("SELECT count(*) AS n FROM silver.events") == [{"n": 1}]
        silver_log()
    all_is_well(mill)


def test_append_only_tables_are_appended_to(mill):
    """Bronze and silver only grow; gold replaces whole dates, which such a table does not allow."""
    mill.feed(SHIRT)
    for name in TABLES:
        open_delta(mill, name).alter.set_table_properties({"delta.appendOnly": "true"})
    mill.produce({**SHIRT, "price": 3}, HAT)
    mill.ok("ingest", "--once")
    mill.ok("silver")
    mill.ok("table", "optimize", SILVER)  # the rows stay
    mill.fails(5, "gold", says=["gold/clickstream_metrics", "append-only", "delta.appendOnly"], hint="UNSET TBLPROPERTIES")
    open_delta(mill, METRICS).alter.set_table_properties({"delta.appendOnly": "false"})
    all_is_well(mill)


# ---- commits without rows ----

def test_commits_that_are_not_about_rows_change_nothing(mill):
    """delta-rs vacuums, describes and folds: entries with nothing but commitInfo, and parameters that are no texts."""
    for seed in range(3):
        some_shoppers(mill, seed=seed, events=50)
        mill.steps()
    rows = {name: sorted_rows(mill, name) for name in TABLES}
    gold = open_delta(mill, METRICS)
    gold.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    gold.alter.set_table_description('of "ours"')
    gold.alter.set_table_name("metrics")
    entries = mill.log(METRICS)[3:]
    assert [list(dict(entry)) for entry in entries[:2]] == [["commitInfo"], ["commitInfo"]]
    assert [dict(entry)["commitInfo"]["operation"] for entry in entries[:2]] == ["VACUUM START", "VACUUM END"]
    for name in TABLES:
        open_delta(mill, name).create_checkpoint()
    assert {name: sorted_rows(mill, name) for name in TABLES} == rows
    some_shoppers(mill, seed=9, events=50)
    all_is_well(mill)
    assert "VACUUM END" in [h["operation"] for h in mill.json("table", "history", METRICS)]
    again = open_delta(mill, METRICS).metadata()
    assert (again.name, again.description) == ("metrics", 'of "ours"')
    for name in TABLES:
        assert verify(mill, name, "--deep") == {}


def test_rows_that_others_delete_are_gone_for_us(mill):
    """DELETE writes removes and adds in any order, numbers where we write texts, and members we do not know."""
    some_shoppers(mill, events=200)
    mill.steps()
    silver = open_delta(mill, SILVER)
    assert silver.delete("quantity = 1")["num_deleted_rows"] > 0
    info = dict(mill.log(SILVER)[-1])["commitInfo"]
    assert any(isinstance(v, int) for v in info["operationMetrics"].values())
    left = mill.sql("SELECT event_date, category, count(*) AS n FROM silver.events WHERE category IS NOT NULL GROUP BY ALL ORDER BY ALL")
    assert all(r["n"] > 0 for r in left)
    mill.ok("run")
    gold = mill.sql("SELECT event_date, category, total_events AS n FROM gold.clickstream_metrics ORDER BY ALL")
    assert gold == left
    assert verify(mill, SILVER, "--deep") == {}
