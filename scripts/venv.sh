#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# venv.sh [FILE]: makes the Python environment of the tests, or of another file of requirements, and
# prints its folder. It lives in the user's cache, one for each content of the file.
set -eu
die() { echo "venv: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")/.." && pwd)
wanted=${1:-$here/test/requirements.txt}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clickmill/venv
key=$({ python3 -c 'import sys; print(sys.base_prefix, sys.version)'; cat "$wanted"; } |
    sha256sum | cut -c1-16)
dest=$cache/$key
[ -e "$dest/.done" ] && echo "$dest" && exit 0

# A venv knows its own path, so it is made in place; the mark at the end says it is whole.
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock -w 2200 9 || die "another has been making it for half an hour"
[ -e "$dest/.done" ] && echo "$dest" && exit 0
rm -rf "$dest"
echo "venv: installing $wanted once into $dest" >&2
python3 -m venv "$dest" >&2 || die "cannot make a venv (scripts/install-packages.sh test)"
timeout -k 10 2000 "$dest/bin/pip" -q --disable-pip-version-check install -r "$wanted" >&2 ||
    die "cannot install $wanted; no network?"
touch "$dest/.done"
echo "$dest"
