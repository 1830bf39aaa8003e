# SPDX-License-Identifier: Apache-2.0
"""The decoder against oracle.py: thousands of records, odd in every way the contract speaks of.

The C side is build/test/event/decode_main (CM_BUILD_ROOT: another build folder). A failure prints the
record; CM_ORACLE_SEED=n and CM_ORACLE_RECORDS=n give other and more of them.
"""
import json
import os
import pathlib
import random
import struct
import subprocess
import unicodedata

import pytest

import oracle

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("CM_BUILD_ROOT", ROOT / "build")) / "test/event/decode_main"
SEED = int(os.environ.get("CM_ORACLE_SEED", "1"))
RECORDS = int(os.environ.get("CM_ORACLE_RECORDS", "20000"))
RECEIVED_US = 1_771_290_000_123_000
LATEST_US = RECEIVED_US + oracle.DAY_US

PLAIN = {"product_id": "1", "category": '"men\'s clothing"', "price": "109.95", "event_ts": "1771286400"}


def decode_all(records):
    """[(received_us, bytes)] through the program: a list of dicts."""
    stdin = b"".join(struct.pack("=Iq", len(r), us) + r for us, r in records)
    done = subprocess.run([PROGRAM], input=stdin, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def check(records):
    records = [r if isinstance(r, tuple) else (RECEIVED_US, r) for r in records]
    got = decode_all(records)
    assert len(got) == len(records)
    for (us, record), event in zip(records, got):
        detail = event.pop("detail", None)
        if "price" in event:
            event["price"] = float.fromhex(event["price"])
            assert str(event["price"]) != "-0.0"
        expected = oracle.decode(record, us)
        assert event == expected, f"received_us {us}, record {record[:2000]!r}"
        if "reject" in event:
            assert 0 < len(detail.encode()) <= 256, detail
            assert not any(c == "\ufeff" or unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in detail), detail


def record_of(members, blank=""):
    """members: [(name as JSON text, value as JSON text)]."""
    inside = ("," + blank).join(f"{n}{blank}:{blank}{v}" for n, v in members)
    return f"{blank}{{{inside}{blank}}}{blank}".encode("utf-8", "surrogatepass")


def with_member(name, value, plain=True, **other):
    members = {f'"{n}"': v for n, v in ({**PLAIN, **other} if plain else other).items()}
    members[f'"{name}"'] = value
    return record_of(members.items())


NUMBERS = """0 -0 0.0 -0.0 0e5 0e999999999999 0.000e-99999 1 -1 1.0 1.5 1.50 1.5e1 10e-1 1e6 1E6 1e+6 100e-2 1e-1 12.5 4.20
-5 0.1 0.30000000000000004 109.95 19.999999999999996 1e9 1000000000 1000000000.0000001 1000000000.00000001 1000000001
999999999.9999999 1e400 -1e400 1e308 1.7976931348623157e308 1.7976931348623158e308 1.797693134862315807e308 1.7976931348623159e308
1e309 1e-400 -1e-400 5e-324 2.4e-324 2.5e-324 2.470328229206232720882843964341106861825e-324 4.9e-324 1e-310 2.2250738585072014e-308 1e-7 1e-5
0.0001 1e300 1e255 1e256 -1e255 1e254 1e22 1e23 123456789012345678 9007199254740993 9007199254740993.0 0.9007199254740993
5.684341886080802e-14 5.684341886080801e-14 9.5367431640625e-07 4.450147717014403e-308 179769313486231580793728971405e279
2147483647 2147483648 -2147483648 -2147483649 4294967296 9223372036854775807 9223372036854775808 -9223372036854775808
-9223372036854775809 18446744073709551615 18446744073709551616 99999999999999999999 1e10 1e18 1e19 12e18 10000000000e-1 2147483648.0
1.0000000000000000000000000000001 1.00000000000000000000000000000 99999999999999999999.50 123456789012345678901234567890e-10
1000000 1000001 1000000.0 999999.5 1e5 100000 99999.99 1771286400 1771286400.0 1771286400.5 1771286400000 1771286400000000
1771286400000000000 1771286400000000001 946684800 946684799 946684799.999 946684800000 946684799999 946684800000000
946684799999999 946684800000000000 946684799999999999 99999999999 100000000000 99999999999999 100000000000000 99999999999999999
100000000000000000 17712864e2 1.7712864e9 -1771286400 1e99999999999999999999999 1e-99999999999999999999999""".split()
NOT_NUMBERS = ["007", "+1", "01", "1.", ".5", "1e", "1e+", "-", "--1", "0x10", "1_000", "NaN", "Infinity", "-Infinity", "inf", "1,5",
               "1 ", " 5", "5\\t", "1.5.2", "1e5.0", "12abc", "e5", "٣", "1\\u0000"]
TEXTS = ["", " ", " \\t\\r\\n", "\\u0020", "\\u00a0", " a ", "\\ta\\n", "a", "é", "日本語", "\\u65e5\\u672c", "😀", "\\ud83d\\ude00", "a\\u0000",
         "\\u0000", "\\\"", "\\\\", "\\/", "/", "\\b\\f\\n\\r\\t", "\\u0041", "\\u001F\\u007f", "\x7f", "null", "true", "{}", "\\u2028", "1e999",
         "men's clothing", "sku-1", "a=b\\nprice=1", "x" * 15 + "\\n" + "y" * 20]
OTHERS = ["null", "true", "false", "{}", "[]", "[1]", '{"a":1}', '""', '" "', '"\\u0020\\n"']
BROKEN = ["", "nul", "True", "NaN", "Infinity", "-", "01", "1.", "1e", "+1", '"\\x"', '"\\u12"', '"\\ud800"', '"\\ud800x"', '"\\udc00"', '"\\ud800\\u0041"',
          '"\\ud800\\ud800"', '"a\tb"', '"a\nb"', '"\x00"', "'a'", "[1,]", "[,1]", "[1 2]", "{,}", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", "[", "{", '"', '"\\', '"\\"',
          "]", "1 2", "/**/1", "tru", "nullx", "[1}", '{"a":1]', "\ufeff1", "\u00a01", "1\x0c", "\v1"]


def test_every_number_in_every_field():
    for kind in ("{}", '"{}"', '" {}"'):
        check([with_member(field, kind.format(n)) for field in oracle.KNOWN + ["other"] for n in NUMBERS])


def test_every_text_in_every_field():
    fields = oracle.KNOWN + ["other"]
    check([with_member(field, f'"{t}"') for field in fields for t in TEXTS + NOT_NUMBERS])
    check([with_member(field, f'"{t}"', event_type='"view"') for field in fields for t in TEXTS])
    check([with_member(field, v) for field in fields for v in OTHERS])


def test_broken_values():
    check([with_member(field, v) for field in ("price", "user_id", "other", "event_ts") for v in BROKEN])
    check([v.encode() for v in BROKEN + OTHERS + NUMBERS + ["", " ", "\n", "{}", "[]", " 1 ", "\x00", "\ufeff{}"]])
    whole = record_of([(f'"{n}"', v) for n, v in PLAIN.items()])
    check([whole[:i] for i in range(len(whole))])
    check([whole + tail for tail in (b" ", b"\r\n\t", b",", b"}", b"x", b"\0", b"\xff", b"\xef\xbb\xbf", b"\x0b")])
    check([head + whole for head in (b" ", b"\xef\xbb\xbf", b"\0", b",", b"\xff\xfe")])


def test_sizes():
    def sized(name, unit, n, tail=""):
        return with_member(name, '"' + unit * n + tail + '"', event_id='"id"')
    records = []
    for name in oracle.KNOWN + ["other"]:
        for limit in (256, 4096):
            for n in (limit - 1, limit, limit + 1):
                records += [sized(name, "x", n), sized(name, "\\u0078", n), sized(name, "x", n - 1, "\\u0000"), sized(name, " ", 9, "x" * n),
                            sized(name, "x", n, " "), sized(name, "9", n), with_member(name, "9" * n), with_member(name, "9" * n + ".0"),
                            with_member(name, "0." + "3" * (n - 2)), with_member(name, "0" * n), with_member(name, "1e" + "0" * (n - 3) + "9")]
            records += [sized(name, "é", limit // 2), sized(name, "é", limit // 2, "x"), sized(name, "日", limit // 3)]
    check(records)


def test_record_size():
    start = record_of([(f'"{n}"', v) for n, v in PLAIN.items()])
    records = [start.ljust(oracle.MIB + d) for d in (-1, 0, 1)] + [b"\xff" * (oracle.MIB + 1), b"[" * (oracle.MIB + 1)]
    for value in ('"{}"', '{}', '1{}', '0.{}1', '0.{}', '1{}e-1000000', '[{}]'):
        for fill in ("0", "9", "1"):
            for name in ("price", "product_id", "user_id", "event_ts", "quantity", "other"):
                length = oracle.MIB - len(with_member(name, value.format("")))
                records.append(with_member(name, value.format(fill * length)))
    check(records)


def test_nesting():
    records = []
    for n in (1, 2, 63, 64, 65, 126, 127, 128, 129, 130, 200, 500):
        for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ('[0,{"b":[],"a":', "}]")):
            full = opening * n
            for inside in ("", "1", "null", "[]", "x"):
                value = full + inside + closing * n
                records += [value.encode(), with_member("other", value), with_member("price", value), with_member("other", value[:-1])]
            records += [full.encode(), ("x" + full).encode(), full.replace("[", "[x", 1).encode(), (full + "]" * 200).encode()]
    check(records)


def test_times():
    records = []
    for unit in (10**6, 10**3, 1):
        for us in (oracle.YEAR_2000_US, LATEST_US):
            for d in (-2, -1, 0, 1, 2):
                records.append(with_member("event_ts", str(us // unit + d)))
    for ns in (oracle.YEAR_2000_US * 1000, LATEST_US * 1000):
        records += [with_member("event_ts", str(ns + d)) for d in (-1000, -1, 0, 1, 999, 1000)]
    edge = [with_member("event_ts", str(v)) for v in (1771290000 + 86400, 1771290000 + 86401, 10**11 - 1, 10**14 - 1, 10**17 - 1, 2**63 - 1)]
    check(records + edge + [(us, r) for us in (0, -1, 1_771_290_000_000_000, 2**61) for r in edge])


def test_amounts():
    check([with_member("price", p, quantity=q) for p in ("1e9", "999999999.99", "100000000", "100000001", "99999999.99999999", "0", "0.1")
           for q in ("1000000", "100000", "99999", "100001", "0", "1", '"1"', "1.0", "2")])
    check([with_member("quantity", q, plain=False, event_ts="1771286400", event_type='"x"') for q in ("1000000", "1000001", "-0", "-1")])


def test_utf8():
    sequences = [bytes([a, b]) for a in range(0x7e, 0x100) for b in (0x20, 0x7f, 0x80, 0xbf, 0xc0)]
    sequences += [bytes([a, b, c, d]) for a in (0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5)
                  for b in (0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0) for c in (0x7f, 0x80, 0xbf) for d in (0x22, 0x80, 0xbf)]
    shell = with_member("user_id", '"@@"')
    check([shell.replace(b"@@", b"x" * n + s) for s in sequences for n in (0, 13, 30, 61)])


def random_text(rng):
    parts = [rng.choice(["a", "Z", "0", " ", "é", "日", "😀", "\\n", "\\u0041", "\\u00e9", "\\ud83d\\ude00", "\\\\", "\\/", '\\"', "\\u001f", "\\t", "\x7f",
                         "abcdefghijklmnopqrst"]) for _ in range(rng.choice([0, 1, 2, 3, 8, 30]))]
    return '"' + "".join(parts) + '"'


def random_number(rng):
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice(NUMBERS)
    if kind == 1:
        return repr(struct.unpack("d", struct.pack("Q", rng.getrandbits(62)))[0]).replace("inf", "1").replace("nan", "2")
    if kind == 2:
        return repr(rng.uniform(0, 1e9) / 10 ** rng.randrange(20))
    if kind == 3:
        return f"{rng.randrange(10**9) / 100:.2f}"
    digits = str(rng.randrange(10 ** rng.choice([1, 5, 15, 16, 17, 18, 19, 20, 25, 40])))
    fraction = "." + str(rng.randrange(10 ** rng.choice([1, 2, 10, 30]))) if rng.random() < 0.5 else ""
    exponent = rng.choice(["e", "E", "e+", "e-"]) + str(rng.choice([0, 1, 5, 10, 22, 30, 300, 320])) if rng.random() < 0.4 else ""
    return rng.choice(["", "", "-"]) + digits + fraction + exponent


def random_value(rng, depth=0):
    kind = rng.randrange(10 if depth < 5 else 6)
    if kind < 2:
        return random_text(rng)
    if kind < 5:
        return random_number(rng)
    if kind == 5:
        return rng.choice(["null", "true", "false", "null"])
    blank = rng.choice(["", "", " ", "\n\t"])
    n = rng.choice([0, 1, 2, 3, 15, 40] if depth < 2 else [0, 1, 2])
    values = [random_value(rng, depth + 1 if n < 10 else 5) for _ in range(n)]
    if kind < 8:
        return "[" + blank + ("," + blank).join(values) + blank + "]"
    names = [rng.choice(['"a"', '"b"', '"\\u0061"', '"c\\/"', '"c/"', '""', random_text(rng), f'"n{rng.randrange(20)}"']) for _ in range(n)]
    return "{" + blank + ("," + blank).join(f"{k}{blank}:{blank}{v}" for k, v in zip(names, values)) + blank + "}"


def escape_some(rng, name):
    return '"' + "".join(f"\\u{ord(c):04x}" if rng.random() < 0.2 else c for c in name) + '"'


def random_record(rng):
    good = {"event_id": '"e-1"', "event_type": '"purchase"', "user_id": '"u1"', "session_id": "77", "quantity": "2", "currency": '"USD"',
            "order_id": '"o"', "page_url": '"https://x/y?z"', "referrer": '"r"', "user_agent": '"Mozilla/5.0 (X11)"', **PLAIN}
    members = [(f'"{n}"', v) for n, v in good.items() if n in PLAIN and rng.random() < 0.97 or rng.random() < 0.4]
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        name = rng.choice(oracle.KNOWN) if rng.random() < 0.5 else rng.choice(["x", "y", "sku", "revenue", "event_key", "", "Price", "é"])
        members.insert(rng.randrange(len(members) + 1), (escape_some(rng, name) if rng.random() < 0.3 else f'"{name}"', random_value(rng)))
    if rng.random() < 0.1:
        members += [rng.choice(members) for _ in range(3) if members]
    record = record_of(members, rng.choice(["", "", "", " ", "\r\n"]))
    if rng.random() < 0.15 and record:  # and now break it
        at = rng.randrange(len(record))
        record = rng.choice([record[:at], record[:at] + record[at + 1:], record[:at] + bytes([rng.randrange(256)]) + record[at + 1:],
                             record[:at] + bytes([rng.choice(b'"\\{}[],:0-e. ')]) + record[at:]])
    return record


@pytest.mark.parametrize("part", range(4))
def test_random_records(part):
    rng = random.Random(SEED * 1000 + part)
    check([random_record(rng) for _ in range(RECORDS // 4)])


def test_shortest_price():
    """Doubles of every shape within the price range, powers of two and their neighbours first."""
    rng = random.Random(SEED)
    bits = [(e << 52) + d for e in range(0, 1052) for d in (-1, 0, 1) if (e << 52) + d > 0]
    prices = [struct.unpack("d", struct.pack("Q", b))[0] for b in bits]
    prices += [rng.randrange(10**15) / 10**k for k in range(6, 25) for _ in range(40)]
    prices += [struct.unpack("d", struct.pack("Q", rng.randrange(1052 << 52)))[0] for _ in range(5000)]
    prices += [rng.randrange(10**11) / 100 + rng.choice([0.0, 1e-10]) for _ in range(2000)]
    check([with_member("price", rng.choice(["%r", "%.17e", "%.20g", "%.1000f"]) % p) for p in prices if p <= 1e9])


def test_many_repeated_members():
    """Thousands of members, all equal or all different, at the top and nested."""
    same = ",".join(['"a":{"b":1,"b":2}'] * 5000)
    different = ",".join(f'"k{i:x}":{i % 10}' for i in range(10000))
    nested = '{"a":1,"a":' * 120 + "1" + "}" * 120
    deep = ",".join([nested] * 60)
    start = record_of([(f'"{n}"', v) for n, v in PLAIN.items()])[:-1]
    check([start + b"," + t.encode() + b"}"
           for t in (same, different, f'"x":{{{same}}}', f'"x":{{{different}}}', f'"x":[{deep}]')])
