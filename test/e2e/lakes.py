# SPDX-License-Identifier: Apache-2.0
"""Where a mill's tables lie, and how a reader that is not ours gets at them.

    lake.log("bronze.events")     the table's log: for each version, its actions as [(name, action)]
    lake.delta("bronze.events")   the table as deltalake opens it
    lake.rows("bronze.events")    all rows as deltalake sees them
    lake.files("bronze.events")   {path: bytes} of the Parquet files that lie there, in the log or not

A new kind of lake: a class with these names, a line in KINDS, and what conftest.py needs to make it.
"""
import json
import os
import pathlib
import urllib.parse
import urllib.request
import uuid

import deltalake

from service import Service

KINDS = ("file", "hdfs", "s3")


class Lake:
    """What follows from env (for clickmill), delta_url and options (for deltalake) and read_all."""

    options = None

    def folder(self, name):
        return name.replace(".", "/")

    def log(self, name):
        entries = {path: data for path, data in self.read_all(self.folder(name) + "/_delta_log").items() if path.endswith(".json")}
        assert [int(path.removesuffix(".json")) for path in sorted(entries)] == list(range(len(entries))), f"{name}: versions without a gap from 0"
        return [[next(iter(json.loads(line).items())) for line in entries[path].decode().splitlines()] for path in sorted(entries)]

    def delta(self, name):
        return deltalake.DeltaTable(f"{self.delta_url}/{self.folder(name)}", storage_options=self.options)

    def rows(self, name):
        return self.delta(name).to_pyarrow_table().to_pylist()

    def files(self, name):
        return {path: data for path, data in self.read_all(self.folder(name)).items() if path.endswith(".parquet") and "=" in path}


def files_below(top):
    """{path below it: bytes} of every file that is not hidden."""
    found = {str(f.relative_to(top)): f for f in sorted(top.rglob("*")) if f.is_file()}
    return {path: f.read_bytes() for path, f in found.items() if not any(part.startswith(".") for part in path.split("/"))}


class FileLake(Lake):
    kind = "file"

    def __init__(self, home):
        self.path = home / "data/lake"
        self.env, self.delta_url = {}, str(self.path)

    def read_all(self, folder):
        return files_below(self.path / folder)


class HdfsLake(Lake):
    kind = "hdfs"

    def __init__(self, server, path):
        self.server, self.path = server, path
        self.env, self.delta_url = {"CLICKMILL_LAKE_URL": f"hdfs://{server.address}{path}"}, f"hdfs://{server.rpc}{path}"

    def read_all(self, folder):
        return {path: self.server.read(f"{self.path}/{folder}/{path}") for path in self.server.walk(f"{self.path}/{folder}")}


class Hdfs(Service):
    """One NameNode and one DataNode (test/services/hdfs.sh), and what a WebHDFS client of Python does with them."""

    owner = "HDFS_OWNER"

    def __init__(self):
        super().__init__("hdfs")

    def start(self):
        self.run("start")
        settings = self.settings()
        self.address, self.rpc = settings["TEST_HDFS"], settings["TEST_HDFS_RPC"]
        return self

    def new_lake(self):
        return HdfsLake(self, "/lakes/l-" + uuid.uuid4().hex[:12])

    def url(self, path, op, **parameters):
        query = urllib.parse.urlencode({"op": op, "user.name": os.environ.get("USER", "root"), **parameters})
        return f"http://{self.address}/webhdfs/v1{urllib.parse.quote(path)}?{query}"

    def ask(self, path, op, method="GET", **parameters):
        url = self.url(path, op, **parameters)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(urllib.request.Request(url, method=method), timeout=60) as answer:
            return answer.read()

    def read(self, path):
        return self.ask(path, "OPEN")

    def walk(self, top):
        """The paths below it of every file that is not hidden."""
        try:
            found = json.loads(self.ask(top, "LISTSTATUS"))["FileStatuses"]["FileStatus"]
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return
        for entry in found:
            name = entry["pathSuffix"]
            if name.startswith("."):
                continue
            if entry["type"] == "FILE":
                yield name
            else:
                yield from (f"{name}/{rest}" for rest in self.walk(f"{top}/{name}"))


class S3Lake(Lake):
    kind = "s3"

    def __init__(self, server, prefix):
        self.server, self.prefix = server, prefix
        self.delta_url = f"s3://{server.bucket}/{prefix}"
        keys = {"AWS_ACCESS_KEY_ID": server.key, "AWS_SECRET_ACCESS_KEY": server.secret, "AWS_REGION": "us-east-1"}
        self.env = {**keys, "CLICKMILL_LAKE_URL": self.delta_url, "CLICKMILL_S3_ENDPOINT": server.url}
        self.options = {**keys, "AWS_ENDPOINT_URL": server.url, "AWS_ALLOW_HTTP": "true"}

    def read_all(self, folder):
        return files_below(self.server.data / self.server.bucket / self.prefix / folder)


class S3(Service):
    """One S3 server (test/services/s3.sh), which keeps each object as a file."""

    owner = "S3_OWNER"

    def __init__(self):
        super().__init__("s3")
        self.data = pathlib.Path(self.folder) / "data"

    def start(self):
        self.run("start")
        settings = self.settings()
        self.url, self.bucket = settings["TEST_S3"], settings["TEST_S3_BUCKET"]
        self.key, self.secret = settings["TEST_S3_KEY"], settings["TEST_S3_SECRET"]
        return self

    def new_lake(self):
        return S3Lake(self, "lakes/l-" + uuid.uuid4().hex[:12])
