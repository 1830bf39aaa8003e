# SPDX-License-Identifier: Apache-2.0
"""However the same events are cut into batches, and whatever steps go in between in whatever order, the layers end up the same.

CM_PROPERTY_SEED=n gives other events and other ways.
"""
import collections
import os
import random
import sqlite3

import deltalake
import pyarrow.compute

import books
from mill import PROGRAM, Mill, ndjson

SEED = int(os.environ.get("CM_PROPERTY_SEED", "1"))
MODELS = ("clickstream_metrics", "funnel_daily", "products_daily", "traffic_daily", "late_daily")
DAYS = [951825600, 1709164800, 1751068800, 1761436800, 1771286400]  # around 29 February, and the ends of summer time
SANITIZED = PROGRAM.parent.name.endswith("-asan")


def events(draw, n):
    """Repeats far apart, the same id with other content, every unit, late and malformed events."""
    made = []
    for i in range(n):
        if made and draw.random() < 0.25:
            again = dict(draw.choice(made))
            if draw.random() < 0.3:
                again["price"] = draw.choice([1, 2.00005, 109.95])
            yield again
            continue
        if draw.random() < 0.05:
            yield draw.choice([b"{", b'{"product_id":1}', b'{"product_id":1,"category":"a","price":-1,"event_ts":1771286400}', b"\xff"])
            continue
        second = draw.choice(DAYS) + draw.randrange(3 * 86400)
        event = {"product_id": draw.randrange(30), "category": draw.choice(["toys", "men's clothing", "żółw"]),
                 "price": draw.choice([0.1, 0.2, 109.95, 1.00005, 99999.99]), "event_ts": second * draw.choice([1, 1000, 1_000_000])}
        if draw.random() < 0.8:
            event |= {"event_id": f"e{i}", "event_type": draw.choice(["view", "add_to_cart", "checkout", "purchase", "refund"]),
                      "user_id": f"u{draw.randrange(40)}", "session_id": f"s{draw.randrange(80)}"}
        made.append(event)
        yield event


def any_step(draw, mill):
    """One of the things that may happen at any time; what there is nothing for yet does nothing."""
    step = draw.choice(["ingest", "ingest", "silver", "silver", "gold", "load", "run", "optimize", "checkpoint"])
    if step == "ingest":
        mill.ok("-c", f"ingest.batch_rows={draw.choice([7, 50, 1000])}", "ingest", "--once")
    elif step == "silver":
        mill.ok("-c", f"silver.batch_rows={draw.choice([1, 30, 1000])}", "silver")
    elif step in ("optimize", "checkpoint"):
        table = draw.choice(["bronze.events", "silver.events", "gold.clickstream_metrics"])
        if mill.table_path(table).exists():
            mill.ok("table", step, table)
    else:
        mill.ok(step)


def found(mill):
    """All there is, but for the times of arrival, which are those of this way alone."""
    silver = sorted(tuple((k, str(v)) for k, v in sorted(row.items()) if k != "received_at") for row in mill.rows("silver.events"))
    gold = {m: sorted(tuple((k, str(v)) for k, v in sorted(row.items())) for row in mill.rows(f"gold.{m}")) for m in MODELS}
    with sqlite3.connect(mill.home / "data/analytics.db") as db:
        sink = {m: sorted(map(str, db.execute(f"SELECT * FROM {m}"))) for m in MODELS}
    return {"silver": silver, "gold": gold, "sink": sink, "counts": mill.counts()}


def test_any_batches_and_any_order_of_steps_give_the_same(tmp_path):
    stream = list(events(random.Random(SEED), 900))
    first = None
    for way in range(3 if SANITIZED else 4):
        mill, draw = Mill(tmp_path / str(way)), random.Random(SEED * 1000 + way)
        mill.home.mkdir()
        cuts = sorted(draw.sample(range(1, len(stream)), 6 if way else 0))
        for begin, end in zip([0, *cuts], [*cuts, len(stream)]):
            mill.produce(*stream[begin:end])
            for _ in range(draw.randrange(4) if way else 0):
                any_step(draw, mill)
        mill.steps()
        mill.reconciled()
        this = found(mill)
        if way == 0:
            first = this
            kept = books.Books(books.stream_records(mill.home))
            assert collections.Counter(r["event_key"] for r in mill.rows("silver.events")) == dict.fromkeys(kept.silver, 1)
            assert mill.counts() == {"lag": 0, "events": kept.events, "rejected": kept.rejected, "duplicates": kept.duplicates,
                                     "conflicts": kept.conflicts}
            assert min(kept.rejected, kept.duplicates, kept.conflicts) > 10, "too tame a stream to prove anything"
            assert {(r["category"], str(r["event_date"])): (r["total_events"], r["total_revenue"])
                    for r in mill.rows("gold.clickstream_metrics")} == kept.gold()
        for what in first:
            assert this[what] == first[what], f"way {way} ends with another {what}"


def test_a_million_categories(mill):
    """Of the contract's table; the sanitized program takes a tenth of them."""
    n = 100_000 if SANITIZED else 1_000_000
    lines = b"".join(b'{"product_id":1,"category":"c%d","price":%d.%02d,"event_ts":1771286400}\n' % (i, i % 1000, i % 100) for i in range(n))
    mill.ok("produce", "--from", "-", input=lines)
    mill.steps()
    gold = deltalake.DeltaTable(mill.table_path("gold.clickstream_metrics")).to_pyarrow_table()
    assert gold.num_rows == n == len(gold["category"].unique())
    assert pyarrow.compute.all(pyarrow.compute.equal(gold["total_events"], 1)).as_py()
    number = pyarrow.compute.cast(pyarrow.compute.utf8_slice_codeunits(gold["category"], 1, 10), "int64").to_pylist()
    assert gold["total_revenue"].to_pylist() == [float(b"%d.%02d" % (i % 1000, i % 100)) for i in number]
    with sqlite3.connect(mill.home / "data/analytics.db") as db:
        assert db.execute("SELECT count(*), sum(total_events) FROM clickstream_metrics").fetchone() == (n, n)
    mill.reconciled()
