# SPDX-License-Identifier: Apache-2.0
"""Our table log as another program reads it: delta-rs must find the same table that we say there is.

table_writer (test/table) commits Parquet files that DuckDB makes. delta-rs is the judge, then writes
itself, and we must go on behind it. CM_BUILD_ROOT names the build folder (default: build).
"""
import datetime
import json
import os
import pathlib
import subprocess
import urllib.parse

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRITER = pathlib.Path(os.environ.get("CM_BUILD_ROOT", ROOT / "build")) / "test/table/table_writer"
SILVER, GOLD = "silver/events", "gold/clickstream_metrics"

SILVER_SQL = """
    SELECT printf('key-%d', i) AS event_key, CAST(NULL AS VARCHAR) AS event_id, 'purchase' AS event_type,
        make_timestamptz(1771286400000000 + i) AS event_time, 'sku/ż "q"' AS product_id, CAST('a''b' AS VARCHAR) AS category,
        CAST(109.95 AS DECIMAL(18,4)) AS price, CAST(2 AS INT) AS quantity, 'EUR' AS currency,
        CAST(219.9 AS DECIMAL(18,4)) AS revenue, 'u' AS user_id, CAST(NULL AS VARCHAR) AS session_id,
        CAST(NULL AS VARCHAR) AS order_id, CAST(NULL AS VARCHAR) AS page_url, CAST(NULL AS VARCHAR) AS referrer,
        i % 2 = 0 AS is_bot, make_timestamptz(1771286400123456) AS received_at, 'clickstream' AS source_topic,
        CAST(0 AS INT) AS source_partition, CAST(i AS BIGINT) AS source_offset, CAST(0 AS INT) AS source_index
    FROM range({first}, {end}) t(i)"""
GOLD_SQL = """
    SELECT printf('category %d', i) AS category, CAST(i AS INT) AS total_events, i * 1.5::DOUBLE AS total_revenue
    FROM range({first}, {end}) t(i)"""


class Lake:
    def __init__(self, folder, table, sql, **more):
        self.folder, self.table, self.sql, self.more = folder, table, sql, more
        self.made, self.files = 0, {}  # path -> (partition, first, end)

    def later(self, column, kind, sql):
        """The same table as a later clickmill writes it, which knows a column more."""
        lake = Lake(self.folder, self.table, sql, later=[column, kind])
        lake.files = self.files
        return lake

    def path(self):
        return self.folder / "lake" / self.table

    def parquet(self, first, end):
        self.made += 1
        self.folder.mkdir(exist_ok=True)
        name = self.folder / "-".join(["made", *self.more, f"{self.made}.parquet"])
        duckdb.connect().execute(
            f"SET TimeZone='UTC'; COPY ({self.sql.format(first=first, end=end)}) TO '{name}' (FORMAT parquet, COMPRESSION zstd)")
        return str(name)

    def commit(self, add=(), remove=(), txn=(), **more):
        """add: (partition, first, end[, path]); txn: (app, expected, next). The version."""
        commit = {
            "add": [{"file": self.parquet(a[1], a[2]), "partition": a[0], "rows": a[2] - a[1],
                     "stats": json.dumps({"numRecords": a[2] - a[1]}), **({"path": a[3]} if len(a) > 3 else {})}
                    for a in add],
            "remove": list(remove), "txn": [dict(zip(("app_id", "expected", "next"), t)) for t in txn], **self.more, **more,
        }
        done = subprocess.run([WRITER, f"file:{self.folder}/lake", self.table], input=json.dumps(commit) + "\n",
                              text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        for path in remove:
            del self.files[path]
        self.files.update(zip(answer["add"], add))
        return answer["version"]

    def refused(self, **commit):
        done = subprocess.run([WRITER, f"file:{self.folder}/lake", self.table], input=json.dumps(commit) + "\n",
                              text=True, capture_output=True, timeout=60)
        assert done.returncode == 1
        return done.stderr

    def read(self):
        """The table as delta-rs knows it, checked against what was committed."""
        dt = deltalake.DeltaTable(str(self.path()))
        uris = {urllib.parse.unquote(urllib.parse.urlparse(u).path) if u.startswith("file:") else u for u in dt.file_uris()}
        assert uris == {str(self.path() / p) for p in self.files}
        adds = pa.table(dt.get_add_actions(flatten=True)).to_pylist()
        assert len(adds) == len(self.files)
        for add in adds:
            partition, first, end = self.files[urllib.parse.unquote(add["path"])][:3]
            assert add["num_records"] == end - first
            assert add["partition.event_date"] == (partition and datetime.date.fromisoformat(partition))
            assert add["size_bytes"] == (self.path() / urllib.parse.unquote(add["path"])).stat().st_size
        return dt

    def query(self, dt, sql):
        return pa.table(deltalake.QueryBuilder().register("t", dt).execute(sql)).to_pylist()


@pytest.fixture
def gold(tmp_path):
    return Lake(tmp_path, GOLD, GOLD_SQL)


@pytest.fixture
def silver(tmp_path):
    return Lake(tmp_path, SILVER, SILVER_SQL)


def test_a_table_is_what_we_say(gold):
    assert gold.commit(add=[("2026-11-21", 0, 10), ("2026-11-22", 10, 15)], txn=[("gold/x", -1, 7)]) == 0
    dt = gold.read()
    assert dt.version() == 0
    protocol = dt.protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert dt.metadata().partition_columns == ["event_date"]
    assert [(f.name, str(f.type.type), f.nullable) for f in dt.schema().fields] == [
        ("category", "string", True), ("total_events", "integer", True), ("total_revenue", "double", True),
        ("event_date", "date", True)]
    rows = gold.query(dt, "SELECT event_date, count(*) AS n, sum(total_revenue) AS s FROM t GROUP BY 1 ORDER BY 1")
    assert [(str(r["event_date"]), r["n"], r["s"]) for r in rows] == [("2026-11-21", 10, 67.5), ("2026-11-22", 5, 90.0)]


def test_every_type_survives(silver):
    silver.commit(add=[("2026-02-17", 0, 4), (None, 4, 6)])
    dt = silver.read()
    types = {f.name: str(f.type.type) for f in dt.schema().fields}
    assert types["event_time"] == types["received_at"] == "timestamp"
    assert types["price"] == types["revenue"] == "decimal(18,4)" and types["quantity"] == "integer"
    assert list(types)[-1] == "event_date"
    rows = silver.query(dt, "SELECT * FROM t ORDER BY source_offset")
    assert len(rows) == 6
    assert [r["event_date"] for r in rows] == [datetime.date(2026, 2, 17)] * 4 + [None] * 2
    assert rows[1]["event_time"] == datetime.datetime(2026, 2, 17, 0, 0, 0, 1, tzinfo=datetime.timezone.utc)
    assert str(rows[0]["revenue"]) == "219.9000" and rows[0]["product_id"] == 'sku/ż "q"' and rows[1]["is_bot"] is False


def test_replaced_and_compacted_files_are_gone(gold):
    gold.commit(add=[("2026-11-21", 0, 10), ("2026-11-22", 10, 15), (None, 15, 16)])
    first = {p: a for p, a in gold.files.items()}
    old = [p for p, a in first.items() if a[0] == "2026-11-21"]
    assert gold.commit(add=[("2026-11-21", 0, 12)], remove=old, operation="WRITE") == 1
    assert gold.commit(add=[(None, 15, 16)], remove=[p for p, a in first.items() if a[0] is None],
                       data_change=False, operation="OPTIMIZE") == 2
    dt = gold.read()
    assert dt.version() == 2
    assert gold.query(dt, "SELECT count(*) AS n FROM t")[0]["n"] == 18
    # and the past is still there
    assert gold.query(deltalake.DeltaTable(str(gold.path()), version=0), "SELECT count(*) AS n FROM t")[0]["n"] == 16


def test_positions_are_found_by_application_id(gold):
    app = "shop's app/cluster-1/click stream/0"
    for i in range(12):
        gold.commit(txn=[(app, 100 * i if i else -1, 100 * (i + 1)), (f"once/{i}", -1, i)])
    dt = gold.read()
    assert dt.version() == 11
    assert dt.transaction_version(app) == 1200
    assert [dt.transaction_version(f"once/{i}") for i in range(12)] == list(range(12))
    assert dt.transaction_version("unknown") is None
    assert "is 1200, not 5" in gold.refused(txn=[{"app_id": app, "expected": 5, "next": 6}])


def test_the_history_tells_operation_and_metrics(gold):
    gold.commit(add=[("2026-11-21", 0, 10)], operation="STREAMING UPDATE", metrics={"records": 10, "rejected": 0})
    gold.commit(add=[("2026-11-22", 0, 1)])
    last, first = deltalake.DeltaTable(str(gold.path())).history()
    assert first["operation"] == "STREAMING UPDATE" and last["operation"] == "WRITE"
    assert first["operationMetrics"] == {"records": "10", "rejected": "0"}
    assert first["isBlindAppend"] is True and first["engineInfo"].startswith("clickmill/")
    assert all(isinstance(v, str) for v in first["operationParameters"].values())


def test_escaped_folders_are_found(gold):
    gold.commit(add=[("2026-11-21", 0, 3, "d=a%20b%2Fc/part-1.parquet"), ("2026-11-21", 3, 5, "d=100%/x~=_.parquet")])
    dt = gold.read()
    assert gold.query(dt, "SELECT count(*) AS n FROM t")[0]["n"] == 5


def test_we_go_on_behind_another_writer(gold):
    """delta-rs appends, compacts and deletes in our table; then we commit again, and it reads that."""
    gold.commit(add=[("2026-11-21", 0, 10), ("2026-11-22", 10, 15)], txn=[("gold/x", -1, 7)])
    rows = pa.table({"category": ["delta-rs", None], "total_events": pa.array([1, 2], pa.int32()),
                     "total_revenue": [float("nan"), 2.5], "event_date": [datetime.date(2026, 11, 23), None]})
    deltalake.write_deltalake(str(gold.path()), rows, mode="append")
    dt = deltalake.DeltaTable(str(gold.path()))
    dt.delete("total_events = 3")
    dt.optimize.compact()
    dt.update_incremental()
    before = dt.version()
    total = gold.query(dt, "SELECT count(*) AS n FROM t")[0]["n"]
    assert total == 16 and before >= 2
    assert gold.commit(add=[("2026-11-22", 20, 24)], txn=[("gold/x", 7, 8)]) == before + 1
    dt.update_incremental()
    assert dt.version() == before + 1 and dt.transaction_version("gold/x") == 8
    assert gold.query(dt, "SELECT count(*) AS n FROM t")[0]["n"] == total + 4


def test_tables_that_others_upgraded_are_refused(gold):
    gold.commit(add=[("2026-11-21", 0, 10)])
    dt = deltalake.DeltaTable(str(gold.path()))
    dt.alter.set_table_properties({"delta.enableChangeDataFeed": "true"})
    done = gold.refused(txn=[{"app_id": "a", "expected": -1, "next": 1}])
    assert "delta.enableChangeDataFeed" in done and "HINT" in done


def test_files_are_where_the_log_says_after_each_of_many_commits(gold):
    for i in range(40):
        drop = sorted(gold.files)[:1] if i % 3 == 2 else []
        gold.commit(add=[(f"2026-11-{1 + i % 28:02d}", i, i + 1)], remove=drop)
    dt = gold.read()
    assert dt.version() == 39
    for path, (_, first, end) in gold.files.items():
        assert pq.read_metadata(gold.path() / path).num_rows == end - first
