# SPDX-License-Identifier: Apache-2.0
"""/healthz, /readyz and /metrics of what runs until stopped, read by Prometheus' own parser."""
import http.client
import re
import signal
import time

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from mill import ROOT, wait_for

SHIRT = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": 1771329600}
QUICK = ("-c", "up.every=200ms", "-c", "ingest.batch_age=100ms", "-c", "serve.sample_every=100ms", "-c", "serve.listen=127.0.0.1:0")


def address(process):
    return wait_for(lambda: re.search(r'msg="serving metrics" addr=(\S+)', process.err()), "the address")[1]


def get(process, path):
    """Status and body."""
    connection = http.client.HTTPConnection(address(process), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def scrape(process):
    """{(name, labels as sorted pairs): value}; what is wrong with the text fails."""
    status, text = get(process, "/metrics")
    assert status == 200 and text.endswith("\n")
    samples, heads = {}, re.findall(r"^# (HELP|TYPE) (\S+)", text, re.M)
    assert [h[0] for h in heads] == ["HELP", "TYPE"] * (len(heads) // 2)
    names = [name for _, name in heads[::2]]
    assert names == [name for _, name in heads[1::2]] and len(set(names)) == len(names), "each family once, in one block"
    for family in text_string_to_metric_families(text):
        assert family.samples and family.documentation and family.type in ("counter", "gauge", "histogram"), family.name
        for s in family.samples:
            key = (s.name, tuple(sorted(s.labels.items())))
            assert key not in samples, key
            samples[key] = s.value
    for (name, labels), value in samples.items():
        if name.endswith("_count"):
            buckets = [(float(dict(l)["le"]), v) for (n, l), v in samples.items()
                       if n == name[:-5] + "bucket" and tuple(x for x in l if x[0] != "le") == labels]
            assert [v for _, v in sorted(buckets)] == sorted(v for _, v in buckets) and max(buckets)[1] == value
    return samples


def value(process, name, **labels):
    return scrape(process).get((name, tuple(sorted(labels.items()))))


def totals(samples, *names):
    return {n: int(samples[(f"clickmill_{n}_total", ())]) for n in names}


def test_up_shows_what_it_does(mill, sink):
    up = mill.start(*QUICK, "up", "--demo", "--rate", "300")
    wait_for(lambda: (value(up, "clickmill_load_upserted_total") or 0) > 3, "metrics in the database")
    assert get(up, "/healthz") == (200, "ok\n")
    assert wait_for(lambda: get(up, "/readyz") == (200, "ok\n"), "ready")
    first = scrape(up)
    assert first["clickmill_ready", ()] == first["clickmill_live", ()] == 1
    assert first["clickmill_produce_acked_total", ()] > 0
    assert first["clickmill_ingest_commit_duration_seconds_count", ()] == first["clickmill_ingest_commits_total", ()]
    assert first["clickmill_ingest_batch_rows_sum", ()] == first["clickmill_ingest_events_total", ()]
    assert 0 <= first["clickmill_partition_lag_seconds", (("partition", "0"),)] < 60
    assert first["clickmill_step_last_success_timestamp_seconds", (("step", "load"),)] == pytest.approx(time.time(), abs=60)
    runs = first["clickmill_run_duration_seconds_count", ()]
    assert all(first["clickmill_step_duration_seconds_count", (("step", s),)] >= runs >= 1 for s in ("silver", "gold", "load"))
    assert first["process_start_time_seconds", ()] == pytest.approx(time.time(), abs=120)
    for table in ("bronze.events", "silver.events", "gold.clickstream_metrics"):
        wait_for(lambda: (value(up, "clickmill_table_data_age_seconds", table=table) or 99) < 60, f"{table} is fresh")
        assert value(up, "clickmill_table_commit_age_seconds", table=table) < 60
    later = scrape(up)
    assert all(later[k] >= v for k, v in first.items() if k[0].endswith(("_total", "_count", "_bucket"))), "counters never fall"
    assert up.stop() == 0, up.err()
    assert "level=error" not in up.err() and "level=warn" not in up.err()


def test_the_key_index_is_seen_at_work(mill):
    mill.env["CLICKMILL_SILVER_INDEX_MIN_ROWS"] = "0"
    mill.ok("produce", "--events", "200", "--seed", "5")
    mill.steps()
    rows = mill.json("status")["layers"][1]["rows"]
    up = mill.start(*QUICK, "up")
    mill.ok("produce", "--events", "200", "--seed", "5")
    wait_for(lambda: value(up, "clickmill_silver_duplicates_total") == 200 and value(up, "clickmill_silver_index_keys") == rows, "the repeats")
    assert totals(scrape(up), "silver_index_commits")["silver_index_commits"] >= 1
    assert up.stop() == 0, up.err()


def test_the_counters_agree_with_status_in_the_end(mill):
    mill.env["CLICKMILL_STREAM_PARTITIONS"] = "3"
    up = mill.start(*QUICK, "up")
    for seed in (1, 2):
        mill.ok("produce", "--events", "2000", "--seed", seed, "--duplicates", "0.1", "--late", "0.05", "--bad", "0.02")
    mill.ok("produce", "--events", "500", "--seed", "1")

    def done():
        s = mill.json("status")
        return s["lag"] == 0 and s["sink_is_current"] and s["layers"][1]["behind"] == 0 and s["layers"][2]["behind"] == 0 and s["events"] > 4000
    wait_for(done, "all of it in the database")
    status = mill.json("status")
    # Both counters and samples come a moment after the commit.
    wait_for(lambda: value(up, "clickmill_silver_events_total") == status["events"]
             and value(up, "clickmill_table_version", table="gold.clickstream_metrics") == status["layers"][2]["version"], "the last round")
    m = scrape(up)
    assert totals(m, "ingest_events", "ingest_rejected", "silver_duplicates", "silver_conflicts", "silver_rows") == {
        "ingest_events": status["events"], "ingest_rejected": status["rejected"], "silver_duplicates": status["duplicates"],
        "silver_conflicts": status["conflicts"], "silver_rows": status["layers"][1]["rows"]}
    assert totals(m, "silver_index_commits") == {"silver_index_commits": 0}, "so small a silver is read itself"
    for p in status["partitions"]:
        at = (("partition", str(p["partition"])),)
        assert m["clickmill_partition_end_offset", at] == p["end"] and m["clickmill_partition_committed_offset", at] == p["position"]
        assert m["clickmill_partition_lag_records", at] == 0 == m["clickmill_partition_retention_used_ratio", at]
        assert m["clickmill_partition_lag_seconds", at] == 0
    for layer in status["layers"]:
        at = (("table", layer["table"]),)
        assert [m[f"clickmill_table_{n}", at] for n in ("version", "rows", "files", "size_bytes")] == [
            layer[n] for n in ("version", "rows", "files", "bytes")]
        assert m.get(("clickmill_table_behind_versions", at), 0) == layer["behind"]
    assert m["clickmill_load_gold_version", ()] == status["sink_version"]
    assert up.stop() == 0, up.err()
    mill.reconciled()


MODEL = """-- Name: mine
-- Description: Of a test.
-- Inputs: silver_events
-- Partition: event_date
-- Grain: event_date
SELECT count(*) AS n, event_date FROM silver_events GROUP BY event_date
"""


def test_a_model_comes_goes_wrong_and_goes(mill):
    """While it runs: shown as soon as it is there; behind when it is wrong, and no more when nobody makes it."""
    up = mill.start(*QUICK, "up")
    mill.produce(SHIRT)
    (mill.home / "models").mkdir()
    file = mill.home / "models/mine.sql"
    file.write_text(MODEL)
    wait_for(lambda: value(up, "clickmill_table_behind_versions", table="gold.mine") == 0, "it is there")
    file.write_text(MODEL.replace("count(*)", "no_such"))
    mill.produce({**SHIRT, "price": 2})
    wait_for(lambda: value(up, "clickmill_gold_failed_models") == 1, "it failed")
    wait_for(lambda: value(up, "clickmill_table_behind_versions", table="gold.mine") == 1, "it is behind")
    wait_for(lambda: value(up, "clickmill_table_behind_versions", table="gold.funnel_daily") == 0, "the others are not")
    file.unlink()
    wait_for(lambda: value(up, "clickmill_gold_failed_models") == 0, "nothing fails any more")
    wait_for(lambda: value(up, "clickmill_table_behind_versions", table="gold.mine") is None, "nobody waits for it")
    assert value(up, "clickmill_table_rows", table="gold.mine") == 1
    assert up.stop() == 0, up.err()


RULE = """-- Name: no_gifts
-- Description: Of a test.
-- Severity: block
SELECT * FROM silver.events WHERE price = 0
"""


def test_a_rule_that_blocks_is_seen(mill):
    """Until it passes; a rule that is gone is not shown any more."""
    (mill.home / "checks").mkdir()
    file = mill.home / "checks/no_gifts.sql"
    file.write_text(RULE)
    up = mill.start(*QUICK, "up")
    mill.produce(SHIRT)
    wait_for(lambda: value(up, "clickmill_load_gold_version") == 0, "it is loaded")
    m = scrape(up)
    assert m["clickmill_load_blocked", ()] == m["clickmill_check_failing", (("rule", "no_gifts"),)] == 0
    mill.produce({**SHIRT, "price": 0})
    wait_for(lambda: value(up, "clickmill_load_blocked") == 1, "it is blocked")
    m = scrape(up)
    assert m["clickmill_check_failing", (("rule", "no_gifts"),)] == 1 and m["clickmill_check_failing", (("rule", "freshness"),)] == 0
    assert m["clickmill_check_failures_total", (("rule", "no_gifts"),)] >= 1 and m["clickmill_load_gold_version", ()] == 0
    code, why = wait_for(lambda: (lambda a: a if a[0] == 503 else None)(get(up, "/readyz")), "not ready")
    assert "no_gifts" in why and get(up, "/healthz") == (200, "ok\n")
    file.unlink()
    wait_for(lambda: value(up, "clickmill_load_gold_version") == 1, "it is loaded")
    wait_for(lambda: value(up, "clickmill_check_failing", rule="no_gifts") is None, "nobody asks it")
    assert value(up, "clickmill_load_blocked") == 0 and value(up, "clickmill_step_failures_total", step="check") >= 1
    assert up.stop() == 0, up.err()


def test_a_run_that_does_not_reach_a_step_says_nothing_of_it(mill):
    (mill.home / "models").mkdir()
    (mill.home / "models/mine.sql").write_text(MODEL.replace("count(*)", "no_such"))
    mill.produce(SHIRT)
    mill.ok("ingest", "--once")
    mill.fails(6, "run")
    mill.produce({**SHIRT, "price": 2})
    mill.ok("ingest", "--once")
    run = mill.start("-c", "serve.listen=127.0.0.1:0", "-c", "run.retries=0", "run", "--every", "100ms")
    wait_for(lambda: value(run, "clickmill_load_gold_version") == 1, "it is loaded")
    assert value(run, "clickmill_gold_failed_models") == 1 and value(run, "clickmill_load_failed_tables") == 0
    before = set(mill.data_files("bronze.events"))
    mill.produce({**SHIRT, "price": 3})
    mill.ok("ingest", "--once")
    [new] = set(mill.data_files("bronze.events")) - before
    sound = new.read_bytes()
    new.write_bytes(b"x" * len(sound))
    failed = 'clickmill_step_failures_total'
    seen = value(run, failed, step="silver")
    wait_for(lambda: value(run, failed, step="silver") > seen + 1, "silver fails")
    m = scrape(run)
    assert [m[f"clickmill_{name}", ()] for name in ("load_gold_version", "gold_failed_models", "load_failed_tables")] == [1, 1, 0]
    new.write_bytes(sound)
    wait_for(lambda: value(run, "clickmill_load_gold_version") == 2, "it goes on")
    assert run.stop() == 0


def test_a_table_that_is_nobodys_stops_no_sample(mill):
    """One removed while it is looked at, and one that is no table."""
    (mill.home / "models").mkdir()
    file = mill.home / "models/mine.sql"
    file.write_text(MODEL)
    mill.feed(SHIRT)
    run = mill.start("-c", "serve.listen=127.0.0.1:0", "-c", "serve.sample_every=50ms", "run", "--every", "100ms")
    wait_for(lambda: value(run, "clickmill_table_behind_versions", table="gold.mine") == 0, "it is looked at")
    file.unlink()
    wait_for(lambda: value(run, "clickmill_table_behind_versions", table="gold.mine") is None, "nobody waits for it")
    mill.table_path("gold.mine").rename(mill.home / "mine")
    log = mill.table_path("gold.strange") / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no entry\n")
    wait_for(lambda: run.err().count("a table without a model is left aside") >= 2, "both are told")
    before = value(run, "clickmill_sample_errors_total") or 0
    mill.produce({**SHIRT, "price": 2})
    mill.ok("ingest", "--once")
    wait_for(lambda: value(run, "clickmill_table_version", table="gold.funnel_daily") == 1, "the others are looked at")
    assert (value(run, "clickmill_sample_errors_total") or 0) == before
    assert run.stop() == 0
    done = mill("table", "list", "--json")
    assert done.code == 0 and "gold.strange" not in done.out and "gold.funnel_daily" in done.out
    assert "left aside" in done.err and "gold/strange" in done.err


def test_lag_grows_while_nobody_ingests_and_is_seen_by_the_next(mill):
    mill.ok("produce", "--events", "3000", "--seed", "1")
    time.sleep(1.2)
    ingest = mill.start("-c", "serve.listen=127.0.0.1:0", "-c", "ingest.batch_age=2s", "-c", "serve.sample_every=50ms", "ingest")
    lag = wait_for(lambda: value(ingest, "clickmill_partition_lag_seconds", partition="0"), "a lag in seconds")
    assert 1 < lag < 60
    assert value(ingest, "clickmill_partition_lag_records", partition="0") == 3000
    assert value(ingest, "clickmill_partition_retention_used_ratio", partition="0") == 0, "a local stream forgets nothing"
    wait_for(lambda: value(ingest, "clickmill_partition_lag_records", partition="0") == 0, "all in bronze")
    wait_for(lambda: value(ingest, "clickmill_partition_lag_seconds", partition="0") == 0, "no lag")
    assert value(ingest, "clickmill_ingest_records_total") == 3000
    assert value(ingest, "clickmill_silver_rows_total") is None, "ingest says nothing of what it does not do"
    assert ingest.stop(signal.SIGINT) == 0, ingest.err()


def test_several_processes_find_their_ports(mill):
    port = ("-c", "serve.listen=127.0.0.1:19464")
    mill.produce(SHIRT)
    both = [mill.start(*port, "-c", "ingest.batch_age=50ms", "-c", "serve.sample_every=100ms", "ingest") for _ in range(2)]
    assert len({address(p) for p in both}) == 2
    mill.ok("produce", "--events", "1000", "--seed", "1")
    for p in both:
        assert wait_for(lambda: get(p, "/readyz") == (200, "ok\n"), "ready")
        wait_for(lambda: value(p, "clickmill_partition_committed_offset", partition="0") == 1001, "either sees what both have done")
    wait_for(lambda: sum(value(p, "clickmill_ingest_records_total") for p in both) == 1001, "each record is counted by one of them")
    assert all(p.stop() == 0 for p in both)
    moved = [p for p in both if "the port is taken" in p.err()]
    assert len(moved) == 1 or all(not address(p).endswith(":19464") for p in both)


def test_no_topic_yet_is_not_ready_and_no_fault(mill):
    ingest = mill.start(*QUICK, "ingest")
    assert get(ingest, "/healthz") == (200, "ok\n")
    code, why = get(ingest, "/readyz")
    assert code == 503 and "no partition is assigned yet" in why
    mill.produce(SHIRT)
    wait_for(lambda: get(ingest, "/readyz")[0] == 200, "ready")
    assert ingest.stop() == 0, ingest.err()


def test_readiness_follows_the_database(mill, own_postgres):
    mill.env["CLICKMILL_SINK_URL"] = own_postgres.new_database()
    up = mill.start(*QUICK, "-c", "sink.timeout=500ms", "up", "--demo", "--rate", "100")
    wait_for(lambda: get(up, "/readyz")[0] == 200, "ready")
    own_postgres.run("stop")
    code, why = wait_for(lambda: (lambda a: a if a[0] == 503 else None)(get(up, "/readyz")), "not ready")
    assert why.startswith("run: ") and why.count("\n") == 1
    assert get(up, "/healthz") == (200, "ok\n"), "a restart would not help"
    m = scrape(up)
    assert m["clickmill_ready", ()] == 0 and m["clickmill_live", ()] == 1
    assert m["clickmill_step_failures_total", (("step", "load"),)] >= 1 and m["clickmill_runs_total", (("result", "failed"),)] >= 1
    own_postgres.start()
    wait_for(lambda: get(up, "/readyz")[0] == 200, "ready again")
    assert up.stop() == 0, up.err()


def test_a_schedule_whose_runs_fail_is_not_ready(mill):
    mill.feed(SHIRT)
    mill.produce(SHIRT)
    mill.ok("ingest", "--once")
    run = mill.start("-c", "serve.listen=127.0.0.1:0", "-c", "sink.url=postgresql://u:hunter2@127.0.0.1:1/x", "-c", "sink.timeout=100ms",
                     "-c", "run.retries=0", "run", "--every", "300ms")
    wait_for(lambda: value(run, "clickmill_runs_total", result="failed") >= 2, "failed runs")
    code, why = get(run, "/readyz")
    assert code == 503 and "127.0.0.1" in why and "hunter2" not in why
    assert get(run, "/healthz")[0] == 200
    assert value(run, "clickmill_runs_total", result="ok") == 0
    assert "hunter2" not in get(run, "/metrics")[1]
    assert run.stop() == 0


def test_produce_shows_what_was_acknowledged(mill):
    produce = mill.start("-c", "serve.listen=127.0.0.1:0", "produce", "--events", "0", "--rate", "500")
    wait_for(lambda: value(produce, "clickmill_produce_acked_total") > 100, "acknowledgements")
    assert get(produce, "/readyz") == (200, "ok\n")
    m = scrape(produce)
    assert m["clickmill_produce_sent_total", ()] >= m["clickmill_produce_acked_total", ()] and m["clickmill_produce_failed_total", ()] == 0
    assert produce.stop() == 0
    mill.ok("ingest", "--once")
    assert mill.counts()["events"] > 100


def test_off_serves_nothing_and_what_is_short_does_not_either(mill):
    up = mill.start("-c", "serve.listen=off", "-c", "up.every=100ms", "up", "--demo")
    wait_for(lambda: "electronics" in up.out(), "metrics on the screen")
    assert up.stop() == 0 and "serving" not in up.err()
    for verb in (("produce", "--events", "10"), ("ingest", "--once"), ("run",)):
        assert "serving" not in mill(*verb).err
    mill.fails(3, "-c", "serve.listen=nonsense", "ingest", says="serve.listen", hint="127.0.0.1:9464")


def test_scrapes_do_not_disturb(mill):
    """Scraped as fast as it goes, and shut down in the middle of it."""
    ingest = mill.start(*QUICK, "ingest")
    before = scrape(ingest)[("process_resident_memory_bytes", ())] if mill.produce(SHIRT) else 0
    for _ in range(300):
        get(ingest, "/metrics")
    assert scrape(ingest)[("process_resident_memory_bytes", ())] < before + (64 << 20)
    held = http.client.HTTPConnection(address(ingest), timeout=10)
    held.putrequest("GET", "/metrics")  # half a request
    start = time.monotonic()
    assert ingest.stop() == 0 and time.monotonic() - start < 10
    assert "level=error" not in ingest.err()
    held.close()


def test_the_examples_for_prometheus_are_valid(mill):
    listed = {name: kind for name, kind in re.findall(r"^\| `(\w+)(?:\{[^}]*\})?` \| (\w+) \|", mill.ok("docs", "metrics"), re.M)}
    assert len(listed) > 50
    config = yaml.safe_load((ROOT / "conf/prometheus.yml").read_text())
    assert set(config) <= {"global", "rule_files", "scrape_configs"}
    [job] = config["scrape_configs"]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", t) for s in job["static_configs"] for t in s["targets"])
    rules = [r for g in yaml.safe_load((ROOT / f"conf/{config['rule_files'][0]}").read_text())["groups"] for r in g["rules"]]
    page = (ROOT / "docs/operations.md").read_text()
    for rule in rules:
        used = set(re.findall(r"\b(?:clickmill|process)_\w+", rule["expr"]))
        assert used and used <= set(listed), rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert f"| {rule['alert'].removeprefix('Clickmill')} |" in page, "docs/operations.md says what to do"
    for name in re.findall(r"`(?:rate\()?(clickmill_\w+)", page):
        assert name in listed, name
    used = set(scrape(mill.start(*QUICK, "up", "--demo")))
    assert {n for n, _ in used if not n.startswith("process_")} <= {
        n + s for n, k in listed.items() for s in (("_bucket", "_sum", "_count") if k == "histogram" else ("",))}
