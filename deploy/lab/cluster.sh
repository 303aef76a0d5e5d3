#!/bin/bash
# Brings up three control nodes and three edges as processes on loopback addresses, and
# waits; Ctrl-C stops them. Data is kept in DATA (default .dark/cluster). The edge e1 serves
# S3: an edge answers for its own buckets, so that one endpoint has them all. The context
# "cluster" of dark has the organization demo, with an access key, and is the current one.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
data=${DATA:-$PWD/.dark/cluster}
net=${NET:-127.0.1}
bin=$PWD/bin
mkdir -p "$data"
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null; wait' EXIT INT TERM

value() { sed -nE "s/.*\"$1\":\"([^\"]*)\".*/\1/p" "$data/init.json"; }

first=false
if [ ! -e "$data/c1/node.json" ]; then
	first=true
	rm -rf "$data"/c? "$data"/e?
	(umask 077 && "$bin/darkd" init --dir "$data/c1" --name c1 --transport "$net.1:7001" \
		--nodes "c2=$net.2,c3=$net.3" --edges e1,e2,e3 -o json >"$data/init.json")
fi
control() { # control N [join flags]
	local n=$1
	shift
	"$bin/darkd" control --dir "$data/c$n" --transport "$net.$n:7001" --feed "$net.$n:7002" \
		--api "$net.$n:8080" --metrics "$net.$n:9100" --log warn "$@" 2>>"$data/c$n.log" &
}
edge() { # edge N [join flags]
	local n=$1
	shift
	"$bin/darkd" edge --dir "$data/e$n" --dns "$net.1$n:5300" --metrics "$net.1$n:9100" --log warn "$@" 2>>"$data/e$n.log" &
}
join() { if $first; then echo --join "$(value "$1")" --through "$net.1:8080"; fi; }
dark() { "$bin/dark" --addr "https://$net.1:8080" --ca "$data/c1/ca.pem" --token "$(value adminToken)" "$@"; }

control 1
until dark status >/dev/null 2>&1; do sleep 0.1; done
# shellcheck disable=SC2046
control 2 $(join c2)
# shellcheck disable=SC2046
control 3 $(join c3)
for n in 1 2 3; do
	# shellcheck disable=SC2046
	if [ "$n" = 1 ]; then edge 1 --s3 "$net.11:9000" $(join e1); else edge "$n" $(join "e$n"); fi
done
until [ "$(dark nodes 2>/dev/null | grep -c ' ready ')" = 6 ]; do sleep 0.2; done
if [ ! -s "$data/s3.json" ]; then
	dark get organization demo >/dev/null 2>&1 || dark organizations create demo >/dev/null
	dark -O demo get zone demo.test >/dev/null 2>&1 || dark -O demo zones create demo.test >/dev/null
	dark -O demo accesskeys delete demo >/dev/null 2>&1 || true
	(umask 077 && dark -O demo accesskeys create demo -o json >"$data/s3.json")
fi
secret() { sed -nE "s/.*\"$1\": *\"([^\"]*)\".*/\1/p" "$data/s3.json"; }
dark context set cluster --use --addr "https://$net.1:8080" --ca "$data/c1/ca.pem" --token "$(value adminToken)" -O demo \
	--s3-url "http://$net.11:9000" --s3-region dark --s3-access-key "$(secret accessKeyId)" --s3-secret-key "$(secret secretAccessKey)" >/dev/null
dark nodes
cat <<TEXT

Three control nodes and three edges are up; logs and data are in $data.

  bin/dark zones create example.test
  bin/dark records set example.test www A 192.0.2.1 --wait
  dig @$net.11 -p 5300 www.example.test
  bin/dark buckets create photos && bin/dark storage cp README.md darkstorage://photos/
  bin/dark members

Each of bin/dark's lines in README.md works here too. Ctrl-C stops them.
TEXT
wait
