package main

import (
	"fmt"
	"strconv"

	"github.com/dark-ecosystem/dark/edge"
)

// dnsSettings are those of an edge's DNS, beside its addresses. Numbers are text so that
// files and the environment may give them too.
type dnsSettings struct {
	nsid, serverID, queryLog, dnstap string
	sample, rate                     string
}

func (d *dnsSettings) declare(s *settings) {
	s.text(&d.nsid, "nsid", "", "`TEXT` for who asks which server this is (RFC 5001); the edge's name when empty, - "+
		"for none")
	s.text(&d.serverID, "id-server", "", "`TEXT` that answers id.server (RFC 4892); the edge's name when empty, - "+
		"for none")
	s.text(&d.queryLog, "query-log", "", "`FILE` to append queries to, a line of JSON each; none when empty")
	s.text(&d.sample, "query-log-sample", "1", "log one in `N` queries; dnstap gets the same ones")
	s.text(&d.dnstap, "dnstap", "", "Unix socket that a reader of dnstap listens on, or `FILE` begun anew at each "+
		"start")
	s.text(&d.rate, "dns-rate", "0", "`N` answers a second over UDP that one network gets; 0 for 500, negative for "+
		"no limit")
}

func (d *dnsSettings) configure(c *edge.Config) (err error) {
	c.NSID, c.ServerID, c.QueryLog, c.DNSTap = d.nsid, d.serverID, d.queryLog, d.dnstap
	if c.QueryLogSample, err = number("query-log-sample", d.sample, 1); err != nil {
		return err
	}
	if c.QueryLogSample < 1 {
		return usageError{fmt.Errorf("query-log-sample %d: one in how many?", c.QueryLogSample)}
	}
	c.DNSRate, err = number("dns-rate", d.rate, 0)
	return err
}

// number is a setting's; empty stands for def.
func number(name, text string, def int) (int, error) {
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, usageError{fmt.Errorf("%s: %q is not a number", name, text)}
	}
	return n, nil
}
