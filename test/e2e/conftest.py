# SPDX-License-Identifier: Apache-2.0
"""The fixtures: mill (a clickmill in its own empty folder), postgres (an empty database), sink (each of both),
lake (the mill's tables on local disk, in HDFS, …: each test with it runs on every kind), kafka (a broker),
kafka_mill (a mill that reads a fresh topic of it)."""
import shutil
import uuid

import psycopg
import pytest

import lakes
from broker import Broker
from mill import Mill
from service import Service
from sinks import Postgres, Sqlite


# Files are given out whole: those that take minutes first, or one of them runs alone at the end.
LONGEST_FIRST = ("upkeep", "bad_days", "kill", "models", "spark", "first_run", "torture", "kafka", "forget", "rebuild", "kafka_security")


def pytest_collection_modifyitems(items):
    rank = {f"test_{name}.py": place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture
def mill(tmp_path):
    mill = Mill(tmp_path)
    yield mill
    mill.end()


class Server(Service):
    """One PostgreSQL server; test/services/postgres.sh says how it is set up."""

    owner = "PG_OWNER"

    def __init__(self):
        super().__init__("postgres")

    def start(self):
        self.run("start")
        settings = self.settings()
        self.url, self.admin_url = settings["TEST_PG_URL"], settings["TEST_PG_ADMIN_URL"]
        self.port = int(settings["TEST_PG_PORT"])
        return self

    def end(self):
        self.run("stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self):
        """Its URL."""
        name = "test_" + uuid.uuid4().hex[:12]
        with psycopg.connect(self.admin_url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} OWNER clickmill")
        return self.url.rpartition("/")[0] + "/" + name


@pytest.fixture(scope="session")
def postgres_server():
    server = Server().start()
    yield server
    server.end()


@pytest.fixture
def own_postgres():
    """A server of this test alone, which it may stop and start."""
    server = Server().start()
    yield server
    server.end()


@pytest.fixture
def postgres(postgres_server):
    return Postgres(postgres_server.new_database())


@pytest.fixture(params=["sqlite", "postgresql"])
def sink(request, mill):
    """The mill's database: SQLite without a word of configuration, and PostgreSQL."""
    if request.param == "sqlite":
        return Sqlite(mill.home)
    postgres = request.getfixturevalue("postgres")
    mill.env["CLICKMILL_SINK_URL"] = postgres.url
    return postgres


@pytest.fixture(scope="session")
def hdfs():
    server = lakes.Hdfs().start()
    yield server
    server.end()


@pytest.fixture(scope="session")
def s3():
    server = lakes.S3().start()
    yield server
    server.end()


@pytest.fixture
def own_hdfs():
    """An HDFS of this test alone, which it may kill."""
    server = lakes.Hdfs().start()
    yield server
    server.end()


@pytest.fixture(params=lakes.KINDS)
def lake(request, mill):
    """The mill's tables lie there, in a folder of their own; `file` is what a mill has anyway."""
    if request.param != "file":
        mill.set_lake(request.getfixturevalue(request.param).new_lake())
    return mill.lake


@pytest.fixture(scope="session")
def kafka_server():
    broker = Broker().start()
    yield broker
    broker.end()


@pytest.fixture
def kafka(kafka_server):
    """The broker all share. A test may stop and kill it: for the next one it is there again, with its data."""
    yield kafka_server
    if not kafka_server.alive():
        kafka_server.start()


@pytest.fixture
def other_kafka():
    """Another cluster, of this test alone."""
    broker = Broker().start()
    yield broker
    broker.end()


@pytest.fixture
def kafka_mill(mill, kafka):
    """Its stream is a topic that does not exist yet."""
    return kafka.connect(mill)
