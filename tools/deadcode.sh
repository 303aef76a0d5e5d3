#!/bin/bash
# Fails where a function can be reached from neither command and tools/deadcode.txt does
# not name it with a reason, and where it names one that is gone.
set -eu -o pipefail
cd "$(dirname "$0")/.."
dead=$("deadcode-$DEADCODE" ./cmd/darkd ./cmd/dark | sed -E 's/:[0-9]+:[0-9]+: unreachable func: / /' | sort)
kept=$(sed 's/:.*//' tools/deadcode.txt | sort)
if ! diff <(echo "$kept") <(echo "$dead"); then
	echo "a function that neither command reaches goes (>), and so does a line of tools/deadcode.txt without one (<)"
	exit 1
fi
