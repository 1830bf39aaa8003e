#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# s3.sh start|stop|kill|restart DIR: a real S3 server for tests (versitygw) that checks signatures; all of it
# lives in DIR, a bucket is a folder of DIR/data.
#   start    makes it on first use, starts it, waits until it answers, prints its URL
#   stop     ends it; what is in DIR stays
#   restart  SIGKILL, then start: same port, same data
# s3.sh env DIR: TEST_S3 (its URL), TEST_S3_BUCKET, TEST_S3_KEY and TEST_S3_SECRET as shell assignments.
# S3_OWNER=PID: when that process is gone, the server ends and DIR is removed.
# s3.sh fetch: the program only, once into the user's cache; prints its path. It is built from source, checked
# by Go against the sums below, which cover the module's own go.sum and with it all it is made of.
set -eu
. "$(dirname "$0")/service.sh"

SERVER=github.com/versity/versitygw@v1.8.0
SERVER_SUM=h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=
# Debian 12's Go is too old to build it, but can fetch a newer one, as later versions of Go do by themselves.
GO_MINOR=25
GO_MODULE=golang.org/toolchain@v0.0.1-go1.25.5.linux-amd64
GO_SUM=h1:IkknVKy/4hLMR+ZwWfP4Oqhjz2sKqNtEXz1meP8P3Nc=

# module NAME@VERSION SUM: downloads it, prints its folder.
module() {
    (cd "$new" && go mod download -json "$1") >"$new/module" 2>"$new/log" ||
        { cat "$new/log" "$new/module" >&2; die "cannot download $1, and $program is not there to do without"; }
    [ "$(sed -n 's/.*"Sum": "\(.*\)".*/\1/p' "$new/module")" = "$2" ] || die "$1 is not what its sum says"
    sed -n 's/.*"Dir": "\(.*\)".*/\1/p' "$new/module"
}

newer_go() {
    [ "$(uname -m)" = x86_64 ] || die "needs Go 1.$GO_MINOR or newer"
    root=$(module $GO_MODULE $GO_SUM)
    chmod -R u+w "$root"
    chmod +x "$root/bin/"* "$root/pkg/tool/linux_amd64/"*
    PATH=$root/bin:$PATH
}

fetch() {
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/clickmill/s3
    program=$cache/versitygw-${SERVER#*@}-$(printf %s "$SERVER_SUM" | sha256sum | cut -c1-12)
    fetch_once "$program" build
}

build() {
    command -v go >/dev/null || die "needs go (scripts/install-packages.sh build)"
    echo "s3.sh: building $SERVER once into $cache (minutes)" >&2
    export GOFLAGS=-modcacherw GOTOOLCHAIN=local GO111MODULE=on GOMODCACHE="$new/modules" GOCACHE="$new/build" CGO_ENABLED=0
    minor=$(go version | sed 's/.* go1\.\([0-9]*\).*/\1/')
    [ "$minor" -ge $GO_MINOR ] || newer_go
    source=$(module "$SERVER" "$SERVER_SUM")
    (cd "$source" && go build -mod=readonly -trimpath -ldflags '-s -w' -o "$new/versitygw" ./cmd/versitygw) >"$new/log" 2>&1 ||
        { cat "$new/log" >&2; die "cannot build $SERVER"; }
    mv "$new/versitygw" "$program"
}

settings() {
    . "$dir/settings"
    url=http://127.0.0.1:$port
}

ready() {
    until listens "$port"; do
        going_on || return 1
        sleep 0.02
    done
}

# A port that was taken in between is chosen anew, unless somebody knows the old one by now.
start() {
    none_alive
    fetch
    mkdir -p "$dir/data/lakes"
    [ -e "$dir/settings" ] || printf 'port=%s\nsecret=%s\n' "$(free_port)" "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')/+=" >"$dir/settings"
    watch "${S3_OWNER:-}" kill
    for try in 1 2 3 4 5; do
        settings
        until=$(($(date +%s) + 30))
        spawn server env ROOT_ACCESS_KEY=clickmill "ROOT_SECRET_KEY=$secret" "$program" --port "127.0.0.1:$port" --region us-east-1 \
            --keep-alive --quiet posix "$dir/data"
        ready && break
        kill_
        [ "$try" != 5 ] && [ ! -e "$dir/known" ] || { show_logs; die "the server does not start"; }
        sed -i "s/^port=.*/port=$(free_port)/" "$dir/settings"
    done
    touch "$dir/known"
    echo "$url"
}

if [ "${1:-}" = fetch ]; then
    fetch
    echo "$program"
    exit 0
fi
[ $# = 2 ] || die "usage: start|stop|kill|restart|env DIR"
enter "$@"
parts=server mark="$dir/data"
case $1 in
start | stop | restart) $1 ;;
kill) kill_ ;;
env)
    settings
    printf 'TEST_S3=%s\nTEST_S3_BUCKET=lakes\nTEST_S3_KEY=clickmill\nTEST_S3_SECRET=%s\n' "$url" "'$secret'"
    ;;
*) die "usage: start|stop|kill|restart|env DIR" ;;
esac
