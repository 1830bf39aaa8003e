# SPDX-License-Identifier: Apache-2.0
"""Every command that README.md shows, in order, as a newcomer would type them in one folder."""
import os
import re
import signal
import subprocess

import pytest

from mill import ROOT

LEFT_OUT = ("make test",)  # this is it
SECONDS = 300
STAYS = re.compile(r"^(make up|build/clickmill (-c \S+ )*(up|ingest|serve)\b(?!.*--once)|build/clickmill .*run --every)")


def commands():
    """The lines of README.md's ```sh blocks; a backslash at the end joins two."""
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").split("\n")
    return [line.removeprefix("$ ").strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


@pytest.fixture
def clone(tmp_path):
    """The source folder, but with data/ and the configuration of its own."""
    for entry in ROOT.iterdir():
        if entry.name not in ("data", "clickmill.ini", ".env", ".git"):
            (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


def run(command, folder):
    """One line of shell, in a process group of its own so that what stays can be ended."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CLICKMILL_", "POSTGRES_", "AWS_", "MAKE"))}
    process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=5 if STAYS.match(command) else SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM if STAYS.match(command) else signal.SIGKILL)
        out, _ = process.communicate(timeout=60)
        assert STAYS.match(command), f"{command}: no end in {SECONDS} s\n{out}"
        assert process.returncode in (0, -signal.SIGTERM), f"{command}: exit {process.returncode}\n{out}"
        return out
    assert process.returncode == 0, f"{command}: exit {process.returncode}\n{out}"
    return out


def test_every_command_of_the_readme_works(clone):
    shown = commands()
    assert shown[0] == "make run" and "make test" in shown
    for command in shown:
        if command not in LEFT_OUT and not command.startswith(("git clone", "cd ")):
            print(f"$ {command}\n{run(command, clone)}")
    assert (clone / "data/lake/gold/clickstream_metrics/_delta_log").is_dir(), "in this folder, not in the source's"


def test_make_run_ends_with_the_metrics_on_the_screen(clone):
    out = run("make run", clone)
    assert re.search(r"men's clothing", out) and re.search(r"\d{4}-\d\d-\d\d", out), out
