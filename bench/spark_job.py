# SPDX-License-Identifier: Apache-2.0
"""The rival: Spark Structured Streaming, Kafka -> JSON -> Parquet with a checkpoint, as its guide shows it.

    spark_job.py ADDRESS TOPIC OUT JARS     prints {"seconds": of the query, "rows": …} as its last line

The columns are those clickmill's bronze has of the same events: the 12 fields, position, time, day.
"""
import glob
import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, from_json, to_date

SCHEMA = ("event_id STRING, event_type STRING, user_id STRING, session_id STRING, product_id INT, category STRING, price DOUBLE, "
          "quantity INT, event_ts BIGINT, page_url STRING, referrer STRING, user_agent STRING")


def main(address, topic, out, jars):
    spark = (SparkSession.builder.master("local[2]").appName("rival")
             .config("spark.jars", ",".join(glob.glob(jars + "/*.jar")))
             .config("spark.driver.memory", "4g").config("spark.ui.enabled", "false")
             .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
             .config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "2").getOrCreate())
    spark.sparkContext.setLogLevel("ERROR")
    start = time.perf_counter()
    records = (spark.readStream.format("kafka").option("kafka.bootstrap.servers", address).option("subscribe", topic)
               .option("startingOffsets", "earliest").load())
    events = records.select(
        from_json(col("value").cast("string"), SCHEMA).alias("e"), col("timestamp").alias("received_at"),
        col("topic").alias("source_topic"), col("partition").alias("source_partition"), col("offset").alias("source_offset"),
        to_date("timestamp").alias("ingest_date")).select("e.*", "received_at", "source_topic", "source_partition", "source_offset", "ingest_date")
    query = (events.writeStream.format("parquet").option("path", out + "/bronze").option("checkpointLocation", out + "/checkpoint")
             .partitionBy("ingest_date").trigger(availableNow=True).start())
    query.awaitTermination()
    seconds = time.perf_counter() - start
    rows = spark.read.parquet(out + "/bronze").where("event_ts IS NOT NULL").count()
    print(json.dumps({"seconds": seconds, "rows": rows}), flush=True)
    spark.stop()


main(*sys.argv[1:])
