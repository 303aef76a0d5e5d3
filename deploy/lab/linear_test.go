package lab

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
)

const (
	linearOps   = 5000
	linearKeys  = 8
	linearUsers = 16
)

// op is one operation on one record: a read, or a change from one value to another
// that names the version it read (its etag). Values are all different.
type op struct {
	key      string
	write    bool
	from, to string
}

// result is what the client was told.
type result struct {
	value   string
	ok      bool // the write was accepted
	unknown bool // it is not known whether it was
}

// register is a record that is changed by compare-and-set.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := map[string][]porcupine.Operation{}
		for _, o := range history {
			k := o.Input.(op).key
			by[k] = append(by[k], o)
		}
		var out [][]porcupine.Operation
		for _, h := range by {
			out = append(out, h)
		}
		return out
	},
	Init: func() any { return "start" },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(string), input.(op), output.(result)
		switch {
		case !in.write:
			return out.value == s, s
		case out.unknown && s == in.from, out.ok && s == in.from:
			return true, in.to
		case out.unknown:
			return true, s
		case out.ok:
			return false, s
		}
		return s != in.from, s // refused: the value was another
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// history is what all clients did.
type history struct {
	mu struct {
		sync.Mutex
		ops []porcupine.Operation
	}
	begin         time.Time
	done, unknown atomic.Int64
}

func (h *history) now() int64 { return int64(time.Since(h.begin)) }

func (h *history) add(o porcupine.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.ops = append(h.mu.ops, o)
	h.done.Add(1)
}

// user reads and changes records through all members until ctx ends.
func (h *history) user(ctx context.Context, c *Cluster, conns []*grpc.ClientConn, id int, seed uint64, stale bool) {
	rnd := rand.New(rand.NewPCG(seed, uint64(id)))
	last := map[string]*dnsv1.RecordSet{}
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprint("k", rnd.IntN(linearKeys))
		api := dnsgrpc.NewRecordSetServiceClient(conns[rnd.IntN(len(conns))])
		octx, cancel := context.WithTimeout(c.As(ctx, org), 4*time.Second)
		if last[key] == nil || rnd.IntN(100) < 50 {
			h.read(octx, api, key, id, last, stale)
		} else {
			h.write(octx, api, key, id, last, fmt.Sprintf("%d-%d", id, n))
		}
		cancel()
		select {
		case <-time.After(time.Duration(rnd.IntN(60)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (h *history) read(ctx context.Context, api dnsgrpc.RecordSetServiceClient, key string, id int,
	last map[string]*dnsv1.RecordSet, stale bool,
) {
	call := h.now()
	r, err := api.GetRecordSet(ctx, &dnsv1.GetRecordSetRequest{Name: txt(key, "").Name, Stale: stale})
	if err != nil {
		return // a read without an answer says nothing
	}
	last[key] = r
	h.add(porcupine.Operation{
		ClientId: id, Input: op{key: key}, Call: call, Output: result{value: text(r)},
		Return: h.now(),
	})
}

func (h *history) write(ctx context.Context, api dnsgrpc.RecordSetServiceClient, key string, id int,
	last map[string]*dnsv1.RecordSet, value string,
) {
	in := op{key: key, write: true, from: text(last[key]), to: value}
	next := txt(key, value)
	next.Etag = last[key].Etag
	call := h.now()
	r, err := api.UpdateRecordSet(ctx, &dnsv1.UpdateRecordSetRequest{RecordSet: next})
	o := porcupine.Operation{ClientId: id, Input: in, Call: call, Return: h.now()}
	switch status.Code(err) {
	case codes.OK:
		last[key] = r
		o.Output = result{ok: true}
	case codes.Aborted:
		delete(last, key)
		o.Output = result{}
	default:
		// It may still happen: the operation stays open to the end.
		delete(last, key)
		h.unknown.Add(1)
		o.Output, o.Return = result{unknown: true}, math.MaxInt64
	}
	h.add(o)
}

func text(r *dnsv1.RecordSet) string { return strings.Trim(r.GetSpec().GetRecords()[0], `"`) }

// TestReadsAndWritesAreLinearizable runs in a network namespace of its own where it may
// make one, so that members can be cut from each other.
func TestReadsAndWritesAreLinearizable(t *testing.T) {
	if why := cannotCut(); why == "" && os.Getenv("LAB_NAMESPACE") == "" {
		again(t)
		return
	} else if why != "" && os.Getenv("CI") == "true" {
		t.Fatal(why)
	} else if why != "" {
		t.Logf("%s: members are stopped and killed, not cut from each other", why)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	run(t, seed, false)
}

// cannotCut says why members cannot be cut from each other on this machine.
func cannotCut() string {
	if os.Getuid() != 0 {
		return "not root"
	}
	for _, tool := range []string{"unshare", "ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err.Error()
		}
	}
	return ""
}

// TestStaleReadsAreReported is the control: the same test must fail when it reads what a
// member happens to have.
func TestStaleReadsAreReported(t *testing.T) {
	run(t, uint64(time.Now().UnixNano()), true)
}

// again runs the calling test in a new network namespace.
func again(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", "--net", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v",
		"-test.timeout=10m")
	cmd.Env = append(os.Environ(), "LAB_NAMESPACE=1", "DARKD_BIN="+darkd)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, seed uint64, stale bool) {
	cut := os.Getenv("LAB_NAMESPACE") != ""
	o := Options{Controls: 3, Edges: 0}
	if cut {
		sh(t, "ip link set lo up")
		sh(t, "nft add table inet lab; nft 'add chain inet lab out { type filter hook output priority 0; }'")
		o.User = func(node string) uint32 { return 70000 + uint32(node[1]-'0') }
	}
	c := start(t, o)
	var conns []*grpc.ClientConn
	for _, p := range c.Controls {
		conns = append(conns, dial(t, c, p))
	}
	setup := patient(t, c, c.Controls[0])
	for i := range linearKeys {
		if err := writeUntil(t.Context(), c, setup, fmt.Sprint("k", i), "start"); err != nil {
			t.Fatal(err)
		}
	}
	h := &history{begin: time.Now()}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var users sync.WaitGroup
	for i := range linearUsers {
		users.Go(func() { h.user(ctx, c, conns, i, seed, stale) })
	}
	faults := h.disturb(ctx, t, c, cut)
	for h.done.Load() < linearOps && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	users.Wait()
	h.check(t, faults, stale)
}

// disturb kills, stops and cuts off leaders, one after the other, and heals them.
func (h *history) disturb(ctx context.Context, t *testing.T, c *Cluster, cut bool) map[string]int {
	faults := map[string]int{}
	wait := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	for round := range 9 {
		var leader *Proc
		if err := c.until(ctx, "somebody leads", func() bool {
			leader = c.Leader(ctx)
			return leader != nil
		}); err != nil {
			t.Fatal(err)
		}
		switch {
		case round%3 == 0:
			leader.Kill()
			faults["leader killed"]++
			wait(2 * time.Second)
			if err := leader.Start(); err != nil {
				t.Fatal(err)
			}
		case round%3 == 1 && cut:
			sh(t, fmt.Sprintf("nft add rule inet lab out meta skuid %d tcp dport 7001 drop; nft add rule inet lab "+
				"out ip daddr %s tcp dport 7001 drop; nft add rule inet lab out ip saddr %s tcp sport 7001 drop",
				leader.user, leader.Addr, leader.Addr))
			faults["leader cut off"]++
			wait(4 * time.Second)
			sh(t, "nft flush chain inet lab out")
		default:
			leader.Signal(syscall.SIGSTOP)
			faults["leader stopped"]++
			wait(3 * time.Second)
			leader.Signal(syscall.SIGCONT)
		}
		wait(time.Second)
	}
	return faults
}

func (h *history) check(t *testing.T, faults map[string]int, stale bool) {
	t.Helper()
	writes := 0
	for i, o := range h.mu.ops {
		if o.Input.(op).write {
			writes++
		}
		h.mu.ops[i].Return = max(o.Return, o.Call+1)
	}
	begin := time.Now()
	verdict := porcupine.CheckOperationsTimeout(register, h.mu.ops, 2*time.Minute)
	t.Logf("%d operations, %d writes with compare-and-set, %d of them with unknown outcome; faults %v; %s in %v",
		len(h.mu.ops), writes, h.unknown.Load(), faults, verdict, time.Since(begin).Round(time.Millisecond))
	want := porcupine.Ok
	if stale {
		want = porcupine.Illegal
	}
	if verdict != want {
		t.Errorf("the history is %s, want %s", verdict, want)
	}
	if len(h.mu.ops) < linearOps || writes*100 < len(h.mu.ops)*30 {
		t.Errorf("%d operations with %d writes are too few to say so", len(h.mu.ops), writes)
	}
}

func sh(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}
