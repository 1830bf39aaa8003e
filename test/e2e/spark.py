# SPDX-License-Identifier: Apache-2.0
"""A real Spark with Delta Lake: what it reads of our tables, and what it does to them."""
import json
import os
import shutil
import subprocess
import tempfile

from mill import ROOT

SPARK_SH = ROOT / "test/services/spark.sh"


class Spark:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="clickmill-spark-")
        python, jars = (subprocess.run([SPARK_SH, what], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=600,
                                       check=True).stdout.strip() for what in ("python", "jars"))
        self.err_file = os.path.join(self.folder, "err")
        env = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "TZ": "UTC"}
        with open(self.err_file, "wb") as err:
            self.process = subprocess.Popen([python, ROOT / "test/services/spark_session.py", jars, self.folder], env=env,
                                            cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, open(self.err_file).read()[-4000:]
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["rows"]

    def sql(self, statement):
        self.process.stdin.write(json.dumps(statement) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
