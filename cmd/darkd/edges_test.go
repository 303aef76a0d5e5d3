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

// TestANewEdgeIsGivenWhatIsThere: an edge that joins later is sealed the keys that there
// are within seconds, though nobody changed them, and one that was removed loses nothing
// of what others have.
func TestANewEdgeIsGivenWhatIsThere(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := controlplane.Config{
		Dir: filepath.Join(dir, "control"), Transport: free(t), Feed: free(t), API: []string{free(t)}, Insecure: true, Timing: consensus.CI, Logger: log,
		Kinds: controlKinds(nil, new(bucketSettings).options()),
	}
	res, err := controlplane.Init(ctx, controlplane.InitConfig{Dir: cfg.Dir, Name: "c1", Transport: cfg.Transport, Timing: consensus.CI, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	control, err := controlplane.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	inBackground(t, control.Run)
	<-control.Ready()
	if err := control.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t}
	p.dev.Admin.URL, p.dev.Admin.Token, p.dev.S3.Region = "http://"+cfg.API[0], res.AdminToken, storage.DefaultRegion
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	p.api("", "POST", "/v1/organizations", `{"name":"organizations/acme"}`)
	join := func(name string) *edge.Node {
		token, err := control.CreateJoinToken(ctx, &clusterv1.CreateJoinTokenRequest{Node: name, Role: ca.Edge}, &statev1.Origin{})
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, name)
		err = edge.Enrol(ctx, at, token.Token, func(ctx context.Context, r *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
			return control.Join(ctx, r, "127.0.0.1")
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := edgeSettings{dir: at, objects: s3Settings{addresses: []string{"127.0.0.1:0"}}}
		n, err := e.open(log, nil)
		if err != nil {
			t.Fatal(err)
		}
		inBackground(t, n.Run)
		return n
	}
	url := func(n *edge.Node) string { return "http://" + n.Addresses("s3")[0].String() }
	one := join("e1")
	p.dev.S3.URL = url(one)
	client := p.accessKey("acme", "key", `{}`)
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("photos")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("photos"), Key: aws.String("x"), Body: strings.NewReader("x")}); err != nil {
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
	if _, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String("x")}); err != nil {
		t.Errorf("the first edge after the second was removed: %v", err)
	}
}
