# SPDX-License-Identifier: Apache-2.0
"""What a broker does to us that lasts: away for long, slow on purpose, strict with its members, less than it was,
replaced by another.

CM_AWAY_SECONDS=600 for ten minutes without it (docs/kafka.md has the figures).
"""
import os
import pathlib
import shutil
import time

import pytest

import books
from mill import wait_for
from test_kafka import QUICK, SHOPPERS, SHORT, check_layers, cpu_seconds, event, ids, in_bronze, positions, rss_mib, values
from test_metrics import get, scrape, value

BOUNDED_MIB = 300
AWAY_S = int(os.environ.get("CM_AWAY_SECONDS", 5))
RATE = 200 if AWAY_S < 60 else 1000  # what cannot be sent in ten minutes is more than the queue holds


# ---- away ----

@pytest.mark.timeout(AWAY_S + 600)
def test_a_broker_that_is_away_for_long(kafka, mill):
    """Memory is bounded, waiting costs nothing, it recovers alone, and nothing is lost or doubled."""
    kafka.connect(mill, 4)
    kafka.create(mill.topic, 4)
    serve = ("-c", "serve.listen=127.0.0.1:0", "-c", "serve.sample_every=200ms")
    ingest = mill.start(*QUICK, *serve, "ingest")
    produce = mill.start("-c", f"stream.timeout={AWAY_S + 120}s", *SHOPPERS, "--rate", RATE, "--events", "0", "--seed", "1")
    wait_for(lambda: in_bronze(mill) > 100, "events come in")
    kafka.kill()
    away_since, before = time.monotonic(), {p: cpu_seconds(p) for p in (ingest, produce)}
    most = {ingest: 0, produce: 0}
    wait_for(lambda: get(ingest, "/readyz")[0] == 503, "not ready")
    while time.monotonic() - away_since < AWAY_S:
        most = {p: max(m, rss_mib(p)) for p, m in most.items()}
        time.sleep(0.2)
    assert get(ingest, "/healthz")[0] == 200, "a restart would not help"
    # Less the second or so for which librdkafka may turn when it finds its group gone.
    cpu = {p: (cpu_seconds(p) - before[p] - 2) / AWAY_S for p in most}
    assert ingest.alive() and produce.alive(), ingest.err() + produce.err()
    committed = in_bronze(mill)
    kafka.start()
    back_since = time.monotonic()
    wait_for(lambda: in_bronze(mill) > committed, "it recovers alone", 60)
    took = time.monotonic() - back_since
    wait_for(lambda: get(ingest, "/readyz")[0] == 200, "ready")
    most = {p: max(m, rss_mib(p)) for p, m in most.items()}
    print(f"away {AWAY_S} s: ingest at most {most[ingest]:.0f} MiB, {100 * max(cpu[ingest], 0):.1f} % of a processor; "
          f"produce {most[produce]:.0f} MiB, {100 * max(cpu[produce], 0):.1f} %; new rows {took:.1f} s after the broker was up")
    assert max(most.values()) < BOUNDED_MIB and max(cpu.values()) < 0.25, (most, cpu)
    assert produce.stop() == 0, produce.err()
    mill.ok("ingest", "--once")
    assert ingest.stop() == 0, ingest.err()
    assert len(books.read_ledger(mill.home / "ledger")) == len(check_layers(mill)), "what is there was acknowledged"


# ---- slow on purpose ----

def test_a_broker_that_throttles(kafka, mill):
    """Quotas: it answers late, and neither side takes that for a failure."""
    kafka.connect(mill)
    rate, record = 400_000, b"x" * 1000
    slow = ("-c", "kafka.compression.type=none", "-c", "stream.timeout=30s")
    kafka.quota("clickmill", producer_byte_rate=rate, consumer_byte_rate=rate)
    try:
        for verb in (("produce", "--from", "-"), ("ingest", "--once")):
            start = time.monotonic()
            done = mill(*slow, *verb, input=(record + b"\n") * 6000)
            took = time.monotonic() - start
            assert done.code == 0, done
            assert took > 1, f"{verb[0]}: {took:.1f} s: was it throttled at all? Else it takes a tenth of a second"
    finally:
        kafka.quota("clickmill", producer_byte_rate=None, consumer_byte_rate=None)
    assert len(check_layers(mill)) == 6000


# ---- less than it was ----

def test_a_topic_that_lost_its_last_records(kafka, mill):
    """As after an unclean election, or a disk that was put back: bronze has what the topic has no more."""
    topic = kafka.connect(mill).topic
    kafka.create(topic)
    kafka.send(topic, *values(*range(10)))
    log = pathlib.Path(kafka.folder, "data", f"{topic}-0")
    shutil.copytree(log, mill.home / "before")
    kafka.send(topic, *values(*range(10, 30)))
    mill.ok("ingest", "--once")
    kafka.kill()
    shutil.rmtree(log)
    shutil.move(mill.home / "before", log)
    kafka.start()
    producer = kafka.producer()  # the other one remembers the longer log
    kafka.send(topic, *values(*range(100, 105)), producer=producer)
    for verb in ("ingest", "--once"), ("ingest",):
        mill.fails(4, *SHORT, *verb, says=[topic, "position 30", "0 to 15"], hint="cut", seconds=60)
    assert [o for _, o, _ in positions(mill)] == list(range(30)), "nothing of the new log under the old positions"
    assert mill.json("-c", "stream.app=anew", "ingest", "--once")["records"] == 15


# ---- members with a name ----

SESSION_S = 30


def static(name):
    return (*QUICK, "-c", f"kafka.session.timeout.ms={SESSION_S * 1000}", "-c", f"kafka.group.instance.id={name}", "-c", "serve.listen=127.0.0.1:0",
            "-c", "serve.sample_every=100ms", "ingest")


def assigned(process):
    return {dict(labels)["partition"] for (name, labels), v in scrape(process).items() if name == "clickmill_partition_assigned" and v == 1}


def test_a_static_member_comes_back_without_a_rebalance(kafka, mill):
    """Killed or stopped: within its session it has its partitions again at once, and the others notice nothing."""
    kafka.connect(mill, 4)
    mill.env["CLICKMILL_STREAM_APP"] = "static"
    kafka.create(mill.topic, 4)
    stays, goes = mill.start(*static("a")), mill.start(*static("b"))
    wait_for(lambda: len(assigned(stays)) == len(assigned(goes)) == 2, "they share")
    before, its = value(stays, "clickmill_stream_rebalances_total"), assigned(goes)
    for i, end in enumerate((goes.kill, goes.stop)):
        end()
        start = time.monotonic()
        goes = mill.start(*static("b"))
        wait_for(lambda: assigned(goes) == its, "the same partitions")
        assert time.monotonic() - start < SESSION_S, "before the session of the dead one is over"
        for partition in range(4):
            kafka.send(mill.topic, *values(4 * i + partition), partition=partition)
        wait_for(lambda: in_bronze(mill) == 4 * (i + 1), "all partitions are read")
    assert value(stays, "clickmill_stream_rebalances_total") == before
    assert [stays.stop(), goes.stop()] == [0, 0], stays.err() + goes.err()
    check_layers(mill)


def test_of_two_with_one_name_the_older_is_refused(kafka, mill):
    kafka.connect(mill)
    mill.env["CLICKMILL_STREAM_APP"] = "fenced"  # members with a name stay when they have ended
    kafka.create(mill.topic)
    older = mill.start(*static("a"))
    kafka.send(mill.topic, *values(1))
    wait_for(lambda: in_bronze(mill) == 1, "it reads")
    newer = mill.start(*static("a"))
    assert older.wait(30) == 4, older.err()
    message = next(line for line in older.err().splitlines() if line.startswith("clickmill: "))
    assert mill.topic in message and "group.instance.id" in message, message
    assert "HINT: " in older.err() and "kafka.group.instance.id" in older.err().split("HINT: ")[1], older.err()
    kafka.send(mill.topic, *values(2))
    wait_for(lambda: in_bronze(mill) == 2, "the newer goes on")
    assert newer.stop() == 0, newer.err()
    check_layers(mill)


def test_a_static_member_that_turns_to_another_topic(kafka, mill):
    """The broker gives it what it had, of the old topic, and calls for no new assignment."""
    kafka.connect(mill, 2)
    mill.env["CLICKMILL_STREAM_APP"] = "turned"
    kafka.create(mill.topic, 2)
    members = [mill.start(*static(name)) for name in "ab"]
    wait_for(lambda: all(len(assigned(m)) == 1 for m in members), "they share")
    assert [m.stop() for m in members] == [0, 0]
    old = mill.topic
    kafka.connect(mill)
    kafka.create(mill.topic)
    kafka.send(mill.topic, *values(1))
    turned = mill.start(*static("b"))
    assert turned.wait(60) == 4 and old in turned.err() and "HINT: " in turned.err(), turned.err()
    other = mill.start("-c", "stream.app=other", *static("b"))
    wait_for(lambda: in_bronze(mill) == 1, "another app is another group")
    assert other.stop() == 0, other.err()


# ---- another cluster at the same address ----

def test_another_cluster_under_a_running_ingest(other_kafka, mill):
    """It ends, and says so; started again it reads the other cluster from its beginning."""
    other_kafka.connect(mill)
    other_kafka.create(mill.topic)
    other_kafka.send(mill.topic, *values(*range(10)))
    ingest = mill.start(*QUICK, "ingest")
    wait_for(lambda: in_bronze(mill) == 10, "it reads")
    other_kafka.kill()
    for name in ("data", "cluster.id"):
        path = os.path.join(other_kafka.folder, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    other_kafka.clients.clear()
    other_kafka.start()
    other_kafka.create(mill.topic)
    other_kafka.send(mill.topic, *values(*range(100, 125)))
    assert ingest.wait(60) == 4, ingest.err()
    message = next(line for line in ingest.err().splitlines() if line.startswith("clickmill: "))
    assert "another cluster" in message and mill.topic in message, message
    assert ids(mill) == sorted(f"e{i}" for i in range(10)), "nothing of the other one under the old positions"
    done = mill("ingest", "--once")
    assert done.code == 0 and "level=warn" in done.err and "another cluster" in done.err, done
    assert ids(mill) == sorted(f"e{i}" for i in [*range(10), *range(100, 125)])
    mill.ok("run")
    mill.reconciled()
