# SPDX-License-Identifier: Apache-2.0
"""status and /metrics over a real broker: what they say, against what Confluent's clients say of the same."""
import time

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from mill import wait_for
from test_kafka import QUICK, in_bronze, values
from test_metrics import scrape, value

HOUR_MS = 3600 * 1000
SERVE = ("-c", "serve.listen=127.0.0.1:0", "-c", "serve.sample_every=100ms", "-c", "stream.timestamp=create")


def group_offsets(broker, group, topic):
    """What the group has told the broker, as any lag tool shows it."""
    asked = broker.admin().list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    return {p.partition: p.offset for p in asked[group].result(30).topic_partitions if p.topic == topic}


def configure(broker, topic, **settings):
    entries = [ConfigEntry(name.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()]
    broker.done(broker.admin().incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)]))


def of_partitions(samples, name):
    return {int(dict(labels)["partition"]): v for (n, labels), v in samples.items() if n == f"clickmill_partition_{name}"}


def used(mill):
    return mill.json("-c", "stream.timestamp=create", "status")["retention_used"]


def test_the_metrics_are_the_brokers_numbers(kafka, mill):
    kafka.connect(mill)
    broker, topic = mill.broker, mill.topic
    broker.create(topic, 3, message_timestamp_type="CreateTime", retention_ms=4 * HOUR_MS, message_timestamp_after_max_ms=HOUR_MS)
    now = int(time.time() * 1000)
    broker.send(topic, *values(*range(20)), partition=0, timestamp=now)
    broker.send(topic, *values(*range(20, 30)), partition=1, timestamp=now)
    mill.ok("-c", "stream.timestamp=create", "ingest", "--once")
    broker.send(topic, *values(30), partition=0, timestamp=now - 2 * HOUR_MS)  # the oldest; its place counts, not its time
    broker.send(topic, *values(31, 32), partition=0, timestamp=now)
    broker.send(topic, *values(33), partition=1, timestamp=now - HOUR_MS)
    broker.forget(topic, 1, 5)
    broker.transaction(topic, *values(90, 91), commit=False, partition=2)  # three offsets without a record

    # It reads all of it and commits nothing.
    ingest = mill.start(*SERVE, "-c", "ingest.batch_age=1h", "-c", "stream.timeout=5s", "ingest")
    wait_for(lambda: value(ingest, "clickmill_stream_read_records_total") == 4, "read")
    wait_for(lambda: len(of_partitions(scrape(ingest), "lag_seconds")) == 3, "sampled")
    wait_for(lambda: value(ingest, "clickmill_stream_brokers_up") == 1, "the client's own statistics")
    m, status = scrape(ingest), mill.json("-c", "stream.timestamp=create", "status")
    bounds = broker.bounds(topic)
    assert of_partitions(m, "begin_offset") == {p: b for p, (b, _) in bounds.items()} == {0: 0, 1: 5, 2: 0}
    assert of_partitions(m, "end_offset") == {p: e for p, (_, e) in bounds.items()} == {0: 23, 1: 11, 2: 3}
    assert of_partitions(m, "committed_offset") == {0: 20, 1: 10, 2: 0}
    assert of_partitions(m, "lag_records") == {0: 3, 1: 1, 2: 3} and status["lag"] == 7
    assert of_partitions(m, "assigned") == {0: 1, 1: 1, 2: 1}
    assert of_partitions(m, "lag_seconds") == pytest.approx({0: 7200, 1: 3600, 2: 0}, abs=60)
    assert of_partitions(m, "retention_used_ratio") == pytest.approx({0: 0.5, 1: 0.25, 2: 0}, abs=0.01)
    assert m["clickmill_stream_rebalances_total", ()] >= 1
    assert status["lag_seconds"] == pytest.approx(7200, abs=60) and status["retention_used"] == pytest.approx(0.5, abs=0.01)
    for p in status["partitions"]:
        at = (("partition", str(p["partition"])),)
        assert [p[n] for n in ("begin", "end", "position", "lag")] == [
            m[f"clickmill_partition_{n}", at] for n in ("begin_offset", "end_offset", "committed_offset", "lag_records")]
        assert p["lag_seconds"] == pytest.approx(m["clickmill_partition_lag_seconds", at], abs=60)

    assert ingest.stop() == 0, ingest.err()  # commits what it had read
    status = mill.json("-c", "stream.timestamp=create", "status")
    assert (status["lag"], status["lag_seconds"], status["retention_used"]) == (0, 0, 0)
    offsets = {p["partition"]: p["position"] for p in status["partitions"]}
    assert offsets == {0: 23, 1: 11, 2: 3} == group_offsets(broker, "clickmill", topic)


def test_the_metrics_follow_the_broker(kafka_mill):
    """Counted at the broker and by us, while it goes on."""
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic, 2)
    ingest = kafka_mill.start(*QUICK, *SERVE, "ingest")
    for i in range(5):
        broker.send(topic, *values(*range(10 * i, 10 * i + 10)), partition=i % 2)
        wait_for(lambda: in_bronze(kafka_mill) == 10 * (i + 1), "in bronze")
        ends = {p: e for p, (_, e) in broker.bounds(topic).items()}
        wait_for(lambda: of_partitions(scrape(ingest), "committed_offset") == ends, "sampled")
        m = scrape(ingest)
        assert m["clickmill_ingest_records_total", ()] == m["clickmill_stream_read_records_total", ()] == sum(ends.values())
        assert of_partitions(m, "end_offset") == ends and set(of_partitions(m, "lag_records").values()) == {0}
        assert set(of_partitions(m, "lag_seconds").values()) == {0}
        wait_for(lambda: group_offsets(broker, "clickmill", topic) == {p: e for p, e in ends.items() if e}, "the group is told")
    assert ingest.stop() == 0, ingest.err()


def test_retention_of_every_kind(kafka_mill):
    broker, topic = kafka_mill.broker, kafka_mill.topic
    broker.create(topic, message_timestamp_type="CreateTime", retention_ms=10 * HOUR_MS)
    broker.send(topic, *values(*range(10)), timestamp=int(time.time() * 1000) - HOUR_MS)
    assert used(kafka_mill) == pytest.approx(0.1, abs=0.01)
    size = len(values(0)[0])
    configure(broker, topic, retention_bytes=20 * size)
    assert used(kafka_mill) == pytest.approx(0.5, abs=0.01), "by size it is nearer"
    configure(broker, topic, retention_bytes=5 * size)
    assert used(kafka_mill) == 1
    configure(broker, topic, retention_bytes=-1, retention_ms=-1)
    status = kafka_mill.json("-c", "stream.timestamp=create", "status")
    assert status["retention_used"] == 0 and status["lag_seconds"] == pytest.approx(3600, abs=60)
    configure(broker, topic, retention_ms=HOUR_MS // 2, cleanup_policy="compact")
    assert used(kafka_mill) == 0, "a compacted topic keeps the newest of each key"
    assert kafka_mill.json("ingest", "--once")["records"] == 10
    assert used(kafka_mill) == 0


def test_a_topic_that_is_not_there_has_no_lag(kafka_mill):
    status = kafka_mill.json("status")
    assert (status["lag"], status["lag_seconds"], status["retention_used"], status["partitions"]) == (0, 0, 0, [])
