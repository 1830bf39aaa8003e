#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kafka.sh start|stop|kill|restart|env DIR: a real Kafka broker for tests (one node, KRaft); all of it lives in DIR.
#   start    makes it on first use, starts it, waits until it answers, prints its address
#   stop     ends it; what is in DIR stays
#   kill     SIGKILL, as when the machine's memory is short. Kafka does not fsync before it acknowledges,
#            so this proves what a killed process loses, not what a power cut does
#   restart  kill, then start: same ports, same data
#   env      prints TEST_KAFKA (host:port, no password), TEST_KAFKA_SASL (password, no TLS) and TEST_KAFKA_TLS
#            (password and TLS, DIR/broker.crt) as shell assignments. User and password: clickmill, or
#            clickmill and a secret with blanks and signs, TEST_KAFKA_PASSWORD. PLAIN and SCRAM-SHA-512.
# KAFKA_LISTENERS="NAME:PROTOCOL ...": more listeners, each told by env as TEST_KAFKA_NAME; what they need is in KAFKA_EXTRA.
# KAFKA_JOIN=DIR KAFKA_NODE=2: a further broker of the cluster whose first one lives in that DIR.
# KAFKA_OWNER=PID: when that process is gone, the broker ends and DIR is removed.
# KAFKA_EXTRA: lines for server.properties; KAFKA_XMX: the heap, 256m; KAFKA_JAVA_OPTS.
# kafka.sh fetch: the jars only, once into the user's cache; prints their folder.
set -eu
. "$(dirname "$0")/service.sh"
VERSION=4.4.0 LOG4J=2.25.5 # LOG4J as in log4j-core of that Kafka
PASSWORD='open sesame; =1'

fetch() {
    fetch_jars kafka $VERSION '45 MB' org.apache.kafka:kafka_2.13:$VERSION org.apache.logging.log4j:log4j-slf4j-impl:$LOG4J
}

choose_ports() {
    for name in plain sasl tls controller $(for l in ${KAFKA_LISTENERS:-}; do echo "${l%%:*}"; done); do echo "$name=$(free_port)"; done >"$dir/ports"
    [ -z "${KAFKA_JOIN:-}" ] || grep '^controller=' "$KAFKA_JOIN/ports" >>"$dir/ports"
}

properties() {
    . "$dir/ports"
    jaas='org.apache.kafka.common.security'
    listeners="PLAINTEXT://127.0.0.1:$plain,SASL_PLAINTEXT://127.0.0.1:$sasl,SASL_SSL://127.0.0.1:$tls"
    map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
    for l in ${KAFKA_LISTENERS:-}; do
        eval "port=\$${l%%:*}"
        listeners="$listeners,${l%%:*}://127.0.0.1:$port" map="$map,$l"
    done
    if [ -n "${KAFKA_JOIN:-}" ]; then
        echo "process.roles=broker"
        echo "listeners=$listeners"
    else
        echo "process.roles=broker,controller"
        echo "listeners=$listeners,CONTROLLER://127.0.0.1:$controller"
    fi
    cat <<CONF
node.id=${KAFKA_NODE:-1}
controller.quorum.voters=1@127.0.0.1:$controller
advertised.listeners=$listeners
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=$map
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location=$dir/broker.pem
log.dirs=$dir/data
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=8388608
CONF
    for listener in sasl_plaintext sasl_ssl; do
        echo "listener.name.$listener.plain.sasl.jaas.config=$jaas.plain.PlainLoginModule required user_clickmill=\"$PASSWORD\";"
        echo "listener.name.$listener.scram-sha-512.sasl.jaas.config=$jaas.scram.ScramLoginModule required;"
    done
    printf '%s\n' "${KAFKA_EXTRA:-}"
}

make() {
    openssl req -new -x509 -days 30 -nodes -subj /CN=clickmill.test -addext subjectAltName=IP:127.0.0.1 -newkey rsa:2048 \
        -keyout "$dir/broker.key" -out "$dir/broker.crt" 2>/dev/null
    cat "$dir/broker.key" "$dir/broker.crt" >"$dir/broker.pem"
    cat >"$dir/log4j2.properties" <<CONF
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
logger.config.name=org.apache.kafka.common.config.AbstractConfig
logger.config.level=WARN
CONF
    [ -e "$dir/ports" ] || choose_ports
    properties >"$dir/server.properties"
    if [ -n "${KAFKA_JOIN:-}" ]; then
        cp "$KAFKA_JOIN/cluster.id" "$dir/cluster.id"
    else
        head -c16 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-22 | sed 's/^-/A/' >"$dir/cluster.id"
    fi
    java -Xmx128m -XX:TieredStopAtLevel=1 -cp "$jars/*" kafka.tools.StorageTool format -t "$(cat "$dir/cluster.id")" \
        -c "$dir/server.properties" -S "SCRAM-SHA-512=[name=clickmill,password=\"$PASSWORD\"]" >"$dir/format.log" 2>&1 ||
        { cat "$dir/format.log" >&2; rm -rf "$dir/data"; die "cannot format $dir/data"; }
}

# Waits for the line this run writes: the log is appended to.
ready() {
    until tail -c "+$((seen + 1))" "$dir/broker.log" | grep -q 'Kafka Server started' && listens "$plain"; do
        going_on || return 1
        sleep 0.1
    done
}

# A port that was taken in between is chosen anew, unless somebody knows the old one by now.
start() {
    none_alive
    fetch
    command -v java >/dev/null || die "needs java (scripts/install-packages.sh test)"
    watch "${KAFKA_OWNER:-}" kill
    [ -d "$dir/data" ] || make
    for try in 1 2 3 4 5; do
        properties >"$dir/server.properties"
        . "$dir/ports"
        seen=$(stat -c %s "$dir/broker.log" 2>/dev/null || echo 0) until=$(($(date +%s) + 90))
        spawn broker java "-Xmx${KAFKA_XMX:-256m}" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Djava.net.preferIPv4Stack=true \
            "-Dlog4j2.configurationFile=$dir/log4j2.properties" ${KAFKA_JAVA_OPTS:-} -cp "$jars/*" \
            kafka.Kafka "$dir/server.properties"
        ready && break
        kill_
        [ "$try" != 5 ] && [ ! -e "$dir/known" ] && tail -c "+$((seen + 1))" "$dir/broker.log" | grep -q 'Address already in use' ||
            { show_logs; die "the broker does not start"; }
        choose_ports
    done
    touch "$dir/known"
    echo "127.0.0.1:$plain"
}

if [ "${1:-}" = fetch ]; then
    fetch
    echo "$jars"
    exit 0
fi
[ $# = 2 ] || die "usage: start|stop|kill|restart|env DIR"
enter "$@"
parts=broker mark="$dir/server.properties"
case $1 in
start | stop | restart) $1 ;;
kill) kill_ ;;
env)
    . "$dir/ports"
    cat <<ENV
TEST_KAFKA=127.0.0.1:$plain
TEST_KAFKA_SASL=127.0.0.1:$sasl
TEST_KAFKA_TLS=127.0.0.1:$tls
TEST_KAFKA_CA='$dir/broker.crt'
TEST_KAFKA_PASSWORD='$PASSWORD'
TEST_KAFKA_PID=$(cat "$dir/broker.pid")
ENV
    for l in ${KAFKA_LISTENERS:-}; do
        eval "port=\$${l%%:*}"
        echo "TEST_KAFKA_${l%%:*}=127.0.0.1:$port"
    done
    ;;
*) die "usage: start|stop|kill|restart|env DIR" ;;
esac
