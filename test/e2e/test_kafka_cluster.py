# SPDX-License-Identifier: Apache-2.0
"""Two brokers that hold each other's replicas; the first is also the controller, and stays."""
import pytest
from confluent_kafka import ElectionType, KafkaException, TopicPartition

import books
from broker import Broker, QUICK as SOON
from mill import Mill, wait_for
from test_kafka import QUICK, SHOPPERS, SHORT, check_layers, event, ids, in_bronze, values

EXTRA = SOON + "offsets.topic.replication.factor=2\nauto.leader.rebalance.enable=false\n"


@pytest.fixture(scope="module")
def brokers():
    first = Broker(EXTRA).start()
    second = Broker(EXTRA, first=first, node=2)
    try:
        yield first, second.start()
    finally:
        second.end()
        first.end()


@pytest.fixture
def mill_of_two(brokers, mill):
    first, second = brokers
    if not second.alive():
        second.start()
    first.connect(mill, 4)
    mill.env["CLICKMILL_STREAM_REPLICATION"] = "2"
    mill.env["CLICKMILL_STREAM_URL"] = f"kafka://{first.address},{second.address}"
    return mill


def partitions(broker, topic):
    """Nothing while nobody tells: the question may be for the broker that was killed."""
    try:
        return list(broker.admin().list_topics(topic, timeout=2).topics[topic].partitions.values())
    except KafkaException:
        return []


def kill(broker, other, topic):
    """Once the other one has all that it has, the groups' offsets too: else it could not lead."""
    for name in topic, "__consumer_offsets":
        wait_for(lambda: {len(p.isrs) for p in partitions(other, name)} == {2}, f"{name} is in sync")
    broker.kill()


def test_leaders_move_under_load(brokers, mill_of_two):
    """A broker is killed and comes back, and leads again: nothing acknowledged is lost, nothing is doubled."""
    (first, second), mill, topic = brokers, mill_of_two, mill_of_two.topic

    def leaders():
        return {p.leader for p in partitions(first, topic)}

    def goes_on():
        before = in_bronze(mill)
        wait_for(lambda: in_bronze(mill) > before + 100, "events come in")

    ingests = [mill.start(*QUICK, "ingest") for _ in range(2)]
    produce = mill.start(*SHOPPERS, "--rate", "500", "--events", "0", "--seed", "1")
    goes_on()
    assert leaders() == {1, 2}, "produce has made the topic"
    kill(second, first, topic)
    wait_for(lambda: leaders() == {1}, "the other leads all")
    goes_on()
    second.start()
    wait_for(lambda: {len(p.isrs) for p in partitions(first, topic)} == {2}, "it has caught up")
    first.admin().elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, p) for p in range(4)]).result(30)
    wait_for(lambda: leaders() == {1, 2}, "it leads again")
    goes_on()
    assert produce.alive() and all(i.alive() for i in ingests), produce.err() + "".join(i.err() for i in ingests)
    assert produce.stop() == 0, produce.err()
    assert [i.stop() for i in ingests] == [0, 0], "".join(i.err() for i in ingests)
    mill.ok("ingest", "--once")
    assert len(books.read_ledger(mill.home / "ledger")) == len(check_layers(mill)), "what is there was acknowledged"


def test_what_waits_for_a_broker(brokers, mill_of_two, tmp_path_factory):
    """What cannot be kept safe is not accepted, and said so; a partition without a leader is waited for."""
    (first, second), mill, topic = brokers, mill_of_two, mill_of_two.topic
    first.create(topic, replicas=[[1, 2]], min_insync_replicas=2)
    mill.produce(event(1))
    mill.ok("ingest", "--once")
    mill.produce(event(2))
    lonely = first.connect(Mill(tmp_path_factory.mktemp("lonely")))
    first.create(lonely.topic, replicas=[[2]])
    first.send(lonely.topic, *values(1, 2))

    kill(second, first, topic)
    wait_for(lambda: [p.isrs for p in partitions(first, topic)] == [[1]], "one replica is in sync")
    mill.fails(4, *SHORT, "produce", "--events", "1", "--ledger", "refused", says=topic, hint="min.insync.replicas")
    assert books.read_ledger(mill.home / "refused") == []
    mill.ok("ingest", "--once")
    assert ids(mill) == ["e1", "e2"], "what was accepted before can be read"
    patient = mill.start("-c", "stream.timeout=60s", "produce", "--events", "20", "--seed", "1", "--ledger", "ledger")
    reader = lonely.start(*QUICK, *SHORT, "ingest")
    wait_for(lambda: "No leaders found" in reader.err(), "its partition has no leader")

    second.start()
    wait_for(lambda: in_bronze(lonely) == 2, "it was waited for")
    assert reader.stop() == 0, reader.err()
    assert patient.wait() == 0, patient.err()
    mill.ok("ingest", "--once")
    assert len(books.read_ledger(mill.home / "ledger")) == 20
    assert len(check_layers(mill)) == 22
