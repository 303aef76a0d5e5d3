#!/bin/bash
# Runs the tests with the flags given, counts what passed, failed and was skipped, and
# with CI=true lets no skip pass.
set -eu -o pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
go test -v -shuffle=on -timeout 20m "$@" ${PACKAGES:-./...} >"$log" 2>&1 || status=$?
# What fails is shown whole, the rest by package.
grep -E '^(ok|FAIL|panic:|---|\?|\s+--- FAIL|-test.shuffle)|DATA RACE' "$log" | grep -vE 'no test files|^--- PASS|^--- SKIP|^-test.shuffle' || true
if [ $status -ne 0 ]; then
	echo "--- output of what failed"
	grep -vE '^\s*(=== (RUN|PAUSE|CONT|NAME)|--- PASS)' "$log" | tail -n 400
fi
passed=$(grep -cE '^\s*--- PASS' "$log" || true)
failed=$(grep -cE '^\s*--- FAIL' "$log" || true)
skipped=$(grep -cE '^\s*--- SKIP' "$log" || true)
if [ "$skipped" -gt 0 ]; then
	echo "skipped:"
	grep -A3 -E '^\s*--- SKIP' "$log" | grep -vE '^--$|=== ' || true
fi
echo "$passed passed, $failed failed, $skipped skipped"
if [ -n "${CI:-}" ] && [ "$skipped" -gt 0 ]; then
	echo "in CI a skipped test is a failed one"
	exit 1
fi
exit $status
