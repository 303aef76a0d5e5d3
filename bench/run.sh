#!/bin/bash
# Measures: all benches in turn, or those that are named. `SMOKE=1` runs each for about
# two seconds, to see that it works; its numbers mean nothing. RESULTS.md holds the last
# results. Needs bin/darkd and bin/dark (`make build`); s3cli compares with rclone where
# that is installed; writes needs Debian's etcd-server, dns needs dnsperf, knot and nsd; s3 installs versitygw through the Go module proxy, and measures
# without it where that cannot be.
#
#   bench/run.sh [writes] [change] [import] [dns] [s3] [s3cli] [store] [disk] [syncs]
set -eu -o pipefail
cd "$(dirname "$0")/.."
export DARKD_BIN=${DARKD_BIN:-$PWD/bin/darkd}
smoke=${SMOKE:-}
[ $# -gt 0 ] || set -- writes change import dns s3 s3cli store disk syncs

bench() { # bench NAME full-arguments -- smoke-arguments
	local name=$1 full=() short=()
	shift
	while [ "$1" != -- ]; do full+=("$1"); shift; done
	shift
	short=("$@")
	if [ -n "$smoke" ]; then full=("${short[@]}"); fi
	printf '\n## bench/%s %s\n\n' "$name" "${full[*]}"
	go run "./bench/$name" "${full[@]}"
}

# versitygw prints the path of the peer of s3, or nothing.
versitygw() {
	local dir=$PWD/.tools/bin
	if [ ! -x "$dir/versitygw" ] && [ -z "$smoke" ]; then
		GOBIN=$dir GOFLAGS=-mod=mod go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 >&2 || return 0
	fi
	if [ -x "$dir/versitygw" ]; then echo "$dir/versitygw"; fi
}

# syncs compares how segments are synced: appended, allocated, recycled.
syncs() {
	printf '\n## bench/syncs\n\n'
	go test ./dataplane/store/segment -run '^$' -bench 'Sync' -benchtime "$1"
}

for name in "$@"; do
	case $name in
	writes) bench writes -seconds 5 -rounds 3 -- -seconds 1 -rounds 1 -clients 64 -warm 100ms ;;
	change) bench change -records 1000000 -changes 100 -- -records 1000 -changes 10 ;;
	import) bench import -records 1000000 -- -records 5000 ;;
	dns) bench dns -names 100000 -seconds 4 -rounds 3 -- -names 1000 -seconds 1 -rounds 1 ;;
	s3) bench s3 -seconds 4 -rounds 3 -versitygw "$(versitygw)" -- -seconds 0.3 -rounds 1 -keys 1100 ;;
	s3cli) bench s3cli -files 2000 -rounds 7 -- -files 50 -rounds 1 ;;
	store) bench store -keys 10000,10000000 -scrub 2048 -- -keys 2000 -seconds 0.3 -scrub 64 ;;
	disk) bench disk -- -works scrub,rebuild,churn -minutes 0.05 -gib 0.06 -seconds 0.5 ;;
	syncs) if [ -n "$smoke" ]; then syncs 20x; else syncs 3s; fi ;;
	*)
		echo "bench/run.sh: no bench is called $name; there are writes, change, import, dns, s3, s3cli, store, disk, syncs" >&2
		exit 2
		;;
	esac
done
