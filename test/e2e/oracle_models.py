# SPDX-License-Identifier: Apache-2.0
"""What silver and gold hold, a second time: DESIGN section 4 in plain Python.

Written from the contract, not from the models' SQL, and for clearness, not for speed. A bronze
event is a dict by column name, received_at a count of microseconds; a column may be absent (None).
"""
import collections
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


# ---- gold -----------------------------------------------------------------------------------

def add(amounts):
    with localcontext() as context:
        context.prec = 60
        return sum(amounts, Decimal(0))


def grouped(rows, *names):
    """{(value of each name, …): its rows} of the rows that have all of them."""
    groups = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        if None not in key:
            groups.setdefault(key, []).append(row)
    return groups


def is_sale(row):
    return row["event_type"] in (None, "purchase")


def visitor(row):
    """Who it was, as far as one can tell: the session, or the user where there is none."""
    if row["session_id"] is not None:
        return "session", row["session_id"]
    return None if row["user_id"] is None else ("user", row["user_id"])


def people(rows):
    """The rows that no bot made, neither by its user agent nor by what it did that day."""
    days, minutes = collections.Counter(), collections.Counter()
    for row in rows:
        days[visitor(row), row["event_date"]] += 1
        minutes[visitor(row), row["event_time"] // 60_000_000] += 1
    bots = {key for key, n in days.items() if n > 5000}
    bots |= {(who, EPOCH + datetime.timedelta(minute // (24 * 60))) for (who, minute), n in minutes.items() if n > 120}
    return [row for row in rows
            if not row["is_bot"] and (visitor(row) is None or (visitor(row), row["event_date"]) not in bots)]


def clickstream_metrics(rows):
    return [{"category": category, "event_date": date, "total_events": len(group),
             "total_revenue": float(add(row["revenue"] for row in group))}
            for (category, date), group in grouped(rows, "category", "event_date").items()]


def funnel_daily(rows):
    steps = {}  # (category, date): how many of each step
    carts = {}  # (session, date): the categories in it

    def count(category, date, step):
        steps.setdefault((category, date), collections.Counter())[step] += 1

    rows = people(rows)
    for row in rows:
        if row["event_type"] == "add_to_cart" and row["session_id"] is not None and row["category"] is not None:
            carts.setdefault((row["session_id"], row["event_date"]), set()).add(row["category"])
    for row in rows:
        step = "purchase" if is_sale(row) else row["event_type"]
        if step not in ("view", "add_to_cart", "checkout", "purchase"):
            continue
        if row["category"] is not None:
            count(row["category"], row["event_date"], step)
        elif step == "checkout":
            for category in carts.get((row["session_id"], row["event_date"]), ()):
                count(category, row["event_date"], step)
    return [{"category": category, "event_date": date, "views": n["view"], "carts": n["add_to_cart"],
             "checkouts": n["checkout"], "purchases": n["purchase"],
             "conversion": n["purchase"] / n["view"] if n["view"] else None}
            for (category, date), n in steps.items()]


def age(row):
    late = row["received_at"] - row["event_time"]
    for limit, name in ((3600 * 1_000_000, "under 1 hour"), (DAY_US, "1 hour to 1 day"), (7 * DAY_US, "1 to 7 days"),
                        (30 * DAY_US, "7 to 30 days")):
        if late < limit:
            return name
    return "30 days or more"


def late_daily(rows):
    aged = [{**row, "age": age(row)} for row in rows]
    return [{"age": name, "event_date": date, "events": len(group), "revenue": float(add(row["revenue"] for row in group))}
            for (name, date), group in grouped(aged, "age", "event_date").items()]


def products_daily(rows):
    return [{"product_id": product_id, "event_date": date, "events": len(group),
             "units": sum(row["quantity"] for row in group if is_sale(row))
             - sum(row["quantity"] for row in group if row["event_type"] == "refund"),
             "revenue": float(add(row["revenue"] for row in group))}
            for (product_id, date), group in grouped(rows, "product_id", "event_date").items()]


def traffic_daily(rows):
    visits = {date: group for (date,), group in grouped(people(rows), "event_date").items()}
    made = []
    for (date,), group in grouped(rows, "event_date").items():
        visit, sales = visits.get(date, []), [row for row in group if is_sale(row)]
        orders = len({row["order_id"] for row in sales} - {None}) + sum(row["order_id"] is None for row in sales)
        made.append({"event_date": date, "events": len(group), "bots": len(group) - len(visit),
                     "users": len({row["user_id"] for row in visit} - {None}),
                     "sessions": len({row["session_id"] for row in visit} - {None}),
                     "orders": orders, "revenue": float(add(row["revenue"] for row in group)),
                     "average_order_value": float(add(row["revenue"] for row in sales)) / orders if orders else None})
    return made


MODELS = {model.__name__: model for model in (clickstream_metrics, funnel_daily, late_daily, products_daily, traffic_daily)}


def as_set(rows):
    """Rows in no order, each once."""
    made = {frozenset(row.items()) for row in rows}
    assert len(made) == len(rows), "a row twice"
    return made


def gold(rows):
    """{model: its rows} of silver rows."""
    rows = list(rows)
    return {name: as_set(model(rows)) for name, model in MODELS.items()}
