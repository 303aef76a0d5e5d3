package zones

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

const (
	typeSOA = 6
	// chunkBytes is the size of a transaction of a large import, below the state
	// machine's 512 KiB.
	chunkBytes = 400 << 10
	// chunksInFlight are proposed at once.
	chunksInFlight = 4
	// progressEvery is after how many records a reading import says how far it is.
	progressEvery = 20_000
)

// Transfers imports and exports zones as master files.
type Transfers struct {
	z *Zones
	w *admit.Writer
	// sortMemory bounds what a sorter holds; tests make it small.
	sortMemory int
}

// Transfers returns the import and export methods, writing through w.
func (z *Zones) Transfers(w *admit.Writer) *Transfers {
	return &Transfers{z: z, w: w, sortMemory: sortMemory}
}

type importStream = grpc.GenericServerStream[dnsv1.ImportZoneRequest, dnsv1.ImportZoneResponse]

// importing is one import, on its stream's goroutine.
type importing struct {
	*Transfers
	ctx    context.Context
	stream *importStream
	first  *dnsv1.ImportZoneRequest
	caller identity.Caller

	name, segment, apex string
	base                *dnsv1.Zone // as it was when the import began; nil when it is made
	baseRev             uint64
	opened              uint64          // the revision that base was read at, before the file
	spec                *dnsv1.ZoneSpec // as it will be
	holding             *holding
	sorter              sorter
	progress            dnsv1.ImportZoneResponse
	bytes               *counter
	faults              faults
	lint                lint
	soa                 Line      // of the file; without a line before it
	doubts              []warning // of single lines
}

// Import makes a zone's record sets be those of a master file. It reads the file to
// its end, compares it with the zone in the order of stored names, and makes the
// difference active at one revision: up to 2,000 sets by one transaction where
// they fit, more by filling another generation and turning the zone to it. Sets that others change
// or delete meanwhile are a conflict in the first way; in the second the file's word is last.
func (t *Transfers) Import(s grpc.ServerStream) error {
	i := &importing{Transfers: t, ctx: s.Context(), stream: &importStream{ServerStream: s}}
	i.caller, _ = identity.From(i.ctx)
	var err error
	if i.first, err = i.stream.Recv(); err != nil {
		return fmt.Errorf("receive the first part: %w", err)
	}
	if err := i.open(); err != nil {
		return err
	}
	holding, err := t.z.imports.begin(i.ctx, i.caller.Organization)
	if err != nil {
		return err
	}
	defer holding.end()
	// What sorts ends before the handler does, and with it the goroutine that receives.
	i.ctx, i.holding = holding.ctx, holding
	i.sorter = sorter{dir: t.z.o.Dir, memory: t.sortMemory, take: holding.take}
	defer i.sorter.close()
	if err := i.read(); err != nil {
		return err
	}
	return i.apply()
}

// open finds the zone.
func (i *importing) open() error {
	var err error
	if i.name, err = admit.Canonical(i.z.zoneKind, i.first.Name); err != nil {
		return err
	}
	i.segment = strings.TrimPrefix(i.name, "zones/")
	i.apex = decode(i.segment)
	if err := i.w.Proposer.Current(i.ctx); err != nil {
		return err
	}
	r, err := i.w.State.At(0)
	if err != nil {
		return err
	}
	defer r.Close()
	i.opened = r.Revision()
	i.base, i.baseRev, err = getZone(i.ctx, admit.NewView(r, nil), i.caller.Organization, i.segment)
	if err != nil {
		return err
	}
	if i.base == nil && !i.first.Create {
		return errs.New(errs.NotFound, "%s does not exist; make it first, or let the import make it", i.name)
	}
	i.spec = &dnsv1.ZoneSpec{}
	if s := i.base.GetSpec(); s != nil {
		i.spec = proto.Clone(s).(*dnsv1.ZoneSpec)
	}
	return nil
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n uint64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n)
	return n, err
}

// read sorts the file's records.
func (i *importing) read() error {
	i.progress.Stage = "reading"
	i.bytes = &counter{r: newParts(i.ctx, i.stream, i.first.Data, i.holding)}
	i.first.Data = nil
	err := i.z.o.ReadMaster(i.bytes, i.apex, i.line)
	if err != nil && !i.faults.take(err) {
		return i.fileError(err)
	}
	if i.base != nil && i.progress.Records == 0 && len(i.faults) == 0 {
		return errs.Bad(errs.Field{Name: "data", Text: "the file has no records; a zone is ended by deleting it"})
	}
	return i.say()
}

// fileError tells what is wrong with the file from what is wrong with the connection.
func (i *importing) fileError(err error) error {
	var own *errs.Error
	if i.ctx.Err() != nil || errors.As(err, &own) {
		return errors.Join(err, i.ctx.Err())
	}
	return errs.Bad(errs.Field{Name: "data", Text: err.Error()})
}

func (i *importing) say() error {
	i.progress.Bytes = i.bytes.n
	return i.stream.Send(proto.Clone(&i.progress).(*dnsv1.ImportZoneResponse))
}

func (i *importing) line(l Line) error {
	if i.progress.Records++; i.progress.Records%progressEvery == 0 {
		if err := i.say(); err != nil {
			return err
		}
	}
	owner := l.Owner
	if !simple(owner) {
		var err error
		if owner, err = i.z.owner(i.apex, owner); err != nil {
			i.faults.add(l.Line, l.Column, "%v", err)
			return nil
		}
	}
	if l.Doubt != "" && len(i.doubts) < maxWarnings {
		i.doubts = append(i.doubts, warning{at{uint32(l.Line), uint32(l.Column)}, owner + "/" +
			i.z.o.FormatType(l.Type) + ": " + l.Doubt})
	}
	if l.Type == typeSOA {
		i.takeSOA(owner, l)
		return nil
	}
	if i.first.WithoutDnssec && madeBySigning(l.Type) {
		return nil
	}
	return i.sorter.add(entry{
		key: encode(owner) + "/" + i.z.o.FormatType(l.Type), text: l.Text, ttl: l.TTL,
		line: uint32(l.Line), column: uint32(l.Column),
	})
}

// madeBySigning lists what a signed file has beside the zone: RRSIG, NSEC, DNSKEY, NSEC3,
// NSEC3PARAM, CDS, CDNSKEY, ZONEMD, and what BIND keeps of its signing. DS stay: they are of
// zones below.
func madeBySigning(typ uint16) bool {
	switch typ {
	case 46, 47, 48, 50, 51, 59, 60, 63, 65534:
		return true
	}
	return false
}

// simple reports whether an owner is certainly canonical.
func simple(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return s != "" && s[len(s)-1] != '.'
}

// apply compares the file with the zone and makes it so.
func (i *importing) apply() error {
	i.progress.Stage = "comparing"
	d, err := i.compare()
	if err != nil {
		return err
	}
	if err := i.guard(d); err != nil {
		return err
	}
	i.progress.Created, i.progress.Updated, i.progress.Deleted, i.progress.Unchanged = d.created, d.updated, d.deleted,
		d.unchanged
	if err := i.say(); err != nil {
		return err
	}
	i.progress.Stage = "activating"
	i.progress.Warnings, i.progress.Changes = i.lint.warnings, d.listed
	done := admit.Done{Revision: d.revision}
	switch {
	case i.first.DryRun && d.small():
		done, err = i.small(d) // admitted as it would be, and not proposed
	case i.first.DryRun:
	case d.small():
		done, err = i.small(d)
	default:
		done, err = i.large(d)
	}
	if admit.ReasonOf(err) == admit.ReasonTooLarge {
		if done, err = (admit.Done{Revision: d.revision}), nil; !i.first.DryRun {
			done, err = i.large(d)
		}
	}
	if err != nil {
		return err
	}
	i.progress.Revision, i.progress.Done = done.Revision, true
	return i.say()
}

// guard refuses that more than half of a zone goes without a word.
func (i *importing) guard(d *difference) error {
	had := d.updated + d.deleted + d.unchanged
	if d.deleted*2 > had && !i.first.AllowLargeDeletion {
		return admit.Because(errs.Conflict, admit.ReasonLargeDeletion,
			"the file leaves out %d of the %d record sets of %s, more than half; say that you mean it (--yes)",
			d.deleted, had, i.name)
	}
	return nil
}

// request describes the import's writes.
func (i *importing) request() admit.Request {
	return admit.Request{
		Organization: i.caller.Organization, Caller: i.caller.Kind(), DryRun: i.first.DryRun,
		Origin: &statev1.Origin{
			Who: i.caller.Who, From: i.caller.From, Method: "/dark.dns.v1.ZoneService/ImportZone",
			Reason: i.first.Reason,
		},
	}
}

// putZone makes the zone be as the file's SOA says, unless it is another one by now.
func (i *importing) putZone(ctx context.Context, tx *admit.Tx) error {
	now, rev, err := getZone(ctx, tx.Reader(), i.caller.Organization, i.segment)
	if err != nil {
		return err
	}
	if rev != i.baseRev {
		return i.zoneChanged(now, rev)
	}
	_, err = tx.Put(ctx, i.z.zoneKind, &dnsv1.Zone{Name: i.name, Labels: i.base.GetLabels(), Spec: i.spec},
		admit.Options{})
	return err
}

// small makes the difference by one ordinary transaction. What ends goes first: a
// CNAME may take the place of an address.
func (i *importing) small(d *difference) (admit.Done, error) {
	slices.SortStableFunc(d.changes, func(a, b changed) int {
		switch {
		case (a.set == nil) == (b.set == nil):
			return 0
		case a.set == nil:
			return -1
		}
		return 1
	})
	var before admit.Reader // as the zone was before the file was read
	if i.base != nil {
		var err error
		if before, err = i.w.State.At(max(i.opened, i.w.State.Oldest())); err != nil {
			return admit.Done{}, err
		}
		defer before.Close()
	}
	return i.w.Do(i.ctx, i.request(), func(ctx context.Context, tx *admit.Tx) error {
		if err := i.putZone(ctx, tx); err != nil {
			return err
		}
		for _, c := range d.changes {
			if err := i.unchanged(ctx, tx, before, c); err != nil {
				return err
			}
			if err := i.write(ctx, tx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// unchanged refuses a set that somebody changed or deleted since the import began. That it does
// not change from here to the commit, the write itself asks.
func (i *importing) unchanged(ctx context.Context, tx *admit.Tx, before admit.Reader, c changed) error {
	if i.base == nil {
		return nil
	}
	stored := setPrefix(i.segment, i.base.GetStatus().GetGeneration()) + c.key
	now, rev, err := tx.Reader().Get(ctx, setName, i.caller.Organization, stored)
	switch {
	case err != nil:
		return err
	case rev > i.opened:
		return i.setChanged(c, now, rev)
	case rev != 0 || c.set == nil:
		return nil
	}
	_, was, err := before.Get(setName, i.caller.Organization, stored)
	if err == nil && was {
		err = i.setDeleted(c)
	}
	return err
}

func (i *importing) write(ctx context.Context, tx *admit.Tx, c changed) error {
	name := i.name + "/records/" + c.key
	var err error
	if c.set == nil {
		_, err = tx.Delete(ctx, i.z.setKind, name, admit.Options{})
	} else {
		_, err = tx.Put(ctx, i.z.setKind, &dnsv1.RecordSet{Name: name, Spec: c.set},
			admit.Options{Mask: []string{"spec"}})
	}
	if errs.Is(err, errs.Invalid) {
		return errs.Bad(errs.Field{Name: "data", Text: fault{
			int(c.at.line), int(c.at.column),
			c.key + ": " + err.Error(),
		}.Error()})
	}
	return err
}
