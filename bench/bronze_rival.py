# SPDX-License-Identifier: Apache-2.0
"""How fast DuckDB writes the rows of a file that bench/bronze made, on one thread:

    build/bench/bronze 1 /tmp/b.parquet && python bench/bronze_rival.py /tmp/b.parquet
"""
import os
import sys
import tempfile
import time

import duckdb

ROUNDS = 4


def main(file):
    con = duckdb.connect(config={"threads": 1})
    con.execute("CREATE TABLE t AS FROM read_parquet(?)", [file])
    rows = con.execute("SELECT count(*) FROM t").fetchone()[0]
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "t.parquet")
        for version in ("v1", "v2"):
            best = float("inf")
            for _ in range(ROUNDS):
                start = time.process_time()
                con.execute(f"COPY t TO '{out}' (FORMAT parquet, COMPRESSION zstd, "
                            f"COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 65536, PARQUET_VERSION {version})")
                best = min(best, time.process_time() - start)
            print(f"DuckDB {duckdb.__version__}, Parquet {version}: {rows / best / 1e6:.2f} M rows/s/core, "
                  f"{os.path.getsize(out) / rows:.1f} bytes/row")


main(sys.argv[1])
