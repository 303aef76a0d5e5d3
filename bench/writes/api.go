package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/bench/rig"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
)

const apex = "writes.test"

// apiSide is three control nodes without an edge.
type apiSide struct {
	rig    *rig.Rig
	conns  []*grpc.ClientConn // to the leader
	server []int
}

func startAPI(ctx context.Context) (_ *apiSide, err error) {
	r, err := rig.Start(ctx, 3, 0)
	if err != nil {
		return nil, err
	}
	s := &apiSide{rig: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.server, err = r.Pids(); err != nil {
		return nil, err
	}
	leader := r.Leader(ctx)
	if leader == nil {
		return nil, errors.New("nobody leads")
	}
	if s.conns, err = dialMany(func() (*grpc.ClientConn, error) { return r.Dial(leader) }); err != nil {
		return nil, err
	}
	return s, rig.Apply(r.As(ctx, rig.Organization), s.conns[0], "Zone", apex, map[string]any{})
}

func (s *apiSide) pids() []int { return s.server }

// write makes a TXT record set of 256 bytes be another one.
func (s *apiSide) write(ctx context.Context, client, n int) error {
	v := string(value(n))
	_, err := dnsgrpc.NewRecordSetServiceClient(s.conns[client%len(s.conns)]).UpdateRecordSet(s.rig.As(ctx,
		rig.Organization), &dnsv1.UpdateRecordSetRequest{
		RecordSet: &dnsv1.RecordSet{
			Name: fmt.Sprintf("zones/%s/records/w%d-%d/TXT", apex, client, n%keysEach),
			Spec: &dnsv1.RecordSetSpec{
				Ttl:     proto.Uint32(60),
				Records: []string{fmt.Sprintf("%q %q", v[:128], v[128:])},
			},
		},
		AllowMissing: true,
	})
	return err
}

func (s *apiSide) Close() error {
	for _, c := range s.conns {
		c.Close()
	}
	return s.rig.Close()
}
