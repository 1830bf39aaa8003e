# SPDX-License-Identifier: Apache-2.0
"""What runs until it is told to stop: everything in one process, and runs on a schedule."""
import json
import signal
import time

import books
from mill import wait_for

SHIRT = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": 1771329600}
QUICK = ("-c", "up.every=200ms", "-c", "ingest.batch_age=100ms")


def test_up_with_shoppers_shows_metrics_and_ends_clean(mill, sink):
    up = mill.start(*QUICK, "up", "--demo", "--rate", "300")
    wait_for(lambda: "electronics" in up.out(), "metrics on the screen")
    first = wait_for(lambda: mill.json("status")["events"], "events in bronze")
    wait_for(lambda: mill.json("status")["events"] > first and sum(n for n, _ in sink.metrics().values()) > 100, "more and more")
    assert up.alive(), up.err()
    assert up.stop(signal.SIGTERM) == 0, up.err()
    assert "level=error" not in up.err()

    mill.ok("ingest", "--once")
    mill.ok("run")
    mill.reconciled()
    kept = books.Books(books.stream_records(mill.home))
    assert sink.metrics() == kept.gold() and kept.rejected == 0


def test_up_takes_in_what_others_produce(mill):
    up = mill.start(*QUICK, "up")
    for i in range(3):
        mill.produce({**SHIRT, "price": i})
        wait_for(lambda: mill.json("status")["layers"][2]["version"] >= i, "a round")
    wait_for(lambda: mill.json("status")["sink_is_current"], "loaded")
    assert up.stop(signal.SIGINT) == 0, up.err()
    assert mill.sql("SELECT sum(total_events) AS n FROM gold.clickstream_metrics") == [{"n": 3}]
    mill.reconciled()


def test_up_says_what_is_wrong_and_ends(mill):
    mill.fails(7, "-c", "sink.url=postgresql://127.0.0.1:1/x", "-c", "sink.timeout=200ms", "up", says="127.0.0.1")


def test_run_on_a_schedule_and_its_history(mill):
    def history():
        return [json.loads(line) for line in mill.ok("run", "--history").splitlines()]

    run = mill.start("run", "--every", "1s")
    start = time.monotonic()
    for i in range(3):
        mill.produce({**SHIRT, "price": i})
        mill.ok("ingest", "--once")
        wait_for(lambda: sum(r["silver"]["rows"] for r in history()) == i + 1, "the next run, to its end")
    assert run.stop() == 0, run.err()
    took = time.monotonic() - start

    runs = history()
    assert 3 <= len(runs) <= took + 2
    if not runs[-1]["ok"]:  # it was under way when all was to stop, and had nothing to do
        assert "stop" in runs.pop()["error"]
    assert all(r["ok"] and "error" not in r for r in runs)
    assert sum(r["silver"]["rows"] for r in runs) == 3 and sum(r["load"]["upserted"] for r in runs) == 5 * 3
    assert [r["started_at"] for r in runs] == sorted(r["started_at"] for r in runs)
    mill.reconciled()


def test_a_failed_run_is_in_the_history_with_its_reason(mill):
    mill.feed(SHIRT)
    mill.fails(7, "-c", "sink.url=postgresql://u:hunter2@127.0.0.1:1/x", "-c", "sink.timeout=100ms", "-c", "run.retries=0", "run")
    [last] = [json.loads(line) for line in mill.ok("run", "--history").splitlines()]
    assert last["ok"] is False and last["failed_step"] == "load" and "127.0.0.1" in last["error"]
    assert "hunter2" not in json.dumps(last)


def test_a_schedule_outlives_failed_runs(mill):
    mill.feed(SHIRT)
    run = mill.start("-c", "sink.url=postgresql://127.0.0.1:1/x", "-c", "sink.timeout=100ms", "-c", "run.retries=0",
                     "run", "--every", "300ms")
    wait_for(lambda: run.err().count("run failed") >= 3, "it goes on")
    assert run.stop() == 0
