package command

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/duration"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// Zones is about DNS zones.
func Zones(s *session) *cobra.Command {
	return group("zones", "list, create, delete, import, export and check DNS zones; tell how they are asked",
		s.generic("list", "list the zones", Get, "zones", cobra.NoArgs),
		s.generic("get NAME", "show one zone", Get, "zones", cobra.ExactArgs(1)),
		s.zonesCreate(),
		s.generic("delete NAME", "delete a zone and all its records", Delete, "zones", cobra.ExactArgs(1)),
		s.zonesImport(), s.zonesExport(), s.zonesCheck(), s.zonesStats())
}

// generic makes of a command over all kinds the one of a family: "zones list" is "get zones".
func (s *session) generic(use, short string, of Constructor, kind string, args cobra.PositionalArgs) *cobra.Command {
	c := of(s)
	run := c.RunE
	c.Use, c.Short, c.Long, c.Example, c.Args = use, short, "", "", args
	if f := c.Flags().Lookup("file"); f != nil {
		f.Hidden = true
	}
	if f := c.Flags().Lookup("parent"); f != nil {
		f.Hidden = true
	}
	c.RunE = func(c *cobra.Command, args []string) error { return run(c, append([]string{kind}, args...)) }
	c.ValidArgsFunction = func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		return s.completeResources(c, append([]string{kind}, args...), word)
	}
	return c
}

// zoneName is the resource's name of what someone called a zone.
// A "/" in it, as RFC 2317 has, is typed as it is.
func zoneName(name string) string {
	return "zones/" + escape(unescape(strings.TrimPrefix(name, "zones/")))
}

func (s *session) zonesCreate() *cobra.Command {
	var w write
	spec := &dnsv1.ZoneSpec{}
	c := &cobra.Command{
		Use: "create NAME", Short: "create an empty zone",
		Example: "  dark zones create example.com --contact hostmaster@example.com",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error { return s.createZone(c.Context(), args[0], spec, w) },
	}
	c.Flags().StringVar(&spec.PrimaryNameServer, "primary-name-server", "",
		"primary name server in the SOA (default: the installation's)")
	c.Flags().StringVar(&spec.Contact, "contact", "", "mailbox in the SOA (default: hostmaster of the zone)")
	c.Flags().Var(seconds{&spec.NegativeTtl}, "negative-ttl", "TTL of negative answers in seconds (default 300)")
	c.Flags().Var(seconds{&spec.DefaultTtl}, "default-ttl",
		"TTL of record sets that give none, in seconds (default 3600)")
	w.flags(c)
	return c
}

func (s *session) createZone(ctx context.Context, name string, spec *dnsv1.ZoneSpec, w write) error {
	var z *dnsv1.Zone
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		z, err = c.Zones.CreateZone(ctx, &dnsv1.CreateZoneRequest{
			Zone:      &dnsv1.Zone{Name: zoneName(name), Spec: spec},
			RequestId: w.id(), Reason: w.reason, ValidateOnly: w.dryRun,
		})
		return err
	})
	if err != nil {
		return err
	}
	if s.output == "name" {
		fmt.Fprintln(s.Out, z.Name)
		return nil
	}
	return s.message(z, func() error {
		if w.dryRun {
			fmt.Fprintf(s.Out, "Zone %s would be created; nothing was changed\n", z.Name)
			return nil
		}
		fmt.Fprintf(s.Out, "Zone %s created at revision %d\n", z.Name, z.Revision)
		if st := z.GetStatus(); st.GetControl() == dnsv1.ZoneStatus_CONTROL_PENDING {
			fmt.Fprintf(s.Out, "it is served once you show control: put TXT %q at _dark-challenge.%s\n",
				st.GetChallenge(), shortName(z.Name))
		}
		return nil
	})
}

// Records is about the records of a zone.
func Records(s *session) *cobra.Command {
	return group("records", "list, set and delete the records of a zone",
		s.generic("list ZONE", "list the records of a zone", Get, "RecordSet", cobra.ExactArgs(1)),
		s.recordsSet(),
		s.generic("delete ZONE OWNER TYPE", "delete the records of one type at one owner", Delete, "RecordSet",
			cobra.ExactArgs(3)))
}

// seconds is a flag that stays nil where it is not given, because 0 is a value.
type seconds struct{ value **uint32 }

func (s seconds) Type() string { return "seconds" }

func (s seconds) String() string {
	if s.value == nil || *s.value == nil {
		return ""
	}
	return strconv.FormatUint(uint64(**s.value), 10)
}

// Set reads whole seconds up to the most of RFC 2181 8, or a time with units: 5m, 1h, 7d.
func (s seconds) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if d, derr := duration.Parse(text); err != nil && derr == nil && d >= 0 && d%time.Second == 0 {
		n, err = uint64(d/time.Second), nil
	}
	if err != nil || n > math.MaxInt32 {
		return fmt.Errorf("%q is neither seconds, from 0 to 2147483647, nor a time such as 5m, 1h or 7d", text)
	}
	v := uint32(n)
	*s.value = &v
	return nil
}

type setRecords struct {
	*session
	write
	ttl           *uint32
	wait, replace bool
}

func (s *session) recordsSet() *cobra.Command {
	r := &setRecords{session: s}
	c := &cobra.Command{
		Use: "set ZONE OWNER TYPE VALUE...", Short: "set the records of one type at one owner; @ is the zone itself",
		Example: "  dark records set example.com www A 192.0.2.1 192.0.2.2 --ttl 300\n  dark records set example.com " +
			"@ MX '10 mail.example.com.'",
		Args: cobra.MinimumNArgs(4), ValidArgsFunction: s.completeFixed("Zone"),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c.Context(), args)
		},
	}
	c.Flags().Var(seconds{&r.ttl}, "ttl", "TTL in seconds, or as 5m, 1h, 7d; 0 is a value (default: as it is, the "+
		"zone's for new records)")
	c.Flags().BoolVar(&r.wait, "wait", false, "follow the change to every edge")
	c.Flags().BoolVar(&r.replace, "replace", false,
		"end what cannot stand beside it in the same change, such as addresses beside a CNAME")
	r.flags(c)
	c.SetFlagErrorFunc(recordFlagError)
	return c
}

// recordName is the resource's name of a record set. The server brings owner and type to
// their canonical form.
func recordName(zone, owner, typ string) string {
	return zoneName(zone) + "/records/" + escape(owner) + "/" + typ
}

func (r *setRecords) run(ctx context.Context, args []string) error {
	zone := strings.TrimSuffix(shortName(zoneName(args[0])), ".")
	if strings.HasSuffix(strings.ToLower("."+args[1]), strings.ToLower("."+zone)) {
		fmt.Fprintf(r.Err, "warning: an owner is relative to the zone: this is %s.%s; a full name ends with a dot\n",
			args[1], zone)
	}
	for _, w := range relativeTargets(zone, args[2], args[3:]) {
		fmt.Fprintf(r.Err, "warning: %s\n", w)
	}
	if len(args) > 4 && bareTag.MatchString(args[3]) {
		fmt.Fprintf(r.Err, "warning: each argument is a record of its own; as one: %s\n",
			inShell(quotedValue(strings.Join(args[3:], " "))))
	}
	if r.replace {
		return r.instead(ctx, args)
	}
	q := &dnsv1.UpdateRecordSetRequest{
		RecordSet: &dnsv1.RecordSet{
			Name: recordName(args[0], args[1], args[2]),
			Spec: &dnsv1.RecordSetSpec{Records: args[3:], Ttl: r.ttl},
		},
		UpdateMask: mask("spec.records"), AllowMissing: true, RequestId: r.id(), Reason: r.reason,
		ValidateOnly: r.dryRun,
	}
	if r.ttl != nil {
		q.UpdateMask.Paths = append(q.UpdateMask.Paths, "spec.ttl")
	}
	var m *dnsv1.RecordSet
	err := r.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		m, err = c.Records.UpdateRecordSet(ctx, q)
		return err
	})
	if err != nil {
		return r.valueHint(ctx, err, args)
	}
	r.warnStored(args[3:], m.GetSpec().GetRecords())
	return r.report(ctx, m)
}

// warnStored tells of records that are stored otherwise than as they were given.
func (s *session) warnStored(given, stored []string) {
	for _, w := range storedOtherwise(given, stored) {
		fmt.Fprintf(s.Err, "warning: %s\n", w)
	}
}

// instead sets the records and ends what cannot stand beside them, in one transaction.
func (r *setRecords) instead(ctx context.Context, args []string) error {
	spec := map[string]any{"records": list(args[3:])}
	if r.ttl != nil {
		spec["ttl"] = float64(*r.ttl)
	}
	doc, err := structpb.NewStruct(map[string]any{
		"kind": "RecordSet", "name": recordName(args[0], args[1], args[2]),
		"spec": spec,
	})
	if err != nil {
		return exit.New(exit.Failed, "", "%w", err)
	}
	a := &apply{session: r.session, write: r.write, wait: r.wait}
	q := &resourcev1.ApplyRequest{
		Documents: []*structpb.Struct{doc}, Replace: true, DryRun: r.dryRun,
		RequestId: r.id(), Reason: r.reason,
	}
	var answer *resourcev1.ApplyResponse
	err = r.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		answer, err = c.Resources.Apply(ctx, q)
		return err
	})
	if err != nil {
		return r.valueHint(ctx, err, args)
	}
	for _, ch := range answer.Changes {
		if ch.Kind == "RecordSet" && ch.Action != resourcev1.Change_ACTION_DELETE {
			r.warnStored(args[3:], recordsOf(ch.After.AsMap()))
		}
	}
	return a.report(ctx, answer)
}

func (r *setRecords) report(ctx context.Context, m *dnsv1.RecordSet) error {
	if r.output == "name" {
		fmt.Fprintln(r.Out, m.Name)
		return nil
	}
	err := r.message(m, func() error {
		if r.dryRun {
			fmt.Fprintf(r.Out, "%s would be %s; nothing was changed\n", unescape(m.Name), join(m.Spec.GetRecords()))
			return nil
		}
		fmt.Fprintf(r.Out, "%s is %s, revision %d\n", unescape(m.Name), join(m.Spec.GetRecords()), m.Revision)
		return nil
	})
	if err != nil || !r.wait || r.dryRun {
		return err
	}
	_, err = r.follow(ctx, m.Revision, r.output == "table")
	return err
}
