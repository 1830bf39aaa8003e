# SPDX-License-Identifier: Apache-2.0
"""The fixtures: mill (a clickmill in its own empty folder), postgres (an empty database), sink (each of both),
lake (the mill's tables on local disk, in HDFS, …: each test with it runs on every kind), kafka (a broker),
kafka_mill (a mill that reads a fresh topic of it)."""
import os
import shlex
import shutil
import subprocess
import tempfile
import uuid

import psycopg
import pytest

import lakes
from broker import Broker
from mill import Mill, ROOT
from sinks import Postgres, Sqlite

POSTGRES_SH = ROOT / "test/services/postgres.sh"


@pytest.fixture
def mill(tmp_path):
    mill = Mill(tmp_path)
    yield mill
    mill.end()


class Server:
    """One PostgreSQL server; test/services/postgres.sh says how it is set up."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, action):
        done = subprocess.run([POSTGRES_SH, action, self.folder], env={**os.environ, "PG_OWNER": str(os.getpid())},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
        return done.stdout

    def start(self):
        self.run("start")
        settings = dict(word.split("=", 1) for word in shlex.split(self.run("env")))
        self.url, self.admin_url = settings["TEST_PG_URL"], settings["TEST_PG_ADMIN_URL"]
        self.port = int(settings["TEST_PG_PORT"])

    def new_database(self):
        """Its URL."""
        name = "test_" + uuid.uuid4().hex[:12]
        with psycopg.connect(self.admin_url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} OWNER clickmill")
        return self.url.rpartition("/")[0] + "/" + name


def make_server():
    server = Server(tempfile.mkdtemp(prefix="clickmill-pg-"))
    server.start()
    return server


def end_server(server):
    server.run("stop")
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server():
    server = make_server()
    yield server
    end_server(server)


@pytest.fixture
def own_postgres():
    """A server of this test alone, which it may stop and start."""
    server = make_server()
    yield server
    end_server(server)


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
def kafka():
    broker = Broker().start()
    yield broker
    broker.end()


@pytest.fixture
def own_kafka():
    """A broker of this test alone, which it may stop and kill."""
    broker = Broker().start()
    yield broker
    broker.end()


@pytest.fixture
def kafka_mill(mill, kafka):
    """Its stream is a topic that does not exist yet."""
    return kafka.connect(mill)
