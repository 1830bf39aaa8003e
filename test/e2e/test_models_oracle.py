# SPDX-License-Identifier: Apache-2.0
"""The models against oracle_models.py, over bronze that is odd in every way the contract speaks of.

The program is build/test/engine/engine_main (CM_BUILD_ROOT: another build folder): the models and the
engine without a table log; the files of each table are kept here. CM_ORACLE_SEED=n gives other events.
"""
import datetime
import json
import math
import os
import pathlib
import random
import subprocess
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import oracle_models as oracle

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("CM_BUILD_ROOT", ROOT / "build")) / "test/engine/engine_main"
SEED = int(os.environ.get("CM_ORACLE_SEED", "1"))
NOON_US = 1_771_286_400_000_000 + 12 * 3600 * 1_000_000  # 2026-02-17
TEXT, UTC = pa.string(), pa.timestamp("us", tz="UTC")
BRONZE = pa.schema(dict(
    product_id=pa.int32(), category=TEXT, price=pa.float64(), event_ts=pa.int64(), event_key=TEXT, event_id=TEXT,
    event_type=TEXT, user_id=TEXT, session_id=TEXT, sku=TEXT, quantity=pa.int32(), currency=TEXT, order_id=TEXT,
    page_url=TEXT, referrer=TEXT, user_agent=TEXT, extra=TEXT, protocol=TEXT, received_at=UTC, source_topic=TEXT,
    source_partition=pa.int32(), source_offset=pa.int64(), source_index=pa.int32(), reject_reason=TEXT,
    reject_detail=TEXT, raw=pa.binary()))
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
READ = {"VARCHAR": str, "INTEGER": int, "BIGINT": int, "DOUBLE": float, "DATE": datetime.date.fromisoformat}


def micros(instant):
    return (instant - EPOCH) // datetime.timedelta(microseconds=1)


class Lake:
    """The three tables' files, and the program run over them."""

    def __init__(self, folder, memory=512):
        self.folder = folder
        self.env = {**os.environ, "CM_ENGINE_MEMORY": str(memory)}
        self.bronze, self.silver, self.files = [], [], 0

    def job(self, *args):
        done = subprocess.run([PROGRAM, self.folder, *args], capture_output=True, text=True, env=self.env, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout, parse_float=Decimal)

    def listed(self, name, paths):
        file = self.folder / name
        file.write_text("".join(path + "\n" for path in paths))
        return str(file)

    def write_bronze(self, events, leave_out=()):
        """Writes the events, a file for each ingest_date; columns in leave_out are in no file."""
        schema = pa.schema([field for field in BRONZE if field.name not in leave_out])
        by_date = {}
        for ev in events:
            by_date.setdefault(EPOCH + datetime.timedelta(days=ev["received_at"] // oracle.DAY_US), []).append(ev)
        paths = []
        for date, rows in by_date.items():
            self.files += 1
            path = f"ingest_date={date:%Y-%m-%d}/b{self.files}.parquet"
            file = self.folder / "bronze/events" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            columns = {name: [row.get(name) for row in rows] for name in schema.names}
            pq.write_table(pa.table(columns, schema=schema), file, compression="zstd")
            paths.append(path)
        return paths

    def run_silver(self, events, leave_out=()):
        """One silver step over one batch: what the program says of it."""
        new = self.write_bronze(events, leave_out)
        args = self.listed("new", new), self.listed("old", self.bronze), self.listed("silver_files", self.silver)
        plain = self.job("silver-plain", *args)
        result = self.job("silver", *args)
        self.compare(result, plain)
        self.bronze += new
        self.silver += [file["path"] for file in result["files"]]
        check_stats(self.folder / "silver/events", result["files"])
        return result

    def compare(self, result, plain):
        """The texts that are DuckDB's own gave the same rows as those that are every engine's. Leaves nothing of the latter."""
        mine, theirs = ([file["path"] for file in r["files"]] for r in (result, plain))
        as_set = [sorted(map(repr, rows_of(self.folder / "silver/events", paths))) for paths in (mine, theirs)]
        assert as_set[0] == as_set[1] and result["counters"] == plain["counters"]
        for path in theirs:
            (self.folder / "silver/events" / path).unlink()

    def run_gold(self):
        result = self.job("gold", self.listed("silver_files", self.silver))
        check_stats(self.folder / "gold/clickstream_metrics", result["files"])
        rows = rows_of(self.folder / "gold/clickstream_metrics", [file["path"] for file in result["files"]])
        assert len({(r["category"], r["event_date"]) for r in rows}) == len(rows)
        return {(r["category"], r["event_date"]): (r["total_events"], r["total_revenue"]) for r in rows}

    def run_models(self):
        """{model: its rows} over all of silver."""
        answers = self.job("models", self.listed("silver_files", self.silver))
        made = {}
        for name, (columns, types, *rows) in answers.items():
            read = [READ[kind] for kind in types]
            made[name] = oracle.as_set(
                [{column: None if value is None else f(value) for column, f, value in zip(columns, read, row)} for row in rows])
        return made

    def silver_rows(self):
        rows = rows_of(self.folder / "silver/events", self.silver)
        by_key = {row["event_key"]: row for row in rows}
        assert len(by_key) == len(rows), "an event_key twice"
        return by_key


def rows_of(folder, paths):
    """Every row of the files, the partition's date from the path, instants in microseconds."""
    rows = []
    for path in paths:
        date = datetime.date.fromisoformat(path.split("/")[0].partition("=")[2])
        for row in pq.ParquetFile(folder / path).read().to_pylist():
            row["event_date"] = date
            for name in "event_time", "received_at":
                if name in row:
                    row[name] = micros(row[name])
            rows.append(row)
    return rows


def comparable(value):
    """A value as the statistics write it."""
    if isinstance(value, datetime.datetime):
        value -= datetime.timedelta(microseconds=value.microsecond % 1000)
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if isinstance(value, str):
        return value.encode()
    return value


def check_stats(folder, files):
    """Counts are exact, bounds hold for every row, and the bounds are there."""
    for file in files:
        stats = file["stats"]
        table = pq.ParquetFile(folder / file["path"]).read()
        assert file["path"].startswith(f"event_date={file['partition']}/")
        assert file["size"] == (folder / file["path"]).stat().st_size
        assert stats["numRecords"] == file["rows"] == table.num_rows > 0
        assert set(stats["nullCount"]) == set(table.column_names)
        for name in table.column_names:
            values = [comparable(v) for v in table[name].to_pylist() if v is not None]
            low, high = stats["minValues"].get(name), stats["maxValues"].get(name)
            assert stats["nullCount"][name] == table.num_rows - len(values)
            if not values or isinstance(values[0], bool):
                assert low is None and high is None
                continue
            if isinstance(values[0], bytes):
                assert low is not None and low.encode() <= min(values) and len(low) <= 32
                assert high is None or (high.encode() >= max(values) and len(high) <= 33)
            else:
                exact = (lambda v: v) if isinstance(values[0], str) else (lambda v: Decimal(str(v)))
                assert exact(low) == exact(min(values)) and exact(high) == exact(max(values)), name


# ---- events ---------------------------------------------------------------------------------

AGENTS = [None, "Mozilla/5.0 (X11; Linux x86_64) Firefox/120.0", "Mozilla/5.0 (compatible; Googlebot/2.1)",
          "curl/8.0", "GOOGLEBOT", "robust browser", "Java/17", "javascript fan"]


class Stream:
    """Events with positions in the order of a stream: received_at never falls, and often stands still."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.us = NOON_US
        self.offsets = {}

    def place(self, ev):
        r = self.random
        self.us += r.choice([0, 0, 0, 1000, 60_000_000, 3_600_000_000])
        topic, partition = r.choice(["clicks", "clicks", "more-clicks"]), r.randrange(3)
        offset = self.offsets.get((topic, partition), 0)
        self.offsets[topic, partition] = offset + r.choice([0, 1, 1, 7]) if offset else 1
        index = r.randrange(3)
        while (topic, partition, offset, index) in self.offsets:
            index += 1
        self.offsets[topic, partition, offset, index] = True
        return {**ev, "received_at": self.us, "source_topic": topic, "source_partition": partition,
                "source_offset": offset, "source_index": index, "protocol": "native"}

    def event(self, key):
        r = self.random
        s = NOON_US // 1_000_000 - r.randrange(3 * 86400)
        ev = {"event_key": key,
              "event_id": r.choice([None, key]),
              "event_type": r.choice([None, "view", "view", "add_to_cart", "checkout", "purchase", "refund", "page_view",
                                      "Purchase"]),
              "category": r.choice([None, "toys", "men's clothing", "żółw", "x" * 200]),
              "price": r.choice([None, 0.0, 109.95, 1.00001, 0.1, 1e9, round(r.random() * 1000, r.randrange(8))]),
              "event_ts": r.choice([s, s * 1000 + 7, s * 1_000_000 + 999_999, s * 1_000_000_000 + 123_456_999]),
              "quantity": r.choice([None, 1, 2, 0, 99]),
              "user_agent": r.choice(AGENTS),
              "user_id": r.choice([None, "u1", "u2"]),
              "session_id": r.choice([None, "u1", "s1", "s2", "s3"]),
              "order_id": r.choice([None, "o1", "o2"]),
              "currency": r.choice([None, "EUR"])}
        if r.random() < 0.3:
            ev["sku"] = r.choice(["007", "sku-1", "99999999999"])
        elif r.random() < 0.9:
            ev["product_id"] = r.choice([1, 2, -5, 2**31 - 1])
        return ev

    def again(self, ev):
        """The same event once more: as it was, spelled differently, or with one thing changed."""
        r = self.random
        ev = dict(ev)
        change = r.choice(["none", "none", "unit", "quantity one", "product", "category", "price", "instant",
                           "event_type", "quantity", "not compared"])
        if change == "unit" and ev["event_ts"] < 1e11:
            ev["event_ts"] *= r.choice([1000, 1_000_000, 1_000_000_000])
        elif change == "unit" and ev["event_ts"] > 1e17:
            ev["event_ts"] = ev["event_ts"] // 1000 * 1000 + r.randrange(1000)
        elif change == "quantity one":
            ev["quantity"] = {None: 1, 1: None}.get(ev["quantity"], ev["quantity"])
        elif change == "product":
            ev["sku"] = r.choice([None, "1", "008"])
        elif change == "category":
            ev["category"] = r.choice([None, "toys", "Toys"])
        elif change == "price":
            ev["price"] = r.choice([None, 1.00001, 1.00002, (ev["price"] or 0) + 0.00001])
        elif change == "instant":
            ev["event_ts"] += r.choice([1, 1000])
        elif change == "event_type":
            ev["event_type"] = r.choice([None, "view", "purchase"])
        elif change == "quantity":
            ev["quantity"] = r.choice([None, 2, 3])
        elif change == "not compared":
            ev.update(user_id="u2", user_agent="curl/1", currency="USD", event_id="other")
        return ev

    def events(self, n, keys):
        seen = {}
        for _ in range(n):
            key = f"key-{self.random.randrange(keys)}"
            if self.random.random() < 0.05:
                yield self.place({"reject_reason": "invalid_json", "reject_detail": "at 1", "raw": b"{"})
                continue
            seen[key] = self.again(seen[key]) if key in seen else self.event(key)
            yield self.place(seen[key])


def batches_of(events, n, rng):
    cuts = sorted(rng.sample(range(1, len(events)), n - 1))
    return [events[i:j] for i, j in zip([0] + cuts, cuts + [len(events)])]


def check_silver(lake, expected):
    got = lake.silver_rows()
    assert set(got) == set(expected)
    for key, row in expected.items():
        assert got[key] == row


def check_run(lake, batches, leave_out=()):
    """Every batch's counters, then all rows, then gold. Returns the counters' sums."""
    truth, sums = oracle.Silver(), {}
    for batch in batches:
        counters = truth.commit(batch)
        assert lake.run_silver(batch, leave_out)["counters"] == counters
        for name, n in counters.items():
            sums[name] = sums.get(name, 0) + n
    check_silver(lake, truth.rows())
    check_gold(lake, truth.rows().values())
    return sums


def check_gold(lake, rows):
    """All models, and the contract's once more as it is written to files."""
    expected = oracle.gold(rows)
    made = lake.run_models()
    assert list(made) == list(expected)
    for name in expected:
        assert made[name] == expected[name], name
    assert lake.run_gold() == {(r["category"], r["event_date"]): (r["total_events"], r["total_revenue"])
                               for r in map(dict, expected["clickstream_metrics"])}


# ---- tests ----------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(SEED, SEED + 4))
def test_any_stream_in_any_batches(tmp_path, seed):
    """Repeats and conflicts within a batch, over batches and over dates; rejects; all of it counted."""
    rng = random.Random(seed)
    events = list(Stream(seed).events(1500, keys=400))
    sums = check_run(Lake(tmp_path), batches_of(events, 5, rng))
    assert min(sums.values()) > 50, "too tame a stream to prove anything"


def test_the_split_into_batches_does_not_matter(tmp_path):
    rng = random.Random(SEED)
    events = list(Stream(SEED + 100).events(800, keys=200))
    sums = []
    for n in 1, 2, 7:
        (tmp_path / str(n)).mkdir()
        lake = Lake(tmp_path / str(n))
        sums.append(check_run(lake, batches_of(events, n, rng)))
        rows = lake.silver_rows()
        assert n == 1 or rows == first
        first = rows
    assert sums[0] == sums[1] == sums[2]


def test_batches_out_of_order_keep_what_was_committed(tmp_path):
    events = list(Stream(SEED + 200).events(600, keys=150))
    check_run(Lake(tmp_path), [events[300:], events[:300]])


def test_the_same_batch_twice_is_all_duplicates(tmp_path):
    """A batch that silver has read already, as after a restored table."""
    lake, truth = Lake(tmp_path), oracle.Silver()
    events = [ev for ev in Stream(SEED + 300).events(500, keys=500) if "reject_reason" not in ev]
    truth.commit(events)
    lake.run_silver(events)
    again = lake.run_silver(events)["counters"]
    assert (again["rows"], again["duplicates"] + again["conflicts"]) == (0, len(events))
    check_silver(lake, truth.rows())


BASE = {"event_key": "k", "product_id": 1, "category": "toys", "price": 1.00001, "event_ts": 1771286400}
CONFLICTS = [("product_id", 2), ("product_id", None), ("sku", "a"), ("category", "Toys"), ("category", None),
             ("price", 1.00002), ("price", None), ("event_ts", 1771286401), ("event_ts", 1771286400_000_001),
             ("event_type", "view"), ("quantity", 2), ("quantity", 0)]
DUPLICATES = [("quantity", 1), ("event_ts", 1771286400_000), ("event_ts", 1771286400_000_000),
              ("event_ts", 1771286400_000_000_999), ("user_id", "u"), ("event_id", "i"), ("extra", "{}"),
              ("currency", "EUR"), ("user_agent", "curl/8")]


@pytest.mark.parametrize("later_batch", [False, True], ids=["same batch", "later batch"])
@pytest.mark.parametrize("kind, changes", [("conflicts", CONFLICTS), ("duplicates", DUPLICATES)])
def test_what_is_a_conflict(tmp_path, kind, changes, later_batch):
    """One thing changed at a time; the prices differ by less than silver keeps."""
    stream = Stream(1)
    first = [stream.place({**BASE, "event_key": f"k{i}"}) for i in range(len(changes))]
    second = [stream.place({**BASE, "event_key": f"k{i}", name: value}) for i, (name, value) in enumerate(changes)]
    lake = Lake(tmp_path)
    counters = [lake.run_silver(batch)["counters"] for batch in ([first, second] if later_batch else [first + second])]
    assert counters[-1][kind] == len(changes)
    assert sum(c["rows"] for c in counters) == len(changes)
    truth = oracle.Silver()
    truth.commit(first)
    check_silver(lake, truth.rows())


def test_a_position_that_came_twice_loses_no_event(tmp_path):
    """A topic copied to another cluster: the same rows again at the same positions."""
    stream = Stream(2)
    events = [stream.place({**BASE, "event_key": f"k{i}"}) for i in range(50)]
    lake = Lake(tmp_path)
    lake.run_silver(events[:10])
    counters = lake.run_silver(events + events)["counters"]
    assert counters == dict(events=100, rejected=0, duplicates=60, conflicts=0, rows=40)
    truth = oracle.Silver()
    truth.commit(events)
    check_silver(lake, truth.rows())


def test_one_position_with_two_different_events(tmp_path):
    """A topic that was made anew: positions repeat, events do not."""
    stream = Stream(3)
    first = [stream.place({**BASE, "event_key": f"a{i}"}) for i in range(20)]
    second = [{**ev, "event_key": f"b{i}"} for i, ev in enumerate(first)]
    third = [stream.place({**ev, "price": 9.0}) for ev in first]
    check_run(Lake(tmp_path), [first + second + third])


def test_a_shortened_bronze_still_tells_repeats(tmp_path):
    """Where the old row is gone, silver's own price is what a later one is compared with."""
    stream = Stream(4)
    first = [stream.place({**BASE, "event_key": f"k{i}", "price": 2.5}) for i in range(4)]
    second = [stream.place({**BASE, "event_key": f"k{i}", "price": p}) for i, p in enumerate([2.5, 2.5, 2.6, None])]
    lake = Lake(tmp_path)
    lake.run_silver(first)
    lake.bronze.clear()
    assert lake.run_silver(second)["counters"] == dict(events=4, rejected=0, duplicates=2, conflicts=2, rows=0)


def test_prices_round_half_away_from_zero_from_their_shortest_decimal(tmp_path):
    rng = random.Random(SEED)
    prices = [1e9, 0.00005, 1e-5, 1.00005, 123456789.12345, 999999999.99995, 5e-324, 0.00015, 0.00004999999999,
              2.675, 1.00015, 1e-4, 99999.99995, 0.1 + 0.2]
    for _ in range(4000):
        digits, whole = rng.randrange(10), rng.choice([0, 1, 10, 1000, 10**6, 10**9 - 1])
        prices.append(float(f"{rng.randrange(whole + 1)}.{rng.randrange(10**digits):0{digits}d}5"))
    for price in prices[:]:
        prices += [math.nextafter(price, 0), math.nextafter(price, 1e9)]
    stream = Stream(5)
    check_run(Lake(tmp_path), [[stream.place({**BASE, "event_key": f"k{i}", "price": p, "quantity": i % 3})
                                for i, p in enumerate(prices)]])


def test_money_that_doubles_would_get_wrong(tmp_path):
    """Ten thousand times 0.1, and sums beyond 2^53 ten-thousandths, to the nearest double."""
    stream = Stream(6)
    events = [stream.place({**BASE, "event_key": f"a{i}", "price": 0.1}) for i in range(10000)]
    events += [stream.place({**BASE, "event_key": f"b{i}", "category": "big", "price": 999999999.9999,
                             "quantity": 99999}) for i in range(30)]
    events += [stream.place({**BASE, "event_key": "c", "category": "big", "price": 0.0001})]
    events += [stream.place({**BASE, "event_key": "d", "category": "edge", "price": 99999999.99999,
                             "quantity": 1_000_000, "event_type": t}) for t in ["purchase"]]
    lake = Lake(tmp_path)
    check_run(lake, [events])
    gold = lake.run_gold()
    assert gold["toys", datetime.date(2026, 2, 17)] == (10000, 1000.0)
    assert gold["edge", datetime.date(2026, 2, 17)] == (1, 99999999999999.9999)


def test_instants_of_every_unit_and_century(tmp_path):
    stream = Stream(7)
    ts = [946684800, 99_999_999_999, 100_000_000_000, 99_999_999_999_999, 10**14, 10**17 - 1, 10**17,
          1771286400_123_456_999, 9_223_372_036_854_775_807, 1771372799_999_999_999, 4_700_000_000_000_000_999]
    ts += [int(1.7e18) + stream.random.randrange(10**16) for _ in range(2000)]
    check_run(Lake(tmp_path), [[stream.place({**BASE, "event_key": f"k{i}", "event_ts": t}) for i, t in enumerate(ts)]])


def test_columns_a_file_lacks_are_null(tmp_path):
    stream = Stream(8)
    events = [stream.place({**BASE, "event_key": f"k{i % 30}"}) for i in range(40)]
    check_run(Lake(tmp_path), [events], leave_out=["sku", "quantity", "extra", "user_agent", "event_type", "raw"])


def test_a_batch_without_rows_for_silver(tmp_path):
    stream = Stream(9)
    rejects = [stream.place({"reject_reason": "not_an_object", "raw": b"1"}) for _ in range(5)]
    lake = Lake(tmp_path)
    result = lake.run_silver(rejects)
    assert result["files"] == [] and result["counters"]["rejected"] == 5
    assert lake.run_gold() == {}


def test_many_dates_in_any_order_give_one_file_each(tmp_path):
    """With little memory: several passes, and every date in one file all the same."""
    stream, rng = Stream(10), random.Random(SEED)
    events = [{**stream.place({**BASE, "event_key": f"k{i}", "event_ts": 1771286400 - 86400 * rng.randrange(200)}),
               "received_at": NOON_US} for i in range(20_000)]
    lake = Lake(tmp_path, memory=64)
    result = lake.run_silver(events)
    assert result["counters"]["rows"] == len(events)
    assert len(result["files"]) == len({f["partition"] for f in result["files"]}) == 200


# ---- who is a bot, and what the models make of it -------------------------------------------

def clicks(stream, n, start_us, every_us, **more):
    """n views of one visitor, one every so often."""
    return [stream.place({"event_key": f"k{start_us}-{i}-{sorted(more.items())}", "product_id": 1, "category": "toys",
                          "price": 1.0, "event_type": "view", "event_ts": start_us + i * every_us, **more})
            for i in range(n)]


MINUTE_US, NOON_DAY = 60_000_000, datetime.date(2026, 2, 17)
VISITORS = [  # events, the first one's distance from noon and the distance to the next (µs), who, bots
    ("120 in a minute", 120, 0, MINUTE_US // 120, {"session_id": "a"}, 0),
    ("121 in a minute", 121, 0, MINUTE_US // 121, {"session_id": "b"}, 121),
    ("to the last microsecond of a minute", 121, 119, 499_999, {"session_id": "c"}, 121),
    ("the first one of the next is not", 121, 0, MINUTE_US // 120, {"session_id": "d"}, 0),
    ("minutes of the clock, not any 60 seconds", 200, -MINUTE_US // 2, MINUTE_US // 200, {"session_id": "e"}, 0),
    ("5,000 in a day", 5000, 0, 8_000_000, {"session_id": "f"}, 0),
    ("5,001 in a day", 5001, 0, 8_000_000, {"session_id": "g"}, 5001),
    ("two days are two", 6000, 6 * 60 * MINUTE_US, 7_200_000, {"session_id": "h"}, 0),
    ("a user without a session", 121, 0, 1, {"user_id": "i"}, 121),
    ("nobody in particular", 200, 0, 1, {}, 0),
]


@pytest.mark.parametrize("n, start, every, who, bots", [v[1:] for v in VISITORS], ids=[v[0] for v in VISITORS])
def test_who_behaves_like_a_bot(tmp_path, n, start, every, who, bots):
    lake = Lake(tmp_path)
    check_run(lake, [clicks(Stream(11), n, NOON_US + start, every, **who)])
    days = [dict(row) for row in lake.run_models()["traffic_daily"]]
    assert sum(day["events"] for day in days) == n and sum(day["bots"] for day in days) == bots


def test_a_bot_is_one_for_its_day_and_its_session_alone(tmp_path):
    """The user's other session, the same session on the next day, the same words as a user's name: people."""
    stream = Stream(12)
    day, one = 86_400_000_000, {"session_id": "s", "user_id": "u"}
    events = clicks(stream, 150, NOON_US, 1000, **one) + clicks(stream, 3, NOON_US + day, 1000, **one)
    events += clicks(stream, 5, NOON_US, 1000, session_id="other", user_id="u") + clicks(stream, 7, NOON_US, 1000, user_id="s")
    events += clicks(stream, 2, NOON_US, 1000, user_id="v", user_agent="Googlebot/2.1")
    lake = Lake(tmp_path)
    check_run(lake, [events])
    traffic = {row["event_date"]: row for row in map(dict, lake.run_models()["traffic_daily"])}
    first, second = traffic[NOON_DAY], traffic[NOON_DAY + datetime.timedelta(1)]
    assert (first["events"], first["bots"], first["users"], first["sessions"]) == (164, 152, 2, 1)
    assert (second["events"], second["bots"], second["users"], second["sessions"]) == (3, 0, 1, 1)


def test_ages_at_their_limits(tmp_path):
    stream, hour = Stream(13), 3_600_000_000
    lates = [-hour, -1, 0, hour - 1, hour, 24 * hour - 1, 24 * hour, 7 * 24 * hour - 1, 7 * 24 * hour, 30 * 24 * hour - 1,
             30 * 24 * hour, 9000 * 24 * hour]
    placed = [stream.place({**BASE, "event_key": f"k{i}"}) for i in range(len(lates))]
    events = [{**ev, "event_ts": ev["received_at"] - late} for ev, late in zip(placed, lates)]
    lake = Lake(tmp_path)
    check_run(lake, [events])
    ages = {}
    for row in map(dict, lake.run_models()["late_daily"]):
        ages[row["age"]] = ages.get(row["age"], 0) + row["events"]
    assert ages == {"under 1 hour": 4, "1 hour to 1 day": 2, "1 to 7 days": 2, "7 to 30 days": 2, "30 days or more": 2}


def test_a_checkout_counts_for_what_was_in_the_cart(tmp_path):
    """Of its session and its day: not another's, not yesterday's, each category once."""
    def click(kind, key, session, category=None, days=0):
        return {"event_key": key, "event_type": kind, "session_id": session, "category": category,
                "event_ts": BASE["event_ts"] + days * 86400}
    events = [click("add_to_cart", "1", "s", "toys"), click("add_to_cart", "2", "s", "toys"), click("add_to_cart", "3", "s", "d'or"),
              click("add_to_cart", "4", "s", "old", days=-1), click("add_to_cart", "5", "t", "theirs"),
              click("add_to_cart", "6", None, "nobody's"), click("add_to_cart", "7", "s"), click("view", "8", "s", "seen"),
              click("checkout", "9", "s"), click("checkout", "10", "s"), click("checkout", "11", None),
              click("checkout", "12", "s", "named")]
    stream, lake = Stream(14), Lake(tmp_path)
    check_run(lake, [[stream.place(ev) for ev in events]])
    checkouts = {(row["category"], row["event_date"].day): row["checkouts"] for row in map(dict, lake.run_models()["funnel_daily"])}
    assert checkouts == {("toys", 17): 2, ("d'or", 17): 2, ("old", 16): 0, ("theirs", 17): 0, ("nobody's", 17): 0, ("seen", 17): 0,
                         ("named", 17): 1}


def test_twenty_thousand_categories(tmp_path):
    stream = Stream(15)
    check_run(Lake(tmp_path), [[stream.place({**BASE, "event_key": f"k{i}", "category": f"c{i} 'ż", "event_type": "view"})
                                for i in range(20_000)]])
