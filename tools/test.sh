#!/bin/bash
# Runs the tests with the flags given, counts what passed, failed and was skipped, and
# with CI=true lets no skip pass. Tests print names of every kind: the log is read as text.
set -eu -o pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
go test -v -shuffle=on -timeout 20m "$@" ${PACKAGES:-./...} >"$log" 2>&1 || status=$?
grep -aE '^(ok|FAIL)\s|DATA RACE' "$log" || true
passed=$(grep -acE '^\s*--- PASS: ' "$log" || true)
failed=$(grep -acE '^\s*--- FAIL: ' "$log" || true)
skipped=$(grep -acE '^\s*--- SKIP: ' "$log" || true)
if [ "$skipped" -gt 0 ]; then
	echo "skipped:"
	grep -aA3 -E '^\s*--- SKIP: ' "$log" | grep -vE '^--$|=== ' || true
fi
if [ $status -ne 0 ]; then
	awk -f tools/failures.awk "$log"
fi
echo "$passed passed, $failed failed, $skipped skipped"
if [ -n "${CI:-}" ] && [ "$skipped" -gt 0 ]; then
	echo "in CI a skipped test is a failed one"
	exit 1
fi
exit $status
