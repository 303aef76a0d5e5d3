#!/bin/sh
# Compares the protos with those on origin/main, where there is one: wire and stored
# formats must go on being understood.
set -eu
cd "$(dirname "$0")/.."
if git rev-parse --verify --quiet origin/main:buf.yaml >/dev/null; then
	buf breaking --against '.git#ref=refs/remotes/origin/main'
else
	echo "no protos on origin/main to compare with"
fi
