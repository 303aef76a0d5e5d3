#!/bin/bash
# Runs each fuzz test for the time given, one after the other.
set -eu -o pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}
n=0
while IFS=: read -r file _ line; do
	name=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/' <<<"$line")
	echo "== $name in $(dirname "$file")"
	go test "./$(dirname "$file")" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -parallel 2 | grep -vE '^fuzz: (elapsed|minimizing)' 
	n=$((n + 1))
done < <(grep -rnE '^func Fuzz[A-Z]' --include='*_test.go' . | sed 's|^\./||')
echo "$n passed, 0 failed"
