#!/usr/bin/env bash
# Runs a command with the Open vSwitch of another Debian release in the place of this machine's:
#
#   tools/with-open-vswitch.sh trixie ./isobar test ovs
#
# The release is fetched once, with debootstrap, into the cache (about 250 MB). Needs root.
set -o errexit -o nounset -o pipefail

release="${1:?expected a release of Debian such as trixie, and a command}"
shift
cache="${XDG_CACHE_HOME:-$HOME/.cache}/isobar/open-vswitch"
root="$cache/$release"
bin="$cache/$release.bin"

fetch() {
  command -v debootstrap >/dev/null || apt-get install --yes --quiet debootstrap
  rm --recursive --force "$root"
  mkdir --parents "$cache"
  debootstrap --variant=minbase --include=openvswitch-switch "$release" "$root"
  touch "$root/complete"
}

# The programs run on this machine as they are, with the libraries that they were built for.
wrap() {
  local name="$1" program="$2" loader
  loader=("$root"/lib*/ld-linux-*.so.*)
  cat >"$bin/$name" <<EOF
#!/bin/sh
exec "${loader[0]}" --library-path "$(printf '%s:' "$root"/usr/lib/*-linux-gnu)" --argv0 "$name" "$program" "\$@"
EOF
  chmod +x "$bin/$name"
}

[ -e "$root/complete" ] || fetch >&2
mkdir --parents "$bin"
for name in ovs-appctl ovs-dpctl ovs-ofctl ovs-vsctl ovsdb-client ovsdb-tool; do
  wrap "$name" "$root/usr/bin/$name"
done
wrap ovsdb-server "$root/usr/sbin/ovsdb-server"
wrap ovs-vswitchd "$root/usr/lib/openvswitch-switch/ovs-vswitchd"
schema="$(find "$root/usr/share/openvswitch" -name vswitch.ovsschema -print -quit)"

export PATH="$bin:$PATH"
# Where Open vSwitch's own programs look for it too: ovsdb-server(1).
export OVS_PKGDATADIR="${schema%/*}"
exec "$@"
