package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/internal/keyring"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
	"github.com/dark-ecosystem/dark/proto/dark/storage/v1/storagegrpc"
)

const (
	demoOrganization = "demo"
	demoZone         = "demo.test"
	demoBucket       = "demo-bucket"
	demoAccessKey    = "demo"
)

// fileS3Key keeps the demo's access key, so that a restart tells the same one.
const fileS3Key = "s3.key"

// demoRecords is a zone as somebody might have one; owner, type, records.
var demoRecords = [][]any{
	{"@", "NS", "ns1", "ns2"},
	{"@", "A", "192.0.2.1"},
	{"@", "AAAA", "2001:db8::1"},
	{"@", "MX", "10 mail"},
	{"@", "TXT", `"v=spf1 mx -all"`},
	{"ns1", "A", "127.0.0.1"},
	{"ns2", "A", "127.0.0.1"},
	{"www", "CNAME", "demo.test."},
	{"mail", "A", "192.0.2.25"},
	{"*.apps", "A", "192.0.2.80"},
}

// makeDemo makes the demo organization, its zone, its bucket and an access key through
// the API, as anyone would, and returns when the edge answers for them. What is there
// already is left as it is.
func makeDemo(ctx context.Context, addr, token, keyFile string) (k s3Key, err error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return k, err
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	api := resourcegrpc.NewResourceServiceClient(conn)
	org := map[string]any{
		"kind": "Organization", "name": demoOrganization,
		"spec": map[string]any{"displayName": "Demo"},
	}
	revision, err := create(ctx, api, "Organization", demoOrganization, org)
	if err != nil {
		return k, err
	}
	octx := metadata.AppendToOutgoingContext(ctx, "dark-organization", demoOrganization)
	docs := []map[string]any{{"kind": "Zone", "name": demoZone, "spec": map[string]any{}}}
	for _, r := range demoRecords {
		docs = append(docs, map[string]any{
			"kind": "RecordSet", "name": fmt.Sprintf("%s/%s/%s", demoZone, r[0], r[1]),
			"spec": map[string]any{"ttl": 300, "records": r[2:]},
		})
	}
	r, err := create(octx, api, "Zone", demoZone, docs...)
	if err != nil {
		return k, err
	}
	revision = max(r, revision)
	r, err = create(octx, api, "Bucket", demoBucket, map[string]any{
		"kind": "Bucket", "name": demoBucket,
		"spec": map[string]any{},
	})
	if err != nil {
		return k, err
	}
	revision = max(r, revision)
	if k, r, err = makeS3Key(octx, storagegrpc.NewAccessKeyServiceClient(conn), keyFile); err != nil {
		return k, err
	}
	return k, waitEdges(ctx, clustergrpc.NewClusterServiceClient(conn), max(r, revision))
}

// s3Key is an access key with its secret.
type s3Key struct {
	ID     string `json:"accessKey"`
	Secret string `json:"secretKey"`
}

// makeS3Key makes the demo's access key, unless it is there and the file has its secret,
// which nobody else knows. It returns the key and its revision.
func makeS3Key(ctx context.Context, api storagegrpc.AccessKeyServiceClient,
	file string,
) (k s3Key, revision uint64, err error) {
	const name = "accesskeys/" + demoAccessKey
	have, err := api.GetAccessKey(ctx, &storagev1.GetAccessKeyRequest{Name: name})
	if err != nil && status.Code(err) != codes.NotFound {
		return k, 0, err
	}
	if b, ferr := os.ReadFile(file); err == nil && ferr == nil && json.Unmarshal(b, &k) == nil &&
		k.ID == have.GetStatus().GetAccessKeyId() {
		return k, have.GetRevision(), nil
	}
	if err == nil {
		if _, err := api.DeleteAccessKey(ctx, &storagev1.DeleteAccessKeyRequest{
			Name:   name,
			Reason: "its secret is lost",
		}); err != nil {
			return k, 0, err
		}
	}
	made, err := api.CreateAccessKey(ctx, &storagev1.CreateAccessKeyRequest{
		AccessKey: &storagev1.AccessKey{Name: name, Spec: &storagev1.AccessKeySpec{Description: "of the demo"}},
		Reason:    "demo",
	})
	if err != nil {
		return k, 0, err
	}
	k = s3Key{made.GetStatus().GetAccessKeyId(), made.GetStatus().GetSecretAccessKey()}
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return k, 0, err
	}
	return k, made.GetRevision(), keyring.WriteFile(file, append(b, '\n'), 0o600)
}

// create applies documents unless the resource exists; it returns the revision.
func create(ctx context.Context, api resourcegrpc.ResourceServiceClient, kind, name string,
	docs ...map[string]any,
) (uint64, error) {
	_, err := api.GetResource(ctx, &resourcev1.GetResourceRequest{Kind: kind, Name: name})
	if status.Code(err) != codes.NotFound {
		return 0, err
	}
	req := &resourcev1.ApplyRequest{Reason: "demo"}
	for _, d := range docs {
		s, err := structpb.NewStruct(d)
		if err != nil {
			return 0, err
		}
		req.Documents = append(req.Documents, s)
	}
	resp, err := api.Apply(ctx, req)
	return resp.GetRevision(), err
}

// waitEdges waits until every edge that is heard, and at least one, has a revision; 0
// stands for the present one.
func waitEdges(ctx context.Context, api clustergrpc.ClusterServiceClient, revision uint64) error {
	if revision == 0 {
		st, err := api.GetStatus(ctx, &clusterv1.GetStatusRequest{})
		if err != nil {
			return err
		}
		revision = st.Revision
	}
	for {
		stream, err := api.Wait(ctx, &clusterv1.WaitRequest{Revision: revision})
		if err != nil {
			return err
		}
		for {
			r, err := stream.Recv()
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				break
			}
			if r.Node != "" {
				return nil
			}
		}
		select { // the edge has not connected yet
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
