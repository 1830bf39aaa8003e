# SPDX-License-Identifier: Apache-2.0
"""What a stream record means, a second time: DESIGN section 4's rules in plain Python.

Written from the contract, not from the C code, and for clearness, not for speed.
decode(record, received_us) returns a dict of the fields that are present, or {"reject": reason}.
"""
import hashlib
import re

MIB = 1024 * 1024
DEPTH = 128
ID_BYTES, TEXT_BYTES = 256, 4096
DAY_US = 24 * 3600 * 1_000_000
YEAR_2000_US = 946_684_800 * 1_000_000
BLANKS = " \t\r\n"

IDS = ["event_id", "event_type", "user_id", "session_id", "currency", "order_id"]
TEXTS = IDS + ["page_url", "referrer", "user_agent"]  # by column
KNOWN = ["event_ts", "product_id", "category", "price", "quantity"] + TEXTS
KEY_ORDER = ["product_id", "sku", "category", "price", "event_ts", "event_type", "user_id", "session_id",
             "quantity", "currency", "order_id", "page_url", "referrer", "user_agent", "extra"]


class Reject(Exception):
    pass


# ---- JSON, RFC 8259 -------------------------------------------------------------------------------

class Number(str):
    """A JSON number, as sent."""


NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
WORDS = {"null": None, "true": True, "false": False}


def unescape(body):
    """The text between the quotes; a surrogate must be half of a pair."""
    def one(match):
        what = match.group(1)
        return chr(int(what[1:], 16)) if what[0] == "u" else SIMPLE.get(what, what)
    text = ESCAPE.sub(one, body)
    try:
        # Pairs of escapes become one character; a lone one cannot be decoded.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise Reject("invalid_json")


class Parser:
    """Objects become lists of (name, value), arrays tuples: nothing is merged here."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def blanks(self):
        while self.at < len(self.text) and self.text[self.at] in BLANKS:
            self.at += 1

    def peek(self):
        self.blanks()
        return self.text[self.at] if self.at < len(self.text) else ""

    def expect(self, char):
        if self.peek() != char:
            raise Reject("invalid_json")
        self.at += 1

    def string(self):
        match = STRING.match(self.text, self.at)
        if not match:
            raise Reject("invalid_json")
        self.at = match.end()
        return unescape(match.group()[1:-1])

    def value(self, level):
        char = self.peek()
        if char == '"':
            return self.string()
        if char and char in "{[":
            if level > DEPTH:
                raise Reject("too_large")
            return self.container(char, level)
        for word, value in WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        match = NUMBER.match(self.text, self.at)
        if not match:
            raise Reject("invalid_json")
        self.at = match.end()
        return Number(match.group())

    def container(self, opening, level):
        closing = "}" if opening == "{" else "]"
        self.at += 1
        items = []
        if self.peek() == closing:
            self.at += 1
            return items if opening == "{" else tuple(items)
        while True:
            if opening == "{":
                if self.peek() != '"':
                    raise Reject("invalid_json")
                name = self.string()
                self.expect(":")
                items.append((name, self.value(level + 1)))
            else:
                items.append(self.value(level + 1))
            if self.peek() != ",":
                break
            self.at += 1
        self.expect(closing)
        return items if opening == "{" else tuple(items)


def parse(text):
    parser = Parser(text)
    value = parser.value(1)
    if parser.peek():
        raise Reject("invalid_json")
    return value


# ---- numbers --------------------------------------------------------------------------------------

def number_of(value):
    """The value as a Number: one sent as such, or a text that is exactly one; else None."""
    if isinstance(value, Number):
        return value
    return Number(value) if isinstance(value, str) and NUMBER.fullmatch(value) else None


def too_big(number):
    return float(number) in (float("inf"), float("-inf"))


def integer_of(number):
    """(sign, digits, zeros) of an integer by value, None for a fraction; too small for a double is 0."""
    if float(number) == 0:
        return "", "0", 0
    match = NUMBER.fullmatch(number)
    fraction = (match.group(2) or ".")[1:]
    digits = match.group(1) + fraction
    exponent = int_of_any_length((match.group(3) or "e0")[1:]) - len(fraction)
    stripped = digits.rstrip("0")
    exponent += len(digits) - len(stripped)
    if exponent < 0:
        return None
    return ("-" if number[0] == "-" else ""), stripped.lstrip("0"), exponent


def int_of_any_length(text):
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").lstrip("0") or "0"
    return sign * (int(digits) if len(digits) < 30 else 10**29)


def small_integer(parts, low, high):
    """The int, or None if it is not within low … high."""
    sign, digits, zeros = parts
    if len(digits) + zeros > 25:
        return None
    value = int(sign + digits + "0" * zeros)
    return value if low <= value <= high else None


def plain(price):
    """Fewest digits that give the double back, no exponent, no .0."""
    mantissa, _, exponent = repr(price).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent or 0)
    if point <= 0:
        digits, point = "0" * (1 - point) + digits, 1
    digits = digits.ljust(point, "0")
    whole, fraction = digits[:point].lstrip("0") or "0", digits[point:].rstrip("0")
    return whole + ("." + fraction if fraction else "")


# ---- extra ----------------------------------------------------------------------------------------

def quoted(text):
    short = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
    return '"' + "".join(short.get(c) or ("\\u%04x" % ord(c) if c < " " else c) for c in text) + '"'


def compact(value):
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return "[" + ",".join(compact(v) for v in value) + "]"
    return "{" + ",".join(quoted(n) + ":" + compact(v) for n, v in dict(value).items()) + "}"


# ---- the table, row by row ------------------------------------------------------------------------

def absent(value):
    return value is None or (type(value) is str and not value.strip(BLANKS))


def text_of(value):
    """Text, or a number by its JSON text; None if absent."""
    if absent(value):
        return None
    if isinstance(value, Number):
        if too_big(value):
            raise Reject("out_of_range")
        return str(value)
    if not isinstance(value, str):
        raise Reject("wrong_type")
    return value


def check_limits(text, size):
    if "\0" in text:
        raise Reject("out_of_range")
    if len(text.encode()) > size:
        raise Reject("too_large")
    return text


def integer_field(value, low, high):
    number = number_of(value)
    if number is None:
        raise Reject("wrong_type")
    parts = integer_of(number)
    if parts is None:
        raise Reject("wrong_type")
    result = small_integer(parts, low, high)
    if result is None:
        raise Reject("out_of_range")
    return result


def row_event_ts(get, out, received_us):
    if absent(get("event_ts")):
        raise Reject("missing_field")
    ts = integer_field(get("event_ts"), -2**63, 2**63 - 1)
    us = (ts * 1_000_000 if ts < 10**11 else ts * 1000 if ts < 10**14 else ts if ts < 10**17 else ts // 1000)
    if not YEAR_2000_US <= us <= received_us + DAY_US:
        raise Reject("out_of_range")
    out["event_ts"], out["event_us"] = ts, us


def missing_unless_typed(get):
    if absent(get("event_type")):
        raise Reject("missing_field")


def row_product_id(get, out):
    value = get("product_id")
    if absent(value):
        return missing_unless_typed(get)
    number = number_of(value)
    parts = integer_of(number) if number is not None else None
    if parts is None:
        if isinstance(value, Number) or not isinstance(value, str):
            raise Reject("wrong_type")
        out["sku"] = check_limits(value, ID_BYTES)
        return
    if too_big(number):
        raise Reject("out_of_range")
    small = small_integer(parts, -2**31, 2**31 - 1)
    if small is not None:
        out["product_id"] = small
    else:
        out["sku"] = check_limits(parts[0] + parts[1] + "0" * parts[2], ID_BYTES)


def row_category(get, out):
    text = text_of(get("category"))
    if text is None:
        return missing_unless_typed(get)
    out["category"] = check_limits(text.strip(BLANKS), ID_BYTES)


def row_price(get, out):
    if absent(get("price")):
        return missing_unless_typed(get)
    number = number_of(get("price"))
    if number is None:
        raise Reject("wrong_type")
    price = float(number)
    if not 0 <= price <= 1e9:
        raise Reject("out_of_range")
    out["price"] = price + 0.0


def row_quantity(get, out):
    if absent(get("quantity")):
        return
    out["quantity"] = integer_field(get("quantity"), 0, 1_000_000)
    if "price" in out and out["price"] * out["quantity"] >= 1e14:
        raise Reject("out_of_range")


def row_texts(get, out):
    for name in TEXTS:
        text = text_of(get(name))
        if text is not None:
            out[name] = check_limits(text, ID_BYTES if name in IDS else TEXT_BYTES)


def event_key(event):
    if "event_id" in event:
        return event["event_id"]
    lines = ""
    for name in KEY_ORDER:
        value = event.get(name)
        if value is None or (name == "quantity" and value == 1):
            continue
        if name == "event_ts":
            value = event["event_us"]
        elif name == "price":
            value = plain(value)
        lines += f"{name}={value}\n"
    return hashlib.sha256(lines.encode()).hexdigest()[:32]


def decode_or_raise(record, received_us):
    if len(record) > MIB:
        raise Reject("too_large")
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError:
        raise Reject("invalid_utf8")
    value = parse(text)
    if not isinstance(value, list):
        raise Reject("not_an_object")
    members = dict(value)  # the first place, the last value
    out = {}
    row_event_ts(members.get, out, received_us)
    row_product_id(members.get, out)
    row_category(members.get, out)
    row_price(members.get, out)
    row_quantity(members.get, out)
    row_texts(members.get, out)
    extra = [(n, v) for n, v in members.items() if n not in KNOWN and v is not None]
    if extra:
        out["extra"] = compact(extra)
    out["event_key"] = event_key(out)
    return out


def decode(record, received_us):
    try:
        return decode_or_raise(record, received_us)
    except Reject as reject:
        return {"reject": str(reject)}
