// Package peers holds no code, only the tests that compare the DNS server with others:
// a naive resolver over miekg/dns, and Knot, NSD and BIND on the same exported zones.
//
// TestDifferential asks DARK_DIFF_QUERIES questions (20,000 without it; 4,000 under the
// race detector, whatever it says) of Dark's own sockets and of the peers at once.
// testdata/differences.txt is the kept list of differences and their reasons; what it
// does not explain fails. TestDifferentialCatches is the control run.
package peers
