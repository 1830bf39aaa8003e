#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kdc.sh start|kill DIR: a Kerberos key distribution centre for tests (Hadoop's MiniKdc); all of it lives in DIR.
#   start    starts it, waits until it answers; DIR/krb5.conf is for KRB5_CONFIG, DIR/keytab has the keys of
#            clickmill, HTTP/localhost, nn/localhost and dn/localhost. Realm: CLICKMILL.TEST
#   kill     SIGKILL
# KDC_OWNER=PID: when that process is gone, it ends and DIR is removed.
# kdc.sh fetch: the jars only, once into the user's cache; prints their folder.
set -eu
. "$(dirname "$0")/service.sh"
VERSION=3.4.3

fetch() { fetch_jars kdc $VERSION '5 MB' org.apache.hadoop:hadoop-minikdc:$VERSION; }

start() {
    none_alive
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
    watch "${KDC_OWNER:-}" kill
    rm -f "$dir/kdc.log" # it is asked whether this one runs
    spawn kdc java -Xmx64m -XX:TieredStopAtLevel=1 -cp "$jars/*" org.apache.hadoop.minikdc.MiniKdc "$dir" "$dir/kdc.conf" "$dir/keytab" \
        clickmill HTTP/localhost nn/localhost dn/localhost
    until=$(($(date +%s) + 60))
    until grep -q 'Standalone MiniKdc Running' "$dir/kdc.log"; do
        going_on || { show_logs; kill_; die "the KDC does not start"; }
        sleep 0.1
    done
    # What DNS says of this machine's names is no business of the tests.
    sed -i 's/^\[libdefaults\]/&\n    rdns = false\n    dns_canonicalize_hostname = false/' "$dir/krb5.conf"
}

if [ "${1:-}" = fetch ]; then
    fetch
    echo "$jars"
    exit 0
fi
[ $# = 2 ] || die "usage: start|kill DIR, fetch"
enter "$@"
parts=kdc mark="MiniKdc $dir"
case $1 in
start) start ;;
kill) kill_ ;;
*) die "usage: start|kill DIR, fetch" ;;
esac
