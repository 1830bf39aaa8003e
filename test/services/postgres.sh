#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# postgres.sh start|stop|crash|env DIR: a real PostgreSQL server for tests; all of it lives in DIR.
#   start  makes it on first use, starts it, waits until it answers, prints its URL
#   stop   ends it; what is in DIR stays
#   crash  SIGKILL for every process of it, as when the power fails
#   env    prints TEST_PG_URL and the rest as shell assignments
# TLS is on (self-signed: DIR/server.crt), passwords are asked for over TCP (user and password
# clickmill) and not on the socket in DIR, where user postgres is the administrator.
# PG_OWNER=PID: when that process is gone, the server ends and DIR is removed.
# The server's own settings are far from ours on purpose: its time zone, its dates, its text order.
set -eu
. "$(dirname "$0")/service.sh"

[ $# = 2 ] || die "usage: start|stop|crash|env DIR"
enter "$@"
bin=${PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
[ -x "$bin/postgres" ] || die "PostgreSQL is not installed (apt-get install postgresql)"

# The server refuses to run as root.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

make() {
    [ "$(id -u)" != 0 ] || chown postgres "$dir"
    chmod 755 "$dir"
    echo clickmill >"$dir/password"
    chmod 644 "$dir/password"
    as_postgres "$bin/initdb" -D "$dir/data" -U postgres --pwfile="$dir/password" -E UTF8 \
        --auth-local=trust --auth-host=scram-sha-256 --locale-provider=icu --icu-locale=en \
        --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
    openssl req -new -x509 -days 30 -nodes -subj /CN=clickmill.test -newkey rsa:2048 \
        -keyout "$dir/server.key" -out "$dir/server.crt" 2>/dev/null
    [ "$(id -u)" != 0 ] || chown postgres "$dir/server.key"
    chmod 600 "$dir/server.key"
    cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
max_connections = 20
shared_buffers = 16MB
fsync = on
ssl = on
ssl_cert_file = '$dir/server.crt'
ssl_key_file = '$dir/server.key'
timezone = 'America/New_York'
datestyle = 'SQL, DMY'
extra_float_digits = 0
CONF
}

alive() {
    [ -f "$dir/data/postmaster.pid" ] && kill -0 "$(head -n 1 "$dir/data/postmaster.pid")" 2>/dev/null
}

# A port that was taken in between is chosen anew, unless somebody knows the old one by now.
start() {
    alive && die "already running in $dir"
    watch "${PG_OWNER:-}" stop
    [ -d "$dir/data" ] || make
    known=$(cat "$dir/port" 2>/dev/null || true)
    for try in 1 2 3 4 5; do
        port=${known:-$(free_port)}
        if as_postgres "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/log" -w -t 60 -o "-p $port" start \
            >/dev/null 2>&1; then
            echo "$port" >"$dir/port"
            break
        fi
        [ "$try" != 5 ] || { tail -n 20 "$dir/data/log" >&2; die "the server does not start"; }
    done
    if [ -z "$known" ]; then
        "$bin/psql" -q -h "$dir" -p "$port" -U postgres -d postgres -v ON_ERROR_STOP=1 \
            -c "CREATE ROLE clickmill LOGIN PASSWORD 'clickmill'" \
            -c "CREATE DATABASE clickmill OWNER clickmill"
    fi
    url
}

stop() {
    alive || return 0
    as_postgres "$bin/pg_ctl" -D "$dir/data" -m fast -w -t 60 stop >/dev/null
}

crash() {
    alive || die "no server in $dir"
    pid=$(head -n 1 "$dir/data/postmaster.pid")
    kill -STOP "$pid" # it would start new children for those that die
    kill -KILL $(cat "/proc/$pid/task/$pid/children") "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}

url() {
    echo "postgresql://clickmill:clickmill@127.0.0.1:$(cat "$dir/port")/clickmill"
}

case $1 in
start | stop | crash) $1 ;;
env)
    cat <<ENV
TEST_PG_URL='$(url)'
TEST_PG_ADMIN_URL='postgresql:///clickmill?user=postgres&host=$dir&port=$(cat "$dir/port")'
TEST_PG_PORT=$(cat "$dir/port")
ENV
    ;;
*) die "usage: start|stop|crash|env DIR" ;;
esac
