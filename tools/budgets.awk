# Prints what each package's tests took, the dearest first, and fails where one took more
# than twice its budget of CPU: awk -f budgets.awk budgets.txt times
# times has a line for each run of a package: folder, user, system and elapsed seconds.
# A package without a line in budgets.txt has a budget of 5 seconds.
FNR == NR { if ($0 !~ /^#/ && NF == 2) budget[$1] = $2; next }
{ cpu[$1] += $2 + $3; took[$1] += $4; all += $2 + $3 }
END {
	print "CPU s   budget  took s  package"
	for (p in cpu) {
		b = p in budget ? budget[p] : 5
		line = sprintf("%7.1f %7d %7.1f  %s", cpu[p], b, took[p], p)
		if (cpu[p] > 2 * b) { over[++n] = line; line = line "  OVER" }
		if (cpu[p] >= 2 || cpu[p] > 2 * b) print line | "sort -rn"
	}
	close("sort -rn")
	printf "%7.1f seconds of CPU in all; packages under 2 are not shown\n", all
	for (i = 1; i <= n; i++) print "more than twice its budget in tools/budgets.txt: " over[i]
	exit n > 0
}
