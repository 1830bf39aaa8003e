#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install-packages.sh build|test: installs the Debian packages that are missing. `test` includes `build`.
set -eu

die() { echo "install-packages: $*" >&2; exit 1; }

want="git gcc g++ binutils meson ninja-build pkg-config ca-certificates
    libpq-dev libcurl4-openssl-dev libsqlite3-dev libexpat1-dev libzstd-dev nettle-dev libmicrohttpd-dev"
# A go or pip of another origin is as good: they only download.
command -v go >/dev/null || want="$want golang-go"
command -v pip3 >/dev/null || want="$want python3-pip"
case ${1:-} in
build) ;;
test) want="$want clang libclang-rt-14-dev llvm clang-format clang-tidy pmccabe
    libcmocka-dev postgresql python3-venv openssl curl"
    # For Kafka, HDFS and Spark in the tests (test/services/); S3 needs the go above.
    command -v java >/dev/null || want="$want openjdk-17-jre-headless"
    command -v mvn >/dev/null || want="$want maven" ;;
*) echo "usage: $0 build|test" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null ||
    die "this is no Debian; install what these packages hold by other means:" $want
have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $want 2>/dev/null | sed -n 's/ installed$//p')
missing=
for p in $want; do
    case "
$have
" in *"
$p
"*) ;; *) missing="$missing $p" ;; esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    root=
elif command -v sudo >/dev/null; then
    root=sudo
else
    die "these packages are missing, and you are neither root nor have sudo:$missing"
fi
echo "install-packages: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt="$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300"
# The lists of a fresh machine are empty or old. Output goes to stderr: stdout belongs to the caller.
$apt update >&2 || die "cannot read the package lists; still to install:$missing"
$apt install --no-install-recommends $missing >&2 || die "cannot install:$missing"
