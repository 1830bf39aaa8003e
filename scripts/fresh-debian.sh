#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fresh-debian.sh DIR [COMMAND]: proves that a bare Debian 12 is enough. Makes one in DIR (which must
# not exist) with git, make and certificates only, clones what is committed here into it and runs
# COMMAND there (`make run` by default). Needs root and debootstrap. Remove DIR when done.
# How this machine reaches its packages (mirrors, proxies, certificates) is carried over.
set -eu
die() { echo "fresh-debian: $*" >&2; exit 1; }

[ $# -ge 1 ] && [ $# -le 2 ] || { echo "usage: $0 DIR [COMMAND]" >&2; exit 2; }
root=$1 command=${2:-make run}
repo=$(cd "$(dirname "$0")/.." && pwd)

if [ -z "${FRESH_INSIDE:-}" ]; then
    [ "$(id -u)" = 0 ] || die "needs root"
    command -v debootstrap >/dev/null || die "needs debootstrap"
    [ ! -e "$root" ] || die "$root exists"
    mkdir -p "$root"
    # A mount and process namespace of its own: however this ends, nothing stays mounted or running.
    FRESH_INSIDE=1 exec unshare --mount --pid --fork --kill-child "$0" "$root" "$command"
fi

root=$(cd "$root" && pwd)
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    grep ' bookworm' | sort -u)
mirror=$(echo "$sources" | sed -n 's/^deb \([^ ]*\) bookworm main$/\1/p' | head -n 1)
[ -n "$mirror" ] || die "this machine's apt knows no bookworm"
debootstrap --variant=minbase --include=ca-certificates,git,make bookworm "$root" "$mirror" >"$root.log" 2>&1 ||
    { tail -n 5 "$root.log" >&2; die "debootstrap failed, see $root.log"; }
echo "$sources" >"$root/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::(Check-|https?::)' >"$root/etc/apt/apt.conf.d/90host" || :
# No services are started: there is no init.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
for f in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$f" ] || cp -L "$f" "$root$f"
done
for f in /usr/local/share/ca-certificates/*.crt; do # Java makes its own store of these
    [ ! -e "$f" ] || cp -L "$f" "$root/usr/local/share/ca-certificates/"
done
chroot "$root" update-ca-certificates >/dev/null 2>&1
git clone -q "$repo" "$root/clickmill"

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# Settings that say how to download, and nothing else of this machine's environment.
settings=$(env | grep -E '^(PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CERT|PROXY|DEFAULT_TIMEOUT)|SSL_CERT_[A-Z]*|(http|https|no|HTTP|HTTPS|NO)_(proxy|PROXY))=[^ ]*$' || :)
if command -v go >/dev/null; then
    settings="$settings $(go env GOPROXY GOSUMDB GONOSUMDB | paste -sd' ' | awk '{
        printf "GOPROXY=%s GOSUMDB=%s", $1, $2; if ($3) printf " GONOSUMDB=%s", $3 }')"
fi
home=/root
chroot "$root" env -i $settings HOME="$home" LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    sh -c "cd /clickmill && $command"
