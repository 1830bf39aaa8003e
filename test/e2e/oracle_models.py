# SPDX-License-Identifier: Apache-2.0
"""What silver and gold hold, a second time: DESIGN section 4 in plain Python.

Written from the contract, not from the models' SQL, and for clearness, not for speed. A bronze
event is a dict by column name, received_at a count of microseconds; a column may be absent (None).
"""
import datetime
import pathlib
from decimal import ROUND_HALF_UP, Decimal, localcontext

EPOCH = datetime.date(1970, 1, 1)
DAY_US = 24 * 3600 * 1_000_000
LARGEST = Decimal("99999999999999.9999")  # of decimal(18,4)
KEPT = ["event_key", "event_id", "event_type", "category", "currency", "user_id", "session_id", "order_id",
        "page_url", "referrer", "received_at", "source_topic", "source_partition", "source_offset",
        "source_index"]
POSITION = ["received_at", "source_topic", "source_partition", "source_offset", "source_index"]
BOTS = [line.lower() for line in
        (pathlib.Path(__file__).resolve().parents[2] / "conf/bots.txt").read_text().splitlines()
        if line and not line.startswith("#")]


def instant_us(event_ts):
    """Seconds, milli-, micro- and nanoseconds are told apart by size."""
    if event_ts < 10**11:
        return event_ts * 1_000_000
    if event_ts < 10**14:
        return event_ts * 1000
    if event_ts < 10**17:
        return event_ts
    return event_ts // 1000


def money(price):
    """Rounded half away from zero from the shortest decimal of the double."""
    return None if price is None else Decimal(repr(price)).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def product(ev):
    if ev.get("sku") is not None:
        return ev["sku"]
    return None if ev.get("product_id") is None else str(ev["product_id"])


def quantity(ev):
    return 1 if ev.get("quantity") is None else ev["quantity"]


def revenue(ev):
    sign = {None: 1, "purchase": 1, "refund": -1}.get(ev.get("event_type"), 0)
    if ev.get("price") is None or sign == 0:
        return Decimal(0)
    return sign * min(money(ev["price"]) * quantity(ev), LARGEST)


def is_bot(user_agent):
    return user_agent is not None and any(bot in user_agent.lower() for bot in BOTS)


def silver_row(ev):
    us = instant_us(ev["event_ts"])
    return {**{name: ev.get(name) for name in KEPT},
            "event_time": us,
            "event_date": EPOCH + datetime.timedelta(days=us // DAY_US),
            "product_id": product(ev),
            "price": money(ev.get("price")),
            "quantity": quantity(ev),
            "revenue": revenue(ev),
            "is_bot": is_bot(ev.get("user_agent"))}


def compared(ev):
    return (product(ev), ev.get("category"), ev.get("price"), instant_us(ev["event_ts"]), ev.get("event_type"),
            quantity(ev))


class Silver:
    """staying: the bronze event behind each silver row, by event_key."""

    def __init__(self):
        self.staying = {}

    def commit(self, batch):
        """One commit's bronze rows, in any order. Returns its counters."""
        counters = dict(events=len(batch), rejected=0, duplicates=0, conflicts=0, rows=0)
        for ev in sorted(batch, key=lambda ev: [ev[name] for name in POSITION]):
            first = self.staying.get(ev.get("event_key"))
            if ev.get("reject_reason") is not None:
                counters["rejected"] += 1
            elif first is None:
                self.staying[ev["event_key"]] = ev
                counters["rows"] += 1
            elif compared(ev) == compared(first):
                counters["duplicates"] += 1
            else:
                counters["conflicts"] += 1
        return counters

    def rows(self):
        return {key: silver_row(ev) for key, ev in self.staying.items()}


def gold(rows):
    """{(category, date): (count, revenue as the nearest double)} of silver rows."""
    sums = {}
    with localcontext() as context:
        context.prec = 60
        for row in rows:
            if row["category"] is not None:
                key = row["category"], row["event_date"]
                n, amount = sums.get(key, (0, Decimal(0)))
                sums[key] = n + 1, amount + row["revenue"]
    return {key: (n, float(amount)) for key, (n, amount) in sums.items()}
