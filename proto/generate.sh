#!/bin/sh
# Writes all Go code and the OpenAPI document from the protos; run by `make generate`,
# which puts buf and its plugins on PATH.
set -eu
cd "$(dirname "$0")/.."
rm -rf .gateway
buf generate
# The gateway of dark/X/v1 goes into its own package, dark/X/v1/gw, so that clients do
# not link it.
find .gateway -name '*.pb.gw.go' | while read -r f; do
	dir=proto${f#.gateway/proto}
	dir=$(dirname "$(dirname "$dir")")/gw
	mkdir -p "$dir"
	sed 's/^package [a-z]*$/package gw/' "$f" >"$dir/$(basename "$f")"
done
rm -rf .gateway
