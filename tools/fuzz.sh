#!/bin/bash
# Runs each fuzz test for the time given, one after the other.
set -eu -o pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fuzz() { # fuzz PACKAGE NAME
	go test "./$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" -parallel 2 2>&1 |
		grep -vE '^fuzz: (elapsed|minimizing)' | tee "$out"
}

# Go before 1.27 may take the end of its own fuzz time for a failure (golang/go#75804):
# the whole report is then "context deadline exceeded", with no input. Anything else that
# fails has found something.
ended_late() {
	grep -qx '    context deadline exceeded' "$out" &&
		! grep -qE 'Failing input|panic:|_test\.go:|hung or terminated' "$out"
}

n=0
while IFS=: read -r file _ line; do
	name=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/' <<<"$line")
	echo "== $name in $(dirname "$file")"
	if ! fuzz "$(dirname "$file")" "$name"; then
		ended_late
		echo "== $name again: the fuzzer failed at the end of its time, without an input"
		fuzz "$(dirname "$file")" "$name"
	fi
	n=$((n + 1))
done < <(grep -rnE '^func Fuzz[A-Z]' --include='*_test.go' . | sed 's|^\./||')
echo "$n passed, 0 failed"
