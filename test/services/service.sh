# SPDX-License-Identifier: Apache-2.0
# For the scripts beside this one: a service that lives in a folder, its processes, free ports, and what is
# fetched once into the user's cache. Sourced first of all; sets `here`, the folder of the scripts, and `self`.
#
# A service sets `dir` by `enter`, `parts`, the names of its processes (NAME.pid and NAME.log lie in `dir`), and
# `mark`, a text in the command line of each that no other service of this machine has.
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
self=$here/$(basename "$0")

die() { echo "$(basename "$self"): $*" >&2; exit 1; }

# ---- a folder ----

enter() { # VERB DIR: goes there; what is not there need not be ended
    case $1 in start) mkdir -p "$2" ;; stop | kill) [ -d "$2" ] || exit 0 ;; esac
    cd "$2" || die "no such folder: $2"
    dir=$(pwd)
}

# Called before anything is started, so that nothing outlives the owner, not even what never became ready.
watch() { # PID VERB: when that process is gone, VERB ends all and the folder is removed. PID '': nobody is watched
    [ -n "$1" ] && [ ! -e "$dir/watched" ] || return 0
    touch "$dir/watched"
    setsid sh -c "while kill -0 $1 2>/dev/null && [ -d '$dir' ]; do sleep 1; done
        '$self' $2 '$dir'; rm -rf '$dir'" </dev/null >/dev/null 2>&1 &
}

# ---- processes ----

alive() { # NAME: its pid file names a live process, and it is ours
    [ -s "$dir/$1.pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$dir/$1.pid")/cmdline" | grep -qF -- "$mark"
}

none_alive() {
    for part in $parts; do ! alive "$part" || die "the $part is already running in $dir"; done
}

# The pid is the program's own: our child becomes setsid, and that the program. Until it is setsid `alive` says no.
spawn() { # NAME COMMAND...: starts it; it is alive now, or has ended already
    part=$1
    shift
    setsid "$@" >>"$dir/$part.log" 2>&1 </dev/null &
    echo $! >"$dir/$part.pid"
    while kill -0 $! 2>/dev/null && ! alive "$part"; do sleep 0.02; done
}

# false: one of them has ended, or the second `until` has passed.
going_on() {
    for part in $parts; do alive "$part" || return 1; done
    [ "$(date +%s)" -lt "$until" ]
}

show_logs() {
    for part in $parts; do tail -n 20 "$dir/$part.log" >&2; done
}

end() { # NAME SIGNAL SECONDS
    alive "$1" || return 0
    kill "-$2" "$(cat "$dir/$1.pid")" 2>/dev/null || true # it may just have ended
    for i in $(seq $(($3 * 50))); do
        alive "$1" || return 0
        sleep 0.02
    done
    return 1
}

kill_() {
    for part in $parts; do end "$part" KILL 30 || die "the $part in $dir does not die"; done
}

stop() {
    for part in $parts; do end "$part" TERM 30 || true; done
    kill_
}

restart() { kill_; start; }

# ---- ports ----

listens() { # PORT
    grep -qi ":$(printf %04X "$1") [0-9A-F]*:0000 0A " /proc/net/tcp /proc/net/tcp6
}

free_port() {
    while :; do
        port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
        grep -qi ":$(printf %04X "$port") " /proc/net/tcp /proc/net/tcp6 || break
    done
    echo "$port"
}

# ---- what is fetched ----

# fetch_once FILE COMMAND: COMMAND makes it, in the new folder `new`, unless it is there already. One fetches, the
# others wait and find it done.
fetch_once() {
    [ ! -e "$1" ] || return 0
    mkdir -p "$(dirname "$1")"
    exec 9>"$(dirname "$1")/.lock"
    flock -w 2300 9 || die "another has been fetching $1 for more than half an hour"
    if [ ! -e "$1" ]; then
        new=$(mktemp -d "$(dirname "$1")/.new.XXXXXX")
        trap 'chmod -R u+w "$new"; rm -rf "$new"' EXIT
        "$2"
        chmod -R u+w "$new"
        rm -rf "$new"
        trap - EXIT
    fi
    exec 9>&-
}

# fetch_jars NAME VERSION SIZE DEPENDENCY...: sets `jars` to the folder that holds them. A dependency is
# group:artifact:version; NAME.sha256 beside this file lists every jar that comes, JARS_RECORD=1 writes it.
# JARS_ONLY=ARTIFACT,…: these alone, of all that comes with them.
fetch_jars() {
    name=$1 version=$2 size=$3
    shift 3
    dependencies=$*
    pins=$here/$name.sha256
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/clickmill/$name
    name_jars
    [ -z "${JARS_RECORD:-}" ] || rm -rf "$jars"
    fetch_once "$jars" download_jars
}

name_jars() { jars=$cache/$version-$(sha256sum "$pins" 2>/dev/null | cut -c1-12); }

# By itself Maven waits half an hour for a server that says nothing, and for ever for one that says little.
copy_jars() {
    timeout -k 10 1000 mvn -B -q -f "$new/pom.xml" "-Dmaven.repo.local=$new/m2" -Dmaven.wagon.rto=60000 \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DincludeScope=runtime ${JARS_ONLY:+"-DincludeArtifactIds=$JARS_ONLY"} "-DoutputDirectory=$new/lib" >"$new/log" 2>&1
}

download_jars() {
    command -v mvn >/dev/null || die "needs maven (scripts/install-packages.sh test)"
    echo "$(basename "$self"): fetching $name $version once into $cache (about $size)" >&2
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo "<groupId>local</groupId><artifactId>$name</artifactId><version>1</version><dependencies>"
        echo "$dependencies" | tr ' ' '\n' | sed 's|\(.*\):\(.*\):\(.*\)|<dependency><groupId>\1</groupId><artifactId>\2</artifactId><version>\3</version></dependency>|'
        echo '</dependencies></project>'
    } >"$new/pom.xml"
    copy_jars || copy_jars || { cat "$new/log" >&2; die "cannot download $name $version, and $jars is not there to do without"; }
    if [ -n "${JARS_RECORD:-}" ]; then
        (cd "$new/lib" && sha256sum *) >"$pins"
        echo "$(basename "$self"): wrote $pins" >&2
        name_jars
        rm -rf "$jars"
    fi
    [ "$(ls "$new/lib")" = "$(sed 's/^[0-9a-f]*  //' "$pins")" ] || die "$name $version has other jars than $name.sha256 lists"
    (cd "$new/lib" && sha256sum -c --quiet "$pins") >&2 || die "a downloaded jar is not the one $name.sha256 names"
    mv "$new/lib" "$jars"
}
