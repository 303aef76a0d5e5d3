package main

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/edge"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/consensus"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// installation is a control node and edges in this process, without their own processes.
type installation struct {
	platform
	control *controlplane.Node
	cfg     controlplane.Config
	edgeDir string // of the edge that joined last
	stop    func() // ends the control node
	endEdge func() // ends the edge that joined last
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	dir, ctx := t.TempDir(), t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	in := &installation{platform: platform{t: t, dir: dir}, cfg: controlplane.Config{
		Dir: filepath.Join(dir, "control"), Transport: free(t), Feed: free(t), API: []string{free(t)}, Insecure: true,
		Timing: consensus.CI, Logger: log,
		Kinds: controlKinds(nil, new(bucketSettings).options()),
	}}
	res, err := controlplane.Init(ctx, controlplane.InitConfig{
		Dir: in.cfg.Dir, Name: "c1", Transport: in.cfg.Transport,
		Timing: consensus.CI, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if in.control, err = controlplane.New(in.cfg); err != nil {
		t.Fatal(err)
	}
	in.stop = inBackground(t, in.control.Run)
	<-in.control.Ready()
	if err := in.control.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	in.dev.Admin.URL, in.dev.Admin.Token, in.dev.S3.Region = "http://"+in.cfg.API[0], res.AdminToken,
		storage.DefaultRegion
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	in.api("", "POST", "/v1/organizations", `{"name":"organizations/acme"}`)
	return in
}

// join runs another edge; it answers S3, and DNS where it is given addresses for it.
func (in *installation) join(name string, dns ...string) *edge.Node {
	t := in.t
	t.Helper()
	token, err := in.control.CreateJoinToken(t.Context(), &clusterv1.CreateJoinTokenRequest{Node: name, Role: ca.Edge},
		&statev1.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	in.edgeDir = filepath.Join(in.dir, name)
	err = edge.Enrol(t.Context(), in.edgeDir, token.Token,
		func(ctx context.Context, r *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
			return in.control.Join(ctx, r, "127.0.0.1")
		}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := edgeSettings{dir: in.edgeDir, dns: dns, objects: s3Settings{addresses: []string{"127.0.0.1:0"}}}
	n, err := e.open(in.cfg.Logger, nil)
	if err != nil {
		t.Fatal(err)
	}
	in.endEdge = inBackground(t, n.Run)
	return n
}

// TestANewEdgeIsGivenWhatIsThere: an edge that joins later is sealed the keys that there
// are within seconds, though nobody changed them, and one that was removed loses nothing
// of what others have.
func TestANewEdgeIsGivenWhatIsThere(t *testing.T) {
	in := newInstallation(t)
	p, ctx := &in.platform, t.Context()
	join := func(name string) *edge.Node { return in.join(name) }
	url := func(n *edge.Node) string { return "http://" + n.Addresses("s3")[0].String() }
	one := join("e1")
	p.dev.S3.URL = url(one)
	client := p.accessKey("acme", "key", `{}`)
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("photos")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("photos"), Key: aws.String("x"),
		Body: strings.NewReader("x"),
	}); err != nil {
		t.Fatal(err)
	}
	two := join("e2")
	there := s3.New(client.Options(), func(o *s3.Options) { o.BaseEndpoint = aws.String(url(two)) })
	begin := time.Now()
	p.eventually("the second edge verifies the key", func() bool {
		_, err := there.ListBuckets(ctx, &s3.ListBucketsInput{})
		return err == nil
	})
	t.Logf("a second edge verifies the key %v after it joined", time.Since(begin).Round(time.Millisecond))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	p.api("", "DELETE", "/v1/nodes/e2", "")
	if _, err := client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: aws.String("photos"),
		Key:    aws.String("x"),
	}); err != nil {
		t.Errorf("the first edge after the second was removed: %v", err)
	}
}
