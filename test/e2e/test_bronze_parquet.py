# SPDX-License-Identifier: Apache-2.0
"""Bronze files as other people's readers see them: every value, and what the footer says of them.

bronze_writer (test/parquet) writes the file and what must be found in it. CM_BUILD_ROOT names the
build folder (default: build).
"""
import datetime
import json
import os
import pathlib
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CM_BUILD_ROOT", ROOT / "build"))
WRITER = BUILD / "test" / "parquet" / "bronze_writer"

TEXT, UTC = pa.string(), pa.timestamp("us", tz="UTC")
COLUMNS = {
    "product_id": pa.int32(), "category": TEXT, "price": pa.float64(), "event_ts": pa.int64(),
    "event_key": TEXT, "event_id": TEXT, "event_type": TEXT, "user_id": TEXT, "session_id": TEXT,
    "sku": TEXT, "quantity": pa.int32(), "currency": TEXT, "order_id": TEXT, "page_url": TEXT,
    "referrer": TEXT, "user_agent": TEXT, "extra": TEXT, "protocol": TEXT, "received_at": UTC,
    "source_topic": TEXT, "source_partition": pa.int32(), "source_offset": pa.int64(),
    "source_index": pa.int32(), "reject_reason": TEXT, "reject_detail": TEXT, "raw": pa.binary(),
}
# Columns whose bounds stand in the table log.
LOGGED = ["product_id", "category", "price", "event_ts", "event_type", "user_id", "sku", "quantity",
          "currency", "protocol", "received_at", "source_topic", "source_partition",
          "source_offset", "source_index", "reject_reason"]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def write(folder, *options):
    """Writes a file; returns its path, the expected rows and the stats of the add action."""
    file, expected = folder / "b.parquet", folder / "b.ndjson"
    file.unlink(missing_ok=True)
    done = subprocess.run([WRITER, file, expected, *options], check=True, stdout=subprocess.PIPE, timeout=120)
    rows = []
    with open(expected, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if "raw" in row:
                row["raw"] = bytes.fromhex(row["raw"])
            rows.append(row)
    return file, rows, json.loads(done.stdout)


def expected_columns(rows):
    return {name: [row.get(name) for row in rows] for name in COLUMNS}


def micros(t):
    return None if t is None else (t - EPOCH) // datetime.timedelta(microseconds=1)


def check_pyarrow(file, expected):
    table = pq.read_table(file, partitioning=None)
    assert {f.name: f.type for f in table.schema} == COLUMNS
    assert table.column_names == list(COLUMNS)
    for name in COLUMNS:
        column = table[name]
        if name == "received_at":
            column = column.cast(pa.int64())
        assert column.to_pylist() == expected[name], name


def check_duckdb(file, expected):
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    columns = ", ".join("epoch_us(received_at)" if n == "received_at" else n for n in COLUMNS)
    found = con.execute(f"SELECT {columns} FROM read_parquet(?, file_row_number = true) "
                        "ORDER BY file_row_number", [str(file)]).fetchall()
    for i, name in enumerate(COLUMNS):
        assert [row[i] for row in found] == expected[name], name
    types = {row[0]: row[1] for row in
             con.execute("DESCRIBE FROM read_parquet(?)", [str(file)]).fetchall()}
    assert types["received_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["raw"] == "BLOB" and types["extra"] == "VARCHAR"


def sort_key(name, value):
    """Texts are ordered by their UTF-8 bytes."""
    return value.encode() if isinstance(value, str) else value


def check_bounds(name, low, high, values):
    values = [sort_key(name, v) for v in values if v is not None]
    if values and low is not None:
        assert sort_key(name, low) <= min(values), name
    if values and high is not None:
        assert sort_key(name, high) >= max(values), name


def check_footer(file, expected, rows):
    meta = pq.ParquetFile(file).metadata
    assert meta.num_rows == rows
    assert meta.created_by.startswith("clickmill version ") and " (build " in meta.created_by
    data, at = file.read_bytes(), 4
    start = 0
    for g in range(meta.num_row_groups):
        group = meta.row_group(g)
        assert group.num_rows > 0
        for c, name in enumerate(COLUMNS):
            column = group.column(c)
            assert column.path_in_schema == name
            assert column.num_values == group.num_rows
            at = check_pages(data, column, at)
            values = expected[name][start:start + group.num_rows]
            there = [v for v in values if v is not None]
            stats = column.statistics
            assert stats.null_count == len(values) - len(there), name
            if not there or name == "raw":
                assert not stats.has_min_max, name
                continue
            if name == "received_at":
                check_bounds(name, micros(stats.min), micros(stats.max), values)
                continue
            if not stats.has_min_max: # no larger text to be found by raising the last character
                assert max(len(v.encode()) for v in there) > 64
                continue
            check_bounds(name, stats.min, stats.max, values)
            if COLUMNS[name] != TEXT:
                assert (stats.min, stats.max) == (min(there), max(there)), name
        start += group.num_rows
    assert start == rows
    assert data[-4:] == b"PAR1"
    assert at == len(data) - int.from_bytes(data[-8:-4], "little") - 8


def check_pages(data, column, at):
    """The chunk's pages lie where the footer says; returns where they end."""
    if column.has_dictionary_page:
        assert column.dictionary_page_offset == at < column.data_page_offset
        assert data[at:at + 2] == b"\x15\x04" # PageHeader.type: DICTIONARY_PAGE
    else:
        assert column.data_page_offset == at
    assert data[column.data_page_offset:column.data_page_offset + 2] == b"\x15\x00" # DATA_PAGE
    if column.compression == "UNCOMPRESSED":
        assert column.total_uncompressed_size == column.total_compressed_size
    else:
        assert column.compression == "ZSTD"
    return at + column.total_compressed_size


def check_log_stats(stats, expected, rows):
    assert stats["numRecords"] == rows
    assert stats["nullCount"] == {n: expected[n].count(None) for n in COLUMNS}
    lows, highs = stats["minValues"], stats["maxValues"]
    assert set(lows) == {n for n in LOGGED if any(v is not None for v in expected[n])}
    assert set(highs) <= set(lows)
    for name, low in lows.items():
        high = highs.get(name)
        there = [v for v in expected[name] if v is not None]
        if name == "received_at":
            assert low == ms_text(min(there)) and high == ms_text(max(there))
            continue
        check_bounds(name, low, high, there)
        if COLUMNS[name] == TEXT:
            assert len(low) <= 32 and (high is None or len(high) <= 33), name
        else:
            assert (low, high) == (min(there), max(there)), name
    for name in ("source_offset", "source_partition", "received_at"):
        assert rows == 0 or (name in lows and name in highs)


def ms_text(us):
    t = EPOCH + datetime.timedelta(milliseconds=us // 1000)
    return t.strftime("%Y-%m-%dT%H:%M:%S.") + f"{t.microsecond // 1000:03d}Z"


def check(file, rows, stats):
    expected = expected_columns(rows)
    check_pyarrow(file, expected)
    check_duckdb(file, expected)
    check_footer(file, expected, len(rows))
    check_log_stats(stats, expected, len(rows))


@pytest.mark.parametrize("seed", range(1, 31))
def test_random_rows(tmp_path, seed):
    rows = [1, 7, 8, 9, 63, 64, 65, 100, 1000, 5000][seed % 10]
    group = [65536, 64, 1000][seed % 3]
    check(*write(tmp_path, f"seed={seed}", f"rows={rows}", f"group={group}", f"level={seed % 4}"))


@pytest.mark.parametrize("seed", [100, 101])
def test_many_rows_in_large_groups(tmp_path, seed):
    check(*write(tmp_path, f"seed={seed}", "rows=16000", "group=12000"))


def test_no_rows(tmp_path):
    file, rows, stats = write(tmp_path, "rows=0")
    check(file, rows, stats)
    assert stats["minValues"] == {} and pq.ParquetFile(file).metadata.num_row_groups == 0


def plain_event(i):
    return {"product_id": i % 20 + 1, "category": "electronics", "price": 109.95,
            "event_ts": 1771286400 + i // 50, "event_key": f"{i * 2654435761 % 2**64:032x}",
            "protocol": "native", "received_at": 1771286400000000 + i // 9 * 1000,
            "source_topic": "clickstream", "source_partition": 0, "source_offset": i,
            "source_index": 0}


def written_rows(tmp_path, rows, *options):
    source = tmp_path / "rows.ndjson"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    file, found, stats = write(tmp_path, f"from={source}", *options)
    check(file, found, stats)
    return file, found, stats


def test_plain_events_take_few_bytes(tmp_path):
    """The contract's four fields: what repeats costs (nearly) nothing, the key its 16 bytes."""
    file, _, _ = written_rows(tmp_path, [plain_event(i) for i in range(20000)])
    group = pq.ParquetFile(file).metadata.row_group(0)
    sizes = {group.column(i).path_in_schema: group.column(i).total_compressed_size
             for i in range(group.num_columns)}
    for name in ("category", "price", "source_topic", "source_partition", "source_index",
                 "protocol", "event_id", "raw", "user_agent"):
        assert sizes[name] < 200, name
    assert sizes["source_offset"] < 500


def test_event_id_is_stored_in_full_where_it_is_the_key(tmp_path):
    rows = [plain_event(i) for i in range(3000)]
    for row in rows:
        row["event_id"] = row["event_key"]
    rows[2999]["event_id"] = None
    written_rows(tmp_path, rows, "group=1000")


def test_bounds_of_long_texts(tmp_path):
    """Cut bounds stay bounds, also where the last character cannot be raised."""
    euro, last = "\u20ac", "\U0010ffff"
    for category in (["x" * 100], ["a" + euro * 80], [last * 64], ["b" * 31 + last * 20],
                     ["\ud7ff" * 30], ["a", "z" * 64], ["a" * 65, "b"]):
        rows = [dict(plain_event(i), category=c) for i, c in enumerate(category)]
        written_rows(tmp_path, rows)


def test_duckdb_skips_by_the_bounds_and_loses_nothing(tmp_path):
    rows = [dict(plain_event(i), category=f"category {i // 100:03d} " + "x" * 70)
            for i in range(2000)]
    file, _, _ = written_rows(tmp_path, rows, "group=200")
    con = duckdb.connect()
    for where, n in [("category = 'category 007 ' || repeat('x', 70)", 100),
                     ("category > 'category 018'", 200), ("source_offset = 1999", 1),
                     ("received_at >= TIMESTAMPTZ '1970-01-01 00:00:00+00'", 2000),
                     ("price = 109.95", 2000), ("product_id = 21", 0)]:
        found = con.execute(f"SELECT count(*) FROM read_parquet(?) WHERE {where}", [str(file)])
        assert found.fetchone()[0] == n, where
