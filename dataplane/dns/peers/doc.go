// Package peers has no code of its own. Its tests compare Dark's answers with those of
// a naive resolver and with those of Knot, NSD and BIND serving the same zones, which
// the writer of package masterfile exports to them.
package peers
