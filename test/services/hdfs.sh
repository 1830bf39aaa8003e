#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hdfs.sh start|stop|kill|restart DIR [nn|dn]: a real HDFS for tests, one NameNode and one DataNode; all of it
# lives in DIR. nn or dn: that one alone. A NameNode that is started alone stays in safe mode.
#   start    makes it on first use, starts it, waits until it can be written to, prints host:port of WebHDFS
#   stop     ends it; what is in DIR stays
#   kill     SIGKILL: what a killed process loses, not what a power cut does
#   restart  kill, then start: same ports, same data
# hdfs.sh safemode DIR enter|leave
# hdfs.sh env DIR: TEST_HDFS (host:port of WebHDFS), TEST_HDFS_DATANODE (of its HTTP server), TEST_HDFS_RPC, and
#   TEST_HDFS_TLS (WebHDFS over TLS; it wants a certificate of the client: DIR/tls.pem, which is also its own).
# hdfs.sh fetch: the jars only, once into the user's cache; prints their folder.
# HDFS_OWNER=PID: when that process is gone, all ends and DIR is removed.
# HDFS_KERBEROS=FOLDER of kdc.sh, at the first start: everybody logs in by Kerberos; at localhost, not 127.0.0.1.
# HDFS_EXTRA: <property> lines for hdfs-site.xml; HDFS_XMX: the heap of each, 256m.
set -eu
. "$(dirname "$0")/service.sh"
VERSION=3.4.3

fetch() {
    h=org.apache.hadoop
    fetch_jars hdfs $VERSION '65 MB' $h:hadoop-common:$VERSION $h:hadoop-hdfs:$VERSION $h:hadoop-hdfs-client:$VERSION
}

choose_ports() {
    for name in http https rpc data data_http data_https data_ipc; do echo "$name=$(free_port)"; done >"$dir/ports"
}

property() { echo "<property><name>$1</name><value>$2</value></property>"; }

with_kerberos() {
    realm=CLICKMILL.TEST
    property hadoop.security.authentication kerberos
    property hadoop.http.filter.initializers org.apache.hadoop.security.AuthenticationFilterInitializer
    property hadoop.http.authentication.type kerberos
    property hadoop.user.group.static.mapping.overrides 'clickmill=supergroup;nn=supergroup;dn=supergroup'
    for name in hadoop.http.authentication.kerberos dfs.web.authentication.kerberos; do
        property $name.principal HTTP/localhost@$realm
        property $name.keytab "$kerberos/keytab"
    done
    for part_of in namenode:nn datanode:dn; do
        property "dfs.${part_of%:*}.kerberos.principal" "${part_of#*:}/localhost@$realm"
        property "dfs.${part_of%:*}.keytab.file" "$kerberos/keytab"
    done
    property dfs.block.access.token.enable true
    property ignore.secure.ports.for.testing true
}

# No web pages are in the jars: the servers only want their folders.
configure() {
    mkdir -p "$dir/conf/webapps/hdfs" "$dir/conf/webapps/datanode"
    {
        echo '<configuration>'
        property fs.defaultFS "hdfs://localhost:$rpc"
        property hadoop.tmp.dir "$dir/tmp"
        [ -z "$kerberos" ] || with_kerberos
        echo '</configuration>'
    } >"$dir/conf/core-site.xml"
    {
        echo '<configuration>'
        property dfs.replication 1
        property dfs.namenode.name.dir "file://$dir/name"
        property dfs.datanode.data.dir "file://$dir/data"
        property dfs.namenode.http-address "127.0.0.1:$http"
        property dfs.http.policy HTTP_AND_HTTPS
        property dfs.namenode.https-address "127.0.0.1:$https"
        property dfs.datanode.https.address "127.0.0.1:$data_https"
        property dfs.client.https.need-auth true
        property dfs.datanode.address "127.0.0.1:$data"
        property dfs.datanode.http.address "127.0.0.1:$data_http"
        property dfs.datanode.ipc.address "127.0.0.1:$data_ipc"
        property dfs.datanode.hostname 127.0.0.1
        property dfs.namenode.datanode.registration.ip-hostname-check false
        property dfs.namenode.safemode.extension 0
        property dfs.namenode.safemode.min.datanodes 1
        property dfs.heartbeat.interval 1
        property dfs.namenode.handler.count 8
        property dfs.ls.limit 5 # listings come in pages
        property dfs.client.block.write.replace-datanode-on-failure.policy NEVER
        # Else most files take 0.4 s: the client asks the NameNode before the DataNode has reported the block.
        property dfs.client.block.write.locateFollowingBlock.initial.delay.ms 5
        property dfs.client.retry.window.base 10 # pauses of a DataNode that looks for lost blocks
        [ -z "$kerberos" ] || with_kerberos # hdfs-default.xml stands between the two files
        printf '%s\n' "${HDFS_EXTRA:-}"
        echo '</configuration>'
    } >"$dir/conf/hdfs-site.xml"
    {
        echo '<configuration>'
        for store in key trust; do
            property "ssl.server.${store}store.location" "$dir/$store.p12"
            property "ssl.server.${store}store.type" pkcs12
            property "ssl.server.${store}store.password" clickmill
        done
        property ssl.server.keystore.keypassword clickmill
        echo '</configuration>'
    } >"$dir/conf/ssl-server.xml"
    echo '*.period=1' >"$dir/conf/hadoop-metrics2.properties" # /jmx is no older than that, in seconds
    cat >"$dir/conf/log4j.properties" <<CONF
log4j.rootLogger=INFO,out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c{1} %m%n
CONF
}

make_keys() {
    openssl req -new -x509 -days 30 -nodes -subj /CN=clickmill.test -addext subjectAltName=IP:127.0.0.1 -newkey rsa:2048 \
        -keyout "$dir/tls.key" -out "$dir/tls.crt" 2>/dev/null
    cat "$dir/tls.key" "$dir/tls.crt" >"$dir/tls.pem"
    openssl pkcs12 -export -in "$dir/tls.pem" -out "$dir/key.p12" -passout pass:clickmill
    keytool -importcert -noprompt -file "$dir/tls.crt" -keystore "$dir/trust.p12" -storetype PKCS12 -storepass clickmill >/dev/null 2>&1
}

hadoop() { # HOW CLASS ARGUMENTS: HOW is `command`, or `spawn` and a name
    how=$1
    shift
    $how java ${kerberos:+-Djava.security.krb5.conf=$kerberos/krb5.conf} "-Xmx${HDFS_XMX:-256m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError \
        -Djava.net.preferIPv4Stack=true -Dfile.encoding=UTF-8 --add-opens=java.base/java.lang=ALL-UNNAMED \
        --add-opens=java.base/java.nio=ALL-UNNAMED -cp "$dir/conf:$jars/*" "org.apache.hadoop.hdfs.$@"
}

state() {
    curl -s ${kerberos:+--negotiate -u :} --noproxy '*' -m 2 "http://localhost:$http/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState" || true
}

# Ready is what can be written to; alone, or once a DataNode has been killed, who answers.
ready() {
    while :; do
        now=$(state)
        case "$only" in
        nn) case $now in *FSState*) return 0 ;; esac ;;
        *) case $now in *'"FSState" : "Operational"'*'"NumLiveDataNodes" : 1'* | *'"NumLiveDataNodes" : 1'*'"FSState" : "Operational"'*)
            listens "$data_http" && return 0 ;; esac ;;
        esac
        going_on || return 1
        sleep 0.1
    done
}

# A port that was taken in between is chosen anew, unless somebody knows the old one by now.
start() {
    none_alive
    fetch
    command -v java >/dev/null || die "needs java (scripts/install-packages.sh test)"
    watch "${HDFS_OWNER:-}" kill
    [ -s "$dir/ports" ] || choose_ports
    [ -s "$dir/trust.p12" ] || make_keys
    for try in 1 2 3 4 5; do
        . "$dir/ports"
        [ -e "$dir/known" ] || configure
        [ -d "$dir/name/current" ] || hadoop command server.namenode.NameNode -format -nonInteractive >"$dir/format.log" 2>&1 ||
            { tail -n 20 "$dir/format.log" >&2; die "cannot format $dir/name"; }
        until=$(($(date +%s) + 90))
        case " $parts " in *' nn '*) hadoop 'spawn nn' server.namenode.NameNode ;; esac
        case " $parts " in *' dn '*) hadoop 'spawn dn' server.datanode.DataNode ;; esac
        ready && break
        kill_
        [ "$try" != 5 ] && [ ! -e "$dir/known" ] && grep -q 'Address already in use' "$dir"/*.log ||
            { show_logs; die "HDFS does not start"; }
        choose_ports
    done
    touch "$dir/known"
    echo "127.0.0.1:$http"
}

usage() { die "usage: start|stop|kill|restart DIR [nn|dn], safemode DIR enter|leave, env DIR, fetch"; }

if [ "${1:-}" = fetch ]; then
    fetch
    echo "$jars"
    exit 0
fi
[ $# -ge 2 ] || usage
enter "$@"
mark="-cp $dir/conf:" only=${3:-}
[ -z "${HDFS_KERBEROS:-}" ] || echo "$HDFS_KERBEROS" >"$dir/kerberos"
kerberos=$(cat "$dir/kerberos" 2>/dev/null) || kerberos=
[ -z "$kerberos" ] || export KRB5_CONFIG="$kerberos/krb5.conf" KRB5_CLIENT_KTNAME="FILE:$kerberos/keytab" KRB5CCNAME="FILE:$dir/tickets"
case $only in nn | dn) parts=$only ;; *) parts='dn nn' ;; esac
case $1 in
start | stop | restart) $1 ;;
kill) kill_ ;;
safemode)
    fetch
    hadoop command tools.DFSAdmin -safemode "${3:?enter or leave}" >/dev/null 2>"$dir/admin.log" || { cat "$dir/admin.log" >&2; exit 1; }
    ;;
env)
    . "$dir/ports"
    echo "TEST_HDFS=127.0.0.1:$http"
    echo "TEST_HDFS_DATANODE=127.0.0.1:$data_http"
    echo "TEST_HDFS_RPC=127.0.0.1:$rpc"
    echo "TEST_HDFS_TLS=127.0.0.1:$https"
    ;;
*) usage ;;
esac
