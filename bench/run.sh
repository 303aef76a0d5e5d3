#!/bin/bash
# Measures: all benches in turn, or those that are named. `SMOKE=1` runs each for about
# two seconds, to see that it works; its numbers mean nothing. RESULTS.md holds the last
# results. Needs bin/darkd (`make build`); writes needs Debian's etcd-server, dns needs
# dnsperf, knot and nsd.
#
#   bench/run.sh [writes] [change] [import] [dns]
set -eu -o pipefail
cd "$(dirname "$0")/.."
export DARKD_BIN=${DARKD_BIN:-$PWD/bin/darkd}
smoke=${SMOKE:-}
[ $# -gt 0 ] || set -- writes change import dns

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

for name in "$@"; do
	case $name in
	writes) bench writes -seconds 5 -rounds 3 -- -seconds 1 -rounds 1 -clients 64 -warm 100ms ;;
	change) bench change -records 1000000 -changes 100 -- -records 1000 -changes 10 ;;
	import) bench import -records 1000000 -- -records 5000 ;;
	dns) bench dns -names 100000 -seconds 4 -rounds 3 -- -names 1000 -seconds 1 -rounds 1 ;;
	*)
		echo "bench/run.sh: no bench is called $name; there are writes, change, import, dns" >&2
		exit 2
		;;
	esac
done
