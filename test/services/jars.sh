# SPDX-License-Identifier: Apache-2.0
# For the scripts beside this one that run a Java service: its jars, pinned by checksum, once into the user's
# cache, and free ports. Sourced; expects `here` and `self`.

die() { echo "$(basename "$self"): $*" >&2; exit 1; }

# fetch_jars NAME VERSION SIZE DEPENDENCY...: sets `jars` to the folder that holds them. A dependency is
# group:artifact:version; NAME.sha256 beside this file lists every jar that comes, JARS_RECORD=1 writes it.
# JARS_ONLY=ARTIFACT,…: these alone, of all that comes with them. One fetches, the others wait and find it done.
fetch_jars() {
    name=$1 version=$2 size=$3
    shift 3
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/clickmill/$name
    pins=$here/$name.sha256
    jars=$cache/$version-$(sha256sum "$pins" 2>/dev/null | cut -c1-12)
    [ -z "${JARS_RECORD:-}" ] && [ -d "$jars" ] && return 0
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    flock 9
    [ -z "${JARS_RECORD:-}" ] && [ -d "$jars" ] && exec 9>&- && return 0
    command -v mvn >/dev/null || die "needs maven (scripts/install-packages.sh test)"
    echo "$(basename "$self"): fetching $name $version once into $cache (about $size)" >&2
    new=$(mktemp -d "$cache/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo "<groupId>local</groupId><artifactId>$name</artifactId><version>1</version><dependencies>"
        echo "$@" | tr ' ' '\n' | sed 's|\(.*\):\(.*\):\(.*\)|<dependency><groupId>\1</groupId><artifactId>\2</artifactId><version>\3</version></dependency>|'
        echo '</dependencies></project>'
    } >"$new/pom.xml"
    mvn -B -q -f "$new/pom.xml" "-Dmaven.repo.local=$new/m2" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DincludeScope=runtime ${JARS_ONLY:+"-DincludeArtifactIds=$JARS_ONLY"} "-DoutputDirectory=$new/lib" >"$new/log" 2>&1 ||
        { cat "$new/log" >&2; die "cannot download $name $version, and $jars is not there to do without"; }
    if [ -n "${JARS_RECORD:-}" ]; then
        (cd "$new/lib" && sha256sum *) >"$pins"
        echo "$(basename "$self"): wrote $pins" >&2
        jars=$cache/$version-$(sha256sum "$pins" | cut -c1-12)
        rm -rf "$jars"
    fi
    [ "$(ls "$new/lib")" = "$(sed 's/^[0-9a-f]*  //' "$pins")" ] || die "$name $version has other jars than $name.sha256 lists"
    (cd "$new/lib" && sha256sum -c --quiet "$pins") >&2 || die "a downloaded jar is not the one $name.sha256 names"
    mv "$new/lib" "$jars"
    rm -rf "$new"
    trap - EXIT
    exec 9>&-
}

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
