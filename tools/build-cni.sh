#!/usr/bin/env bash
# Builds the CNI executable (default: build/isobar-cni) unless it is there and newer than its source. Needs gcc and the
# static C library (Debian: gcc, libc6-dev).
set -o errexit -o nounset -o pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source="$here/src/cni/isobar.c"
target="${1:-$here/build/isobar-cni}"

[ "$target" -nt "$source" ] && exit
mkdir --parents "$(dirname "$target")"
# Under another name first: several may build at once, and one that runs cannot be overwritten.
new="$(mktemp "$target.XXXXXX")"
trap 'rm --force "$new"' EXIT
"${CC:-gcc}" -std=c17 -O2 -static -s -Wall -Wextra -Werror -o "$new" "$source"
chmod 755 "$new"
mv "$new" "$target"
