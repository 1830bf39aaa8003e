# SPDX-License-Identifier: Apache-2.0
"""A real service of the tests' own: test/services/NAME.sh starts, kills and describes it, all of it lives in a folder."""
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

SCRIPTS = pathlib.Path(__file__).resolve().parents[1] / "services"


class Service:
    owner = None  # the variable of the script that says whose end is the service's

    def __init__(self, name, **env):
        self.script = SCRIPTS / f"{name}.sh"
        self.folder = tempfile.mkdtemp(prefix=f"clickmill-{name}-")
        self.env = {**os.environ, self.owner: str(os.getpid()), **env}

    def run(self, action, *more):
        # Its first start may fetch it, or build it.
        done = subprocess.run([self.script, action, self.folder, *more], env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=900)
        assert done.returncode == 0, f"{self.script.name} {action}: {done.stderr}"
        return done.stdout

    def settings(self):
        """What clients need, by name."""
        return dict(word.split("=", 1) for word in shlex.split(self.run("env")))

    def end(self):
        self.run("kill")
        shutil.rmtree(self.folder, ignore_errors=True)
