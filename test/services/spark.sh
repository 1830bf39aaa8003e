#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# spark.sh python|jars: what it takes to run Spark with Delta Lake and Kafka, fetched once into the user's cache.
#   python   prints a Python that has pyspark (test/services/spark.txt says which)
#   jars     prints the folder of the jars Spark does not bring itself. Only those: older copies of its own
#            libraries, which come with them as dependencies, would stand in its way
set -eu
. "$(dirname "$0")/service.sh"
SPARK=4.2.0 DELTA=4.4.0 # SPARK as in spark.txt

case ${1:-} in
python)
    venv=$("$here/../../scripts/venv.sh" "$here/spark.txt")
    echo "$venv/bin/python" ;;
jars)
    JARS_ONLY=spark-sql-kafka-0-10_2.13,spark-token-provider-kafka-0-10_2.13,kafka-clients,commons-pool2,delta-spark_4.2_2.13,delta-storage
    fetch_jars spark $SPARK-delta-$DELTA '20 MB' org.apache.spark:spark-sql-kafka-0-10_2.13:$SPARK io.delta:delta-spark_4.2_2.13:$DELTA
    echo "$jars" ;;
*) echo "usage: $0 python|jars" >&2; exit 2 ;;
esac
