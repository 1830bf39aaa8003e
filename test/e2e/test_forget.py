# SPDX-License-Identifier: Apache-2.0
"""forget: a user is erased from every table, every earlier version of it, and the sink."""
import hashlib
import io
import json
import signal

import deltalake.exceptions
import pyarrow.parquet
import pytest

from mill import TABLES
from sinks import Sqlite
from test_bad_days import HAT, NOON, SHIRT, some_shoppers
from test_rebuild import RUSH, SILVER, parked

USER = "u-f0rg3t-m3"


def of(user, i, **more):
    return {**SHIRT, "event_id": f"{user}-{i}", "user_id": user, "session_id": f"s-{user}", "event_ts": NOON + i * 40000, **more}


def bad(user):
    """Rejects that hold the user in different ways."""
    name = json.dumps(user).encode()
    return [b'{"user_id":%s,"product_id":1}' % name, b'{"user_id": %s,"product_id":1}' % name, b'{"broken":[%s' % name,
            b'[{"user_id":%s}]' % name, b'{"events":[{"user_id"\t :  %s }]}' % name, b'{"note":"caf\xe9","user_id":%s}' % name, {**SHIRT, "user_id": user, "price": -1}]


def busy(mill, user=USER):
    """Two rounds, so that files are rewritten and removed before."""
    for round_ in range(2):
        mill.produce(*[of(user, 10 * round_ + i, note={"friend": user}) for i in range(4)],
                     *[of("other", 10 * round_ + i) for i in range(4)], of(user, 10 * round_), of(user, 10 * round_, price=1), of(user, 1, quantity=2),
                     *bad(user), *bad("somebody"), {**HAT, "event_id": "shared", "user_id": user, "event_ts": NOON + 86400 * 9 + round_},
                     {**HAT, "event_id": "shared", "user_id": "heir"}, {**HAT, "event_id": "extra", "user_id": "friend", "deep": {"user_id": user}})
        mill.steps()


def forget(mill, user, *more):
    return mill.json(*more, "forget", "--user", user, "--force")


def texts(data):
    """What a Parquet file holds, decompressed, and its bytes as they are."""
    table = pyarrow.parquet.read_table(io.BytesIO(data), partitioning=None)
    return repr(table.to_pydict()).encode() + data


def holding(mill, user=USER):
    """All files below the lake, and our own beside it, that hold the user in any way."""
    lake = {f"{layer}/{name}": data for layer in ("bronze", "silver", "gold") for name, data in mill.lake.read_all(layer).items()}
    found = [name for name, data in lake.items() if user.encode() in (texts(data) if name.endswith(".parquet") else data)]
    beside = [p for p in (mill.home / "data").rglob("*") if p.is_file() and "stream" not in p.parts and "lake" not in p.parts]
    return found + [str(p) for p in beside if user.encode() in (texts(p.read_bytes()) if "parquet" in p.name else p.read_bytes())]


def others(mill, name, user=USER):
    return sorted(repr(r) for r in mill.rows(name) if r.get("user_id") not in (user, None) and r["event_id"] not in ("shared", "extra"))


def positions(mill):
    return sorted((r["source_partition"], r["source_offset"], r["source_index"]) for r in mill.rows("bronze.events"))


@pytest.mark.parametrize("lake", ["file", "s3"], indirect=True)
def test_a_user_is_forgotten(mill, lake):
    busy(mill)
    mill.ok("table", "optimize", "bronze.events")  # the files before it hold the user, too
    mill.ok("table", "checkpoint", "silver.events")
    before = {name: others(mill, name) for name in TABLES[:2]}
    at, counts, sink = positions(mill), mill.counts(), Sqlite(mill.home)
    assert len(holding(mill)) > 5 and mill.sql(f"SELECT count(*) AS n FROM silver.events WHERE user_id = '{USER}'") == [{"n": 9}]
    done = forget(mill, USER)
    assert holding(mill) == []
    assert {name: others(mill, name) for name in TABLES[:2]} == before
    assert positions(mill) == at
    bronze, silver = done["report"]["tables"][:2]
    assert (bronze["rows_erased"], bronze["raw_erased"], silver["rows_erased"]) == (16, 16, 9), done
    assert bronze["files_rewritten"] == 1 and done["report"]["complete"] and bronze["files_deleted"] > 0
    # The event whose key was another user's first is that one's now; repeats of the user are none any more.
    assert [r["user_id"] for r in mill.rows("silver.events") if r["event_id"] == "shared"] == ["heir"]
    now = mill.counts()
    assert now["events"] == counts["events"] and now["rejected"] == counts["rejected"]
    assert mill.sql("SELECT count(*) AS n FROM bronze.events WHERE reject_reason = 'forgotten'") == [{"n": 16}]
    assert sum(n for n, _ in sink.metrics().values()) == len(mill.rows("silver.events"))
    mill.reconciled()
    assert len(json.loads(mill.ok("conflicts", "--json"))) == now["conflicts"]
    assert mill.json("silver")["events"] == 0
    # The report is signed, and kept without the user's name.
    body = mill.lake.read_all("forget")
    assert list(body.values()) == [json.dumps(done, separators=(",", ":"), ensure_ascii=False).encode()]
    text = json.dumps(done["report"], separators=(",", ":"), ensure_ascii=False).encode()
    assert done["sha256"] == hashlib.sha256(text).hexdigest()
    assert done["report"]["user_sha256"] == hashlib.sha256(USER.encode()).hexdigest()
    # No version from before can be read.
    for name in TABLES[:2]:
        table = mill.lake.delta(name)
        assert done["report"]["tables"][TABLES.index(name)]["first_version"] > 0
        with pytest.raises(deltalake.exceptions.DeltaError):
            table.load_as_version(0)
    again = forget(mill, USER)["report"]["tables"]
    assert [t["files_rewritten"] for t in again] == [0] * len(again)
    for name in TABLES:
        mill.ok("table", "verify", name, "--deep")
    mill.ok("rebuild", "--layer", "silver")
    assert {name: others(mill, name) for name in TABLES[:2]} == before and holding(mill) == []
    mill.reconciled()


HOSTILE = ["o'\\brien", 'quote"d', "'; DROP TABLE x; --", "ünï–cödé", "%s%n", "42", "-7", "${days}", "a b\tc", "$user_id", "\\E.*"]


def test_hostile_ids(mill):
    """All in one lake; each goes alone, and what is left is the others'."""
    mill.produce(*[of(user, i) for i, user in enumerate(HOSTILE)], *[b for user in HOSTILE for b in bad(user)], of("left", 3))
    mill.steps()
    left = list(HOSTILE)
    for user in HOSTILE[:3] + ["ünï–cödé", "42", "\\E.*"]:
        done = forget(mill, user)["report"]["tables"]
        assert done[0]["rows_erased"] == 1 and done[0]["raw_erased"] == 7, (user, done)
        left.remove(user)
        assert sorted(r["user_id"] for r in mill.rows("silver.events")) == sorted(left + ["left"]), user
    mill.reconciled()
    assert forget(mill, "nobody")["report"]["tables"][0]["rows_erased"] == 0
    for user, says in (("", "empty or blank"), (" \t", "empty or blank"), ("x" * 257, "257 bytes"), ("\udcff", "UTF-8")):
        done = mill("forget", "--force", "--user", user)
        assert done.code == 2 and says in done.err, done
    mill.fails(2, "forget", "--user", "42", says="erases", hint="--force")
    mill.fails(2, "forget", "--force", says="--user ID")


def test_a_table_that_says_it_keeps_everything(mill):
    mill.feed(of(USER, 1))
    entry = mill.table_path("bronze.events") / "_delta_log" / f"{0:020}.json"
    text = entry.read_text()
    entry.write_text(text.replace('"configuration":{}', '"configuration":{"delta.appendOnly":"true"}'))
    mill.fails(5, "forget", "--user", USER, "--force", says="append-only", hint="UNSET")
    entry.write_text(text.replace('"configuration":{}', '"configuration":{"delta.logRetentionDuration":"interval 30 days"}'))
    mill.fails(8, "forget", "--user", USER, "--force", says=["the log of bronze.events still begins at version 0"], hint="logRetentionDuration")
    assert USER not in repr([mill.rows(name) for name in TABLES])


def test_nothing_there_yet(mill):
    assert all(t["rows_erased"] == 0 for t in forget(mill, USER)["report"]["tables"])


def forgotten_so_far(mill, point):
    """Bronze is; whether silver is, reconcile tells."""
    assert USER not in repr(mill.rows("bronze.events"))
    return (mill("reconcile").code == 8) == (point in ("forget.after_bronze", "rebuild.after_data"))


def test_killed_in_the_middle_and_repeated(mill):
    busy(mill)
    before = {name: others(mill, name) for name in TABLES[:2]}
    for point in ("forget.after_data", "commit.after_log", "forget.after_bronze", "rebuild.after_data", "forget.after_silver",
                  "forget.after_gold", "clean.removed", "vacuum.removed"):
        done = mill("-c", f"debug.crash_at={point}", "forget", "--user", USER, "--force")
        assert done.code == -signal.SIGKILL, (point, done)
        assert point.startswith(("forget.after_data", "commit")) or forgotten_so_far(mill, point)
    assert forget(mill, USER)["report"]["complete"]
    assert holding(mill) == [] and {name: others(mill, name) for name in TABLES[:2]} == before
    mill.reconciled()


def test_one_after_another_that_was_cut_off(mill):
    """Bronze has forgotten one user, silver not yet; then another is forgotten."""
    busy(mill)
    assert mill("-c", "debug.crash_at=forget.after_bronze", "forget", "--user", USER, "--force").code == -signal.SIGKILL
    assert forget(mill, "other")["report"]["complete"]
    mill.reconciled()
    assert not {USER, "other"} & {r["user_id"] for r in mill.rows("silver.events")}
    assert forget(mill, USER)["report"]["complete"]
    assert holding(mill) == [] and len(json.loads(mill.ok("conflicts", "--json"))) == mill.counts()["conflicts"]
    mill.reconciled()


@pytest.mark.parametrize("point", ["forget.after_bronze", "rebuild.after_data"])
def test_cut_off_where_silver_holds_nothing_of_the_user(mill, point):
    """All the user's events came second: only the counters know of them, and bronze no longer does."""
    mill.feed(of("other", 1), of("other", 2), of("other", 1, user_id=USER, price=7), of("other", 2, user_id=USER))
    before = mill.counts()
    assert before["conflicts"] + before["duplicates"] == 2 and before["rejected"] == 0
    assert mill("-c", f"debug.crash_at={point}", "forget", "--user", USER, "--force").code == -signal.SIGKILL
    mill.fails(8, "reconcile", says="silver.forgotten", hint="forget --user")
    assert forget(mill, USER)["report"]["complete"]
    after = mill.counts()
    assert (after["conflicts"], after["duplicates"]) == (0, 0)
    assert {r["user_id"] for r in mill.rows("silver.events")} == {"other"}
    mill.reconciled()
    assert forget(mill, USER)["report"]["complete"]  # nothing is left to be told
    assert "REBUILD" not in mill.ok("table", "history", "silver.events", "--json")


def test_a_file_that_does_not_say_how_many_rows_it_has(mill):
    mill.feed(of(USER, 1), of("other", 1))
    entry = mill.table_path("bronze.events") / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    for line in lines:
        line.get("add", {}).pop("stats", None)
    entry.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert forget(mill, USER)["report"]["tables"][0]["rows_erased"] == 1
    assert holding(mill) == [] and [r["user_id"] for r in mill.rows("silver.events")] == ["other"]
    mill.reconciled()


def test_while_everything_else_goes_on(mill):
    busy(mill)
    some_shoppers(mill, events=1000)
    up = mill.start(*RUSH, "up", "--demo", "--rate", "300")
    assert forget(mill, USER)["report"]["complete"]
    assert up.alive(), up.err()
    assert up.stop() == 0, up.err()
    mill.steps()
    assert holding(mill) == []
    mill.reconciled()


def test_what_was_replayed_is_forgotten_and_still_counted(mill):
    """A record of the user's that was rejected, repaired and replayed stands in bronze twice; neither row holds the user any more."""
    (mill.home / "repair.sql").write_text("SELECT source_topic, source_partition, source_offset, source_index, replace(raw, '2,50', '2.50') AS value\n"
                                          "FROM rejects WHERE raw LIKE '%2,50%'\n")
    mill.feed(of(USER, 1), of("other", 1), of(USER, 2, price="2,50"), of("other", 2, price="2,50", note={"user_id": USER}), b"{")
    assert mill.json("rejects", "replay", "--mapping", "repair.sql")["replayed"] == 2
    mill.steps()
    mill.reconciled()
    assert mill.sql("SELECT count(*) AS n FROM silver.events") == [{"n": 4}]
    forget(mill, USER)
    mill.reconciled()
    assert holding(mill) == []
    assert mill.sql("SELECT count(*) AS n FROM silver.events") == [{"n": 2}]
    assert sorted((row["reason"], row["rejects"], row["replayed"]) for row in mill.json("rejects", "list")) == [
        ("invalid_json", 1, 0), ("wrong_type", 2, 2)]
    assert mill.json("rejects", "replay")["replayed"] == 0
    mill.produce(of("other", 3))
    mill.steps()
    mill.reconciled()


def test_a_rebuild_under_way_does_not_bring_the_user_back(mill):
    """It has made its rows before, and commits after."""
    busy(mill)
    mill.feed(*[of("other", 100 + day, event_ts=NOON + 86400 * day) for day in range(40)])
    rebuild = parked(mill, *SILVER)
    assert forget(mill, USER)["report"]["complete"]
    rebuild.process.send_signal(signal.SIGCONT)
    assert rebuild.wait() == 0, rebuild.err()
    mill.ok("run")
    mill.reconciled()
    assert USER not in repr([mill.rows(name) for name in TABLES])
