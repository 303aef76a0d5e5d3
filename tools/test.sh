#!/bin/bash
# Runs the tests with the flags given, counts what passed, failed and was skipped, and
# with CI=true lets no skip pass. Tests print names of every kind: the log is read as text.
# Packages whose tests elect leaders and hold promises of a second run last, one by one:
# what other packages do with the cores would be measured there too.
set -eu -o pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
export DARK_TIMES=$log.times DARK_ROOT=$PWD
trap 'rm -f "$log" "$DARK_TIMES"' EXIT
status=0
alone='/(deploy/lab|internal/consensus(/.*)?|controlplane/feed|edge|edge/config|cmd/darkd)$'
packages=$(go list ${PACKAGES:-./...})
run() { # run FLAGS with the packages of standard input, if any
	mapfile -t these
	[ ${#these[@]} -eq 0 ] || go test -exec "$PWD/tools/timed.sh" -v -shuffle=on -timeout 20m "$@" "${these[@]}" >>"$log" 2>&1 || status=$?
}
run "$@" < <(grep -vE "$alone" <<<"$packages")
run -p 1 "$@" < <(grep -E "$alone" <<<"$packages")
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
# Budgets are for the race detector on CI's machine; elsewhere the table is only shown.
if ! awk -f tools/budgets.awk tools/budgets.txt "$DARK_TIMES" && [ -n "${CI:-}" ] && [ $status -eq 0 ]; then
	status=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
if [ -n "${CI:-}" ] && [ "$skipped" -gt 0 ]; then
	echo "in CI a skipped test is a failed one"
	exit 1
fi
exit $status
