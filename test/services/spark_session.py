# SPDX-License-Identifier: Apache-2.0
"""One Spark session with Delta Lake, spoken to in lines of JSON: it starts slowly, so tests share it.

    spark_session.py JARS FOLDER       JARS: the folder of spark.sh jars; FOLDER: for what Spark writes on the way

A line in is a statement of Spark SQL, as a JSON text; a line out is {"rows": [[…], …]} or {"error": …}. Values are
what JSON has; all others (times, dates, decimals) are Python's texts of them. At the end of the input it ends, and a while
later whatever has not: so run it in a process group of its own.
"""
import glob
import json
import os
import queue
import signal
import sys
import threading
import time

from pyspark.sql import SparkSession

END_S = 20


def open_session(jars, folder):
    return (SparkSession.builder.master("local[2]").appName("clickmill-tests")
            .config("spark.jars", ",".join(glob.glob(jars + "/*.jar")))
            .config("spark.driver.memory", "1g").config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
            .config("spark.local.dir", folder).config("spark.sql.warehouse.dir", folder + "/warehouse")
            .config("spark.sql.catalogImplementation", "in-memory")
            .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
            .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
            .config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.sources.parallelPartitionDiscovery.parallelism", "2")
            .config("spark.databricks.delta.snapshotPartitions", "2").getOrCreate())


def listen(statements):
    """Reads at all times, so that the end of who asks is seen whatever Spark is at."""
    for line in sys.stdin:
        statements.put(line)
    statements.put(None)
    time.sleep(END_S)
    os.killpg(0, signal.SIGKILL)  # the JVM too


def main(jars, folder):
    signal.signal(signal.SIGQUIT, lambda *_: None)  # asks the JVM what it is at
    statements = queue.Queue()
    threading.Thread(target=listen, args=[statements], daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else prints, prints elsewhere
    spark = open_session(jars, folder)
    spark.sparkContext.setLogLevel("ERROR")
    print(json.dumps({"rows": []}), file=answers)  # ready
    for line in iter(statements.get, None):
        try:
            answer = {"rows": [list(row) for row in spark.sql(json.loads(line)).collect()]}
        except Exception as error:  # whatever it is, the test must see it
            answer = {"error": str(error)}
        print(json.dumps(answer, default=str), file=answers)
    spark.stop()


main(*sys.argv[1:])
