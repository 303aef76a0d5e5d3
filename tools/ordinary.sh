#!/bin/bash
# Runs the tests that need neither root nor tools as an ordinary user, from a copy of the
# tree that everyone may read. Skips count, and are no failure here: what lacks root says so.
set -eu -o pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
mkdir "$dir/src" "$dir/bin" "$dir/tmp"
chmod 1777 "$dir/tmp"
git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$dir/src"
chmod -R a+rX "$dir/src"
status=0 passed=0 failed=0 skipped=0
for pkg in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./internal/... ./controlplane/... ./dataplane/... ./edge/...); do
	folder=${pkg#github.com/dark-ecosystem/dark/}
	go test -c -o "$dir/bin/test" "$pkg"
	chmod 755 "$dir/bin/test"
	if ! (cd "$dir/src/$folder" && env -u CI HOME="$dir/tmp" TMPDIR="$dir/tmp" \
		setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/bin/test" -test.v -test.short -test.timeout 5m) >"$dir/log" 2>&1; then
		status=1
		echo "FAIL $folder"
		awk -f tools/failures.awk "$dir/log"
	fi
	passed=$((passed + $(grep -acE '^\s*--- PASS' "$dir/log" || true)))
	failed=$((failed + $(grep -acE '^\s*--- FAIL' "$dir/log" || true)))
	skipped=$((skipped + $(grep -acE '^\s*--- SKIP' "$dir/log" || true)))
done
echo "ordinary: $passed passed, $failed failed, $skipped skipped"
exit $status
