#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the C libraries Debian has not (or not new enough) and prints the folder that holds them:
# include/ lib/ src/. Why these and why so: docs/decisions/0001-dependencies.md
# They live in the user's cache, so that the next clone builds without the network.
# DEPS_RECORD=1 writes the pins anew instead (DEPS_ARCH=arm64: for that machine) and makes nothing.
set -eu
export LC_ALL=C
DUCKDB=v0.10506.0 RDKAFKA=v2.15.0 YYJSON=4.0.6 # packages; the last holds yyjson 0.10.0
REVISION=1                                     # raise when this script makes something else of them

die() { echo "fetch-deps: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
case ${DEPS_ARCH:-$(uname -m)} in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) die "no prebuilt libraries for ${DEPS_ARCH:-$(uname -m)}: only amd64 and arm64" ;;
esac
pins=$here/deps-$arch.sha256
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clickmill/deps
dest=$cache/duckdb-$DUCKDB-rdkafka-$RDKAFKA-yyjson-$YYJSON-r$REVISION-$arch

if [ -z "${DEPS_RECORD:-}" ]; then
    [ -d "$dest" ] && echo "$dest" && exit 0
fi

# One fetches, the others wait and find it done. What is half made stays in its own folder.
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if [ -z "${DEPS_RECORD:-}" ]; then
    [ -d "$dest" ] && echo "$dest" && exit 0
fi
t=$(mktemp -d "$cache/.new.XXXXXX")
trap 'rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM
echo "fetch-deps: fetching DuckDB, librdkafka and yyjson once into $cache (about 80 MB)" >&2

command -v go >/dev/null || die "needs go (scripts/install-packages.sh build)"
command -v pip3 >/dev/null || die "needs pip3 (scripts/install-packages.sh build)"
duckdb=github.com/duckdb/duckdb-go-bindings/lib/linux-$arch
rdkafka=github.com/confluentinc/confluent-kafka-go/v2
offline="and $dest is not there to do without"
export GOFLAGS=-modcacherw GOTOOLCHAIN=local GO111MODULE=on GOMODCACHE="$t/go"
mkdir "$t/go" "$t/pip" "$t/in" "$t/in/duckdb" "$t/in/rdkafka" "$t/in/yyjson"
(cd "$t" && go mod download -json "$duckdb@$DUCKDB" "$rdkafka@$RDKAFKA") >"$t/go.log" 2>&1 ||
    { cat "$t/go.log" >&2; die "cannot download $duckdb@$DUCKDB and $rdkafka@$RDKAFKA, $offline"; }
pip3 -q download --no-deps --no-binary yyjson "yyjson==$YYJSON" -d "$t/pip" >"$t/pip.log" 2>&1 ||
    { cat "$t/pip.log" >&2; die "cannot download the package yyjson $YYJSON, $offline"; }
tar xzf "$t/pip/yyjson-$YYJSON.tar.gz" -C "$t/pip"

mv "$t/go/$duckdb@$DUCKDB"/duckdb.h "$t/go/$duckdb@$DUCKDB"/*.a "$t/in/duckdb"
kafka_vendor=$t/go/$rdkafka@$RDKAFKA/kafka/librdkafka_vendor
mv "$kafka_vendor"/rdkafka.h "$kafka_vendor"/rdkafka_mock.h \
    "$kafka_vendor/librdkafka_glibc_linux_$arch.a" "$t/in/rdkafka"
mv "$t/pip/yyjson-$YYJSON/yyjson/yyjson.h" "$t/pip/yyjson-$YYJSON/yyjson/yyjson.c" "$t/in/yyjson"

cd "$t/in"
if [ -n "${DEPS_RECORD:-}" ]; then
    sha256sum */* >"$pins"
    echo "fetch-deps: wrote $pins" >&2
    exit 0
fi
# The pins are the whole list: a file more is as wrong as a file changed.
[ "$(ls -d */*)" = "$(sed 's/^[0-9a-f]*  //' "$pins")" ] || die "the packages hold other files than $pins lists"
sha256sum -c --quiet "$pins" >&2 || die "a downloaded file is not the one $pins names"

mkdir -p "$t/out/include/librdkafka" "$t/out/lib" "$t/out/src"
cp duckdb/duckdb.h yyjson/yyjson.h "$t/out/include"
cp rdkafka/*.h "$t/out/include/librdkafka"
cp yyjson/yyjson.c "$t/out/src"
# DuckDB comes as 22 archives that need each other; one archive needs no --start-group.
{
    echo "create libduckdb_all.a"
    for a in duckdb/*.a; do echo "addlib $a"; done
    echo save
    echo end
} | ar -M
mv libduckdb_all.a "$t/out/lib"
# librdkafka's archive carries OpenSSL, curl and zstd as global symbols, which would silently take
# the place of the system's. Only what its headers declare stays global.
raw=rdkafka/librdkafka_glibc_linux_$arch.a
nm -g --defined-only "$raw" 2>/dev/null | awk '$2 == "T" && $3 ~ /^rd_kafka_/ {print $3}' | sort -u >defined
grep -ohE '\brd_kafka_[a-zA-Z0-9_]+ ?\(' rdkafka/*.h | tr -d ' (' | sort -u | comm -12 - defined >api
sed 's/^/--undefined=/' api >ld.args
ld -r -o rdkafka.o @ld.args "$raw"
objcopy --keep-global-symbols=api rdkafka.o
ar rcs "$t/out/lib/librdkafka_only.a" rdkafka.o

mv "$t/out" "$dest"
echo "$dest"
