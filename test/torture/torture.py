#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""torture.py --faults N --seed S --minutes M: a real broker, and everything under it dies again and again.

Producers write events under names of their own and keep ledgers of what was acknowledged; one to four
ingests share the topic's partitions; a run goes through now and then. Meanwhile, by a seeded die:

    kill ingest     kill -9, and another takes its place, at once or later
    crash ingest    it kills itself at a named point of the code, in a commit
    freeze ingest   SIGSTOP for longer than its session lasts; others get its partitions; SIGCONT
    leave, join     an ingest ends or comes: the partitions are shared out anew
    kill producer   kill -9; sometimes the same file is sent once more from its beginning
    kill run        kill -9 somewhere in silver, gold or load
    kill broker     kill -9 and back again

A fault counts only if it hits a live process with work under way: an ingest that has committed since
its last fault, a producer that was acknowledged something, a broker that took events since its start.

At the end of a round (--faults-a-round) everybody may finish, and then
  - the topic holds every acknowledged record, where it was acknowledged, and none nobody produced;
  - bronze holds each position of the topic once, without a gap, with the event that is there;
  - silver holds each event of the topic once, gold counts them all, reconcile proves it by itself;
  - nobody ended by himself with anything but success.
A failure keeps its folder and prints the command that plays the same round again.
"""
import argparse
import collections
import json
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import deltalake
import pyarrow.parquet

import books
from broker import Broker
from mill import Mill, ROOT, wait_for

PARTITIONS = 4
MOST_INGESTS = 4
PRODUCERS = 2
SESSION_S = 1.0
RATE, LINES = 1000, 20000  # of one producer
INGEST = ("-c", "log.level=debug", "-c", "ingest.batch_age=100ms", "-c", "kafka.session.timeout.ms=1000",
          "-c", "kafka.heartbeat.interval.ms=200", "-c", "kafka.reconnect.backoff.max.ms=500", "ingest")
CRASH_POINTS = ("ingest.after_data", "commit.before_log", "commit.after_log")
WEIGHTS = {"kill ingest": 30, "crash ingest": 15, "freeze ingest": 20, "leave": 8, "join": 8, "kill producer": 15, "kill run": 8}
BROKER_EVERY = 40  # faults
STUCK_S = 90
PATIENCE_S = 2  # until another kind of fault is tried
KILLED, STOPPED = -signal.SIGKILL, 9


class Broken(Exception):
    """A promise of the pipeline does not hold."""


class Log:
    def __init__(self, path):
        self.file, self.start = open(path, "a"), time.monotonic()

    def __call__(self, text):
        print(f"{time.monotonic() - self.start:8.2f}  {text}", file=self.file, flush=True)


def ask_to_end(running):
    """SIGTERM, once the process listens to it (proc(5), SigCgt); gives the exit code."""
    def listens():
        caught = re.search(r"^SigCgt:\t(\w+)$", pathlib.Path(f"/proc/{running.process.pid}/status").read_text(), re.M)
        return caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1
    wait_for(lambda: not running.alive() or listens(), "it listens to SIGTERM")
    return running.stop()


class Producer:
    """One `produce` and its file; `lines` events named NAME-0, NAME-1, …"""

    def __init__(self, mill, name):
        self.mill, self.name = mill, name
        self.file, self.ledger = mill.home / f"{name}.ndjson", mill.home / f"{name}.ledger"
        self.file.write_text("".join(
            f'{{"product_id":{i % 20 + 1},"category":"electronics","price":{i % 500}.25,"event_ts":{1771286400 + i},'
            f'"event_id":"{name}-{i}"}}\n' for i in range(LINES)))
        self.start()

    def start(self):
        self.seen = self.acknowledged()
        # A slow restart of the broker is no reason to give records up.
        self.running = self.mill.start("-c", "kafka.reconnect.backoff.max.ms=500", "-c", "stream.timeout=10m", "produce", "--from", self.file.name,
                                       "--rate", RATE, "--ledger", self.ledger.name)

    def acknowledged(self):
        """Bytes of the ledger."""
        return self.ledger.stat().st_size if self.ledger.exists() else 0

    def under_way(self):
        return self.running.alive() and self.acknowledged() > self.seen


class Ingest:
    def __init__(self, mill, name, crash=None):
        self.name, self.crash = name, crash
        self.running = mill.start(*(("-c", f"debug.crash_at={crash}") if crash else ()), *INGEST)
        self.frozen_until = None
        self.read_to = self.commits = self.dropped = 0

    def look(self):
        """Counts what it has said since the last look."""
        with open(self.running.err_file) as err:
            err.seek(self.read_to)
            text = err.read()
            whole = text.rfind("\n") + 1
            self.read_to += len(text[:whole].encode())
        self.commits += text[:whole].count("msg=committed")
        self.dropped += text[:whole].count("batch dropped")

    def under_way(self):
        """It has committed since it was last hit."""
        self.look()
        return self.running.alive() and self.frozen_until is None and self.commits > 0

    def hit(self):
        self.look()
        self.commits = 0


class Round:
    def __init__(self, broker, folder, seed, log):
        self.broker, self.draw, self.log = broker, random.Random(seed), log
        self.mill = broker.connect(Mill(folder), PARTITIONS)
        broker.create(self.mill.topic, PARTITIONS)
        self.producers, self.ingests, self.gone = [], [], []
        self.names = collections.Counter()
        self.faults = collections.Counter()
        self.wanted, self.woken = 3, 0  # ingests
        self.last = time.monotonic()  # fault that hit

    def name(self, what):
        self.names[what] += 1
        return f"{what}{self.names[what]}"

    # ---- the company ----

    def keep_company(self):
        """Wakes who has slept long enough, replaces who is gone, and looks after those who ended by themselves."""
        for ingest in list(self.ingests):
            if ingest.frozen_until and time.monotonic() >= ingest.frozen_until:
                ingest.running.process.send_signal(signal.SIGCONT)
                ingest.frozen_until = None
                self.woken += 1
                self.log(f"  {ingest.name} wakes")
            if not ingest.running.alive():
                self.lost(ingest)
        while sum(i.frozen_until is None for i in self.ingests) < self.wanted:
            self.add_ingest()
        for producer in self.producers:
            if not producer.running.alive():
                if producer.running.process.returncode != 0:
                    raise Broken(f"{producer.name} ended by itself with {producer.running.process.returncode}: {producer.running.err()}")
                self.producers.remove(producer)
                self.gone.append(producer)
                break
        while len(self.producers) < PRODUCERS:
            self.producers.append(Producer(self.mill, self.name("p")))

    def add_ingest(self, crash=None):
        self.ingests.append(Ingest(self.mill, self.name("i"), crash))
        self.log(f"  {self.ingests[-1].name} starts{f', to die at {crash}' if crash else ''}")

    def lost(self, ingest):
        code = ingest.running.process.returncode
        if ingest.crash and code == KILLED:
            self.count("crash ingest", f"{ingest.name} at {ingest.crash}")
        else:
            raise Broken(f"{ingest.name} ended by itself with {code}: {ingest.running.err()[-3000:]}")
        self.remove(ingest)

    def remove(self, ingest):
        ingest.look()
        self.ingests.remove(ingest)
        self.gone.append(ingest)

    # ---- the faults; each says whether it hit ----

    def count(self, kind, what):
        self.faults[kind] += 1
        self.log(f"{sum(self.faults.values()):5} {kind}: {what}")
        return True

    def victim(self, among):
        able = [one for one in among if one.under_way()]
        return self.draw.choice(able) if able else None

    def fault(self, kind):
        return getattr(self, kind.replace(" ", "_"))()

    def kill_ingest(self):
        ingest = self.victim(self.ingests)
        if not ingest:
            return False
        hit = ingest.running.kill() == KILLED
        self.remove(ingest)
        self.wanted = self.draw.randint(1, MOST_INGESTS)
        return hit and self.count("kill ingest", ingest.name)

    def crash_ingest(self):
        """Counted when it has died of it."""
        before = self.faults["crash ingest"]
        if not any(i.crash for i in self.ingests):
            self.add_ingest(f"{self.draw.choice(CRASH_POINTS)}:{self.draw.randint(1, 4)}")
        self.keep_company()
        return self.faults["crash ingest"] > before

    def freeze_ingest(self):
        ingest = self.victim(self.ingests)
        if not ingest or ingest.crash:
            return False
        ingest.running.process.send_signal(signal.SIGSTOP)
        ingest.hit()
        ingest.frozen_until = time.monotonic() + SESSION_S * self.draw.uniform(1.5, 3)
        return self.count("freeze ingest", ingest.name)

    def leave(self):
        ingest = self.victim(self.ingests)
        if not ingest or ingest.crash:
            return False
        self.remove(ingest)
        self.wanted = max(1, self.wanted - 1)
        code = ingest.running.stop()
        if code != 0:
            raise Broken(f"{ingest.name} was asked to end: exit {code}: {ingest.running.err()[-3000:]}")
        return self.count("leave", ingest.name)

    def join(self):
        others = self.victim(self.ingests)
        if not others or len(self.ingests) >= MOST_INGESTS:
            return False
        self.wanted = min(self.wanted + 1, MOST_INGESTS)
        self.add_ingest()
        for ingest in self.ingests:
            ingest.hit()
        return self.count("join", self.ingests[-1].name)

    def kill_producer(self):
        producer = self.victim(self.producers)
        if not producer:
            return False
        hit = producer.running.kill() == KILLED
        again = self.draw.random() < 0.3
        if again:
            producer.start()  # the same events once more
        else:
            self.producers.remove(producer)
            self.gone.append(producer)
        return hit and self.count("kill producer", producer.name + (", and its file again" if again else ""))

    def kill_run(self):
        """Somewhere in a run; one that has ended before is let be."""
        if not self.mill.table_path("bronze.events").exists():
            return False
        run = self.mill.start("run")
        time.sleep(self.draw.uniform(0.02, 0.4))
        code = run.kill()
        if code not in (0, KILLED):
            raise Broken(f"run: exit {code}: {run.err()}")
        return code == KILLED and self.count("kill run", "")

    def kill_broker(self):
        if not self.broker.alive() or not self.victim(self.producers):
            return False
        self.broker.restart()
        for one in self.ingests:
            one.hit()
        for one in self.producers:
            one.seen = one.acknowledged()
        return self.count("kill broker", "")

    def torture(self, faults, until):
        """Until so many faults have hit, of every kind, and a zombie that woke was refused."""
        kind, since = None, time.monotonic()
        while time.monotonic() < until:
            done, missing = sum(self.faults.values()), [k for k in WEIGHTS if not self.faults[k]]
            if done >= faults and not missing and self.refused():
                break
            self.keep_company()
            time.sleep(self.draw.uniform(0.02, 0.15))
            if done // BROKER_EVERY > self.faults["kill broker"]:
                kind = "kill broker"
            elif kind is None or time.monotonic() - since > PATIENCE_S:
                # What is missing comes first in the end; not alone, for a kind may need another before it (nobody joins a full house).
                weights = [w * (10 if done >= faults and k in missing else 1) for k, w in WEIGHTS.items()]
                kind, since = self.draw.choices(list(WEIGHTS), weights)[0], time.monotonic()
            if self.fault(kind):
                kind, self.last = None, time.monotonic()
            elif time.monotonic() - self.last > STUCK_S:
                raise Broken(f"nobody has got on with his work for {STUCK_S} s:\n" +
                             "\n".join(i.name + "\n" + i.running.err()[-2000:] for i in self.ingests))

    def refused(self):
        """Batches that were read and not committed."""
        return sum(i.dropped for i in self.ingests + self.gone if isinstance(i, Ingest))

    # ---- the judgement ----

    def finish(self):
        """Everybody may end in peace."""
        for producer in self.producers:
            code = ask_to_end(producer.running)
            if code not in (0, STOPPED):
                raise Broken(f"{producer.name} was asked to end: exit {code}: {producer.running.err()}")
        for ingest in self.ingests:
            ingest.running.process.send_signal(signal.SIGCONT)
        for ingest in self.ingests:
            code = ask_to_end(ingest.running)
            if code != 0 and not (ingest.crash and code == KILLED):
                raise Broken(f"{ingest.name} was asked to end: exit {code}: {ingest.running.err()[-3000:]}")
            ingest.look()
        for verb in (("ingest", "--once"), ("run",)):
            done = self.mill(*verb)
            if done.code != 0:
                raise Broken(f"{verb[0]}: exit {done.code}: {done.err}")

    def column(self, table, *names):
        uris = deltalake.DeltaTable(self.mill.table_path(table)).file_uris()
        for uri in uris:
            yield from zip(*(c.to_pylist() for c in pyarrow.parquet.ParquetFile(uri).read(columns=list(names)).columns))

    def judge(self):
        """Gives the figures of the round."""
        topic = {(r.partition, r.offset): json.loads(r.value)["event_id"] for r in self.broker.records(self.mill.topic)}
        everybody = self.producers + [g for g in self.gone if isinstance(g, Producer)]
        produced = {f"{p.name}-{i}" for p in everybody for i in range(LINES)}
        expect(set(topic.values()) <= produced, "the topic holds only what was produced")
        acknowledged = 0
        for producer in everybody:
            for line in books.read_ledger(producer.ledger):
                at = line["partition"], line["offset"]
                expect(topic.get(at) == line["event_id"], f"acknowledged {line['event_id']} is at {at}", topic.get(at))
                acknowledged += 1

        bronze = collections.Counter()
        for *at, index, event_id in self.column("bronze.events", "source_partition", "source_offset", "source_index", "event_id"):
            at = tuple(at)
            bronze[at] += 1
            expect(index == 0 and topic.get(at) == event_id, f"bronze holds {event_id} at {at}", topic.get(at))
        twice = [at for at, n in bronze.items() if n > 1]
        expect(not twice, f"bronze holds {len(twice)} positions twice", sorted(twice)[:5])
        lost = set(topic) - set(bronze)
        expect(not lost, f"bronze lacks {len(lost)} positions", sorted(lost)[:5])
        for partition, (begin, end) in self.broker.bounds(self.mill.topic).items():
            n = sum(at[0] == partition for at in bronze)
            expect(begin == 0 and n == end, f"partition {partition} has no gap", f"{n} of {end} offsets")

        silver = [i for i, in self.column("silver.events", "event_id")]
        expect(len(silver) == len(set(silver)), "silver holds each event once", len(silver) - len(set(silver)))
        expect(set(silver) == set(topic.values()), "silver holds the events of the topic", sorted(set(silver) ^ set(topic.values()))[:5])
        gold = sum(n for n, in self.column("gold.clickstream_metrics", "total_events"))
        expect(gold == len(silver), "gold counts them all", f"{gold} of {len(silver)}")
        proof = self.mill("reconcile", "--json")
        expect(proof.code == 0 and json.loads(proof.out)["ok"], "reconcile", proof.out + proof.err)
        ingests = self.ingests + [g for g in self.gone if isinstance(g, Ingest)]
        return {"acknowledged": acknowledged, "durable without an acknowledgement": len(topic) - acknowledged,
                "events in silver": len(silver), "bronze commits": len(self.mill.log("bronze.events")),
                "zombies woken": self.woken, "batches refused": self.refused(), "ingest processes": len(ingests), "producer processes": len(everybody)}


def expect(true, what, found=""):
    if not true:
        raise Broken(f"{what}: NOT so: {found}")


def one_round(broker, number, seed, faults, until, keep):
    """(faults by kind, figures); a folder that is not needed any more is removed."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"clickmill-torture-{number}-", dir=keep))
    this = Round(broker, folder, seed * 1000 + number, Log(folder / "torture.log"))
    try:
        this.torture(faults, until)
        this.finish()
        figures = this.judge()
    except BaseException as error:
        print(f"round {number}, after {sum(this.faults.values())} faults: {error}\n"
              f"all of it lies in {folder}; the same die again: torture.py --seed {seed} --round {number}", flush=True)
        raise
    finally:
        this.mill.end()
    if not keep:
        shutil.rmtree(folder)
    broker.delete(this.mill.topic)
    return this.faults, figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=2000)
    parser.add_argument("--faults-a-round", type=int, default=200, help="then everything is held against the ledgers")
    parser.add_argument("--minutes", type=float, default=120, help="no new fault after that")
    parser.add_argument("--seed", type=int, default=random.randrange(1000))
    parser.add_argument("--round", type=int, help="only this one")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder in which the folders of all rounds stay")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("torture: stopped"))  # and nobody stays behind
    print(f"torture.py --faults {args.faults} --faults-a-round {args.faults_a_round} --seed {args.seed}", flush=True)
    start = time.monotonic()
    until, faults, figures = start + args.minutes * 60, collections.Counter(), collections.Counter()
    broker = Broker()
    try:
        broker.start()
        number = args.round or 1
        while sum(faults.values()) < args.faults and time.monotonic() < until:
            more, found = one_round(broker, number, args.seed, min(args.faults_a_round, args.faults - sum(faults.values())), until, args.keep)
            faults.update(more)
            figures.update(found)
            print(f"round {number}: {sum(more.values())} faults, {found['acknowledged']} acknowledged, all there; "
                  f"{time.monotonic() - start:.0f} s", flush=True)
            if args.round:
                break
            number += 1
    except Broken:
        sys.exit(1)
    finally:
        broker.end()
    print()
    for name, n in [*faults.most_common(), *figures.items()]:
        print(f"{n:>10,}  {name}")
    print(f"{sum(faults.values())} faults in {time.monotonic() - start:.0f} s, seed {args.seed}: nothing lost, nothing twice")


if __name__ == "__main__":
    main()
