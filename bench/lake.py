#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-lake: a file to a lake that is elsewhere and back, beside curl, in one run.

    bench/lake.py [--mib 128] [--rounds 7] [--lakes hdfs,s3]

Ours and curl's transfers take turns; the figure is the median. Ours is the whole call: HDFS is asked where,
the bytes are sent, their number is looked at and the file gets its name; curl is asked where and sends them.
Both let the DataNode sync to disk. S3: ours is sent in parts, each with its CRC-32C, curl's in one piece and without one. Fails where an upload has less than 80 % of curl's speed.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "test" / "e2e"))

import lakes

BENCH = ROOT / "build" / "bench" / "lake"
WANTED = 0.8


def output(*argv, **options):
    return subprocess.run(list(map(str, argv)), check=True, stdout=subprocess.PIPE, text=True, **options).stdout


class Hdfs:
    def __init__(self):
        self.server = lakes.Hdfs().start()
        self.lake = self.server.new_lake()
        self.env = self.lake.env

    def url(self, path, op, **more):
        return self.server.url(f"{self.lake.path}/{path}", op, **more)

    def curl_put(self, file, path):
        where = output("curl", "-s", "--noproxy", "*", "-X", "PUT", "-o", "/dev/null", "-w", "%{time_total} %{redirect_url}",
                       self.url(path, "CREATE", createflag="CREATE,SYNC_BLOCK"))
        asked, location = where.split(" ", 1)
        return float(asked) + float(output("curl", "-sf", "--noproxy", "*", "-T", file, "-o", "/dev/null", "-w", "%{time_total}", location))

    def curl_get(self, path, file):
        return float(output("curl", "-sfL", "--noproxy", "*", "-o", file, "-w", "%{time_total}", self.url(path, "OPEN")))

    def remove(self, path):
        self.server.ask(f"{self.lake.path}/{path}", "DELETE", method="DELETE")

    def end(self):
        self.server.end()


class S3:
    def __init__(self):
        self.server = lakes.S3().start()
        self.lake = self.server.new_lake()
        self.env = self.lake.env

    def curl(self, *args):
        return output("curl", "-sf", "--noproxy", "*", "--aws-sigv4", "aws:amz:us-east-1:s3", "-u",
                      f"{self.server.key}:{self.server.secret}", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
                      "-w", "%{time_total}", *args)

    def url(self, path):
        return f"{self.server.url}/{self.server.bucket}/{self.lake.prefix}/{path}"

    def curl_put(self, file, path):
        return float(self.curl("-T", file, "-o", "/dev/null", self.url(path)))

    def curl_get(self, path, file):
        return float(self.curl("-o", file, self.url(path)))

    def remove(self, path):
        self.curl("-X", "DELETE", self.url(path))

    def end(self):
        self.server.end()


KINDS = {"hdfs": Hdfs, "s3": S3}


def measure(kind, file, folder, rounds):
    """{(what, who): seconds of each round}"""
    there = KINDS[kind]()
    times = {(what, who): [] for what in ("upload", "download") for who in ("clickmill", "curl")}
    try:
        for i in range(rounds + 1):
            env = {**os.environ, **there.env, "CLICKMILL_CACHE_DIR": f"{folder}/cache-{i}"}
            again = {**env, "CLICKMILL_CACHE_DIR": f"{folder}/cache-{i}-again"}
            back = folder / "back"
            found = {
                ("upload", "clickmill"): float(output(BENCH, "put", file, f"ours-{i}", env=env, cwd=folder)),
                ("upload", "curl"): there.curl_put(file, f"curls-{i}"),
                ("download", "clickmill"): float(output(BENCH, "get", f"ours-{i}", env=again, cwd=folder)),
                ("download", "curl"): there.curl_get(f"ours-{i}", back),
            }
            assert back.read_bytes() == file.read_bytes()
            subprocess.run(["rm", "-rf", f"{folder}/cache-{i}", f"{folder}/cache-{i}-again", back], check=True)
            for path in (f"ours-{i}", f"curls-{i}"):
                there.remove(path)
            if i > 0:  # the first warms Java up
                for key, seconds in found.items():
                    times[key].append(seconds)
    finally:
        there.end()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--lakes", default=",".join(KINDS))
    args = parser.parse_args()
    slow = []
    with tempfile.TemporaryDirectory(prefix="clickmill-bench-") as folder:
        folder = pathlib.Path(folder)
        file = folder / "file"
        with open(file, "wb") as f:
            for _ in range(args.mib):
                f.write(os.urandom(1 << 20))
        for kind in args.lakes.split(","):
            times = measure(kind, file, folder, args.rounds)
            for what in ("upload", "download"):
                speed = {who: args.mib / statistics.median(times[what, who]) for who in ("clickmill", "curl")}
                share = speed["clickmill"] / speed["curl"]
                print(f"{kind} {what} of {args.mib} MiB: clickmill {speed['clickmill']:.0f} MiB/s, curl {speed['curl']:.0f} MiB/s,"
                      f" {100 * share:.0f} % of it")
                if what == "upload" and share < WANTED:
                    slow.append(kind)
    if slow:
        sys.exit(f"slower than {WANTED:.0%} of curl: {', '.join(slow)}")


if __name__ == "__main__":
    main()
