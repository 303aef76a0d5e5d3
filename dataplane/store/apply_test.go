package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// replica is a member that only applies.
type replica struct{ m *machine }

func newReplica(t testing.TB) *replica {
	t.Helper()
	db, err := openRows(vfs.NewMem(), "rows", pebbleLog{&Store{}}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	m, err := newMachine(db, &damageLedger{})
	if err != nil {
		t.Fatal(err)
	}
	return &replica{m}
}

// apply applies an encoded command, as a log would hand it out.
func (r *replica) apply(t testing.TB, index uint64, encoded []byte) string {
	t.Helper()
	var cmd storev1.Command
	if err := proto.Unmarshal(encoded, &cmd); err != nil {
		t.Fatal(err)
	}
	batch := r.m.db.NewIndexedBatch()
	defer batch.Close()
	out, err := r.m.Apply(batch, index, &cmd)
	if err != nil {
		return err.Error()
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	r.m.done(&out)
	return fmt.Sprint(out.results)
}

// hash is of all replicated keyspaces.
func (r *replica) hash(t testing.TB) string {
	t.Helper()
	h := sha256.New()
	iter, err := r.m.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	for iter.First(); iter.Valid(); iter.Next() {
		if iter.Key()[0] != tagLocal {
			fmt.Fprintf(h, "%x %x\n", iter.Key(), iter.Value())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// randomCommand is one that a proposer might send, sound or not.
func randomCommand(rng *rand.Rand, n int) *storev1.Command {
	cmd := &storev1.Command{Writer: uint64(rng.IntN(3)), Time: int64(rng.IntN(1000))}
	for range 1 + rng.IntN(4) {
		space := ID{byte(rng.IntN(3))}
		op := &storev1.Op{Space: space[:], Key: fmt.Appendf(nil, "k%d\x00", rng.IntN(4))}
		if rng.IntN(4) == 0 {
			op.Condition = &storev1.Condition{
				Absent: rng.IntN(3) == 0, Exists: rng.IntN(3) == 0, Version: uint64(rng.IntN(2) * rng.IntN(n+1)),
				QuotaBytes: uint64(rng.IntN(2) * 500), QuotaRows: uint64(rng.IntN(2) * 6),
			}
		}
		randomOp(rng, op, n)
		cmd.Ops = append(cmd.Ops, op)
	}
	return cmd
}

func randomOp(rng *rand.Rand, op *storev1.Op, n int) {
	version := []uint64{0, uint64(Current), uint64(rng.IntN(n + 1))}[rng.IntN(3)]
	switch rng.IntN(14) {
	default:
		op.Op = &storev1.Op_Put{Put: randomPut(rng)}
	case 0, 1:
		op.Op = &storev1.Op_Delete{Delete: &storev1.Delete{Version: version, Idempotent: rng.IntN(2) == 0}}
	case 2:
		op.Op = &storev1.Op_Amend{Amend: &storev1.Amend{Version: version, Flags: uint32(n), Value: []byte("new")}}
	case 3:
		op.Key = op.Key[:rng.IntN(3)]
		op.Op = &storev1.Op_DropPrefix{DropPrefix: true}
	case 4:
		op.Op = &storev1.Op_Horizon{Horizon: &storev1.Horizon{
			Writer:   uint64(rng.IntN(3)),
			Sequence: uint64(rng.IntN(n + 1)),
		}}
	case 5, 6:
		op.Op = &storev1.Op_Epoch{Epoch: &storev1.Epoch{
			Epoch: uint32(rng.IntN(3)), KeyVersion: uint32(rng.IntN(3)),
			Wrapped: []byte{byte(n % 4)}, Replaces: []byte{byte(rng.IntN(4))}[:rng.IntN(2)],
		}}
	case 7:
		op.Op = &storev1.Op_DropEpoch{DropEpoch: &storev1.DropEpoch{Epoch: uint32(rng.IntN(3))}}
	case 8:
		op.Op = &storev1.Op_Rewrap{Rewrap: &storev1.Rewrap{Extents: []*storev1.NewExtent{randomFresh(rng)}}}
	case 9:
		if rng.IntN(20) == 0 {
			op.Op = &storev1.Op_Erase{Erase: true}
		}
	case 10:
		op.Op = &storev1.Op_Empty{Empty: uint32(1 + rng.IntN(3))}
	}
}

func randomFresh(rng *rand.Rand) *storev1.NewExtent {
	id := ID{byte(rng.IntN(6))}
	f := &storev1.NewExtent{
		Id: id[:], Length: 10, Writer: uint64(rng.IntN(3)), Sequence: uint64(1 + rng.IntN(200)),
		Adopt: rng.IntN(4) == 0,
		Hold: &storev1.Hold{
			Slot: uint32(rng.IntN(2)), Epoch: uint32(rng.IntN(3)),
			Wrapped: []byte{byte(rng.IntN(256))},
		},
	}
	if rng.IntN(2) == 0 {
		f.Inline = []byte("sealed")
	}
	return f
}

func randomPut(rng *rand.Rand) *storev1.Put {
	p := &storev1.Put{
		Stack: rng.IntN(2) == 0, Marker: rng.IntN(5) == 0, Size: int64(rng.IntN(100)),
		Counts: rng.IntN(3) > 0, Value: []byte("value"),
	}
	for range rng.IntN(3) {
		f := randomFresh(rng)
		if rng.IntN(3) > 0 {
			p.Fresh = append(p.Fresh, f)
		}
		p.Extents = append(p.Extents, &storev1.ExtentRef{Id: f.Id, Length: 10, Slot: f.Hold.Slot})
	}
	return p
}

// TestThreeMembersHoldTheSame: whatever is in the commands, members that apply them in
// one order answer the same and hold the same rows; one of them restarts now and then.
func TestThreeMembersHoldTheSame(t *testing.T) {
	for seed := range seeds(max(2, usualSeeds/10)) {
		rng := rand.New(rand.NewPCG(uint64(seed), 7))
		members := []*replica{newReplica(t), newReplica(t), newReplica(t)}
		done, refused := 0, 0
		for n := range 300 {
			encoded, err := proto.Marshal(randomCommand(rng, n))
			if err != nil {
				t.Fatal(err)
			}
			want := members[0].apply(t, uint64(n+1), encoded)
			if want[0] == '[' {
				done++
			} else {
				refused++
			}
			for i, m := range members[1:] {
				if got := m.apply(t, uint64(n+1), encoded); got != want {
					t.Fatalf("seed %d command %d: %s, and %s on member %d", seed, n, want, got, i+1)
				}
			}
			if n%50 == 49 {
				members[2].restart(t)
			}
		}
		for _, m := range members[1:] {
			if m.hash(t) != members[0].hash(t) {
				t.Fatalf("seed %d: members differ", seed)
			}
		}
		members[0].agree(t, seed)
		if done < 30 || refused < 30 {
			t.Errorf("seed %d: %d done, %d refused", seed, done, refused)
		}
	}
}

func (r *replica) restart(t testing.TB) {
	t.Helper()
	m, err := newMachine(r.m.db, &damageLedger{})
	if err != nil {
		t.Fatal(err)
	}
	r.m = m
}

// agree says whether counts are what rows and extents say.
func (r *replica) agree(t testing.TB, seed int) {
	t.Helper()
	s := &Store{db: r.m.db, machine: r.m}
	c := &scrub{s: s, tell: func(_ Progress, d *Damaged) {
		if d != nil {
			t.Errorf("seed %d: %v", seed, d)
		}
	}}
	tally := newTally(c)
	_ = eachKey(s.db, []byte{tagRow}, func(k, v []byte) error {
		var row row
		if err := row.parse(v); err != nil {
			t.Error(err)
		}
		tally.row(k, v, &row)
		return nil
	})
	_ = eachKey(s.db, []byte{tagExtent}, func(k, v []byte) error {
		var x extent
		if err := x.parse(v); err != nil {
			t.Error(err)
		}
		tally.extent(ID(k[1:]), &x)
		return nil
	})
	if err := tally.compare(); err != nil {
		t.Error(err)
	}
}

// TestNoFreshExtentPassesItsHorizon: the rule that makes sweeping safe.
func TestNoFreshExtentPassesItsHorizon(t *testing.T) {
	r := newReplica(t)
	space := ID{1}
	send := func(index uint64, ops ...*storev1.Op) error {
		batch := r.m.db.NewIndexedBatch()
		defer batch.Close()
		_, err := r.m.Apply(batch, index, &storev1.Command{Ops: ops})
		if err == nil {
			err = batch.Commit(pebble.NoSync)
		}
		return err
	}
	fresh := func(n byte, sequence uint64) *storev1.Op {
		id := ID{n}
		return &storev1.Op{Space: space[:], Key: id[:], Op: &storev1.Op_Put{Put: &storev1.Put{
			Extents: []*storev1.ExtentRef{{Id: id[:], Length: 1}},
			Fresh: []*storev1.NewExtent{{
				Id: id[:], Length: 1, Writer: 5, Sequence: sequence,
				Hold: &storev1.Hold{Epoch: 1},
			}},
		}}}
	}
	epoch := &storev1.Op{Space: space[:], Op: &storev1.Op_Epoch{Epoch: &storev1.Epoch{Epoch: 1, KeyVersion: 1}}}
	raise := &storev1.Op{Op: &storev1.Op_Horizon{Horizon: &storev1.Horizon{Writer: 5, Sequence: 9}}}
	lower := &storev1.Op{Op: &storev1.Op_Horizon{Horizon: &storev1.Horizon{Writer: 5, Sequence: 3}}}
	if err := errors.Join(send(1, epoch), send(2, fresh(1, 9)), send(3, raise), send(4, lower)); err != nil {
		t.Fatal(err)
	}
	if err := send(5, fresh(2, 9)); refusedFor(err) != Swept {
		t.Error(err)
	}
	if err := send(6, fresh(3, 10)); err != nil {
		t.Error(err)
	}
	if err := send(7, fresh(1, 9)); err != nil { // known already
		t.Error(err)
	}
}

// TestApplyFailsWhereAnEpochKeyIsDamaged: deleting the last row of an extent counts its epoch
// key's holds down; where that key cannot be read the command fails and names it, and the
// row stays.
func TestApplyFailsWhereAnEpochKeyIsDamaged(t *testing.T) {
	r, space, id := newReplica(t), ID{1}, ID{9}
	r.must(t, 1, &storev1.Op{Space: space[:], Op: &storev1.Op_Epoch{Epoch: &storev1.Epoch{Epoch: 1, KeyVersion: 1}}})
	r.must(t, 2, &storev1.Op{Space: space[:], Key: []byte("k"), Op: &storev1.Op_Put{Put: &storev1.Put{
		Extents: []*storev1.ExtentRef{{Id: id[:], Length: 1}},
		Fresh:   []*storev1.NewExtent{{Id: id[:], Length: 1, Writer: 5, Sequence: 1, Hold: &storev1.Hold{Epoch: 1}}},
	}}})
	if err := r.m.db.Set(epochKey(space, "", 1), []byte{0xff}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	batch := r.m.db.NewIndexedBatch()
	defer batch.Close()
	remove := &storev1.Op{Space: space[:], Key: []byte("k"), Op: &storev1.Op_Delete{Delete: &storev1.Delete{}}}
	_, err := r.m.Apply(batch, 3, &storev1.Command{Ops: []*storev1.Op{remove}})
	var damaged *Damaged
	if !errors.As(err, &damaged) || damaged.Kind != DamagedEpoch {
		t.Fatalf("applied with %v", err)
	}
}

// must applies one op.
func (r *replica) must(t *testing.T, index uint64, op *storev1.Op) {
	t.Helper()
	batch := r.m.db.NewIndexedBatch()
	defer batch.Close()
	out, err := r.m.Apply(batch, index, &storev1.Command{Ops: []*storev1.Op{op}})
	if err == nil {
		err = batch.Commit(pebble.NoSync)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.m.done(&out)
}
