package zones

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// takeSOA takes from the file's SOA what a zone says of it (RFC 1035 3.3.13). The reader of
// the file has brought it to seven fields with absolute names and seconds.
func (i *importing) takeSOA(owner string, l Line) {
	switch {
	case owner != "@":
		i.faults.add(l.Line, l.Column, "a SOA belongs to the apex, not to %s", owner)
		return
	case i.soa.Line != 0 && l.Text == i.soa.Text:
		return // a transfer ends with its first record (RFC 5936 2.2), and so does what dig writes of it
	case i.soa.Line != 0:
		i.faults.add(l.Line, l.Column, "a zone has one SOA; the first is on line %d", i.soa.Line)
		return
	}
	i.soa = l
	f := strings.Fields(l.Text)
	var n [5]uint32
	for j := range n {
		v, err := strconv.ParseUint(f[2+j], 10, 32)
		if err != nil {
			i.faults.add(l.Line, l.Column, "SOA field %q is no number", f[2+j])
			return
		}
		n[j] = uint32(v)
	}
	i.spec.PrimaryNameServer, i.spec.Contact = withoutDot(f[0]), contact(f[1])
	i.spec.MinimumSerial, i.spec.Refresh, i.spec.Retry, i.spec.Expire, i.spec.NegativeTtl = n[0], &n[1], &n[2], &n[3],
		&n[4]
	i.spec.SoaTtl = &l.TTL
	i.soaFields(l)
}

// soaFields refuses names that the zone could not say, at their line.
func (i *importing) soaFields(l Line) {
	if _, err := i.z.host(i.spec.PrimaryNameServer); err != nil {
		i.faults.add(l.Line, l.Column, "the SOA's primary name server: %v", err)
	}
	if _, err := i.z.mailbox(i.apex, i.spec.Contact); err != nil {
		i.faults.add(l.Line, l.Column, "the SOA's mailbox: %v", err)
	}
}

// withoutDot is an absolute name as a zone's settings have it; the root stays ".".
func withoutDot(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// contact reverses mailbox: the first label, with its escaped dots, is the user. Who wrote
// the mailbox with its @ (user@example.com. is one label and the rest) meant that.
func contact(rname string) string {
	if rname == "." {
		return rname
	}
	var user strings.Builder
	for i := 0; i < len(rname); i++ {
		switch {
		case rname[i] == '\\' && i+1 < len(rname):
			i++
			user.WriteByte(rname[i])
		case rname[i] == '.':
			return mailboxOf(user.String(), strings.TrimSuffix(rname[i+1:], "."))
		default:
			user.WriteByte(rname[i])
		}
	}
	return rname
}

// mailboxOf joins the first label of a SOA's mailbox and the rest of it.
func mailboxOf(user, host string) string {
	switch {
	case strings.Contains(user, "@") && host != "":
		return user + "." + host
	case host == "":
		return user // a top-level name: no user
	}
	return user + "@" + host
}

// large fills a generation that nothing reads, and turns the zone to it when the edges
// have all of it: what is acknowledged is served a moment later.
func (i *importing) large(d *difference) (admit.Done, error) {
	f := filling{i: i, generation: importGeneration(d.revision)}
	if err := f.begin(); err != nil {
		return admit.Done{}, err
	}
	done, err := f.run()
	if err != nil {
		f.abandon()
	}
	return done, err
}

// filling is a generation on its way.
type filling struct {
	i          *importing
	generation uint64
	begun      uint64 // revision of the mark that the sweeper looks for
	ahead      bool   // edges are told of the sets before the zone turns to them
}

func (f *filling) marker() string {
	return importKey(f.i.caller.Organization, f.i.segment, f.generation)
}

func (f *filling) fill() string { return fillKey(f.i.caller.Organization, f.i.segment, f.generation) }

func (f *filling) bulk() string {
	return kind.BulkKey(zoneName, f.i.caller.Organization, f.i.name, f.generation)
}

func (f *filling) run() (admit.Done, error) {
	if err := f.chunks(); err != nil {
		return admit.Done{}, err
	}
	if err := f.published(); err != nil {
		return admit.Done{}, err
	}
	return f.i.w.Do(f.i.ctx, f.i.request(), func(ctx context.Context, tx *admit.Tx) error {
		if err := f.i.putZone(withGeneration(ctx, f.generation), tx); err != nil {
			return err
		}
		tx.Require(metaAt(f.marker(), f.begun))
		tx.Add(deleteMeta(f.marker()))
		tx.Add(deleteMeta(f.fill()))
		return nil
	})
}

// abandon drops what was filled; where that fails, too, the sweeper does it.
func (f *filling) abandon() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.i.ctx), 10*time.Second)
	defer cancel()
	_, _ = f.i.w.Proposer.Propose(ctx, &statev1.Transaction{
		Origin: f.i.request().Origin, Preconditions: []*statev1.Precondition{metaAt(f.marker(), f.begun)},
		Ops: []*statev1.Op{
			{Op: &statev1.Op_DropPrefix{DropPrefix: &statev1.Ref{
				Kind: setName, Organization: f.i.caller.Organization, Name: setPrefix(f.i.segment, f.generation),
			}}},
			deleteMeta(f.marker()), deleteMeta(f.fill()),
		},
	})
}

// published waits until the edges were told of all sets. A zone that is not served is
// told of when it is.
func (f *filling) published() error {
	if !f.ahead {
		return nil
	}
	for {
		seen := f.i.w.State.Revision()
		value, _, err := f.i.w.State.Meta(f.bulk())
		if err != nil {
			return err
		}
		b := &statev1.Bulk{}
		if err := proto.Unmarshal(value, b); err != nil {
			return fmt.Errorf("read %s: %w", f.bulk(), err)
		}
		switch {
		case b.Failed != "":
			return errs.New(errs.Invalid, "%s cannot be published as the file has it, and is as it was: %s", f.i.name,
				b.Failed)
		case value == nil && seen >= f.begun:
			return admit.Because(errs.Conflict, admit.ReasonChanged,
				"the import took too long and was taken back: %s is as it was; import it again", f.i.name)
		case b.Done:
			return nil
		}
		if err := f.i.w.State.WaitRevision(f.i.ctx, seen); err != nil {
			return errs.Wrap(errs.Unavailable, err,
				"the import was stored and not made active: %s is as it was; import it again", f.i.name)
		}
	}
}

func metaAt(key string, revision uint64) *statev1.Precondition {
	return &statev1.Precondition{Condition: &statev1.Precondition_MetaAt{MetaAt: &statev1.MetaAt{
		Key:      key,
		Revision: revision,
	}}}
}

// begin leaves a mark for the sweeper, and one for the publisher. Two imports that chose
// the same generation meet here, and one of them ends.
func (f *filling) begin() error {
	i := f.i
	ops := []*statev1.Op{putMeta(f.marker(), i.w.Clock.Now().Unix())}
	if f.ahead = served(i.base) != 0 || i.base == nil && i.request().Caller.TrustedDomains; f.ahead {
		value, err := proto.Marshal(&statev1.Bulk{
			Ref:        &statev1.Ref{Kind: zoneName, Organization: i.caller.Organization, Name: i.name},
			Generation: f.generation,
		})
		if err != nil {
			return err
		}
		ops = append(ops, &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: f.bulk(), Value: value}}})
	}
	out, err := i.w.Proposer.Propose(i.ctx, &statev1.Transaction{
		Origin: i.request().Origin, Preconditions: []*statev1.Precondition{metaAt(f.marker(), 0)}, Ops: ops,
	})
	if errs.Is(err, errs.Conflict) {
		err = admit.Because(errs.Conflict, admit.ReasonChanged,
			"another import of %s began at the same time; import it again when that has ended", i.name)
	}
	f.begun = out.Revision
	return err
}

// chunk is a transaction's worth of record sets.
type chunk struct {
	ops  []*statev1.Op
	last string // stored name of the last of them
	size int
}

// chunks proposes the file's sets, several transactions at once. Each holds only while
// the mark stands, so that nothing is written to what the sweeper took. Each says up to
// which set all before it was stored, which is how far the publisher may go.
func (f *filling) chunks() error {
	file, err := f.i.sorter.sets()
	if err != nil {
		return err
	}
	s := sending{f: f, slots: make(chan struct{}, chunksInFlight)}
	s.ctx, s.cancel = context.WithCancelCause(f.i.ctx)
	defer s.cancel(nil)
	last, err := f.cut(&s, file)
	s.work.Wait()
	if cause := context.Cause(s.ctx); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	_, err = f.propose(f.i.ctx, last, &statev1.FillMark{Through: last.last, All: true})
	return err
}

// cut cuts the sets into transactions and sends all but the last, which it returns.
func (f *filling) cut(s *sending, file *sets) (chunk, error) {
	var c chunk
	for n := 1; s.ctx.Err() == nil; n++ {
		set, err := file.next()
		if err != nil || set.key == "" {
			return c, err
		}
		set.spec.Records = f.i.stored(set.key, set.spec.Records)
		op, err := f.i.putSet(setPrefix(f.i.segment, f.generation), set.key, set.spec)
		if err != nil {
			return c, err
		}
		if size := proto.Size(op) + 8; c.size+size > chunkBytes {
			s.send(c)
			c = chunk{}
		}
		c.ops, c.size, c.last = append(c.ops, op), c.size+proto.Size(op)+8, op.GetPutResource().Ref.Name
		if n%progressEvery == 0 {
			if err := f.i.say(); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

func (f *filling) propose(ctx context.Context, c chunk, mark *statev1.FillMark) (revision uint64, err error) {
	ops := c.ops
	if f.ahead && mark != nil {
		value, err := proto.Marshal(mark)
		if err != nil {
			return 0, err
		}
		ops = append(ops, &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: f.fill(), Value: value}}})
	}
	out, err := f.i.w.Proposer.Propose(ctx, &statev1.Transaction{
		Organization: f.i.caller.Organization, Origin: f.i.request().Origin,
		Preconditions: []*statev1.Precondition{metaAt(f.marker(), f.begun)}, Ops: ops,
	})
	return out.Revision, err
}

// sending has chunks on their way. mu guards what follows it.
type sending struct {
	f      *filling
	ctx    context.Context
	cancel context.CancelCauseFunc
	slots  chan struct{}
	work   sync.WaitGroup

	mu struct {
		sync.Mutex
		sent, next int                       // chunks sent, and the first that is not stored
		stored     map[int]*statev1.FillMark // of the chunks that are, from next on
		through    *statev1.FillMark         // of all before next; nil at first
	}
}

func (s *sending) send(c chunk) {
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		return
	}
	number, mark := s.begin()
	s.work.Go(func() {
		defer func() { <-s.slots }()
		revision, err := s.f.propose(s.ctx, c, mark)
		if err != nil {
			s.cancel(err)
			return
		}
		s.end(number, &statev1.FillMark{Through: c.last, Revision: revision})
	})
}

// begin numbers a chunk, and returns how far all before it are stored.
func (s *sending) begin() (number int, mark *statev1.FillMark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.sent++
	return s.mu.sent - 1, s.mu.through
}

func (s *sending) end(number int, mark *statev1.FillMark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stored == nil {
		s.mu.stored = map[int]*statev1.FillMark{}
	}
	s.mu.stored[number] = mark
	for s.mu.stored[s.mu.next] != nil {
		before := s.mu.through.GetRevision()
		s.mu.through = s.mu.stored[s.mu.next]
		s.mu.through.Revision = max(s.mu.through.Revision, before)
		delete(s.mu.stored, s.mu.next)
		s.mu.next++
	}
}

func (i *importing) putSet(prefix, key string, spec *dnsv1.RecordSetSpec) (*statev1.Op, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(&dnsv1.RecordSet{
		Name: i.name + "/records/" + key, Organization: i.caller.Organization, Spec: spec,
	})
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", key, err)
	}
	return &statev1.Op{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
		Ref: &statev1.Ref{Kind: setName, Organization: i.caller.Organization, Name: prefix + key}, Value: value,
	}}}, nil
}
