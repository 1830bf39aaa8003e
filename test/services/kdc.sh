#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kdc.sh start|kill DIR: a Kerberos key distribution centre for tests (Hadoop's MiniKdc); all of it lives in DIR.
#   start    starts it, waits until it answers; DIR/krb5.conf is for KRB5_CONFIG, DIR/keytab has the keys of
#            clickmill, HTTP/localhost, nn/localhost and dn/localhost. Realm: CLICKMILL.TEST
#   kill     SIGKILL
# KDC_OWNER=PID: when that process is gone, it ends and DIR is removed.
# kdc.sh fetch: the jars only, once into the user's cache; prints their folder.
set -eu
export LC_ALL=C
VERSION=3.4.3
here=$(cd "$(dirname "$0")" && pwd)
self=$here/$(basename "$0")
. "$here/jars.sh"

fetch() { fetch_jars kdc $VERSION '5 MB' org.apache.hadoop:hadoop-minikdc:$VERSION; }

alive() { # the pid file names a live process, and it is ours
    [ -s "$dir/pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$dir/pid")/cmdline" | grep -qF "MiniKdc $dir"
}

start() {
    alive && die "already running in $dir"
    fetch
    command -v java >/dev/null || die "needs java (scripts/install-packages.sh test)"
    cat >"$dir/kdc.conf" <<CONF
org.name=CLICKMILL
org.domain=TEST
kdc.bind.address=127.0.0.1
kdc.port=0
instance=DefaultKrbServer
debug=false
max.ticket.lifetime=86400000
max.renewable.lifetime=604800000
transport=TCP
CONF
    setsid java -Xmx64m -XX:TieredStopAtLevel=1 -cp "$jars/*" org.apache.hadoop.minikdc.MiniKdc "$dir" "$dir/kdc.conf" "$dir/keytab" \
        clickmill HTTP/localhost nn/localhost dn/localhost >"$dir/log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    until=$(($(date +%s) + 60))
    until grep -q 'Standalone MiniKdc Running' "$dir/log"; do
        kill -0 $! 2>/dev/null && [ "$(date +%s)" -lt "$until" ] || { tail -n 20 "$dir/log" >&2; die "the KDC does not start"; }
        sleep 0.1
    done
    # What DNS says of this machine's names is no business of the tests.
    sed -i 's/^\[libdefaults\]/&\n    rdns = false\n    dns_canonicalize_hostname = false/' "$dir/krb5.conf"
    [ -z "${KDC_OWNER:-}" ] ||
        setsid sh -c "while kill -0 $KDC_OWNER 2>/dev/null; do sleep 1; done
            '$self' kill '$dir'; rm -rf '$dir'" </dev/null >/dev/null 2>&1 &
}

kill_() {
    alive || return 0
    kill -KILL "$(cat "$dir/pid")"
    while alive; do sleep 0.02; done
}

if [ "${1:-}" = fetch ]; then
    fetch
    echo "$jars"
    exit 0
fi
[ $# = 2 ] || die "usage: start|kill DIR, fetch"
case $1 in start) mkdir -p "$2" ;; kill) [ -d "$2" ] || exit 0 ;; esac
cd "$2" || die "no such folder: $2"
dir=$(pwd)
case $1 in
start) start ;;
kill) kill_ ;;
*) die "usage: start|kill DIR, fetch" ;;
esac
