# SPDX-License-Identifier: Apache-2.0
"""conflicts: which events silver left out because another one had their key, and what is different about them."""
import random

import oracle_models as oracle

NOON, DAY = 1771329600, 86400  # 2026-02-17T12:00:00Z
SHIRT = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": NOON}


def position(row):
    return "/".join(str(row[f"source_{name}"]) for name in ("topic", "partition", "offset", "index"))


def test_nothing_there_yet(mill):
    assert mill.json("conflicts") == [] and "event_key" in mill.ok("conflicts")
    mill.feed(SHIRT, SHIRT, b"nonsense")
    assert mill.json("conflicts") == []


def test_both_positions_both_contents_and_what_differs(mill):
    first = {**SHIRT, "event_id": "e", "price": 1.00001, "event_ts": NOON * 10**9 + 1999, "event_type": "purchase"}
    mill.feed(first, {**first, "price": 1.00002})  # the same in silver's four decimals
    mill.feed({**first, "category": None, "quantity": 2}, {**first, "event_ts": NOON * 10**6 + 1, "user_id": "u"},
              {**first, "product_id": "007", "event_type": "view", "event_ts": NOON + DAY}, {**first, "price": None})
    conflicts = mill.json("conflicts")
    assert mill.counts()["conflicts"] == len(conflicts) == 4 and mill.counts()["duplicates"] == 1
    assert [(c["event_key"], c["kept"], c["left_out"], c["differs"]) for c in conflicts] == [
        ("e", "clickstream/0/0/0", "clickstream/0/1/0", "price"),
        ("e", "clickstream/0/0/0", "clickstream/0/2/0", "category, quantity"),
        ("e", "clickstream/0/0/0", "clickstream/0/4/0", "product_id, event_time, event_type"),
        ("e", "clickstream/0/0/0", "clickstream/0/5/0", "price")]
    assert {(c["kept_product_id"], c["kept_category"], c["kept_price"], c["kept_event_time"], c["kept_event_type"], c["kept_quantity"])
            for c in conflicts} == {("1", "men's clothing", 1.00001, "2026-02-17T12:00:00.000001Z", "purchase", 1)}
    assert [(c["product_id"], c["category"], c["price"], c["event_time"], c["event_type"], c["quantity"]) for c in conflicts] == [
        ("1", "men's clothing", 1.00002, "2026-02-17T12:00:00.000001Z", "purchase", 1),
        ("1", None, 1.00001, "2026-02-17T12:00:00.000001Z", "purchase", 2),
        ("007", "men's clothing", 1.00001, "2026-02-18T12:00:00.000000Z", "view", 1),
        ("1", "men's clothing", None, "2026-02-17T12:00:00.000001Z", "purchase", 1)]
    assert all(c["kept_received_at"] <= c["received_at"] for c in conflicts)
    text = mill.ok("conflicts", "--limit", 2)
    assert "clickstream/0/2/0" in text and "clickstream/0/4/0" not in text and text.endswith("There are more: --limit shows them.\n")
    assert "category, quantity" in text and len(mill.json("conflicts", "--limit", 3)) == 3
    assert "more" not in mill.ok("conflicts", "--limit", 4)
    cut, whole = mill("conflicts", "--json", "--limit", 2), mill("conflicts", "--json", "--limit", 4)
    assert "there are more conflicts" in cut.err and "shown=2" in cut.err and not whole.err
    for limit in "0", "-1", "x":
        mill.fails(2, "conflicts", "--limit", limit)


def test_they_are_those_that_silver_counted(mill):
    """Any repeats in any batches, over partitions; told apart a second time in Python."""
    mill.env["CLICKMILL_STREAM_PARTITIONS"] = "3"
    draw = random.Random(1)
    for _ in range(4):
        mill.feed(*[{"event_id": f"e{draw.randrange(40)}", "event_ts": NOON + draw.choice([0, 0, 0, DAY]),
                     "event_type": draw.choice(["view", "purchase"]), "product_id": draw.choice([1, 1, "1", "a"]),
                     "category": draw.choice(["a", "a", None]), "price": draw.choice([1, 1, "1.0", 1.00001, None])}
                    for _ in range(60)])
    kept = {position(row): row["event_key"] for row in mill.rows("silver.events")}
    bronze = {position(row): row for row in mill.rows("bronze.events")}
    first = {key: bronze[at] for at, key in kept.items()}
    expected = {at for at, row in bronze.items() if oracle.compared(row) != oracle.compared(first[row["event_key"]])}
    conflicts = mill.json("conflicts")
    assert len(conflicts) == len(expected) == mill.counts()["conflicts"] > 50
    assert {c["left_out"] for c in conflicts} == expected
    assert all(kept[c["kept"]] == c["event_key"] for c in conflicts)
