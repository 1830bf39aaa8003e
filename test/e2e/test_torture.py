# SPDX-License-Identifier: Apache-2.0
"""The short form of test/torture/torture.py, which says what it does; `make torture` is the long one."""
import re
import subprocess
import sys

import pytest

from mill import ROOT

FAULTS = 100


@pytest.mark.timeout(1600)
def test_torture(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "test/torture/torture.py", "--faults", str(FAULTS), "--minutes", "15"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout
    print(done.stdout)
    assert int(re.search(r"^(\d+) faults in .* nothing lost, nothing twice$", done.stdout, re.M)[1]) >= FAULTS
    for kind in ("kill ingest", "freeze ingest", "kill producer", "crash ingest", "kill broker", "kill run", "leave", "join"):
        assert re.search(rf"\d  {kind}$", done.stdout, re.M), f"no {kind}:\n{done.stdout}"
    for what in "zombies woken", "batches refused":
        assert re.search(rf"[1-9][\d,]*  {what}$", done.stdout, re.M), f"no {what}:\n{done.stdout}"
