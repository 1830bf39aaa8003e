# SPDX-License-Identifier: Apache-2.0
"""What the layers must hold, computed a second time in plain Python from the bytes in the stream.

Written from the contract, not from the program's code: stream_records reads the segments of a local
stream, Books says which events stay, which are repeats, and what the metrics of each day are.
oracle.py says what a single record means.
"""
import collections
import datetime
import decimal
import json
import struct

import oracle

CENT4 = decimal.Decimal("0.0001")
MONEY = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_UP)  # half away from zero

Record = collections.namedtuple("Record", "partition offset received_us key value")


def stream_records(home, topic="clickstream"):
    """All records of data/stream, in the order of partition and offset."""
    records = []
    folder = home / "data/stream" / topic
    for partition in sorted(int(p.name) for p in folder.iterdir() if p.is_dir()):
        segments = sorted((folder / str(partition)).glob("*.log"))
        for segment in segments:
            records += segment_records(partition, int(segment.stem), segment.read_bytes())
    return records


def segment_records(partition, offset, data):
    """Frames: u32 length, u32 checksum, i64 ms, i32 key length, i32 value length, key, value."""
    at, found = 0, []
    while len(data) - at >= 24:
        length, _, ms, key_len, value_len = struct.unpack_from("<IIqii", data, at)
        if length < 16 or at + 8 + length > len(data):
            break  # torn by a kill; the next append cuts it
        start = at + 24 + max(key_len, 0)
        found.append(Record(partition, offset + len(found), ms * 1000, data[at + 24:start] if key_len >= 0 else None,
                            data[start:start + max(value_len, 0)]))
        at += 8 + length
    return found


def day_of(us):
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=us // oracle.DAY_US)).isoformat()


def money(price):
    """silver's price: the shortest decimal of the double, to four places."""
    return None if price is None else decimal.Decimal(repr(price)).quantize(CENT4, context=MONEY)


def revenue(event):
    price, kind = money(event.get("price")), event.get("event_type")
    if price is None or kind not in (None, "purchase", "refund"):
        return decimal.Decimal(0)
    return price * event.get("quantity", 1) * (-1 if kind == "refund" else 1)


def told_apart(event):
    """What makes a repeat a conflict."""
    product = event.get("sku", str(event.get("product_id")))
    return (product, event.get("category"), event.get("price"), event["event_us"], event.get("event_type"),
            event.get("quantity", 1))


class Books:
    """The first of each key stays; records in the order in which they were committed."""

    def __init__(self, records):
        self.events = len(records)
        self.rejected = self.duplicates = self.conflicts = 0
        self.silver = {}  # event_key -> event
        for record in records:
            self.take(record)

    def take(self, record):
        event = oracle.decode(record.value, record.received_us)
        if "reject" in event:
            self.rejected += 1
            return
        first = self.silver.setdefault(event["event_key"], event)
        if first is not event:
            same = told_apart(first) == told_apart(event)
            self.duplicates += same
            self.conflicts += not same

    def gold(self):
        """{(category, day): (events, revenue)}"""
        sums = collections.defaultdict(lambda: [0, decimal.Decimal(0)])
        for event in self.silver.values():
            if "category" in event:
                row = sums[event["category"], day_of(event["event_us"])]
                row[0] += 1
                row[1] += revenue(event)
        return {key: (n, float(total)) for key, (n, total) in sums.items()}


def read_ledger(path):
    """What was acknowledged; a kill may tear the last line."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1] if line.endswith("}")]
