#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches the jars with which Spark reads Kafka, once into the user's cache, and prints their folder.
# Only those Spark does not bring itself: older copies of its own libraries would stand in its way.
set -eu
export LC_ALL=C
SPARK=4.2.0 # as in bench/requirements-spark.txt
COPY=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
OURS=spark-sql-kafka-0-10_2.13,spark-token-provider-kafka-0-10_2.13,kafka-clients,commons-pool2

cache=${XDG_CACHE_HOME:-$HOME/.cache}/clickmill/spark
jars=$cache/kafka-for-spark-$SPARK
[ -d "$jars" ] && echo "$jars" && exit 0
mkdir -p "$cache"
t=$(mktemp -d "$cache/.new.XXXXXX")
trap 'rm -rf "$t"' EXIT
cat >"$t/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>spark-kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.spark</groupId><artifactId>spark-sql-kafka-0-10_2.13</artifactId><version>$SPARK</version></dependency>
  </dependencies>
</project>
POM
mvn -B -q -f "$t/pom.xml" "-Dmaven.repo.local=$t/m2" $COPY -DincludeScope=runtime "-DincludeArtifactIds=$OURS" \
    "-DoutputDirectory=$t/lib" >"$t/log" 2>&1 || { cat "$t/log" >&2; echo "spark-jars: cannot download the jars" >&2; exit 1; }
mv "$t/lib" "$jars"
echo "$jars"
