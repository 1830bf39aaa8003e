#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test.py [PART...]: runs the parts of the test suite (all but e2e by default) and adds them up.
# A skipped test is a failed one, and so is a part that could not run or had no test in it.
import json
import os
import re
import subprocess
import sys
import time
import traceback
import xml.etree.ElementTree as ET
from multiprocessing.pool import ThreadPool
from pathlib import Path

import lint

ROOT = Path(__file__).resolve().parent.parent
# Of the whole program the end-to-end tests start thousands: freed memory is kept back for 8 MiB's worth, more than most of
# them ever free, not for 256, which takes a quarter less time. The C tests have the sanitizer's own limits.
ASAN_OPTIONS = "quarantine_size_mb=8:malloc_context_size=12"
FUZZ_SECONDS = 60  # the decoder; a quarter of it for each other target
RELEASE = ("first_run", "readme", "contract", "models_oracle", "decoder_oracle", "bronze_parquet", "delta_readers", "property", "up")
# What the caller has set for his own clickmill must not reach the tests.
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("CLICKMILL_", "POSTGRES_", "AWS_"))}


class Totals:
    def __init__(self):
        self.passed, self.failures, self.times = 0, [], []

    def add(self, name, seconds, passed, failed):
        self.passed += passed
        self.failures += [name] * failed
        self.times.append((seconds, name))


def run(*command, check=True, **env):
    """Runs a command from the source folder; its output is the user's to see."""
    print("+", *command, flush=True)
    return subprocess.run(command, cwd=ROOT, env={**ENV, **env}, stdin=subprocess.DEVNULL, check=check).returncode


def output(*command):
    return subprocess.run(command, cwd=ROOT, env=ENV, check=True, stdout=subprocess.PIPE).stdout


def build(folder, *options, cc="gcc"):
    if not (ROOT / folder / "build.ninja").exists():
        run("meson", "setup", folder, "-Dtests=enabled", *options, CC=cc)
    elif json.loads((ROOT / folder / "meson-info/intro-tests.json").read_text()) == []:
        # set up by `make build`, before cmocka was installed
        run("meson", "setup", "--reconfigure", folder, "-Dtests=enabled")
    run("ninja", "-C", folder)


def c_tests(totals, part, folder):
    log = ROOT / folder / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    # More at a time than there are processors: many wait for a server.
    run("meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs", "-t", "3", "--num-processes", "4", check=False)
    for program in map(json.loads, log.read_text().splitlines()):
        text = program.get("stdout", "") + program.get("stderr", "")
        # cmocka's own count, once for each group of tests in the program
        passed, failed, skipped = (
            sum(map(int, re.findall(r"^\[  %s ?\] (\d+) test" % word, text, re.M)))
            for word in ("PASSED ", "FAILED ", "SKIPPED")
        )
        failed += skipped
        if failed == 0 and (program["result"] != "OK" or passed == 0):
            failed = 1  # died, timed out, or tested nothing
        totals.add("%s %s" % (part, program["name"]), program["duration"], passed, failed)


def unit(totals):
    build("build")
    c_tests(totals, "unit", "build")


def asan(totals):
    build_asan()
    c_tests(totals, "asan", "build-asan")
    pytest(totals, "asan e2e", "build-asan", "test/e2e", ASAN_OPTIONS=ASAN_OPTIONS)  # the whole program as well


def build_asan():
    build("build-asan", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1", "-Dfuzz=true", cc="clang")


def fuzz_one(target):
    """The seconds it took, whether it was well, and what it said."""
    name = target.name.removeprefix("fuzz_")
    found = ROOT / "build-asan/corpus" / name  # new inputs go here, not into the committed seeds
    found.mkdir(parents=True, exist_ok=True)
    seeds = ROOT / "test/fuzz/corpus" / name
    start = time.monotonic()
    done = subprocess.run(
        [target, found, *([seeds] if seeds.is_dir() else []), "-max_total_time=%d" % fuzz_seconds(target), "-timeout=10",
         "-print_final_stats=1", "-verbosity=0", "-artifact_prefix=build-asan/%s-" % name],
        cwd=ROOT, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return time.monotonic() - start, done.returncode == 0, done.stdout.decode(errors="replace")


def fuzz_seconds(target):
    return FUZZ_SECONDS if target.name == "fuzz_event" else FUZZ_SECONDS // 4


def fuzz(totals):
    """Two at a time."""
    build_asan()
    targets = sorted((p for p in (ROOT / "build-asan/test").glob("fuzz_*") if p.is_file()), key=fuzz_seconds, reverse=True)
    with ThreadPool(2) as pool:
        for target, (seconds, well, said) in zip(targets, pool.imap(fuzz_one, targets, chunksize=1)):
            print("+", target.name, said, sep="\n", flush=True)
            totals.add("fuzz " + target.name.removeprefix("fuzz_"), seconds, well, not well)


def pytest(totals, part, folder, *tests, **env):
    """Runs the tests against the program in the build folder."""
    python = output("scripts/venv.sh").decode().strip() + "/bin/python"
    report = ROOT / folder / "e2e.xml"
    report.unlink(missing_ok=True)
    # Two files at a time, on two processors: with three it took 1,589 s instead of 1,667.
    run(python, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--junitxml", str(report),
        *tests, check=False, PYTHONDONTWRITEBYTECODE="1", CM_BUILD_ROOT=str(ROOT / folder), **env)
    for case in ET.parse(report).iter("testcase"):
        bad = any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
        totals.add("%s %s::%s" % (part, case.get("classname"), case.get("name")), float(case.get("time")), not bad, bad)


def release(totals):
    """The program as it is shipped, after asan has run all of test/e2e with the sanitized one."""
    build("build")
    # Lakes far away are the same code in both, and have had their turn.
    pytest(totals, "release e2e", "build", *("test/e2e/test_%s.py" % name for name in RELEASE), "-k", "not hdfs and not s3")


def e2e(totals):
    """Not in the whole: after asan and release there is nothing new in it."""
    build("build")
    pytest(totals, "e2e", "build", "test/e2e")


def fetch(totals):
    """What the tests' services are run with, into the user's cache, so that no test waits for a download."""
    wanted = [("venv", "scripts/venv.sh")]
    wanted += [(name, "test/services/%s.sh" % name, "fetch") for name in ("kafka", "s3", "hdfs", "kdc")]
    wanted += [("spark " + what, "test/services/spark.sh", what) for what in ("python", "jars")]
    for name, *command in wanted:
        start = time.monotonic()
        run(*command)
        totals.add("fetch " + name, time.monotonic() - start, 0, 0)


def docs(totals):
    """The committed pages are what the program prints today (`make docs`)."""
    build("build")
    for what, path in (("man", "man/clickmill.1"), ("configuration", "docs/configuration.md"), ("metrics", "docs/metrics.md"),
                       ("models", "docs/models.md"), ("checks", "docs/checks.md")):
        page = ROOT / path
        same = page.exists() and output("build/clickmill", "docs", what) == page.read_bytes()
        if not same:
            print("%s: not what `clickmill docs %s` prints; run `make docs`" % (path, what))
        totals.add("docs " + what, 0, same, not same)


def lint_part(totals):
    for name, check in lint.CHECKS.items():
        start = time.monotonic()
        problems = lint.report(name, check)
        totals.add("lint " + name, time.monotonic() - start, not problems, bool(problems))


PARTS = {"lint": lint_part, "fetch": fetch, "unit": unit, "docs": docs, "asan": asan, "fuzz": fuzz, "release": release, "e2e": e2e}
BY_NAME_ONLY = ("e2e",)


def main(*names):
    if unknown := set(names) - set(PARTS):
        sys.exit("test: no such part: %s (there are: %s)" % (" ".join(unknown), " ".join(PARTS)))
    totals = Totals()
    for name in names or [part for part in PARTS if part not in BY_NAME_ONLY]:
        print("\n=== %s" % name, flush=True)
        before, start = len(totals.times), time.monotonic()
        try:
            PARTS[name](totals)
            why = "it has no test" if len(totals.times) == before else None
        except subprocess.CalledProcessError as error:
            why = str(error)
        except Exception:
            why = traceback.format_exc()
        if why:
            print("part %s could not run: %s" % (name, why))
            totals.add(name, 0, 0, 1)
        print("=== %s: %.0f s" % (name, time.monotonic() - start), flush=True)

    print("\n=== slowest")
    for seconds, name in sorted(totals.times, reverse=True)[:10]:
        print("%7.1f s  %s" % (seconds, name))
    for name in dict.fromkeys(totals.failures):
        print("FAILED %s" % name)
    result = "%d passed, %d failed" % (totals.passed, len(totals.failures))
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/test-result.txt").write_text(result + "\n")
    print(result, flush=True)
    sys.exit(bool(totals.failures))


if __name__ == "__main__":
    main(*sys.argv[1:])
