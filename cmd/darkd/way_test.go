package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/demo"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/edge"
	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	demov1 "github.com/dark-ecosystem/dark/proto/dark/demo/v1"
	demogw "github.com/dark-ecosystem/dark/proto/dark/demo/v1/gw"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// notes is the edge side of the kind Note: what the view made of it.
type notes map[string]string

func notesPart(seen chan<- notes) edge.Part {
	return edge.Part{Service: kind.Service{
		Name: "notes", Kinds: []string{"dark.demo.v1.Note"},
		Compile: func(prev any, changes []kind.Change) (any, []kind.Refusal) {
			next := notes{}
			if p, ok := prev.(notes); ok {
				for k, v := range p {
					next[k] = v
				}
			}
			for _, c := range changes {
				var spec demov1.NoteSpec
				if c.Value == nil || proto.Unmarshal(c.Value, &spec) != nil {
					delete(next, c.Name)
					continue
				}
				next[c.Name] = spec.Text
			}
			return next, nil
		},
		Swap: func(next any) { seen <- next.(notes) },
	}}
}

// place is a control node and an edge in this process.
type place struct {
	control *controlplane.Node
	edge    *edge.Node
	api     string
	token   string
	dark    func(args ...string) string
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// setUp runs one control node with the kind Note beside its own, and one edge.
func setUp(t *testing.T, seen chan<- notes) *place {
	t.Helper()
	dir, ctx := t.TempDir(), t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := controlplane.Config{
		Dir: filepath.Join(dir, "control"), Transport: free(t), Feed: free(t), API: []string{free(t)}, Insecure: true,
		Timing: consensus.CI, Logger: log,
		Kinds: func(n *controlplane.Node) ([]api.Registration, []api.Extra) {
			list, extras := controlKinds(nil, storage.Options{})(n)
			return append(list, api.Registration{
				Kind: demo.Note(), Service: "dark.demo.v1.NoteService",
				Gateway: demogw.RegisterNoteServiceHandler,
			}), extras
		},
	}
	res, err := controlplane.Init(ctx, controlplane.InitConfig{
		Dir: cfg.Dir, Name: "c1", Transport: cfg.Transport,
		Timing: consensus.CI, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{api: cfg.API[0], token: res.AdminToken}
	if p.control, err = controlplane.New(cfg); err != nil {
		t.Fatal(err)
	}
	inBackground(t, p.control.Run)
	<-p.control.Ready()
	if err := p.control.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	token, err := p.control.CreateJoinToken(ctx, &clusterv1.CreateJoinTokenRequest{Node: "e1", Role: ca.Edge},
		&statev1.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	join := func(ctx context.Context, r *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
		return p.control.Join(ctx, r, "127.0.0.1")
	}
	at := filepath.Join(dir, "edge")
	if err := edge.Enrol(ctx, at, token.Token, join, nil); err != nil {
		t.Fatal(err)
	}
	if err := edge.Enrol(ctx, filepath.Join(dir, "thief"), token.Token, join, nil); !errs.Is(err, errs.Denied) {
		t.Fatalf("the join token was used twice: %v", err)
	}
	e := edgeSettings{dir: at, parts: func(*edge.Config) ([]edge.Part, error) {
		return []edge.Part{notesPart(seen), {Service: dns.Service(func(*dns.View) {})}}, nil
	}}
	if p.edge, err = e.open(log, nil); err != nil {
		t.Fatal(err)
	}
	inBackground(t, p.edge.Run)
	p.dark = func(args ...string) string { return dark(t, p, args...) }
	return p
}

// inBackground runs something until the test ends, or until stop is called.
func inBackground(t *testing.T, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// dark runs the real command.
func dark(t *testing.T, p *place, args ...string) string {
	t.Helper()
	bin := os.Getenv("DARK_BIN")
	if bin == "" {
		bin = filepath.Join(t.TempDir(), "dark")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin,
			"github.com/dark-ecosystem/dark/cmd/dark").CombinedOutput(); err != nil {
			t.Fatalf("build dark: %v: %s", err, out)
		}
	}
	if args[0] != "organizations" {
		args = append(args, "--organization", "acme")
	}
	cmd := exec.CommandContext(t.Context(), bin, append([]string{"--addr", "http://" + p.api, "--token", p.token},
		args...)...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("dark %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestANewKindTravelsFromApplyToTheView: a kind is its proto, its package and a line in
// a list; nothing else was written for Note, and it goes the whole way.
func TestANewKindTravelsFromApplyToTheView(t *testing.T) {
	seen := make(chan notes, 100)
	p := setUp(t, seen)
	p.dark("organizations", "create", "acme")
	file := filepath.Join(t.TempDir(), "note.yaml")
	if err := os.WriteFile(file, []byte("kind: Note\nname: hello\nspec:\n  text: it travels\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := p.dark("apply", "-f", file, "--wait"); !strings.Contains(out, "e1") {
		t.Errorf("apply --wait does not tell of the edge: %s", out)
	}
	until(t, seen, "notes/hello", "it travels")
	if out := p.dark("get", "notes"); !strings.Contains(out, "it travels") {
		t.Errorf("dark get notes: %s", out)
	}
	p.dark("delete", "note", "hello")
	until(t, seen, "notes/hello", "")
}

func until(t *testing.T, seen <-chan notes, name, want string) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case n := <-seen:
			if n[name] == want {
				return
			}
		case <-timeout:
			t.Fatalf("the view never had %s = %q", name, want)
		}
	}
}

// TestEdgesWriteUpwardsAndKnowTheirOwnWrite: Submit acts as an end user, is answered when
// the edge's own view has the write, and is refused at the edge once the key is revoked.
func TestEdgesWriteUpwardsAndKnowTheirOwnWrite(t *testing.T) {
	seen := make(chan notes, 100)
	p := setUp(t, seen)
	p.dark("organizations", "create", "acme")
	p.dark("zones", "create", "example.test")
	out := p.dark("keys", "create", "updater", "--permission", "dns:write", "-o", "json")
	token := between(t, out, `"dark_key_`, `"`)
	token = "dark_key_" + token
	subject := "key:" + strings.Split(strings.TrimPrefix(token, "dark_key_"), "_")[0]
	submit := func(text string) (uint64, error) {
		req, err := proto.Marshal(&dnsv1.UpdateRecordSetRequest{AllowMissing: true, RecordSet: &dnsv1.RecordSet{
			Name: "zones/example.test/records/acme/TXT", Spec: &dnsv1.RecordSetSpec{Records: []string{text}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, rev, err := p.edge.Submit(t.Context(), config.Request{
			Subject: subject, Token: token, From: "192.0.2.1", Method: "/dark.dns.v1.RecordSetService/UpdateRecordSet",
			Body: req,
		})
		return rev, err
	}
	rev, err := submit("one")
	if err != nil {
		t.Fatal(err)
	}
	if p.edge.Revision() < rev {
		t.Fatalf("answered at view %d, before the write's revision %d", p.edge.Revision(), rev)
	}
	begin := time.Now()
	p.dark("keys", "delete", "updater")
	for !p.edge.Denied(subject) {
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the edge was never told that the key is revoked")
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("revoked at the edge %v after the command began", time.Since(begin).Round(time.Millisecond))
	if _, err := submit("two"); !errs.Is(err, errs.Denied) && !errs.Is(err, errs.Unauthenticated) {
		t.Fatalf("a revoked key wrote: %v", err)
	}
}

func between(t *testing.T, s, from, to string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, from)
	s, _, ok2 := strings.Cut(s, to)
	if !ok || !ok2 {
		t.Fatalf("no %s…%s in %s", from, to, s)
	}
	return s
}
