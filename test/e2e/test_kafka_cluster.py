# SPDX-License-Identifier: Apache-2.0
"""Three brokers: leaders move, replicas fall behind, and one that knows less becomes the leader.

The first is also the controller, and stays; the partitions lie on the other two, or on all.
"""
import threading
import time

import pytest

import books
from broker import Broker, QUICK as SOON
from mill import wait_for
from test_kafka import QUICK, SHOPPERS, check_layers, event, ids, in_bronze, positions, values

EXTRA = SOON + "offsets.topic.replication.factor=3\nreplica.lag.time.max.ms=2000\n"


class Cluster:
    def __init__(self):
        self.brokers = {1: Broker(EXTRA, heap="160m").start()}
        for node in 2, 3:
            self.brokers[node] = Broker(EXTRA, first=self.brokers[1], node=node, heap="160m")
        starts = [threading.Thread(target=self.brokers[node].start) for node in (2, 3)]
        for t in starts:
            t.start()
        for t in starts:
            t.join()

    def __getitem__(self, node):
        return self.brokers[node]

    def connect(self, mill):
        self[1].connect(mill)
        mill.env["CLICKMILL_STREAM_URL"] = "kafka://" + ",".join(b.address for b in self.brokers.values())
        return mill

    def kill(self, *nodes):
        for node in nodes:
            self[node].kill()

    def back(self):
        """All are up, and every replica is in sync again."""
        for b in self.brokers.values():
            if not b.alive():
                b.start()
        wait_for(lambda: len(self.metadata().brokers) == 3, "three brokers")

    def metadata(self, topic=None):
        return self[1].admin().list_topics(topic, timeout=30)

    def partition(self, topic, number=0):
        return self.metadata(topic).topics[topic].partitions[number]

    def end(self):
        for b in reversed(self.brokers.values()):
            b.end()


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.end()


@pytest.fixture
def mill_of_three(cluster, mill):
    cluster.back()
    return cluster.connect(mill)


def test_leaders_move_under_load(cluster, mill_of_three):
    """Either of two brokers is killed and comes back: nothing acknowledged is lost, nothing is doubled."""
    mill, topic = mill_of_three, mill_of_three.topic
    cluster[1].create(topic, 4, replicas=3, min_insync_replicas=2)
    ingests = [mill.start(*QUICK, "ingest") for _ in range(2)]
    produce = mill.start(*SHOPPERS, "--rate", "300", "--events", "0", "--seed", "1")
    for node in 2, 3:
        before = in_bronze(mill)
        wait_for(lambda: in_bronze(mill) > before + 50, "events come in")
        leads = {p for p in range(4) if cluster.partition(topic, p).leader == node}
        cluster.kill(node)
        wait_for(lambda: not leads & {p for p in range(4) if cluster.partition(topic, p).leader == node}, "others lead")
        before = in_bronze(mill)
        wait_for(lambda: in_bronze(mill) > before + 50, "and it goes on without it")
        cluster.back()
    assert produce.alive() and all(i.alive() for i in ingests), produce.err() + "".join(i.err() for i in ingests)
    assert produce.stop() == 0, produce.err()
    assert [i.stop() for i in ingests] == [0, 0], "".join(i.err() for i in ingests)
    mill.ok("ingest", "--once")
    assert len(books.read_ledger(mill.home / "ledger")) == len(check_layers(mill)), "what is there was acknowledged"


def test_too_few_replicas(cluster, mill_of_three):
    """acks=all waits for min.insync.replicas: what cannot be kept safe is not accepted, and said so."""
    mill, topic = mill_of_three, mill_of_three.topic
    cluster[1].create(topic, replicas=[[2, 3]], min_insync_replicas=2)
    mill.produce(event(1))
    cluster.kill(3)
    wait_for(lambda: len(cluster.partition(topic).isrs) == 1, "one replica is in sync")
    start = time.monotonic()
    mill.fails(4, "-c", "stream.timeout=4s", "produce", "--events", "1", "--ledger", "ledger", says=topic, hint="min.insync.replicas")
    assert 3 < time.monotonic() - start < 20
    assert books.read_ledger(mill.home / "ledger") == []
    mill.ok("ingest", "--once")
    assert ids(mill) == ["e1"], "what was accepted before can be read"
    patient = mill.start("-c", "stream.timeout=60s", "produce", "--events", "20", "--seed", "1", "--ledger", "ledger")
    time.sleep(1)
    cluster.back()
    assert patient.wait() == 0, patient.err()
    mill.ok("ingest", "--once")
    assert len(books.read_ledger(mill.home / "ledger")) == 20
    check_layers(mill)


@pytest.mark.parametrize("after", [5, 40], ids=["shorter", "longer"])
def test_a_leader_that_knows_less(cluster, mill_of_three, after):
    """Unclean election: the topic loses its last records after bronze has them, and gives their offsets to others.

    Nobody can read on from such a position. A running ingest ends; one that is started later ends while the topic is shorter.
    """
    mill, topic = mill_of_three, mill_of_three.topic
    cluster[1].create(topic, replicas=[[2, 3]], min_insync_replicas=1, unclean_leader_election_enable="true")
    cluster[1].send(topic, *values(*range(10)))
    wait_for(lambda: len(cluster.partition(topic).isrs) == 2, "both have them")
    ingest = mill.start(*QUICK, "ingest")
    cluster.kill(3)
    wait_for(lambda: cluster.partition(topic).isrs == [2], "one replica is in sync")
    cluster[1].send(topic, *values(*range(10, 30)))
    wait_for(lambda: in_bronze(mill) == 30, "bronze has them")
    cluster.kill(2)
    cluster[3].start()
    wait_for(lambda: cluster.partition(topic).leader == 3, "the one that knows less leads")
    cluster[1].clients.clear()  # its producer remembers the other log
    cluster[1].send(topic, *values(*range(100, 100 + after)))
    assert ingest.wait(60) == 4, ingest.err()
    message = next(line for line in ingest.err().splitlines() if line.startswith("clickmill: "))
    assert topic in message and "position 30" in message and "HINT: " in ingest.err(), ingest.err()
    assert [o for _, o, _ in positions(mill)] == list(range(30)), "nothing of the new log under the old positions"
    if after == 5:
        mill.fails(4, "ingest", "--once", says=[topic, "position 30", "0 to 15"], hint="cut")
    assert mill.json("-c", "stream.app=anew", "ingest", "--once")["records"] == 10 + after
    cluster.back()
