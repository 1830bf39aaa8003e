# SPDX-License-Identifier: Apache-2.0
"""One Kafka broker, and what a client that is not ours does with it: Confluent's.

    broker.connect(mill)                  the mill's stream is a fresh topic of this broker, not made yet
    broker.create(topic, 4)               makes it, with 4 partitions
    broker.send(topic, b"...", b"...")    values as they are; gives their offsets
    broker.transaction(topic, [...])      the same in a transaction, committed or aborted
    broker.records(topic)                 what a consumer gets to see
"""
import socket
import struct
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

import books
from mill import wait_for
from service import Service

WAIT_S = 30
LARGEST = 32 * 1024 * 1024
# A test need not wait for the broker's own housekeeping.
QUICK = "log.cleaner.backoff.ms=100\nlog.retention.check.interval.ms=500\n"


class Broker(Service):
    """test/services/kafka.sh says how it is set up."""

    owner = "KAFKA_OWNER"

    def __init__(self, extra=QUICK, listeners=(), first=None, node=1, heap="256m"):
        """listeners: NAME:PROTOCOL, found as self.at[NAME]; first: the broker whose cluster it joins as this node."""
        super().__init__("kafka", KAFKA_EXTRA=extra, KAFKA_LISTENERS=" ".join(listeners), KAFKA_XMX=heap,
                         **({"KAFKA_JOIN": first.folder, "KAFKA_NODE": str(node)} if first else {}))
        self.node, self.clients = node, {}

    def start(self):
        self.run("start")
        self.read_env()
        return self

    def read_env(self):
        settings = self.settings()
        self.address, self.sasl, self.tls = (settings[n] for n in ("TEST_KAFKA", "TEST_KAFKA_SASL", "TEST_KAFKA_TLS"))
        self.at = {name.removeprefix("TEST_KAFKA_"): value for name, value in settings.items()}
        self.ca, self.password, self.pid = settings["TEST_KAFKA_CA"], settings["TEST_KAFKA_PASSWORD"], int(settings["TEST_KAFKA_PID"])

    def stop(self):
        self.run("stop")

    def kill(self):
        self.run("kill")

    def restart(self):
        """SIGKILL, and back on the same ports with the same data."""
        self.run("restart")
        self.read_env()

    def end(self):
        self.clients.clear()
        super().end()

    def alive(self):
        try:
            with open(f"/proc/{self.pid}/cmdline") as line:
                return line.read() != ""  # else it is dead, and nobody has asked how it died
        except FileNotFoundError:
            return False

    # ---- a mill that reads from here ----

    def connect(self, mill, partitions=1):
        mill.env["CLICKMILL_STREAM_URL"] = f"kafka://{self.address}"
        mill.topic = mill.env["CLICKMILL_STREAM_TOPIC"] = "t-" + uuid.uuid4().hex[:8]
        mill.env["CLICKMILL_STREAM_PARTITIONS"] = str(partitions)
        mill.broker = self
        return mill

    # ---- as an administrator ----

    def admin(self):
        if "admin" not in self.clients:
            self.clients["admin"] = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        return self.clients["admin"]

    def done(self, futures):
        for future in futures.values():
            future.result(WAIT_S)

    def create(self, topic, partitions=1, replicas=1, **config):
        """config: max_message_bytes is max.message.bytes, and so on. replicas: how many, or the nodes of each partition."""
        settings = {name.replace("_", "."): str(value) for name, value in config.items()}
        where = {"replication_factor": replicas} if isinstance(replicas, int) else {"replica_assignment": replicas}
        self.done(self.admin().create_topics([NewTopic(topic, partitions, config=settings, **where)]))
        wait_for(lambda: self.partitions(topic) == partitions, f"topic {topic}", WAIT_S)
        return topic

    def partitions(self, topic):
        """How many; 0: there is no such topic."""
        found = self.admin().list_topics(timeout=WAIT_S).topics.get(topic)
        return len(found.partitions) if found else 0

    def delete(self, topic):
        self.done(self.admin().delete_topics([topic]))
        wait_for(lambda: self.partitions(topic) == 0, f"{topic} is gone", WAIT_S)

    def add_partitions(self, topic, total):
        self.done(self.admin().create_partitions([NewPartitions(topic, total)]))
        wait_for(lambda: self.partitions(topic) == total, f"{topic} has {total} partitions", WAIT_S)

    def forget(self, topic, partition, before):
        """As retention does it: the offsets below are gone."""
        self.done(self.admin().delete_records([TopicPartition(topic, partition, before)]))

    def quota(self, client_id, **rates):
        """Bytes a second of a client: producer_byte_rate=…, consumer_byte_rate=…; None: none. The one question the client's
        administrator cannot ask: AlterClientQuotas, key 49, version 0, as Kafka's protocol guide has it."""
        def text(s):
            return struct.pack(">h", len(s)) + s.encode()
        ops = b"".join(text(name) + struct.pack(">d?", value or 0, value is None) for name, value in rates.items())
        body = struct.pack(">hhi", 49, 0, 1) + text("test") + struct.pack(">ii", 1, 1) + text("client-id") + text(client_id)
        body += struct.pack(">i", len(rates)) + ops + b"\0"
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port)), WAIT_S) as s, s.makefile("rb") as answer:
            s.sendall(struct.pack(">i", len(body)) + body)
            answer = answer.read(struct.unpack(">i", answer.read(4))[0])
        _, _, entries, error = struct.unpack_from(">iiih", answer)
        assert (entries, error) == (1, 0), answer

    # ---- as a producer ----

    def producer(self, **config):
        return Producer({"bootstrap.servers": self.address, "message.max.bytes": LARGEST, "linger.ms": 1, "log_level": 0,
                         **{name.replace("_", "."): value for name, value in config.items()}})

    def send(self, topic, *values, partition=0, key=None, headers=None, timestamp=0, producer=None):
        """timestamp in ms; 0: now."""
        if producer is None:
            if "producer" not in self.clients:
                self.clients["producer"] = self.producer()
            producer = self.clients["producer"]
        offsets = []

        def acknowledged(error, message):
            if error:
                raise KafkaException(error)
            offsets.append(message.offset())
        for value in values:
            producer.produce(topic, value, key, partition, acknowledged, timestamp=timestamp, headers=headers or {})
        producer.flush(WAIT_S)
        assert len(offsets) == len(values)
        return offsets

    def transaction(self, topic, *values, commit=True, partition=0):
        producer = self.open_transaction(topic, *values, partition=partition)
        if commit:
            producer.commit_transaction(WAIT_S)
        else:
            producer.abort_transaction(WAIT_S)

    def open_transaction(self, topic, *values, partition=0):
        """One that is under way: commit_transaction() or abort_transaction() ends it."""
        producer = self.producer(transactional_id=uuid.uuid4().hex)
        producer.init_transactions(WAIT_S)
        producer.begin_transaction()
        self.send(topic, *values, partition=partition, producer=producer)
        return producer

    # ---- as a consumer ----

    def bounds(self, topic):
        """{partition: (first offset, end offset)}"""
        reader = self.consumer()
        try:
            return {p: reader.get_watermark_offsets(TopicPartition(topic, p), WAIT_S) for p in range(self.partitions(topic))}
        finally:
            reader.close()

    def consumer(self):
        return Consumer({"bootstrap.servers": self.address, "group.id": "judge-" + uuid.uuid4().hex, "enable.auto.commit": False,
                         "isolation.level": "read_committed", "enable.partition.eof": True, "log_level": 0,
                         "fetch.max.bytes": 4 * LARGEST, "receive.message.max.bytes": 8 * LARGEST})

    def records(self, topic):
        """All there are, in the order of partition and offset, as books.Books takes them."""
        reader, found, open_ends = self.consumer(), [], set(range(self.partitions(topic)))
        reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in open_ends])
        idle_since = time.monotonic()
        while open_ends:
            messages = reader.consume(10000, 0.1)  # waits for all of them, or that long
            assert messages or time.monotonic() - idle_since < WAIT_S, f"{topic}: nothing within {WAIT_S} s"
            for m in messages:
                idle_since = time.monotonic()
                if m.error():
                    assert m.error().code() == KafkaError._PARTITION_EOF, m.error()
                    open_ends.discard(m.partition())
                else:
                    found.append(books.Record(m.partition(), m.offset(), m.timestamp()[1] * 1000, m.key(), m.value() or b""))
        reader.close()
        return sorted(found, key=lambda r: (r.partition, r.offset))
