package command

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/dnsquery"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// devDNS is where the edge of darkd dev answers.
const devDNS = "127.0.0.1:5300"

// DNS is about what edges answer. It asks them, not the installation.
func DNS(s *session) *cobra.Command {
	return group("dns", "ask an edge as its clients do", s.dnsQuery())
}

type dnsQuery struct {
	*session
	edge, from string
	q          dnsquery.Query
}

func (s *session) dnsQuery() *cobra.Command {
	d := &dnsQuery{session: s}
	c := &cobra.Command{
		Use: "query NAME [TYPE]", Short: "ask an edge for records, as a client of a given address",
		Example: "  dark dns query www.example.com AAAA --edge 192.0.2.53\n  dark dns query www.example.com --from " +
			"198.51.100.7 --dnssec",
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error { return d.run(c.Context(), args) },
	}
	c.Flags().StringVar(&d.edge, "edge", devDNS, "`ADDRESS[:PORT]` of the edge; port 53 when there is none")
	c.Flags().StringVar(&d.from, "from", "",
		"`ADDRESS` of the client on whose behalf is asked; its /24 or /56 is sent (RFC 7871), or the prefix given")
	c.Flags().BoolVar(&d.q.TCP, "tcp", false, "ask over TCP at once")
	c.Flags().BoolVar(&d.q.DNSSEC, "dnssec", false, "ask for signatures")
	return c
}

func (d *dnsQuery) run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return exit.New(exit.Usage, "dark dns query NAME [TYPE]", "which name?")
	}
	d.q.Name, d.q.Type = args[0], dnsmessage.TypeA
	var err error
	if len(args) > 1 {
		if d.q.Type, err = dnsquery.ParseType(args[1]); err != nil {
			return exit.New(exit.Usage, "dark dns query NAME TYPE", "%v", err)
		}
	}
	if d.from != "" {
		if d.q.From, err = dnsquery.Prefix(d.from); err != nil {
			return exit.New(exit.Usage, "--from 192.0.2.7", "%v", err)
		}
	}
	if _, _, err := net.SplitHostPort(d.edge); err != nil {
		d.edge = net.JoinHostPort(strings.Trim(d.edge, "[]"), "53")
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	a, err := dnsquery.Ask(ctx, d.edge, d.q)
	if err != nil {
		return exit.New(exit.Unavailable, "--edge ADDRESS:PORT of an edge that runs; dark nodes lists them",
			"%s gives no answer: %v", d.edge, err)
	}
	return d.value(answerValue(a), func() error {
		_, err := fmt.Fprint(d.Out, answerText(a))
		return err
	})
}

func headerFlags(h dnsmessage.Header) []string {
	out := []string{}
	for _, f := range []struct {
		set  bool
		name string
	}{
		{h.Response, "qr"},
		{h.Authoritative, "aa"},
		{h.Truncated, "tc"},
		{h.RecursionDesired, "rd"},
		{h.RecursionAvailable, "ra"},
		{h.AuthenticData, "ad"},
		{h.CheckingDisabled, "cd"},
	} {
		if f.set {
			out = append(out, f.name)
		}
	}
	return out
}

var sectionNames = [3]string{"answer", "authority", "additional"}

// answerText is for reading; lines that are no records begin with ";".
func answerText(a *dnsquery.Answer) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("; %s, flags %s", dnsquery.RCodeName(a.RCode), strings.Join(headerFlags(a.Header), " "))
	for _, q := range a.Question {
		line("; question: %s %s %s", q.Name, q.Class, q.Type)
	}
	if e := a.EDNS; e != nil {
		for _, x := range e.Extended {
			line("; why: %s (%d) %s", dnsquery.ExtendedName(x.Code), x.Code, x.Text)
		}
		if e.Subnet != "" {
			line("; client subnet: %s", e.Subnet)
		}
	}
	for i, records := range a.Sections {
		if len(records) == 0 {
			continue
		}
		line("\n; %s", sectionNames[i])
		for _, r := range records {
			line("%s\t%d\t%s\t%s\t%s", r.Name, r.TTL, r.Class, r.Type, r.Data)
		}
	}
	line("")
	if a.Truncated {
		line("; cut short over udp, asked again over tcp")
	}
	line("; %s over %s, %.1f ms, %d octets", a.Server, a.Transport, float64(a.Took.Microseconds())/1000, a.Octets)
	if a.EDNS != nil && a.EDNS.NSID != "" {
		line("; server says it is %s", a.EDNS.NSID)
	}
	return b.String()
}

// answerValue is for scripts.
func answerValue(a *dnsquery.Answer) map[string]any {
	out := map[string]any{
		"server": a.Server, "transport": a.Transport, "milliseconds": float64(a.Took.Microseconds()) / 1000,
		"octets":           a.Octets,
		"truncatedOverUdp": a.Truncated, "id": int(a.Header.ID), "rcode": dnsquery.RCodeName(a.RCode),
		"flags": list(headerFlags(a.Header)), "question": recordValues(a.Question, false),
	}
	for i, name := range sectionNames {
		out[name] = recordValues(a.Sections[i], true)
	}
	if e := a.EDNS; e != nil {
		errors := []any{}
		for _, x := range e.Extended {
			errors = append(errors, map[string]any{
				"code": x.Code, "meaning": dnsquery.ExtendedName(x.Code),
				"text": x.Text,
			})
		}
		out["edns"] = map[string]any{
			"version": e.Version, "udpSize": e.UDPSize, "dnssec": e.DNSSEC, "nsid": e.NSID, "clientSubnet": e.Subnet,
			"extendedErrors": errors,
		}
	}
	return out
}

func list(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}

func recordValues(in []dnsquery.Record, data bool) []any {
	out := []any{}
	for _, r := range in {
		v := map[string]any{"name": r.Name, "class": r.Class, "type": r.Type}
		if data {
			v["ttl"], v["data"] = int(r.TTL), r.Data
		}
		out = append(out, v)
	}
	return out
}
