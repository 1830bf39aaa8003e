# SPDX-License-Identifier: Apache-2.0
"""What is special about a lake in S3: keys, what is said when it cannot be reached, and the local cache."""
import http.server
import random
import threading

import pytest

from mill import wait_for

SALE = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": 1771286400}


@pytest.fixture
def s3_mill(mill, s3):
    mill.set_lake(s3.new_lake())
    return mill


def sales(seed, n):
    draw = random.Random(seed)
    return [{**SALE, "price": draw.randrange(1, 10**6) / 100, "event_ts": SALE["event_ts"] + draw.randrange(5) * 86400} for _ in range(n)]


def cached(mill):
    return sorted(f for f in (mill.home / "data/cache/objects").rglob("*") if f.is_file())


# ---- is it there, may we? ----

def test_doctor_tries_the_store_and_leaves_nothing(s3_mill, s3):
    s3_mill.ok("config", "check")
    assert "put-if-absent works" in s3_mill.ok("doctor")
    top = s3.data / s3.bucket / s3_mill.lake.prefix
    assert not [f for f in top.rglob("*") if f.is_file()]


def test_what_is_wrong_is_told_without_secrets(s3_mill):
    secret = s3_mill.env["AWS_SECRET_ACCESS_KEY"]
    cases = [({"AWS_SECRET_ACCESS_KEY": "quite-another"}, "SignatureDoesNotMatch", "not those of this store"),
             ({"AWS_REGION": "eu-west-9"}, "400", "set s3.region = us-east-1"),
             ({"AWS_PROFILE": "shop", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no AWS profile 'shop'", None),
             ({"CLICKMILL_S3_ENDPOINT": "http://127.0.0.1:1", "CLICKMILL_LAKE_TIMEOUT": "300ms"}, "Failed to connect", None),
             ({"CLICKMILL_LAKE_URL": "s3://no-such-bucket/x"}, "NoSuchBucket", "make the bucket 'no-such-bucket' first")]
    for env, says, hint in cases:
        told = s3_mill.fails(5, "doctor", says=says, hint=hint, env=env)
        assert secret not in told and "quite-another" not in told
    assert secret not in s3_mill.ok("config", "show")


class Forgetful(http.server.BaseHTTPRequestHandler):
    """A store that takes every PUT, whatever its conditions."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def do_DELETE(self):
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_doctor_refuses_a_store_that_overwrites(s3_mill):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as store:
        threading.Thread(target=store.serve_forever).start()
        try:
            s3_mill.env["CLICKMILL_S3_ENDPOINT"] = f"http://127.0.0.1:{store.server_port}"
            s3_mill.fails(5, "doctor", says="ignores If-None-Match", hint="conditional writes")
        finally:
            store.shutdown()


def test_a_store_is_checked_before_it_is_asked(s3_mill):
    for setting, says in (("lake.url=s3://Shop/x", "no bucket's name"), ("s3.endpoint=localhost:9000", "not the URL of a store"),
                          ("s3.path_style=maybe", "none of auto|yes|no"), ("s3.region=us east", "no region's name")):
        s3_mill.fails(3, "-c", setting, "config", "check", says=says)


def test_a_profile_gives_keys_region_and_endpoint(s3_mill):
    keys = {name: s3_mill.env.pop(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
    endpoint = s3_mill.env.pop("CLICKMILL_S3_ENDPOINT")
    (s3_mill.home / ".aws").mkdir()
    (s3_mill.home / ".aws/credentials").write_text(f"[shop]\naws_access_key_id = {keys['AWS_ACCESS_KEY_ID']}\n"
                                                   f"aws_secret_access_key = {keys['AWS_SECRET_ACCESS_KEY']}\n")
    (s3_mill.home / ".aws/config").write_text(f"[profile shop]\nregion = us-east-1\nendpoint_url = {endpoint}\n")
    s3_mill.ok("-c", "s3.profile=shop", "doctor")
    s3_mill.env["AWS_PROFILE"] = "shop"
    s3_mill.ok("doctor")


# ---- the cache ----

def test_what_was_written_here_is_not_fetched(s3_mill, s3):
    """Bronze's and silver's files go to the store and are read from the cache: they may be gone there."""
    s3_mill.produce(*sales(1, 200))
    s3_mill.ok("ingest", "--once")
    top = s3.data / s3.bucket / s3_mill.lake.prefix
    away = [(f, f.read_bytes()) for f in top.rglob("*.parquet")]
    assert away
    for f, _ in away:
        f.unlink()
    s3_mill.ok("silver")
    for f, data in away:
        f.write_bytes(data)
    s3_mill.ok("gold")
    s3_mill.ok("load")
    s3_mill.reconciled()


def test_the_cache_may_be_damaged_or_gone(s3_mill):
    s3_mill.feed(*sales(2, 300))
    before = s3_mill.sql("SELECT * FROM silver.events ORDER BY ALL")
    assert len(before) == 300 and cached(s3_mill)
    for f in cached(s3_mill):
        f.write_bytes(f.read_bytes()[:-1])
    assert s3_mill.sql("SELECT * FROM silver.events ORDER BY ALL") == before
    for f in cached(s3_mill):
        f.unlink()
    assert s3_mill.sql("SELECT * FROM silver.events ORDER BY ALL") == before
    s3_mill.reconciled()


def test_the_cache_keeps_to_its_size(s3_mill):
    s3_mill.env["CLICKMILL_CACHE_MAX_BYTES"] = "1MiB"
    for seed in range(4):
        s3_mill.feed(*sales(seed, 7000))
    kept = sum(f.stat().st_size for f in cached(s3_mill))
    in_lake = sum(len(data) for name in s3_mill.versions() for data in s3_mill.lake.files(name).values())
    print(f"{in_lake} bytes in the lake, {kept} in the cache")
    assert 0 < kept <= 2**20 * 17 / 16 < in_lake
    s3_mill.reconciled()


def test_up_runs_on_s3_and_stops_when_told(s3_mill):
    up = s3_mill.start("-c", "up.every=50ms", "-c", "ingest.batch_age=50ms", "up", "--demo", "--rate", "500")
    wait_for(lambda: s3_mill.json("status")["events"] > 500, "events in silver")
    assert up.stop() == 0, up.err()
    s3_mill.ok("ingest", "--once")
    s3_mill.ok("run")
    s3_mill.reconciled()
    assert not [f for f in (s3_mill.home / "data/cache/.stage").rglob("*") if f.is_file() and f.name != ".lock"], "nothing is left in the stage"


# ---- upkeep ----

def test_upkeep_works_on_s3_as_elsewhere(s3_mill, s3):
    for seed in range(3):
        s3_mill.feed(*sales(seed, 100))
    before = s3_mill.sql("SELECT * FROM silver.events ORDER BY ALL")
    for name in s3_mill.versions():
        s3_mill.ok("table", "optimize", name)
        s3_mill.ok("table", "checkpoint", name)
        assert all(row["ok"] for row in s3_mill.json("table", "verify", name, "--deep"))
    s3_mill.ok("run")  # gold sees what was packed: until then it may want the files as they were
    files = s3_mill.lake.files("silver.events")
    s3_mill.ok("table", "vacuum", "silver.events", "--retention", "0s", "--force")
    left = s3_mill.lake.files("silver.events")
    assert set(left) < set(files), "what was packed into others is gone"
    assert len(left) == 5, "one file a day"
    assert s3_mill.sql("SELECT * FROM silver.events ORDER BY ALL") == before
    assert sorted(r["event_key"] for r in s3_mill.rows("silver.events")) == sorted(r["event_key"] for r in before)
    s3_mill.feed(*sales(9, 10))
    s3_mill.reconciled()
