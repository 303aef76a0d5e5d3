#!/bin/bash
# Measures an edge's DNS beside Knot and NSD: CPU while idle and a query, and the memory,
# with 100,000 names and with 10. SMOKE=1 takes a few seconds and means nothing.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
if [ -n "${SMOKE:-}" ]; then
	exec go run ./bench/dns -names 1000 -seconds 1 -rounds 1
fi
go run ./bench/dns -names 100000 -seconds "${SECONDS_EACH:-4}" -rounds "${ROUNDS:-3}"
go run ./bench/dns -names 10 -seconds "${SECONDS_EACH:-4}" -rounds "${ROUNDS:-3}"
