# SPDX-License-Identifier: Apache-2.0
"""The program from outside: exit codes, messages, where configuration comes from, signals, what goes to which stream."""
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import psycopg
import pytest

import books
from mill import PROGRAM, free_port, wait_for

SHIRT = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": 1771329600}
VERBS = ["produce", "ingest", "silver", "gold", "load", "run", "up", "rebuild", "forget", "status", "reconcile", "check", "conflicts", "rejects", "sql",
         "table", "config", "doctor", "version"]
SECRET = "hunter2-secret"


# ---- usage: exit 2 ----

def test_no_verb_is_a_usage_error(mill):
    mill.fails(2, says="no verb", hint="--help")


def test_unknown_words_name_the_nearest(mill):
    mill.fails(2, "ingets", says="'ingets'", hint="'ingest'")
    mill.fails(2, "ingest", "--onec", says="'--onec'", hint="--once")
    mill.fails(2, "--hepl", says="'--hepl'", hint="--help")
    mill.fails(2, "produce", "--event=5", says="'--event=5'", hint="--events")


@pytest.mark.parametrize("args", [
    ("produce", "--events"), ("produce", "--events", "many"), ("produce", "--events", "-1"), ("produce", "--bad", "2"),
    ("produce", "--rate", "x"), ("run", "--every", "soon"), ("run", "--every", "0s"), ("ingest", "--once=yes"), ("ingest", "word"),
    ("sql",), ("sql", "SELECT 1", "SELECT 2"), ("table",), ("table", "frob"), ("table", "files"),
    ("config", "frob"), ("-c",)], ids=" ".join)
def test_wrong_use_is_exit_2(mill, args):
    before = mill.fails(2, *args)
    assert "usage" not in before.lower(), "a message, not a page of help"
    assert not (mill.home / "data").exists()


def test_an_unknown_table_is_exit_2(mill):
    """Which there are is known when the lake is open."""
    for name in "none.such", "events", "gold", "":
        mill.fails(2, "table", "files", name, says=f"no table '{name}'", hint="table list")


def test_every_verb_has_help(mill):
    listed = mill.ok("--help")
    for verb in VERBS:
        assert f"\n  {verb} " in listed
        page = mill.ok(verb, "--help")
        assert page.startswith(f"clickmill {verb}: ") and "\nUsage: " in page and "\nOptions:\n" in page
        assert "  -c KEY=VALUE " in page
        assert mill.ok(verb, "--help", env={"CLICKMILL_NO_SUCH": "1"}) == page, "help needs no good configuration"
    assert mill.ok("--version").startswith("clickmill ")
    assert not (mill.home / "data").exists()


# ---- configuration: exit 3 ----

def test_help_is_a_verb_too(mill):
    assert mill.ok("help") == mill.ok("--help")
    assert mill.ok("help", "ingest") == mill.ok("ingest", "--help")
    mill.fails(2, "help", "ingst", hint="ingest")


def test_unknown_keys_name_the_nearest_wherever_they_stand(mill):
    mill.fails(3, "-c", "stream.ulr=x", "status", says=["-c", "'stream.ulr'", "'stream.url'"])
    mill.fails(3, "status", "-c", "ingest.batchrows=1", says="'ingest.batch_rows'")
    mill.fails(3, "status", env={"CLICKMILL_STREAM_ULR": "x"}, says=["CLICKMILL_STREAM_ULR", "'stream.url'"])
    mill.fails(3, "status", env={"CLICKMILL_": "x"}, says="CLICKMILL_")
    (mill.home / "clickmill.ini").write_text("# mine\n[stream]\n\nulr = local:x\n")
    mill.fails(3, "status", says=["clickmill.ini:4", "'stream.ulr'", "'stream.url'"])
    (mill.home / "clickmill.ini").unlink()
    (mill.home / "other.ini").write_text("sink.timeot = 1s\n")
    mill.fails(3, "-f", "other.ini", "status", says=["other.ini:1", "'sink.timeout'"])
    assert not (mill.home / "data").exists()


@pytest.mark.parametrize("setting", [
    "stream.partitions=0", "stream.partitions=1025", "stream.partitions=two", "stream.partitions=", "ingest.batch_rows=-1",
    "engine.memory=lots", "engine.memory=1KiB", "sink.timeout=5 minutes", "sink.timeout=-1s", "ingest.keep_raw=maybe", "log.level=loud",
    "ingest.zstd_level=99999999999999999999", "stream.topic=", "stream.timeout=60",
    "debug.crash_at=nowhere", "debug.crash_at=run.after_gold:0", "kafka.linger.sm=5", "kafka.linger.ms=soon", "kafka.check.crcs=false"])
def test_bad_values_are_exit_3(mill, setting):
    key, _, value = setting.partition("=")
    for verb in ["status"], ["silver"], ["config", "check"]:
        told = mill.fails(3, "-c", setting, *verb)
        assert key in told and (value.partition(":")[0] in told or key.startswith("kafka.")), told
    assert not (mill.home / "data").exists()


def test_a_key_that_stands_twice_in_the_file(mill):
    (mill.home / "clickmill.ini").write_text("[stream]\ntopic = a\n[kafka]\nlinger.ms = 1\n[stream]\ntopic = b\n")
    mill.fails(3, "status", says=["clickmill.ini:6", "stream.topic", "line 2"])
    (mill.home / "clickmill.ini").write_text("[stream]\ntopic = a\n")
    mill.ok("-c", "stream.topic=b", "-c", "stream.topic=c", "config", "check")  # other sources, and later ones of a source, win


def test_a_pause_has_a_unit(mill):
    mill.fails(2, "run", "--every", "5", says=["--every", "'5'", "no unit"])


@pytest.mark.parametrize("line", ["[stream", "no equals sign", "[stream]\nurl"])
def test_a_broken_file_names_the_line(mill, line):
    (mill.home / "clickmill.ini").write_text(line + "\n")
    mill.fails(3, "status", says="clickmill.ini:%d" % (line.count("\n") + 1))


def test_files_that_are_not_there(mill):
    mill.fails(3, "-f", "none.ini", "status", says="none.ini")
    mill.fails(4, "produce", "--from", "none.ndjson", says="none.ndjson")
    mill.fails(4, "produce", "--catalog", "none.json", says="none.json")
    mill.ok("status")


@pytest.mark.parametrize("key,url,verb", [
    ("stream.url", "ftp://host/x", "ingest"), ("stream.url", "data/stream", "ingest"), ("stream.url", "local:", "ingest"),
    ("lake.url", "ftp://host/x", "silver"), ("lake.url", "file:", "silver"), ("engine.url", "abacus", "silver"),
    ("sink.url", "mysql://u@h/d", "load"), ("sink.url", "sqlite:", "load"), ("sink.url", "analytics.db", "load")])
def test_a_url_nothing_stands_behind_is_exit_3(mill, key, url, verb):
    mill.feed(SHIRT)
    for args in [verb, *(["--once"] if verb == "ingest" else [])], ["config", "check"]:
        told = mill.fails(3, "-c", f"{key}={url}", *args)
        assert "HINT: " in told, "what there is instead"


@pytest.mark.parametrize("setting", [
    "stream.topic=a/b", "stream.url=kafka://", "stream.url=kafka://u:p@h:1", "serve.listen=nonsense", "lake.url=file:", "sink.url=sqlite:",
    "stream.url=local:" + "x" * 4000])
def test_config_check_finds_it_and_makes_nothing(mill, setting):
    assert "HINT: " in mill.fails(3, "-c", setting, "config", "check")
    mill.ok("config", "check")
    assert not (mill.home / "data").exists()


def test_config_check_asks_librdkafka_how_the_properties_fit(mill):
    mill.common = ["-c", "stream.url=kafka://127.0.0.1:9", "-c", "kafka.security.protocol=SSL"]
    mill.ok("config", "check")
    mill.fails(3, "-c", "kafka.ssl.ca.location=none.pem", "config", "check", says="ssl.ca.location", hint="docs/kafka.md")
    mill.fails(3, "-c", "kafka.fetch.max.bytes=1000", "config", "check", says="fetch.max.bytes")


def test_later_sources_win(mill):
    def shown():
        return {row["key"]: (row["value"], row["from"]) for row in mill.json("config", "show")}
    assert shown()["stream.topic"] == ("clickstream", "default")
    (mill.home / "clickmill.ini").write_text("[stream]\n  topic =  clicks-of-mine  \n; a remark\napp=a\n[sink]\nurl=sqlite:x.db\n")
    assert shown()["stream.topic"] == ("clicks-of-mine", "clickmill.ini:2")
    mill.env["POSTGRES_HOST"] = "db.example"
    assert shown()["sink.url"] == ("postgresql://db.example/", "environment POSTGRES_HOST")
    mill.env["CLICKMILL_SINK_URL"] = "sqlite:y.db"
    mill.env["CLICKMILL_INGEST_BATCH_ROWS"] = "7"
    assert shown()["sink.url"] == ("sqlite:y.db", "environment CLICKMILL_SINK_URL")
    assert shown()["ingest.batch_rows"] == ("7", "environment CLICKMILL_INGEST_BATCH_ROWS")
    mill.common = ["-c", "sink.url=sqlite:z.db", "-c", "sink.url=sqlite:zz.db"]
    assert shown()["sink.url"] == ("sqlite:zz.db", "-c")
    assert shown()["stream.app"] == ("a", "clickmill.ini:4")
    mill.ok("config", "check")


def test_config_lists_every_key(mill):
    keys = {row["key"]: row for row in mill.json("config", "list")}
    assert keys["stream.url"]["default"] == "local:data/stream" and keys["sink.timeout"]["default"] == "10s"
    assert keys["lake.url"]["default"] == "file:data/lake" and keys["sink.url"]["default"] == "sqlite:data/analytics.db"
    assert all(row["meaning"].endswith(".") for row in keys.values())
    assert set(keys) == {row["key"] for row in mill.json("config", "show")}


def test_properties_of_kafka(mill):
    mill.common = ["-c", "stream.url=kafka://127.0.0.1:9", "-c", "kafka.linger.ms=5"]
    mill.env["CLICKMILL_KAFKA_SASL_PASSWORD"] = "hunter2"
    shown = {row["key"]: (row["value"], row["from"]) for row in mill.json("config", "show")}
    assert shown["kafka.linger.ms"] == ("5", "-c")
    assert shown["kafka.sasl.password"] == ("****", "environment CLICKMILL_KAFKA_SASL_PASSWORD")
    mill.ok("config", "check")
    for verb in ["config", "check"], ["produce"], ["ingest"]:
        mill.fails(3, "-c", "kafka.linger.sm=5", *verb, says=["'kafka.linger.sm'", "'kafka.linger.ms'"])
        mill.fails(3, "-c", "kafka.acks=1", *verb, says="kafka.acks")


def test_an_hdfs_that_is_away_is_exit_5_and_a_wrong_url_3(mill):
    away = ("-c", "lake.url=hdfs://127.0.0.1:1/lake", "-c", "lake.timeout=200ms")
    mill.fails(5, *away, "status", says=["127.0.0.1", "onnect"])
    mill.fails(5, *away, "doctor", says="cannot put hdfs://127.0.0.1:1/lake")
    for url in ("hdfs://me@nn/lake", "hdfs:///lake", "swebhdfs://nn:x/lake", "hdfs://nn/../lake"):
        mill.fails(3, "-c", f"lake.url={url}", "status", says="the lake's URL cannot be used", hint="hdfs://HOST:PORT/PATH")


def test_a_kafka_that_is_away_is_exit_4(mill):
    mill.common = ["-c", "stream.url=kafka://127.0.0.1:9", "-c", "stream.timeout=1s"]
    for verb in ["produce", "--events", "1"], ["ingest", "--once"], ["status"]:
        assert "HINT: " in mill.fails(4, *verb, says="kafka://127.0.0.1:9")


# ---- secrets ----

def test_the_postgres_variables_name_the_database(mill, postgres):
    url = urlsplit(postgres.url)
    mill.env |= {"POSTGRES_HOST": url.hostname, "POSTGRES_PORT": str(url.port), "POSTGRES_USER": url.username,
                 "POSTGRES_PASSWORD": url.password, "POSTGRES_DB1": url.path[1:]}
    mill.feed(SHIRT)
    assert postgres.metrics() == {("men's clothing", "2026-02-17"): (1, 109.95)}


def test_a_password_with_odd_characters_comes_through(mill, postgres_server, postgres):
    password = "p@ss:w/o?r&d%20#é ="
    database = urlsplit(postgres.url).path[1:]
    role = "odd_" + database
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN IN ROLE clickmill PASSWORD '{password}'")
    mill.env |= {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(postgres_server.port), "POSTGRES_USER": role,
                 "POSTGRES_PASSWORD": password, "POSTGRES_DB1": database}
    mill.feed(SHIRT)
    mill.reconciled()
    told = mill.ok("config", "show") + mill.ok("config", "show", "--json") + mill.ok("doctor")
    assert password not in told and "p%40ss" not in told and "****" in told


@pytest.mark.parametrize("url", [
    f"postgresql://u:{SECRET}@127.0.0.1:{{port}}/db", f"postgresql://u@127.0.0.1:{{port}}/db?password={SECRET}",
    f"postgres://u:{SECRET}@127.0.0.1:{{port}}/db?sslmode=bogus", f"postgresql://u@127.0.0.1:{{port}}/db?passwd={SECRET}",
    f"postgresql://u@127.0.0.1:{{port}}/db?pasword={SECRET}", f"postgresql://u:{SECRET}@[127.0.0.1:{{port}}/db", f"mysql://u:{SECRET}@h/d", f"postgresql://u:x@{SECRET}@127.0.0.1:{{port}}/db",
    f"postgresql://127.0.0.1:{{port}}/db?user=u&sslpassword={SECRET}"])
def test_no_output_ever_holds_a_password(mill, url):
    mill.feed(SHIRT)
    mill.common = ["-c", "sink.timeout=200ms", "-c", "run.retries=0", "-c", "log.level=debug"]
    mill.env["CLICKMILL_SINK_URL"] = url.format(port=free_port())
    for verb in (["load"], ["run"], ["status"], ["reconcile"], ["doctor"], ["config", "show"], ["config", "show", "--json"],
                 ["config", "check"]):
        done = mill(*verb)
        assert done.code in ((0, 3) if verb[0] == "config" else (3, 7)), (verb, done)
        assert SECRET not in done.out + done.err, verb
    history = mill.home / "data/runs.ndjson"
    assert not history.exists() or SECRET not in history.read_text()
    assert "****" in mill.ok("config", "show")


# ---- the database is not there: exit 7, soon ----

def test_a_database_that_refuses_is_tried_for_sink_timeout(mill):
    mill.feed(SHIRT)
    port = free_port()
    mill.common = ["-c", f"sink.url=postgresql://u:{SECRET}@127.0.0.1:{port}/db", "-c", "sink.timeout=1500ms"]
    start = time.monotonic()
    told = mill.fails(7, "load", says=["127.0.0.1", str(port), "refused"])
    assert 1.4 < time.monotonic() - start < 6 and SECRET not in told
    assert "trying again" in told


def test_a_database_that_says_nothing_is_given_up(mill):
    mill.feed(SHIRT)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        mill.common = ["-c", f"sink.url=postgresql://u@127.0.0.1:{deaf.getsockname()[1]}/db", "-c", "sink.timeout=2s"]
        start = time.monotonic()
        mill.fails(7, "load", says="127.0.0.1")
        assert time.monotonic() - start < 12


def test_a_database_that_comes_back_in_time_is_loaded(mill, own_postgres):
    mill.feed(SHIRT)
    own_postgres.run("stop")
    mill.common = ["-c", f"sink.url={own_postgres.url}", "-c", "sink.timeout=60s"]
    load = mill.start("load")
    wait_for(lambda: "trying again" in load.err(), "load notices")
    own_postgres.start()
    assert load.wait() == 0, load.err()
    mill.reconciled()


def test_wrong_password_and_missing_database_fail_at_once(mill, postgres_server):
    mill.feed(SHIRT)
    port = postgres_server.port
    start = time.monotonic()
    mill.fails(7, "-c", f"sink.url=postgresql://clickmill:{SECRET}@127.0.0.1:{port}/clickmill", "load", says="password")
    mill.fails(7, "-c", f"sink.url=postgresql://clickmill:clickmill@127.0.0.1:{port}/nowhere", "load", says="nowhere")
    assert time.monotonic() - start < 5, "neither can pass: not tried again"


# ---- standard output and standard error ----

def test_results_go_to_stdout_and_logs_to_stderr(mill):
    mill.feed(SHIRT)
    for args in (["status"], ["reconcile"], ["sql", "SELECT 1"], ["table", "list"], ["config", "show"], ["version"], ["silver"]):
        done = mill(*args)
        assert (done.code, bool(done.out), done.err) == (0, True, ""), args
    done = mill("-c", "log.level=debug", "-c", "sink.url=postgresql://127.0.0.1:1/x", "-c", "sink.timeout=100ms", "load")
    assert done.out == "" and all(" level=" in line for line in done.err.splitlines() if line.startswith("ts="))


def test_logs_as_json(mill):
    mill.feed(SHIRT)
    for way in (["--log-json"], ["-c", "log.format=json"]):
        done = mill(*way, "-c", "sink.url=postgresql://127.0.0.1:1/x", "-c", "sink.timeout=100ms", "load")
        lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        assert lines and all({"ts", "level", "msg"} <= set(line) for line in lines)


def test_every_result_has_a_json_form(mill):
    mill.ok("produce", "--events", "50", "--seed", "1", "--json")
    one = [["produce", "--events", "5"], ["ingest", "--once"], ["silver"], ["gold"], ["load"], ["run"], ["status"], ["reconcile"],
           ["check"], ["rebuild", "--layer", "gold"], ["forget", "--user", "nobody", "--force"], ["sql", "SELECT * FROM bronze.events"], ["table", "list"], ["table", "history", "silver.events"],
           ["table", "files", "bronze.events"], ["config", "list"], ["config", "show"], ["config", "check"], ["version"], ["doctor"]]
    for args in one:
        result = mill.json(*args)
        assert isinstance(result, (dict, list)) and result, args
    for line in mill.ok("run", "--history", "--json").splitlines():
        assert json.loads(line)["ok"] is True


def test_json_of_sql_keeps_odd_values(mill):
    [row] = mill.sql("SELECT NULL AS n, 'a\"b\\c' || chr(10) || chr(9) || 'é' AS t, 1.5 AS d, true AS b, 9007199254740993 AS big,"
                     " DATE '2026-02-17' AS day")
    assert row == {"n": None, "t": 'a"b\\c\n\té', "d": 1.5, "b": True, "big": 9007199254740993, "day": "2026-02-17"}
    assert mill.sql("SELECT 1 AS x WHERE false") == []
    for odd in ("'NaN'::DOUBLE", "'Infinity'::DOUBLE", "'-Infinity'::DOUBLE"):
        json.loads(mill.ok("sql", "--json", f"SELECT {odd} AS x"), parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))


def test_sql_reads_the_tables_and_nothing_else(mill):
    mill.feed(SHIRT)
    (mill.home / "secret.csv").write_text("a\n1\n")
    for query in ("SELECT * FROM 'secret.csv'", "SELECT * FROM read_csv('secret.csv')", "COPY (SELECT 1) TO 'out.csv'",
                  "ATTACH 'x.db'", "INSERT INTO silver.events SELECT * FROM silver.events", "DROP TABLE silver.events",
                  "SET enable_external_access = true", "SELECT * FROM glob('/etc/*')", "INSTALL httpfs", "SELECT 1; SELECT 2"):
        done = mill("sql", query)
        assert done.code in (2, 6) and done.out == "", (query, done)
    assert sorted(p.name for p in mill.home.iterdir()) == ["data", "secret.csv"]
    mill.fails(6, "sql", "SELEC 1", says="SELEC")
    mill.fails(6, "sql", "SELECT nothing FROM silver.events", says="nothing")
    mill.reconciled()


RESULTS = [["status"], ["sql", "SELECT * FROM silver.events"], ["table", "list"], ["config", "list"], ["version"], ["--help"],
           ["reconcile", "--json"], ["docs", "man"], ["sql", "--json", "SELECT range FROM range(200000)"]]


@pytest.mark.parametrize("args", RESULTS, ids=" ".join)
def test_a_full_disk_behind_stdout_is_told(mill, args):
    mill.feed(SHIRT)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, *args], cwd=mill.home, env=mill.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 5 and "standard output" in done.stderr, done


@pytest.mark.parametrize("args", RESULTS, ids=" ".join)
def test_a_reader_that_went_away_is_told(mill, args):
    mill.feed(SHIRT)
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as pipe:
        done = subprocess.run([PROGRAM, *args], cwd=mill.home, env=mill.env, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 5 and os.strerror(errno.EPIPE) in done.stderr, done


def test_closed_descriptors_do_no_harm(mill):
    """With 0, 1 and 2 closed the next file opened would become one of them: prints would end up in our data."""
    mill.produce(SHIRT, {**SHIRT, "price": 1})
    for args in (["produce", "--events", "10", "--seed", "1"], ["ingest", "--once"], ["run"], ["status"], ["doctor"], ["reconcile"]):
        # what is printed is lost, which may be told by the exit code; what is stored is whole
        code = subprocess.run(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', PROGRAM, *args], cwd=mill.home, env=mill.env, timeout=60).returncode
        assert code in (0, 5), (args, code)
    mill.steps()
    mill.reconciled()
    assert mill.counts()["events"] == 12 and len(books.stream_records(mill.home)) == 12


# ---- signals ----

def test_sigterm_of_ingest_commits_what_was_read_and_exits_0(mill):
    mill.produce(*[{**SHIRT, "price": i} for i in range(100)])
    mill.env["CLICKMILL_INGEST_BATCH_AGE"] = "1h"  # no batch ends by itself
    ingest = mill.start("ingest")
    time.sleep(1)
    assert ingest.stop(signal.SIGTERM) == 0, ingest.err()
    assert len(mill.rows("bronze.events")) == 100
    assert mill.json("ingest", "--once")["commits"] == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_long_ingest_follows_the_stream_until_told_to_stop(mill, sig):
    ingest = mill.start("-c", "ingest.batch_age=50ms", "ingest")  # before there is any topic
    for i in range(3):
        mill.produce({**SHIRT, "price": i})
        wait_for(lambda: mill.counts()["events"] == i + 1, "the event arrives")
    assert ingest.stop(sig) == 0, ingest.err()
    mill.ok("run")
    mill.reconciled()


def test_sigterm_of_ingest_once_before_its_end_exits_9(mill):
    mill.ok("produce", "--events", "300000", "--seed", "1", "--plain")
    ingest = mill.start("-c", "ingest.batch_rows=1000", "ingest", "--once")
    wait_for(lambda: mill.table_path("bronze.events").exists() and mill.log("bronze.events"), "a first commit")
    assert ingest.stop() == 9, ingest.err()
    done = mill.counts()
    assert 0 < done["events"] and done["events"] + done["lag"] == 300000
    assert mill.json("ingest", "--once")["records"] == done["lag"]
    assert [r["n"] for r in mill.sql("SELECT count(DISTINCT source_offset) AS n FROM bronze.events")] == [300000]


def test_sigterm_of_produce_acknowledges_what_it_sent(mill):
    produce = mill.start("produce", "--events", "1000000", "--rate", "2000", "--ledger", "ledger")
    wait_for(lambda: len(books.read_ledger(mill.home / "ledger")) > 100, "a first acknowledgement")
    assert produce.stop() == 9, produce.err()
    ledger = [line["offset"] for line in books.read_ledger(mill.home / "ledger")]
    assert sorted(ledger) == list(range(len(books.stream_records(mill.home))))


def test_sigterm_of_endless_shoppers_exits_0(mill):
    produce = mill.start("produce", "--events", "0", "--rate", "500")
    wait_for(lambda: (mill.home / "data/stream/clickstream/meta").exists(), "the topic")
    time.sleep(.3)
    assert produce.stop() == 0, produce.err()


# ---- nothing there, doctor, table ----

@pytest.mark.parametrize("verb", ["silver", "gold", "load", "run", "status", "reconcile"])
def test_nothing_there_yet_is_success(mill, verb):
    mill.ok(verb)
    assert not list(mill.home.glob("data/lake/*/*/_delta_log/*")), "no table is made for nothing"


def test_ingest_once_of_a_topic_that_does_not_exist_is_success(mill):
    assert mill.json("ingest", "--once")["records"] == 0


def test_doctor_tries_every_part(mill):
    out = mill.ok("doctor")
    for part in ("stream", "lake", "engine", "models", "sink", "disk"):
        assert f"ok    {part}" in out
    done = mill("-c", f"sink.url=postgresql://u:{SECRET}@127.0.0.1:1/db", "-c", "sink.timeout=100ms", "doctor")
    assert done.code == 7 and "WRONG sink" in done.out and "ok    lake" in done.out and SECRET not in done.out + done.err


def test_table_shows_commits_and_files(mill):
    mill.feed(SHIRT)
    mill.feed({**SHIRT, "price": 2}, b"nonsense")
    tables = {t["table"]: t for t in mill.json("table", "list")}
    assert [(name, t["version"], t["rows"]) for name, t in tables.items()] == [
        ("bronze.events", 1, 3), ("silver.events", 1, 2), ("gold.clickstream_metrics", 1, 1), ("gold.funnel_daily", 1, 1),
        ("gold.late_daily", 1, 1), ("gold.products_daily", 1, 1), ("gold.traffic_daily", 1, 1)]
    assert {t["id"] for t in tables.values()} == {dict(mill.log(n)[0])["metaData"]["id"] for n in tables}
    history = mill.json("table", "history", "bronze.events")
    assert [h["version"] for h in history] == [0, 1] and "records=2" in history[1]["metrics"]
    files = mill.json("table", "files", "silver.events")
    assert {mill.table_path("silver.events") / f["path"] for f in files} == set(mill.data_files("silver.events"))


def test_the_catalog_comes_from_a_file(mill):
    catalog = [{"id": 7, "title": "x", "price": 3.5, "category": "toys"}, {"id": "s-1", "price": 4, "category": "games"}]
    (mill.home / "catalog.json").write_text(json.dumps(catalog))
    mill.ok("produce", "--plain", "--events", "50", "--catalog", "catalog.json")
    seen = {(e["product_id"], e["category"], e["price"]) for e in map(json.loads, (r.value for r in books.stream_records(mill.home)))}
    assert seen == {(7, "toys", 3.5), ("s-1", "games", 4)}
    for text, why in (("<html>blocked</html>", "JSON"), ("[]", "catalog.json"), ("[1]", "catalog.json"), ("", "catalog.json")):
        (mill.home / "catalog.json").write_text(text)
        mill.fails(4, "produce", "--catalog", "catalog.json", says=why)


SHOP = r"""
import http.server, sys, time
answers = {"/ok": (200, b'[{"id":7,"price":3.5,"category":"toys"}]'), "/html": (403, b"<html>robots?</html>"),
           "/html200": (200, b"<!DOCTYPE html><html></html>"), "/huge": (200, b"[" + b" " * (20 << 20) + b"]")}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/hang":
            time.sleep(60)
        code, body = answers[self.path]
        self.send_response(code); self.send_header("Content-Length", str(len(body))); self.end_headers()
        try: self.wfile.write(body)
        except OSError: pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def shop_url():
    """A shop's web server, in its good and its bad hours."""
    server = subprocess.Popen([sys.executable, "-c", SHOP], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    server.kill()
    server.wait()


def test_the_catalog_comes_from_the_shop(mill, shop_url):
    mill.ok("produce", "--plain", "--events", "5", "--catalog", shop_url + "/ok")
    assert {json.loads(r.value)["category"] for r in books.stream_records(mill.home)} == {"toys"}
    mill.fails(4, "produce", "--catalog", shop_url + "/html", says=["/html", "403"])
    mill.fails(4, "produce", "--catalog", shop_url + "/html200", says=["/html200", "web page"])
    mill.fails(4, "produce", "--catalog", shop_url + "/huge", says="/huge")
    mill.fails(4, "produce", "--catalog", f"http://127.0.0.1:{free_port()}/", says="127.0.0.1")
    assert len(books.stream_records(mill.home)) == 5
