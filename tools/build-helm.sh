#!/usr/bin/env bash
# Builds Helm into the cache, unless it is there, and prints its path. Needs Go and its module proxy; the first time takes
# some minutes.
set -o errexit -o nounset -o pipefail

release=3.22.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/isobar/bin"
helm="$cache/helm-v$release"

say() { printf 'build-helm: %s\n' "$*" >&2; }

mkdir --parents "$cache"
# Two that need it at once build it once.
exec 9>"$cache/lock"
flock 9
if [ ! -x "$helm" ]; then
  command -v go >/dev/null ||
    { say "Go is missing: the tests of the chart build Helm $release with it"; exit 1; }
  say "building Helm $release"
  made="$(mktemp --directory "$cache/helm.XXXXXX")"
  trap 'rm --recursive --force "$made"' EXIT
  GOTOOLCHAIN=local GOBIN="$made" CGO_ENABLED=0 go install "helm.sh/helm/v3/cmd/helm@v$release" ||
    { say "Helm $release could not be built with $(go env GOVERSION)"; exit 1; }
  mv "$made/helm" "$helm"
fi
printf '%s\n' "$helm"
