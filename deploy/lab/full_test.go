package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
)

// controlDisk is how large the disks of control nodes are here: they keep 64 MiB free, and
// a ballast of 16 MiB where there is twice as much.
const controlDisk = 256 << 20

// use writes a file that leaves nothing of a disk.
func use(t *testing.T, dir string) (file string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "somebody else's"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 1<<20); err == nil && len(b) > 0; {
		if _, err = f.Write(b); errors.Is(err, syscall.ENOSPC) && len(b) > 1 {
			b, err = b[:len(b)/2], nil
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return f.Name()
}

// TestAFullControlNodeHandsOver: somebody fills the leader's disk to the end. It hands
// over and says so, the others go on; when theirs are full too writes are refused and reads
// answered; none ends, and with space all come back by themselves, with all that was
// acknowledged (design/settled.md).
func TestAFullControlNodeHandsOver(t *testing.T) {
	o := Options{Controls: 3, Edges: 1, Dir: t.TempDir()}
	for _, name := range names("c", 1, o.Controls) {
		smallDisk(t, filepath.Join(o.Dir, name))(controlDisk)
	}
	c := start(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	write := func(p *Proc, owner string) {
		t.Helper()
		if err := writeUntil(ctx, c, patient(t, c, p), owner, "kept"); err != nil {
			t.Fatalf("%s through %s: %v", owner, p.Name, err)
		}
	}
	state := func(through *Proc, of string) string {
		r, err := clustergrpc.NewNodeServiceClient(patient(t, c, through)).GetNode(c.As(ctx, ""),
			&clusterv1.GetNodeRequest{Name: "nodes/" + of})
		if err != nil {
			return err.Error()
		}
		return r.GetStatus().GetState()
	}
	leads := func() (leader *Proc) {
		t.Helper()
		if err := c.until(ctx, "somebody leads", func() bool {
			leader = c.Leader(ctx)
			return leader != nil
		}); err != nil {
			t.Fatal(err)
		}
		return leader
	}

	first := leads()
	write(first, "before")
	files := []string{use(t, first.dir)}
	if err := c.until(ctx, "another leads", func() bool {
		l := c.Leader(ctx)
		return l != nil && l != first
	}); err != nil {
		t.Fatal(err)
	}
	var others []*Proc
	for _, p := range c.Controls {
		if p != first {
			others = append(others, p)
			write(p, "while-one-is-full-"+p.Name)
		}
	}
	if got := state(others[0], first.Name); got != "disk full" {
		t.Errorf("%s is told of as %q", first.Name, got)
	}
	web := &http.Client{
		Transport: &http.Transport{TLSClientConfig: c.tls, DisableKeepAlives: true},
		Timeout:   time.Minute,
	}
	for p, want := range map[*Proc]int{first: http.StatusServiceUnavailable, others[0]: http.StatusOK} {
		r, err := web.Get("https://" + p.Addr + ":8080/readyz")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("/readyz of %s is %d, want %d", p.Name, r.StatusCode, want)
		}
	}

	for _, p := range others {
		files = append(files, use(t, p.dir))
	}
	var refused error
	if err := c.until(ctx, "writes are refused", func() bool {
		refused = create(c.As(ctx, org), dial(t, c, leads()), fmt.Sprint("refused", time.Now().UnixNano()), "x", "")
		return status.Code(refused) == codes.Unavailable && strings.Contains(refused.Error(), "is full")
	}); err != nil {
		t.Fatalf("%v; the last answer was %v", err, refused)
	}
	leader := leads()
	if _, err := dnsgrpc.NewRecordSetServiceClient(patient(t, c, leader)).GetRecordSet(c.As(ctx, org),
		&dnsv1.GetRecordSetRequest{Name: txt("before", "").Name}); err != nil {
		t.Errorf("a read with every disk full: %v", err)
	}
	first.Kill()
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.until(ctx, "a killed node answers on its full disk", func() bool {
		_, err := c.Status(ctx, first)
		return err == nil
	}); err != nil {
		t.Fatal(err)
	}

	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range c.Controls {
		if !p.Running() {
			t.Errorf("%s ended", p.Name)
		}
		write(p, "with-space-"+p.Name)
	}
	if err := c.until(ctx, "all are ready", func() bool {
		return state(others[0], first.Name) == "ready"
	}); err != nil {
		t.Error(err)
	}
	for _, p := range c.Controls {
		for _, owner := range []string{"before", "while-one-is-full-" + others[0].Name, "with-space-" + first.Name} {
			if _, err := dnsgrpc.NewRecordSetServiceClient(patient(t, c, p)).GetRecordSet(c.As(ctx, org),
				&dnsv1.GetRecordSetRequest{Name: txt(owner, "").Name}); err != nil {
				t.Errorf("%s at %s: %v", owner, p.Name, err)
			}
		}
	}
	reaches(t, c, c.Edges[0], "with-space-"+first.Name, "kept")
}

// TestAFullEdgeGoesOnAnswering: an edge with a full disk takes nothing in and answers
// what it has, also after a kill; with space it catches up by itself.
func TestAFullEdgeGoesOnAnswering(t *testing.T) {
	o := Options{Controls: 1, Edges: 1, Dir: t.TempDir()}
	smallDisk(t, filepath.Join(o.Dir, "e1"))(controlDisk)
	c := start(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	conn, edge := patient(t, c, c.Controls[0]), c.Edges[0]
	write := func(owner string) {
		t.Helper()
		if err := writeUntil(ctx, c, conn, owner, "kept"); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	reaches(t, c, edge, "before", "kept")
	file := use(t, edge.dir)
	for i := range 50 {
		write(fmt.Sprint("while-full-", i))
	}
	if err := c.until(ctx, "the edge hears nothing more", func() bool {
		return strings.Contains(edge.Log(1<<20), "the disk is full")
	}); err != nil {
		t.Fatal(err)
	}
	write("unheard")
	reaches(t, c, edge, "before", "kept")
	edge.Kill()
	if err := edge.Start(); err != nil {
		t.Fatal(err)
	}
	reaches(t, c, edge, "before", "kept")
	if got, err := ask(ctx, edge, "unheard"); err != nil || got != "" {
		t.Errorf("an edge with a full disk took a change in: %q, %v", got, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for _, owner := range []string{"before", "while-full-49", "unheard"} {
		reaches(t, c, edge, owner, "kept")
	}
	if !edge.Running() {
		t.Error("the edge ended")
	}
}
