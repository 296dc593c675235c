#!/usr/bin/env bash
# Builds kubectl of a Kubernetes release (MINOR.PATCH of 1.x, e.g. 36.0) from its Go module into the cache where
# test/kubectl.test.ts looks for it. Needs Go and its module proxy; takes some minutes.
set -o errexit -o nounset -o pipefail

release="${1:?expected a release such as 36.0}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/isobar/kubectl"
work="$(mktemp --directory)"
trap 'rm --recursive --force "$work"' EXIT
cd "$work"

cat >go.mod <<'EOF'
module kubectl
EOF
cat >main.go <<'EOF'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() { os.Exit(cli.Run(cmd.NewDefaultKubectlCommand())) }
EOF
go get "k8s.io/kubectl@v0.$release"
go mod tidy
version="k8s.io/component-base/version"
mkdir --parents "$cache"
go build -ldflags "-s -w -X $version.gitMajor=1 -X $version.gitMinor=${release%%.*} -X $version.gitVersion=v1.$release" \
	-o "$cache/kubectl-1.${release%%.*}" .
echo "$cache/kubectl-1.${release%%.*}"
