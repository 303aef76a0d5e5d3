package zones

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// soa takes from the file's SOA what a zone says of it (RFC 1035 3.3.13).
func (i *importing) soa(owner string, l Line) error {
	f := strings.Fields(l.Text)
	if owner != "@" || len(f) != 7 {
		return fmt.Errorf("line %d: a SOA belongs to the apex and has seven fields", l.Line)
	}
	var n [5]uint32
	for j := range n {
		v, err := strconv.ParseUint(f[2+j], 10, 32)
		if err != nil {
			return fmt.Errorf("line %d: SOA field %q is no number", l.Line, f[2+j])
		}
		n[j] = uint32(v)
	}
	i.spec.PrimaryNameServer = i.absolute(f[0])
	i.spec.Contact = contact(i.absolute(f[1]))
	i.spec.MinimumSerial, i.spec.Refresh, i.spec.Retry, i.spec.Expire, i.spec.NegativeTtl = n[0], &n[1], &n[2], &n[3], &n[4]
	i.spec.SoaTtl = &l.TTL
	return nil
}

// absolute is a name of the file without its last dot; the root stays ".".
func (i *importing) absolute(name string) string {
	switch {
	case name == "@":
		return i.apex
	case name == ".":
		return name
	case !strings.HasSuffix(name, "."):
		return name + "." + i.apex
	}
	return strings.TrimSuffix(name, ".")
}

// contact reverses mailbox: the first label, with its escaped dots, is the user.
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
			return user.String() + "@" + rname[i+1:]
		default:
			user.WriteByte(rname[i])
		}
	}
	return rname
}

// large fills a generation that nothing reads and turns the zone to it.
func (i *importing) large(d *difference) (admit.Done, error) {
	generation := importGeneration(d.revision)
	marker := importKey(i.caller.Organization, i.segment, generation)
	begun, err := i.begin(marker)
	if err != nil {
		return admit.Done{}, err
	}
	if err := i.fill(generation, marker, begun); err != nil {
		return admit.Done{}, err
	}
	return i.w.Do(i.ctx, i.request(), func(ctx context.Context, tx *admit.Tx) error {
		if err := i.putZone(withGeneration(ctx, generation), tx); err != nil {
			return err
		}
		tx.Require(metaAt(marker, begun))
		tx.Add(deleteMeta(marker))
		return nil
	})
}

func metaAt(key string, revision uint64) *statev1.Precondition {
	return &statev1.Precondition{Condition: &statev1.Precondition_MetaAt{MetaAt: &statev1.MetaAt{Key: key, Revision: revision}}}
}

// begin leaves a mark for the sweeper. Two imports that chose the same generation meet
// here, and one of them ends.
func (i *importing) begin(marker string) (revision uint64, err error) {
	out, err := i.w.Proposer.Propose(i.ctx, &statev1.Transaction{
		Origin: i.request().Origin, Preconditions: []*statev1.Precondition{metaAt(marker, 0)},
		Ops: []*statev1.Op{putMeta(marker, i.w.Clock.Now().Unix())},
	})
	if errs.Is(err, errs.Conflict) {
		err = admit.Because(errs.Conflict, admit.ReasonChanged, "another import of %s began at the same time; import it again when that has ended", i.name)
	}
	return out.Revision, err
}

// fill proposes the file's sets, several transactions at once. Each holds only while
// the mark stands, so that nothing is written to what the sweeper took.
func (i *importing) fill(generation uint64, marker string, begun uint64) error {
	file, err := i.sorter.sets()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(i.ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, chunksInFlight)
	send := func(ops []*statev1.Op) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			_, err := i.w.Proposer.Propose(ctx, &statev1.Transaction{
				Organization: i.caller.Organization, Origin: i.request().Origin,
				Preconditions: []*statev1.Precondition{metaAt(marker, begun)}, Ops: ops,
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	err = i.chunks(ctx, file, setPrefix(i.segment, generation), send)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// chunks cuts the sets into transactions.
func (i *importing) chunks(ctx context.Context, file *sets, prefix string, send func([]*statev1.Op)) error {
	var ops []*statev1.Op
	size, n := 0, 0
	for ctx.Err() == nil {
		key, spec, _, err := file.next()
		if err != nil {
			return err
		}
		if key == "" {
			break
		}
		op, err := i.putSet(prefix, key, spec)
		if err != nil {
			return err
		}
		s := proto.Size(op) + 8
		if size+s > chunkBytes {
			send(ops)
			ops, size = nil, 0
		}
		ops, size = append(ops, op), size+s
		if n++; n%progressEvery == 0 {
			if err := i.say(); err != nil {
				return err
			}
		}
	}
	if len(ops) > 0 {
		send(ops)
	}
	return nil
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
