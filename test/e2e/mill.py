# SPDX-License-Identifier: Apache-2.0
"""One clickmill in one folder: how the tests run the program and look at what it made.

    mill.ok("ingest", "--once")            runs a verb that must succeed, gives its standard output
    mill.fails(7, "load", says="refused")  one that must fail with this exit code, gives standard error
    mill.json("status")                    the result of --json
    mill.start("up", "--demo")             one that keeps running; ended at the end of the test
"""
import collections
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

from lakes import FileLake

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("CM_BUILD_ROOT", ROOT / "build")) / "clickmill"
TABLES = ("bronze.events", "silver.events", "gold.clickstream_metrics")
LONGEST_S = 120

# Crash drills must not leave core files behind: what the tests start inherits it. Not by a preexec_fn, for which
# Python forks with all the threads of the readers' libraries: the child of such a fork may hang before its exec.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

Done = collections.namedtuple("Done", "code out err")


def ndjson(*events):
    """Events (dicts, or the bytes of a record) as the lines `produce --from` takes."""
    return b"".join((e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n" for e in events)


def wait_for(condition, what, seconds=60):
    until = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return result


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Running:
    """A program under way; what it prints goes to files."""

    def __init__(self, mill, args):
        mill.logs.mkdir(exist_ok=True)
        name = mill.logs / f"{len(mill.running)}-{args[0]}"
        self.out_file, self.err_file = name.with_suffix(".out"), name.with_suffix(".err")
        with open(self.out_file, "wb") as out, open(self.err_file, "wb") as err:
            self.process = subprocess.Popen([PROGRAM, *mill.common, *map(str, args)], cwd=mill.home, env=mill.env,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def out(self):
        return self.out_file.read_text()

    def err(self):
        return self.err_file.read_text()

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self, seconds=LONGEST_S):
        return self.process.wait(seconds)

    def stop(self, sig=signal.SIGTERM, seconds=LONGEST_S):
        """Asks it to end; gives the exit code."""
        self.process.send_signal(sig)
        return self.wait(seconds)


class Mill:
    def __init__(self, home):
        self.home, self.logs = home, home / "logs"
        self.common = []  # options in front of every verb
        self.running = []
        self.lake = FileLake(home)
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}

    def set_lake(self, lake):
        self.lake = lake
        self.env.update(lake.env)

    def __call__(self, *args, input=None, env=None, seconds=LONGEST_S, **options):
        done = subprocess.run([PROGRAM, *self.common, *map(str, args)], cwd=self.home, env={**self.env, **(env or {})},
                              input=b"" if input is None else input, capture_output=True, timeout=seconds, **options)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *args, **options):
        done = self(*args, **options)
        assert done.code == 0, f"clickmill {' '.join(map(str, args))}: exit {done.code}\n{done.err}{done.out}"
        return done.out

    def fails(self, code, *args, says=(), hint=None, **options):
        """`says`: texts that the message holds; `hint`: one that the HINT: line holds."""
        done = self(*args, **options)
        told = f"clickmill {' '.join(map(str, args))}: exit {done.code}\n{done.err}{done.out}"
        assert done.code == code, told
        lines = done.err.splitlines()
        message = next((i for i, line in enumerate(lines) if line.startswith("clickmill: ")), None)
        assert message is not None, told
        for text in [says] if isinstance(says, str) else says:
            assert text in lines[message], f"{text!r} is not in the message: {told}"
        rest = lines[message + 1:]
        assert not rest or (len(rest) == 1 and rest[0].startswith("HINT: ")), f"message and HINT: line only: {told}"
        if hint is not None:
            assert rest and hint in rest[0], f"{hint!r} is not in the hint: {told}"
        return done.err

    def json(self, *args, **options):
        return json.loads(self.ok(*args, "--json", **options))

    def start(self, *args):
        self.running.append(Running(self, args))
        return self.running[-1]

    def end(self):
        for r in self.running:
            if r.alive():
                r.kill()

    # ---- the usual ways through the mill ----

    def produce(self, *events):
        return self.ok("produce", "--from", "-", input=ndjson(*events))

    def steps(self):
        """Everything that is in the stream, down to the database."""
        for step in (("ingest", "--once"), ("silver",), ("gold",), ("load",)):
            self.ok(*step)

    def feed(self, *events):
        self.produce(*events)
        self.steps()

    def reconciled(self):
        result = self.json("reconcile")
        assert result["ok"] and result["pending_bronze_rows"] == 0 and result["pending_dates"] == 0, result
        return result

    # ---- what it made ----

    def sql(self, query):
        return self.json("sql", query)

    def counts(self):
        """What became of the events, from status."""
        s = self.json("status")
        return {n: s[n] for n in ("lag", "events", "rejected", "duplicates", "conflicts")}

    def table_path(self, name):
        """On local disk."""
        assert self.lake.kind == "file"
        return self.lake.path / self.lake.folder(name)

    def log(self, name):
        return self.lake.log(name)

    def versions(self):
        return {name: len(self.log(name)) - 1 for name in TABLES}

    def rows(self, name):
        """All rows as a reader that is not ours sees them: deltalake's."""
        return self.lake.rows(name)

    def data_files(self, name):
        return sorted(self.table_path(name).glob("*=*/*.parquet"))
