# SPDX-License-Identifier: Apache-2.0
"""A real Kafka broker, with everything that one day happens to it.

What must be in the tables is computed a second time (books.py) from what Confluent's consumer reads.
"""
import datetime
import json
import os
import pathlib
import re
import signal
import time

import pytest

import books
from mill import ndjson, wait_for
from sinks import Sqlite
from test_kill import check_ledger
from test_metrics import value

SHOPPERS = ("produce", "--duplicates", "0.1", "--late", "0.1", "--bad", "0.05", "--ledger", "ledger")
QUICK = ("-c", "ingest.batch_age=100ms", "-c", "kafka.topic.metadata.refresh.interval.ms=500",
         "-c", "kafka.session.timeout.ms=1500", "-c", "kafka.heartbeat.interval.ms=300")
SHORT = ("-c", "stream.timeout=3s")


def event(i, **more):
    return {"product_id": 1 + i % 20, "category": "electronics", "price": 9.5, "event_ts": 1771286400 + i, "event_id": f"e{i}", **more}


def values(*numbers):
    return [json.dumps(event(i)).encode() for i in numbers]


def positions(mill):
    return sorted((r["source_partition"], r["source_offset"], r["source_index"]) for r in mill.rows("bronze.events"))


def ids(mill, table="bronze.events"):
    return sorted(r["event_id"] for r in mill.rows(table) if r["event_id"] is not None)


def in_bronze(mill):
    """How many records, also while an ingest runs; 0 before the table is there."""
    return mill.json("sql", "SELECT count(*) AS n FROM bronze.events")[0]["n"] if mill.table_path("bronze.events").exists() else 0


def check_layers(mill):
    """Every layer, against what a consumer that is not ours reads."""
    mill.ok("run")
    records = mill.broker.records(mill.topic)
    assert positions(mill) == [(r.partition, r.offset, 0) for r in records], "each record once, and nothing else"
    kept = books.Books(records)
    assert sorted(r["event_key"] for r in mill.rows("silver.events")) == sorted(kept.silver)
    if kept.conflicts == 0:  # else it depends on the batch which of two is first
        assert Sqlite(mill.home).metrics() == kept.gold()
    counts = mill.counts()
    assert counts["lag"] == 0 and counts["events"] == len(records) and counts["rejected"] == kept.rejected
    assert counts["duplicates"] + counts["conflicts"] == kept.duplicates + kept.conflicts
    check_ledger(mill, records)
    mill.reconciled()
    return records


def rss_mib(running):
    """0 when it has ended."""
    with open(f"/proc/{running.process.pid}/status") as status:
        found = re.search(r"VmRSS:\s+(\d+)", status.read())
        return int(found[1]) / 1024 if found else 0


def cpu_seconds(running):
    with open(f"/proc/{running.process.pid}/stat") as stat:
        fields = stat.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_taken(running, seconds):
    """CPU seconds within so many of the clock."""
    before = cpu_seconds(running)
    time.sleep(seconds)
    return cpu_seconds(running) - before


# ---- the whole way ----

@pytest.mark.parametrize("partitions", [1, 4])
def test_from_the_first_event_to_the_metrics(kafka, mill, partitions):
    kafka.connect(mill, partitions)
    mill.ok(*SHOPPERS, "--events", "5000", "--seed", "1")
    mill.ok("ingest", "--once")
    assert mill.json("ingest", "--once")["records"] == 0, "a repeat finds nothing to do"
    records = check_layers(mill)
    assert {r.partition for r in records} == set(range(partitions)) and len(records) >= 5000


def test_lines_of_a_file_arrive_as_they_are(kafka_mill):
    lines = [b'{"product_id":1,"category":"x","price":1,"event_ts":1771286400}', b"no json", "{\"a\":\"ü\"}".encode()]
    kafka_mill.produce(*lines)
    kafka_mill.ok("-c", "ingest.keep_raw=true", "ingest", "--once")
    assert sorted(r["raw"] for r in kafka_mill.rows("bronze.events")) == sorted(lines)
    assert {r.key for r in kafka_mill.broker.records(kafka_mill.topic)} == {None}
    check_layers(kafka_mill)


def test_up_with_shoppers(kafka_mill):
    up = kafka_mill.start("-c", "up.every=200ms", "-c", "ingest.batch_age=100ms", "up", "--demo", "--rate", "300")
    wait_for(lambda: "electronics" in up.out(), "metrics on the screen")
    assert up.stop() == 0, up.err()
    kafka_mill.ok("ingest", "--once")
    check_layers(kafka_mill)


def test_doctor_and_status_know_the_broker(kafka_mill):
    kafka_mill.broker.create(kafka_mill.topic, 3)
    kafka_mill.broker.send(kafka_mill.topic, *values(1, 2), partition=2)
    assert "3 partitions" in kafka_mill.ok("doctor")
    assert kafka_mill.json("status")["lag"] == 2


# ---- the broker goes and comes ----

def test_a_broker_that_is_down(kafka_mill):
    broker = kafka_mill.broker
    kafka_mill.produce(event(1))
    broker.stop()
    short = ("-c", "stream.timeout=1s")
    for verb in (("ingest", "--once"), ("produce", "--events", "10"), ("status",), ("doctor",)):
        start = time.monotonic()
        done = kafka_mill(*short, *verb)
        assert done.code == 4 or verb == ("doctor",) and done.code != 0, f"{verb}: {done}"
        assert broker.address in done.err + done.out, f"{verb}: {done}"
        assert time.monotonic() - start < 20, f"{verb}: stream.timeout is 1 s"
    assert not kafka_mill.table_path("bronze.events").exists() or positions(kafka_mill) == []

    # What runs until it is stopped waits.
    ingest = kafka_mill.start(*QUICK, *short, "ingest")
    time.sleep(2)
    assert ingest.alive(), ingest.err()
    broker.start()
    wait_for(lambda: in_bronze(kafka_mill) == 1, "it goes on")
    assert ingest.stop() == 0, ingest.err()
    check_layers(kafka_mill)


def test_stopping_while_the_broker_is_away(kafka_mill):
    kafka_mill.produce(event(1))
    ingest = kafka_mill.start(*QUICK, "ingest")
    wait_for(lambda: in_bronze(kafka_mill) == 1, "it works")
    kafka_mill.broker.kill()
    time.sleep(2)  # its session is over
    # librdkafka may turn for a second or so when it finds its group gone; what waits must come to rest.
    wait_for(lambda: seconds_taken(ingest, 2) < 0.5, "waiting takes no processor", 30)
    start = time.monotonic()
    assert ingest.stop() == 0, ingest.err()
    assert time.monotonic() - start < 15


# ---- topics ----

def test_a_topic_that_is_not_there(kafka_mill):
    assert kafka_mill.json("ingest", "--once")["records"] == 0
    assert kafka_mill.broker.partitions(kafka_mill.topic) == 0, "reading makes no topic"
    ingest = kafka_mill.start(*QUICK, "ingest")
    time.sleep(1)
    kafka_mill.produce(event(1), event(2))
    wait_for(lambda: in_bronze(kafka_mill) == 2, "the topic that came later is read")
    assert ingest.stop() == 0, ingest.err()
    check_layers(kafka_mill)


def test_a_topic_that_was_deleted_and_made_again(kafka_mill):
    """Its offsets begin at 0 again, so they mean other records: that must never pass unseen."""
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic)
    broker.send(topic, *values(*range(10)))
    kafka_mill.ok("ingest", "--once")
    broker.delete(topic)
    broker.create(topic)
    broker.send(topic, *values(*range(100, 125)))  # more than there were, so the offset alone tells nothing
    kafka_mill.fails(4, *SHORT, "ingest", "--once", says=topic)
    assert ids(kafka_mill) == sorted(f"e{i}" for i in range(10))


def test_a_topic_deleted_under_a_running_ingest(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic)
    broker.send(topic, *values(*range(10)))
    ingest = kafka_mill.start(*QUICK, *SHORT, "ingest")
    wait_for(lambda: in_bronze(kafka_mill) == 10, "read")
    broker.delete(topic)
    broker.create(topic)
    broker.send(topic, *values(*range(100, 125)))
    assert ingest.wait() == 4 and topic in ingest.err(), ingest.err()
    kafka_mill.fails(4, *SHORT, "ingest", "--once", says=topic)  # it does not pass by waiting
    assert ids(kafka_mill) == sorted(f"e{i}" for i in range(10)), "nothing of the new topic under the old positions"


def test_partitions_that_are_added(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic)
    broker.send(topic, *values(1, 2))
    ingest = kafka_mill.start(*QUICK, "ingest")
    wait_for(lambda: in_bronze(kafka_mill) == 2, "read")
    broker.add_partitions(topic, 3)
    producer = broker.producer()  # the other one has not heard of them
    broker.send(topic, *values(3, 4), partition=2, producer=producer)  # before the consumer has: from the beginning
    broker.send(topic, *values(5), partition=1, producer=producer)
    wait_for(lambda: in_bronze(kafka_mill) == 5, "the new ones are read from their beginning")
    assert ingest.stop() == 0, ingest.err()
    check_layers(kafka_mill)


def test_another_cluster_at_the_same_topic(kafka, other_kafka, mill):
    """Offsets of another cluster are other offsets: they must not be taken for the old ones."""
    kafka.connect(mill)
    kafka.create(mill.topic)
    kafka.send(mill.topic, *values(*range(10)))
    mill.ok("ingest", "--once")
    mill.env["CLICKMILL_STREAM_URL"] = f"kafka://{other_kafka.address}"
    other_kafka.create(mill.topic)
    other_kafka.send(mill.topic, *values(*range(100, 125)))
    done = mill(*SHORT, "ingest", "--once")
    assert done.code == 0 and "level=warn" in done.err and "another cluster" in done.err, done
    assert ids(mill) == sorted(f"e{i}" for i in [*range(10), *range(100, 125)]), "read as another stream, from its beginning"
    mill.ok("run")
    mill.reconciled()


# ---- what the stream forgot ----

def test_records_forgotten_before_they_were_read(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic)
    broker.send(topic, *values(*range(10)))
    kafka_mill.ok("ingest", "--once")
    broker.send(topic, *values(*range(10, 40)))
    broker.forget(topic, 0, 25)
    for _ in range(2):  # it says so until somebody decides
        kafka_mill.fails(4, *SHORT, "ingest", "--once", says=[topic, "10", "25"], hint="--accept-loss")
    assert [o for _, o, _ in positions(kafka_mill)] == list(range(10))

    kafka_mill.ok("ingest", "--once", "--accept-loss")
    assert [o for _, o, _ in positions(kafka_mill)] == [*range(10), *range(25, 40)]
    kafka_mill.ok("run")
    kafka_mill.reconciled()
    told = kafka_mill.ok("reconcile")
    assert "15" in told and ("lost" in told or "loss" in told or "gap" in told), "the proof names what is missing"
    broker.send(topic, *values(50))
    kafka_mill.ok("ingest", "--once")  # the loss was accepted once, it is not met again
    assert [o for _, o, _ in positions(kafka_mill)][-1] == 40


def test_a_running_ingest_meets_the_loss(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic)
    broker.send(topic, *values(*range(10)))
    kafka_mill.ok("ingest", "--once")
    broker.send(topic, *values(*range(10, 20)))
    broker.forget(topic, 0, 15)
    ingest = kafka_mill.start(*QUICK, "ingest")
    assert ingest.wait() == 4 and "15" in ingest.err(), ingest.err()
    accepting = kafka_mill.start(*QUICK, "ingest", "--accept-loss")
    wait_for(lambda: in_bronze(kafka_mill) == 15, "it goes on behind the gap")
    assert accepting.stop() == 0, accepting.err()
    kafka_mill.ok("run")
    kafka_mill.reconciled()


def test_what_was_forgotten_before_we_came_is_no_loss(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic)
    broker.send(topic, *values(*range(10)))
    broker.forget(topic, 0, 7)
    kafka_mill.ok("ingest", "--once")
    assert [o for _, o, _ in positions(kafka_mill)] == [7, 8, 9]
    kafka_mill.ok("run")
    kafka_mill.reconciled()
    assert kafka_mill.json("status")["lost"] == 0


def test_what_is_forgotten_before_its_first_read_is_a_loss_once_we_came(kafka_mill):
    """In a partition that was empty when we came, and in one that came later: bronze holds nothing of either."""
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic, 2)
    broker.send(topic, *values(*range(10)))
    broker.forget(topic, 0, 10)
    kafka_mill.ok("ingest", "--once")
    assert positions(kafka_mill) == []
    broker.add_partitions(topic, 3)
    producer = broker.producer()
    for partition, first, forgotten in (0, 10, 13), (2, 0, 5):
        broker.send(topic, *values(*range(6)), partition=partition, producer=producer)
        broker.forget(topic, partition, forgotten)
    assert [p["gone"] for p in kafka_mill.json("status")["partitions"]] == [3, 0, 5]
    kafka_mill.fails(4, *SHORT, "ingest", "--once", says="were removed before they were read", hint="--accept-loss")
    assert kafka_mill.json("ingest", "--once", "--accept-loss")["lost"] == 8
    assert [(p, o) for p, o, _ in positions(kafka_mill)] == [(0, 13), (0, 14), (0, 15), (2, 5)]
    lost = [json.loads(info["operationParameters"]["lost"]) for info in (dict(v)["commitInfo"] for v in kafka_mill.log("bronze.events"))
            if "lost" in info["operationParameters"]]
    assert sorted((l["partition"], l["from"], l["to"]) for v in lost for l in v) == [(0, 10, 13), (2, 0, 5)]
    assert kafka_mill.json("status")["lost"] == 8
    kafka_mill.ok("run")
    kafka_mill.reconciled()


# ---- what a record can be ----

def test_values_of_every_kind(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic, max_message_bytes=32 * 1024 * 1024)
    limit = 1024 * 1024
    padded = json.dumps(event(1)).encode()
    broker.send(topic, None, key=b"k")  # a tombstone
    broker.send(topic, b"", values(2)[0], headers={"h": b"\x00\xff", "": b""}, key=b"\xff\x00")
    broker.send(topic, b"\x00\x01\xff\xfe", b"\xed\xa0\x80", b"[" * 1000, b"{}")
    broker.send(topic, padded + b" " * (limit - len(padded)), b"x" * (limit + 1), b"y" * (3 * limit), b"z" * (20 * limit))
    kafka_mill.ok("ingest", "--once")
    rows = {r["source_offset"]: r for r in kafka_mill.rows("bronze.events")}
    assert [rows[i]["reject_reason"] is None for i in range(11)] == [False, False, True, False, False, False, False, True, False, False, False]
    assert [rows[i]["reject_reason"] for i in (8, 9, 10)] == ["too_large"] * 3
    assert rows[9]["raw"] == b"y" * (3 * limit) and rows[10]["raw"] == b"z" * (20 * limit), "a reject keeps its bytes"
    assert len(check_layers(kafka_mill)) == 11


def test_a_batch_larger_than_we_take(kafka_mill):
    """librdkafka would close the connection and ask again, for ever."""
    kafka_mill.broker.create(kafka_mill.topic, max_message_bytes=32 * 1024 * 1024)
    kafka_mill.broker.send(kafka_mill.topic, *values(1), b"z" * (10 * 1024 * 1024), *values(2))
    small = ("-c", "kafka.receive.message.max.bytes=9000000")
    for verb in (("ingest", "--once"), ("ingest",)):
        kafka_mill.fails(4, *small, *verb, says=[kafka_mill.topic, "10485"], hint="kafka.receive.message.max.bytes", seconds=30)
    kafka_mill.ok("ingest", "--once")
    assert len(check_layers(kafka_mill)) == 3


def test_compression_of_every_kind(kafka_mill):
    kafka_mill.broker.create(kafka_mill.topic)
    for i, kind in enumerate(("gzip", "snappy", "lz4", "zstd", "none")):
        kafka_mill.broker.send(kafka_mill.topic, *values(*range(100 * i, 100 * i + 50)),
                               producer=kafka_mill.broker.producer(compression_type=kind))
    kafka_mill.ok("ingest", "--once")
    assert len(check_layers(kafka_mill)) == 250


def test_what_is_produced_is_compressed(kafka_mill):
    sizes = {}
    for kind in ("by default", "none"):
        kafka_mill.broker.connect(kafka_mill)
        kafka_mill.ok(*([] if kind == "by default" else ["-c", "kafka.compression.type=none"]), "produce", "--events", "5000", "--seed", "1")
        log = pathlib.Path(kafka_mill.broker.folder, "data", f"{kafka_mill.topic}-0", f"{0:020}.log")
        sizes[kind] = log.stat().st_size
    assert sizes["by default"] < sizes["none"] / 2, sizes


def test_times_that_make_no_sense(kafka_mill):
    """CreateTime is what the producer says: never a reason to stop, or to lose a record."""
    broker, topic = kafka_mill.broker, kafka_mill.topic
    longest = 2**63 - 1
    broker.create(topic, message_timestamp_type="CreateTime", message_timestamp_after_max_ms=longest, message_timestamp_before_max_ms=longest,
                  retention_ms=-1)  # else the old ones are soon gone
    now = int(time.time() * 1000)
    times = [1, now, now * 1000, now * 10**6, 253402300800000, 4 * 10**18, now + 86400000]
    for i, ms in enumerate(times):
        broker.send(topic, *values(i), timestamp=ms)
    kafka_mill.ok("ingest", "--once")
    assert [o for _, o, _ in positions(kafka_mill)] == list(range(len(times)))
    rows = {r["source_offset"]: r for r in kafka_mill.rows("bronze.events")}
    assert rows[1]["received_at"].timestamp() * 1000 == pytest.approx(now, abs=1) and rows[1]["reject_reason"] is None
    for r in rows.values():
        assert datetime.date(1970, 1, 1) <= r["ingest_date"] <= datetime.date(9999, 12, 31), r
    kafka_mill.ok("run")
    kafka_mill.reconciled()


# ---- holes ----

def test_transactions_and_what_was_aborted(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic)
    broker.transaction(topic, *values(1, 2, 3))
    broker.transaction(topic, *values(*range(100, 110)), commit=False)
    broker.send(topic, *values(4))
    broker.transaction(topic, *values(5, 6))
    broker.transaction(topic, *values(*range(200, 210)), commit=False)  # the end of the topic holds no record
    start = time.monotonic()
    kafka_mill.ok("ingest", "--once")
    assert time.monotonic() - start < 20, "the end is reached though no record stands there"
    assert ids(kafka_mill) == [f"e{i}" for i in range(1, 7)]
    assert kafka_mill.json("ingest", "--once")["records"] == 0
    assert kafka_mill.json("status")["lag"] == 0
    broker.transaction(topic, *values(7))
    kafka_mill.ok("ingest", "--once")
    assert len(check_layers(kafka_mill)) == 7


def test_only_aborted_records(kafka_mill):
    kafka_mill.broker.create(kafka_mill.topic)
    kafka_mill.broker.transaction(kafka_mill.topic, *values(1, 2), commit=False)
    assert kafka_mill.json("ingest", "--once")["records"] == 0
    kafka_mill.broker.transaction(kafka_mill.topic, *values(3))
    kafka_mill.ok("ingest", "--once")
    assert ids(kafka_mill) == ["e3"]
    check_layers(kafka_mill)


def test_a_transaction_under_way(kafka_mill):
    """What is not decided is not there yet, and what came after it waits."""
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic)
    broker.send(topic, *values(1))
    open_one = broker.open_transaction(topic, *values(2, 3))
    broker.send(topic, *values(4))
    start = time.monotonic()
    kafka_mill.ok("ingest", "--once")
    assert time.monotonic() - start < 20
    assert ids(kafka_mill) == ["e1"]
    open_one.commit_transaction(30)
    kafka_mill.ok("ingest", "--once")
    assert ids(kafka_mill) == ["e1", "e2", "e3", "e4"]
    check_layers(kafka_mill)


def test_a_compacted_topic(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.001, delete_retention_ms=0,
                  max_compaction_lag_ms=200)
    for i in range(30):
        broker.send(topic, *values(i), key=b"k%d" % (i % 3))
    time.sleep(0.3)
    broker.send(topic, *values(30), key=b"last")  # begins a new segment: the old one may be cleaned

    def cleaned():
        time.sleep(0.2)
        broker.send(topic, *values(31), key=b"last")
        return len(broker.records(topic)) < 20
    wait_for(cleaned, "the topic is compacted")
    kafka_mill.ok("ingest", "--once")
    kafka_mill.ok("run")
    kafka_mill.reconciled()
    at = [o for _, o, _ in positions(kafka_mill)]
    assert len(at) < 30 and {r.offset for r in broker.records(topic)} <= set(at)
    assert kafka_mill.json("ingest", "--once")["records"] == 0


# ---- passwords ----

def with_password(mill, broker, password, mechanism="PLAIN", tls=False):
    mill.env["CLICKMILL_STREAM_URL"] = f"kafka://{broker.tls if tls else broker.sasl}"
    (mill.home / "clickmill.ini").write_text("[kafka]\n" + "".join(f"{name} = {value}\n" for name, value in {
        "security.protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT", "sasl.mechanisms": mechanism, "sasl.username": "clickmill",
        "sasl.password": password, **({"ssl.ca.location": broker.ca} if tls else {})}.items()))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
@pytest.mark.parametrize("tls", [False, True], ids=["sasl", "tls"])
def test_the_right_password(kafka_mill, mechanism, tls):
    with_password(kafka_mill, kafka_mill.broker, kafka_mill.broker.password, mechanism, tls)
    kafka_mill.ok(*SHOPPERS, "--events", "100", "--seed", "1")
    kafka_mill.ok("ingest", "--once")
    check_layers(kafka_mill)


SECRET = "wrong-hunter2"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_the_wrong_password(kafka_mill, mechanism):
    with_password(kafka_mill, kafka_mill.broker, SECRET, mechanism)
    for verb in (("ingest", "--once"), ("produce", "--events", "1"), ("ingest",)):
        start = time.monotonic()
        told = kafka_mill.fails(4, *verb, says=kafka_mill.broker.sasl)
        assert "uthentication" in told or "SASL" in told
        assert time.monotonic() - start < 30, "that does not pass by waiting"


def test_a_certificate_nobody_vouches_for(kafka_mill):
    broker = kafka_mill.broker
    with_password(kafka_mill, broker, broker.password, tls=True)
    ini = kafka_mill.home / "clickmill.ini"
    ini.write_text(re.sub(r"ssl.ca.location.*\n", "", ini.read_text()))
    done = kafka_mill(*SHORT, "ingest", "--once")
    assert done.code == 4 and broker.tls in done.err, done


def test_settings_are_checked(kafka_mill):
    kafka_mill.fails(3, "-c", "kafka.no.such.setting=1", "ingest", "--once", says="no.such.setting")
    kafka_mill.fails(3, "-c", "kafka.session.timeout.ms=soon", "ingest", "--once", says="session.timeout.ms")


def test_more_replicas_than_brokers(kafka_mill):
    kafka_mill.fails(4, "-c", "stream.replication=2", "produce", "--events", "1", says=kafka_mill.topic, hint="stream.replication")
    assert kafka_mill.broker.partitions(kafka_mill.topic) == 0


# ---- several at once ----

def of_each(ingests):
    """How many records each of them has committed."""
    return [sum(int(n) for n in re.findall(r"committed.* records=(\d+)", i.err())) for i in ingests]


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_partitions(kafka, mill, processes):
    kafka.connect(mill, 4)
    kafka.create(mill.topic, 4)
    ingests = [mill.start(*QUICK, "-c", "log.level=debug", "ingest") for _ in range(processes)]
    produce = mill.start(*SHOPPERS, "--rate", "2000", "--events", "0", "--seed", "1")
    wait_for(lambda: all(of_each(ingests)), "each has its share")
    assert produce.stop() == 0, produce.err()
    wait_for(lambda: mill.json("status")["lag"] == 0, "all is read")
    assert [i.stop() for i in ingests] == [0] * processes, "".join(i.err() for i in ingests)
    assert mill.json("ingest", "--once")["records"] == 0
    check_layers(mill)


def test_one_that_was_frozen_is_refused(kafka, mill):
    """It holds a batch, freezes for longer than its session, another commits those records, it wakes up."""
    kafka.connect(mill)
    mill.produce(event(0))
    mill.ok("ingest", "--once")
    frozen = mill.start(*QUICK, "-c", "ingest.batch_age=2s", "-c", "log.level=debug", "-c", "serve.listen=127.0.0.1:0", "ingest")
    mill.produce(*(event(i) for i in range(1, 4)))
    wait_for(lambda: of_each([frozen])[0] == 3, "it reads")
    mill.produce(*(event(i) for i in range(4, 50)))
    time.sleep(0.5)  # read, not committed
    frozen.process.send_signal(signal.SIGSTOP)
    assert of_each([frozen]) == [3], "it holds the batch"
    other = mill.start(*QUICK, "-c", "log.level=debug", "ingest")
    wait_for(lambda: of_each([other])[0] == 46, "the other takes over")
    frozen.process.send_signal(signal.SIGCONT)
    mill.produce(*(event(i) for i in range(50, 60)))
    wait_for(lambda: in_bronze(mill) == 60, "all is read")
    time.sleep(2.5)  # the frozen one's batch would be due
    assert frozen.alive() and other.alive(), frozen.err() + other.err()
    wait_for(lambda: value(frozen, "clickmill_ingest_drops_total"), "and tells it")
    assert [frozen.stop(), other.stop()] == [0, 0], frozen.err() + other.err()
    assert sum(of_each([frozen, other])) == 59 and "batch dropped" in frozen.err()
    check_layers(mill)


def test_one_that_wakes_up_and_is_asked_to_end(kafka, mill):
    """Its partitions are gone, it has not heard of it yet: it ends all the same."""
    kafka.connect(mill, 4)
    kafka.create(mill.topic, 4)
    produce = mill.start("produce", "--events", "0", "--rate", "1000")
    other = mill.start(*QUICK, "ingest")
    for pause in (0, 0.2):
        frozen = mill.start(*QUICK, "-c", "log.level=debug", "ingest")
        wait_for(lambda: of_each([frozen])[0], "it has its share")
        frozen.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        frozen.process.send_signal(signal.SIGCONT)
        time.sleep(pause)
        assert frozen.stop(seconds=30) == 0, frozen.err()
    assert [produce.stop(), other.stop()] == [0, 0]
    mill.ok("ingest", "--once")
    check_layers(mill)
