#!/usr/bin/env bash
# Builds what the cluster's tests run into the cache, unless it is there: Kubernetes' programs in one file, of the release
# in tools/kubernetes/go.mod, and what runs in containers. Prints the paths of both.
# Needs Go and its module proxy; the first time takes some minutes.
set -o errexit -o nounset -o pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
module="$here/kubernetes"
source="$here/../test/cluster/workload.go"
release="$(sed -n 's/^\tk8s\.io\/kubernetes v//p' "$module/go.mod")"
needed="$(sed -n 's/^go //p' "$module/go.mod")"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/isobar/kubernetes"

# Prints a name that changes with what is in the files.
name() { printf '%s-%s' "$1" "$(cat "${@:2}" | sha256sum | cut --characters=1-12)"; }
kubernetes="$cache/$(name "kubernetes-$release" "$module"/{go.mod,go.sum,main.go})"
workload="$cache/$(name workload "$source")"

say() { printf 'build-kubernetes: %s\n' "$*" >&2; }

require_go() {
  command -v go >/dev/null || { say "Go is missing: Kubernetes $release is built with Go $needed or newer"; exit 1; }
  local found
  found="$(GOTOOLCHAIN=local go env GOVERSION)"
  found="${found#go}"
  [ "$(printf '%s\n' "$needed" "$found" | sort --version-sort | head --lines=1)" = "$needed" ] ||
    { say "Kubernetes $release is built with Go $needed or newer, and this is Go $found"; exit 1; }
}

build_kubernetes() {
  local version="k8s.io/component-base/version" minor="${release#1.}"
  local settings="-X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*} -X $version.gitVersion=v$release"
  say "building Kubernetes $release"
  cd "$module"
  go build -mod=readonly -trimpath -ldflags "-s -w $settings" -o "$1" .
}

made=""
trap '[ -z "$made" ] || rm --force "$made"' EXIT

# The file is there whole or not at all.
build() {
  [ ! -e "$2" ] || return 0
  require_go
  made="$2.$$"
  (export GOTOOLCHAIN=local CGO_ENABLED=0; "$1" "$made")
  mv "$made" "$2"
}

build_workload() { go build -trimpath -ldflags "-s -w" -o "$1" "$source"; }

mkdir --parents "$cache"
# Two that need it at once build it once.
exec 9>"$cache/lock"
flock 9
build build_kubernetes "$kubernetes"
build build_workload "$workload"
# What nobody has built for a month is not used any more.
find "$cache" -type f -name '*-*' -mtime +30 ! -path "$kubernetes" ! -path "$workload" -delete
printf '%s\n' "$kubernetes" "$workload"
