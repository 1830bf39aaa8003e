# SPDX-License-Identifier: Apache-2.0
"""A real Spark with Delta Lake: what it reads of our tables, and what it does to them."""
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from mill import ROOT

SPARK_SH = ROOT / "test/services/spark.sh"
FETCH_S, START_S, ANSWER_S, STOP_S = 2400, 300, 120, 30  # spark.sh has limits of its own, below the first


class Spark:
    """test/services/spark_session.py and its JVM, in a process group of their own. Who waits for it waits for so long only."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="clickmill-spark-")
        python, jars = (subprocess.run([SPARK_SH, what], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=FETCH_S,
                                       check=True).stdout.strip() for what in ("python", "jars"))
        self.err_file = os.path.join(self.folder, "err")
        env = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "TZ": "UTC"}
        with open(self.err_file, "wb") as err:
            self.process = subprocess.Popen([python, ROOT / "test/services/spark_session.py", jars, self.folder], env=env,
                                            cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True,
                                            start_new_session=True)
        self.answers = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        self.answer(START_S)

    def listen(self):
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put(None)

    def answer(self, limit_s):
        try:
            line = self.answers.get(timeout=limit_s)
            assert line, "Spark has ended"
        except (queue.Empty, AssertionError) as error:
            what = str(error) or f"Spark has not answered in {limit_s} s; its threads are below"
            raise AssertionError(f"{what}\n{self.last_words()}") from None
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["rows"]

    def last_words(self):
        """The end of what it has printed, and of what its threads were at; it is gone then."""
        self.signal(signal.SIGQUIT)  # a JVM prints its threads, and goes on
        time.sleep(2)
        with open(self.err_file, errors="replace") as err:
            text = err.read()
        self.end(0)
        return text[-30_000:]

    def sql(self, statement):
        assert self.process.poll() is None, "Spark has ended in an earlier test"
        self.process.stdin.write(json.dumps(statement) + "\n")
        self.process.stdin.flush()
        return self.answer(ANSWER_S)

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def end(self, wait_s=STOP_S):
        self.process.stdin.close()
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            pass
        self.signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
