#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# spark.sh python|jars: what it takes to run Spark with Delta Lake and Kafka, fetched once into the user's cache.
#   python   prints a Python that has pyspark (test/services/spark.txt says which)
#   jars     prints the folder of the jars Spark does not bring itself. Only those: older copies of its own
#            libraries, which come with them as dependencies, would stand in its way
set -eu
export LC_ALL=C
SPARK=4.2.0 DELTA=4.4.0 # SPARK as in spark.txt
COPY=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
OURS=spark-sql-kafka-0-10_2.13,spark-token-provider-kafka-0-10_2.13,kafka-clients,commons-pool2,delta-spark_4.2_2.13,delta-storage

die() { echo "spark.sh: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clickmill/spark
jars=$cache/jars-spark-$SPARK-delta-$DELTA

# One fetches, the others wait and find it done. The pins are the whole list.
fetch() {
    [ -d "$jars" ] && return 0
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    flock 9
    [ -d "$jars" ] && exec 9>&- && return 0
    command -v mvn >/dev/null || die "needs maven (scripts/install-packages.sh test)"
    echo "spark.sh: fetching jars for Spark $SPARK and Delta $DELTA once into $cache (about 20 MB kept)" >&2
    t=$(mktemp -d "$cache/.new.XXXXXX")
    trap 'rm -rf "$t"' EXIT
    cat >"$t/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>spark</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.spark</groupId><artifactId>spark-sql-kafka-0-10_2.13</artifactId><version>$SPARK</version></dependency>
    <dependency><groupId>io.delta</groupId><artifactId>delta-spark_4.2_2.13</artifactId><version>$DELTA</version></dependency>
  </dependencies>
</project>
POM
    mvn -B -q -f "$t/pom.xml" "-Dmaven.repo.local=$t/m2" $COPY -DincludeScope=runtime "-DincludeArtifactIds=$OURS" \
        "-DoutputDirectory=$t/lib" >"$t/log" 2>&1 || { cat "$t/log" >&2; die "cannot download the jars, and $jars is not there to do without"; }
    if [ -n "${SPARK_RECORD:-}" ]; then
        (cd "$t/lib" && sha256sum *) >"$here/spark.sha256"
        echo "spark.sh: wrote $here/spark.sha256" >&2
    fi
    [ "$(ls "$t/lib")" = "$(sed 's/^[0-9a-f]*  //' "$here/spark.sha256")" ] || die "these are other jars than spark.sha256 lists"
    (cd "$t/lib" && sha256sum -c --quiet "$here/spark.sha256") >&2 || die "a downloaded jar is not the one spark.sha256 names"
    mv "$t/lib" "$jars"
    rm -rf "$t"
    trap - EXIT
    exec 9>&-
}

case ${1:-} in
python)
    venv=$("$here/../../scripts/venv.sh" "$here/spark.txt")
    echo "$venv/bin/python" ;;
jars)
    fetch
    echo "$jars" ;;
*) echo "usage: $0 python|jars" >&2; exit 2 ;;
esac
