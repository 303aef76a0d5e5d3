#!/bin/bash
# again.sh FAILURES FLAGS...: of a run of thousands of tests one may fail because the
# machine stood still. FAILURES is what tools/failures.awk said of the run. Up to three tests
# that failed are run three times more, alone; it is a failure for good when one fails
# again, and at once when something panicked, raced, or told of what was acknowledged.
set -eu -o pipefail
failures=$1
shift
if grep -aqiE 'panic:|DATA RACE|fatal error|build failed|acknowledged|acked|\blost\b|torn|illegal|leak' "$failures"; then
	exit 1
fi
mapfile -t tests < <(sed '1,/^--- what failed$/d' "$failures" | awk '
	/^(Test|Fuzz|Example)[^\/]* \(/ { names[++n] = $1; next }
	/^FAIL[ \t]/ { for (i = 1; i <= n; i++) print $2, names[i]; if (!n) print $2, "-"; n = 0 }')
if [ ${#tests[@]} -eq 0 ] || [ ${#tests[@]} -gt 3 ]; then
	exit 1
fi
for each in "${tests[@]}"; do
	read -r package name <<<"$each"
	[ "$name" != - ] || exit 1
	echo "again, three times alone: $name of $package"
	go test -v -count=3 -timeout 10m "$@" -run "^$name\$" "$package" >"$failures.again" 2>&1 || {
		awk -f tools/failures.awk "$failures.again"
		exit 1
	}
done
echo "${#tests[@]} failed once and passed three times alone; what it said is above, and it is to be mended"
