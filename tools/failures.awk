# Shows of `go test -v` what the failed tests said, each by its name, and their names last:
# whoever sees but the end of a long run sees which they are.
# A line belongs to the test that "=== RUN", "=== CONT" or "=== NAME" named last.
function forget() { delete said; delete lines; current = seed = ""; dying = 0 }
/^=== (RUN|CONT|NAME) / { current = $3; next }
/^=== PAUSE / { next }
/^ *--- FAIL: / { failed[++n] = $3 " " $4; show($3); current = ""; next }
/^ *--- (PASS|SKIP): / { delete lines[$3]; next }
/^(panic|fatal error): / { dying = 200; failed[++n] = $0 }
dying > 0 && !/^FAIL/ { print; dying--; next }
/^-test.shuffle / { seed = " " $0; next }
/^FAIL[ \t]+[^ \t]/ { show(""); failed[++n] = $0 seed }
/^(ok|FAIL|\?)[ \t]+[^ \t]/ { forget(); next }
{ lines[current]++; said[current, lines[current] % keep] = $0 }
function show(name,   i, from) {
	if (name != "") print "--- " name
	from = lines[name] > keep ? lines[name] - keep + 1 : 1
	for (i = from; i <= lines[name]; i++) print substr(said[name, i % keep], 1, 400)
}
BEGIN { keep = 80 }
END { if (n) print "--- what failed"; for (i = 1; i <= n; i++) print failed[i] }
