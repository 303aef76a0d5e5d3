package state

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Outcome is what became of an accepted transaction.
type Outcome struct {
	Revision uint64
	Index    uint64 // of its entry in the log
	Repeated bool   // its request id had been accepted before, at Revision
}

const (
	methodPropose = "state/propose"
	queueLength   = 4096 // transactions that wait for the leader's next entry
	// entries proposed and not yet committed: one that is synced, one that gathers; more make them smaller
	// (bench/RESULTS.md)
	inFlight       = 2
	leaderPatience = 5 * time.Second
)

// Log proposes transactions: on the leader many at once in one entry, elsewhere through
// the leader.
type Log struct {
	store *Store
	node  *consensus.Node
	group *consensus.Group
	clock clock.Clock

	stamps struct {
		sync.Mutex
		last time.Time // of our entry before
		term uint64    // of what had been applied then
	}

	queue chan *pending
	slots chan struct{} // one for each entry in flight
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// pending is a transaction on its way into an entry.
type pending struct {
	tx     *statev1.Transaction
	size   int
	result chan proposed
}

type proposed struct {
	out Outcome
	err error
}

// NewLog starts proposing to a group whose machine is store.
func NewLog(store *Store, node *consensus.Node, group *consensus.Group, c clock.Clock) *Log {
	ctx, stop := context.WithCancel(context.Background())
	l := &Log{
		store: store, node: node, group: group, clock: c, stop: stop,
		queue: make(chan *pending, queueLength), slots: make(chan struct{}, inFlight),
	}
	node.Handle(methodPropose, l.serve)
	l.done.Add(1)
	go func() { defer l.done.Done(); l.batch(ctx) }()
	return l
}

// Close stops proposing; what waits is answered Unavailable.
func (l *Log) Close() {
	l.stop()
	l.done.Wait()
}

// Propose has a transaction accepted or refused. A refusal is an *errs.Error: Conflict
// for a precondition or a name, Exhausted for a limit. Unavailable means that the
// outcome is unknown, unless its text says that nothing was written; a transaction with
// a request id may then be proposed again.
func (l *Log) Propose(ctx context.Context, tx *statev1.Transaction) (Outcome, error) {
	if l.store.FeatureLevel() < LevelTombstones {
		tx = withoutTombstones(tx)
	}
	if n := proto.Size(tx); n > MaxTransactionBytes {
		return Outcome{}, errs.New(errs.Invalid, "the change is %d bytes, at most %d fit in one transaction", n,
			MaxTransactionBytes)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	until := time.Now().Add(leaderPatience)
	fate := "nothing was written"
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		out, err := l.try(ctx, tx)
		switch {
		case errors.Is(err, errReplaced):
			fate = "whether the write happened is not known"
		case !errors.Is(err, errNoLeader):
			return out, err
		}
		if time.Now().After(until) {
			return Outcome{}, errs.New(errs.Unavailable,
				"no control node leads at the moment; %s; try again, and see `dark members`", fate)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return Outcome{}, errs.New(errs.Unavailable, "no control node leads at the moment; %s", fate)
		}
	}
}

// errNoLeader: certainly nothing was written, so it is safe to try again.
var errNoLeader = errors.New("no leader")

// errReplaced: whether it was written is not known, and the next leader can be asked.
var errReplaced = errors.New("the leader was replaced")

func (l *Log) try(ctx context.Context, tx *statev1.Transaction) (Outcome, error) {
	if l.group.IsLeader() {
		return l.enqueue(ctx, tx)
	}
	return l.forward(ctx, tx)
}

func (l *Log) enqueue(ctx context.Context, tx *statev1.Transaction) (Outcome, error) {
	// Before it waits: entries that no majority has room for hold all places, and who came
	// after them would be told after 30 s that nobody knows what became of the write.
	if err := l.group.Room(); err != nil {
		return Outcome{}, err
	}
	p := &pending{tx: tx, size: proto.Size(tx), result: make(chan proposed, 1)}
	select {
	case l.queue <- p:
	default:
		return Outcome{}, errs.New(errs.Unavailable, "too many writes are waiting; nothing was written; try again")
	}
	select {
	case r := <-p.result:
		return r.out, r.err
	case <-ctx.Done():
		return Outcome{}, errs.Wrap(errs.Unavailable, ctx.Err(),
			"the write was not confirmed in time; whether it happened is not known")
	}
}

// forward asks the leader; a former leader answers errNoLeader. A leader that was replaced
// before it answered may have written or not: a transaction with a request id is proposed
// to the next one, which knows the id if it was.
func (l *Log) forward(ctx context.Context, tx *statev1.Transaction) (Outcome, error) {
	req, err := proto.Marshal(&statev1.ProposeRequest{Transaction: tx})
	if err != nil {
		return Outcome{}, err
	}
	b, err := l.group.CallLeader(ctx, methodPropose, req)
	if err != nil {
		if !errors.Is(err, consensus.ErrUnknown) {
			return Outcome{}, errNoLeader
		}
		if errors.Is(err, consensus.ErrReplaced) && tx.RequestId != "" {
			return Outcome{}, errReplaced
		}
		return Outcome{}, errs.Wrap(errs.Unavailable, err,
			"the leading control node did not answer; whether the write happened is not known")
	}
	var resp statev1.ProposeResponse
	if err := proto.Unmarshal(b, &resp); err != nil {
		return Outcome{}, errs.Wrap(errs.Internal, err, "answer of the leading control node")
	}
	switch {
	case resp.Text == errNoLeader.Error():
		return Outcome{}, errNoLeader
	case resp.Text != "":
		return Outcome{}, errs.New(errs.Kind(resp.Refusal), "%s", resp.Text)
	}
	l.follow(ctx, resp.Revision)
	return Outcome{Revision: resp.Revision, Index: resp.Index, Repeated: resp.RepeatedRequest}, nil
}

// follow waits until this member has what was written through it, so that who wrote reads
// it here. The write has happened whether or not this member gets there in time.
func (l *Log) follow(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	if err := l.store.WaitRevision(ctx, revision-1); err != nil {
		l.store.log.Warn("this member is behind a write that it forwarded", "revision", revision, "err", err)
	}
}

// serve answers a follower's forward.
func (l *Log) serve(ctx context.Context, _ string, b []byte) ([]byte, error) {
	var req statev1.ProposeRequest
	if err := proto.Unmarshal(b, &req); err != nil || req.Transaction == nil {
		return nil, errs.New(errs.Invalid, "malformed transaction")
	}
	resp := &statev1.ProposeResponse{}
	out, err := Outcome{}, errNoLeader
	if l.group.IsLeader() {
		out, err = l.enqueue(ctx, req.Transaction)
	}
	if err != nil {
		resp.Refusal, resp.Text = uint32(errs.KindOf(err)), err.Error()
	} else {
		resp.Revision, resp.Index, resp.RepeatedRequest = out.Revision, out.Index, out.Repeated
	}
	return proto.Marshal(resp)
}

// batch puts what waits into entries. While entries are on their way more gathers, so
// that under load one sync carries many transactions, and without load none waits.
func (l *Log) batch(ctx context.Context) {
	var entries sync.WaitGroup
	defer entries.Wait()
	turn := newTurns()
	for {
		select {
		case p := <-l.queue:
			turn.add(p)
		case <-ctx.Done():
			l.refuse(turn)
			return
		}
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			l.refuse(turn)
			return
		}
		l.drain(turn)
		for batch := turn.take(MaxEntryBytes); len(batch) > 0; batch = turn.take(MaxEntryBytes) {
			entries.Add(1)
			go func() {
				defer entries.Done()
				l.propose(ctx, batch)
				<-l.slots
			}()
			if turn.empty() {
				break
			}
			select {
			case l.slots <- struct{}{}:
			case <-ctx.Done():
				l.refuse(turn)
				return
			}
			l.drain(turn)
		}
	}
}

func (l *Log) drain(t *turns) {
	for {
		select {
		case p := <-l.queue:
			t.add(p)
		default:
			return
		}
	}
}

func (l *Log) refuse(t *turns) {
	l.drain(t)
	for batch := t.take(MaxEntryBytes); len(batch) > 0; batch = t.take(MaxEntryBytes) {
		for _, p := range batch {
			p.result <- proposed{err: errs.New(errs.Unavailable, "this control node is stopping; nothing was written")}
		}
	}
}

// propose proposes one entry and tells each transaction what became of it.
func (l *Log) propose(ctx context.Context, batch []*pending) {
	e := &statev1.Entry{Transactions: make([]*statev1.Transaction, len(batch))}
	l.stamp(e)
	for i, p := range batch {
		e.Transactions[i] = p.tx
	}
	data, err := proto.Marshal(e)
	var res consensus.Result
	if err == nil {
		res, err = l.group.Propose(ctx, data)
	}
	outcomes, _ := res.Value.([]outcome)
	for i, p := range batch {
		p.result <- settle(res.Index, outcomes, i, err)
	}
}

// stamp writes the leader's time into an entry, and what elapsed since the one before, by
// the monotonic clock. What elapsed while another led is not ours to tell.
func (l *Log) stamp(e *statev1.Entry) {
	l.stamps.Lock()
	defer l.stamps.Unlock()
	now := l.clock.Now()
	e.Time = now.UnixNano()
	_, term := l.store.Applied()
	elapsed := now.Sub(l.stamps.last)
	if l.stamps.last.IsZero() || term != l.stamps.term {
		elapsed = 0
	}
	l.stamps.last, l.stamps.term = now, term
	if l.store.FeatureLevel() >= LevelElapsed {
		e.Elapsed = proto.Int64(max(0, elapsed.Nanoseconds()))
	}
}

// settle turns one transaction's outcome into its proposer's answer.
func settle(index uint64, outcomes []outcome, i int, err error) proposed {
	switch {
	case errors.Is(err, consensus.ErrDiskFull):
		return proposed{err: err}
	case err != nil && !errors.Is(err, consensus.ErrUnknown):
		return proposed{err: errNoLeader}
	case err != nil:
		return proposed{err: errs.Wrap(errs.Unavailable, err,
			"the write was not confirmed; whether it happened is not known")}
	case i >= len(outcomes):
		return proposed{err: errs.New(errs.Unavailable,
			"the write was not confirmed; whether it happened is not known")}
	case outcomes[i].refusal != nil:
		return proposed{err: outcomes[i].refusal}
	}
	return proposed{out: Outcome{Revision: outcomes[i].revision, Index: index, Repeated: outcomes[i].repeated}}
}

// Settle reads the outcome of an entry of one transaction from what Apply returned for
// it, for callers that apply entries themselves.
func Settle(index uint64, result any) (Outcome, error) {
	outcomes, _ := result.([]outcome)
	p := settle(index, outcomes, 0, nil)
	return p.out, p.err
}

// Current returns when what this member reads is current: all that was accepted before
// the call is in its rows (design/state.md, Linearizable reads).
func (l *Log) Current(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	for {
		index, err := l.group.ReadIndex(ctx)
		if err == nil {
			err = l.group.WaitApplied(ctx, index)
		}
		if err == nil {
			return nil
		}
		// While one leader follows another there is none for a moment.
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errs.Wrap(errs.Unavailable, err,
				"no majority of control nodes can be reached, so nobody knows whether what is here is the latest; "+
					"`dark members` shows who does not answer, and --stale reads what this control node has")
		}
	}
}
