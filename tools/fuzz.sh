#!/bin/bash
# Runs each fuzz test for the time given, one after the other.
set -eu -o pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fuzz() { # fuzz PACKAGE NAME: its output is in $out
	go test "./$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" -parallel 2 >"$out" 2>&1
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
	package=$(dirname "$file")
	echo "== $name in $package"
	if ! fuzz "$package" "$name" && ended_late; then
		echo "== $name again: the fuzzer stopped at the end of its time with an error, and without an input"
		fuzz "$package" "$name" || true
	fi
	grep -vE '^fuzz: (elapsed|minimizing)' "$out"
	if ! grep -q '^ok' "$out"; then exit 1; fi
	n=$((n + 1))
done < <(grep -rnE '^func Fuzz[A-Z]' --include='*_test.go' . | sed 's|^\./||')
echo "$n passed, 0 failed"
