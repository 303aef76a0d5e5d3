package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/consensus"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// member is one of the three of this process.
type member struct {
	store *state.Store
	node  *consensus.Node
	group *consensus.Group
	log   *state.Log
}

// logSide proposes to the leader of three members in this process.
type logSide struct {
	members []*member
	leader  *member
}

func startLog(ctx context.Context, dir string) (_ *logSide, err error) {
	s := &logSide{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	authority, err := ca.New("bench", time.Now())
	if err != nil {
		return nil, err
	}
	var listeners []net.Listener
	var servers []consensus.Server
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
		servers = append(servers, consensus.Server{ID: consensus.ServerID(fmt.Sprint("m", i)), Addr: l.Addr().String()})
	}
	for i, l := range listeners {
		m, err := openMember(filepath.Join(dir, fmt.Sprint("m", i)), fmt.Sprint("m", i), l, authority, servers)
		if err != nil {
			return nil, err
		}
		s.members = append(s.members, m)
	}
	if s.leader, err = s.waitLeader(ctx); err != nil {
		return nil, err
	}
	_, err = s.leader.log.Propose(ctx,
		&statev1.Transaction{Ops: []*statev1.Op{{Op: &statev1.Op_SetLimits{SetLimits: &statev1.SetLimits{
			Organization: "bench", Limits: &statev1.OrganizationLimits{
				WritesPerSecond: 1_000_000,
				HistoryBytes:    1 << 40,
			},
		}}}}})
	return s, err
}

// openMember puts a member together as controlplane does.
func openMember(dir, name string, l net.Listener, authority *ca.Authority,
	servers []consensus.Server,
) (_ *member, err error) {
	m := &member{}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	creds, err := credentials(dir, name, authority)
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler) // members that end one by one complain of each other
	if m.store, err = state.Open(filepath.Join(dir, "state"), state.Options{Logger: quiet}); err != nil {
		return nil, err
	}
	m.node, err = consensus.Open(consensus.Config{
		Dir: filepath.Join(dir, "raft"), ID: consensus.ServerID(name), Listener: l, Timing: consensus.WAN,
		Logger: quiet,
		TLS: consensus.TLS{Config: creds.TLS, Peer: func(c *x509.Certificate) (string, error) {
			n, err := creds.Peer(c)
			return n.Node, err
		}},
	})
	if err != nil {
		return nil, err
	}
	if m.group, err = m.node.Start(consensus.GroupConfig{
		Name: "control", Machine: m.store,
		Bootstrap: servers,
	}); err != nil {
		return nil, err
	}
	m.log = state.NewLog(m.store, m.node, m.group, clock.Clock{})
	return m, nil
}

func credentials(dir, name string, authority *ca.Authority) (*ca.Credentials, error) {
	key, request, err := ca.NewRequest(nil)
	if err != nil {
		return nil, err
	}
	leaf, err := authority.IssueFor(ca.Name{Cluster: "bench", Role: ca.Control, Node: name}, request, nil, time.Now())
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "node.pem")
	if err := ca.Save(path, key, leaf.Raw, [][]byte{authority.Cert.Raw}); err != nil {
		return nil, err
	}
	return ca.LoadCredentials(path)
}

func (s *logSide) waitLeader(ctx context.Context) (*member, error) {
	for {
		for _, m := range s.members {
			if m.group.IsLeader() {
				return m, m.log.Current(ctx)
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for a leader: %w", ctx.Err())
		}
	}
}

func (s *logSide) pids() []int { return []int{os.Getpid()} }

func (s *logSide) write(ctx context.Context, client, n int) error {
	_, err := s.leader.log.Propose(ctx, &statev1.Transaction{
		Organization: "bench", Origin: &statev1.Origin{Who: "key:bench"},
		Ops: []*statev1.Op{{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
			Ref: &statev1.Ref{Kind: "bench.v1.Value", Organization: "bench", Name: fmt.Sprintf("w%d-%d", client,
				n%keysEach)},
			Value: value(n),
		}}}},
	})
	return err
}

func (s *logSide) Close() error {
	var err error
	for _, m := range s.members {
		err = errors.Join(err, m.close())
	}
	return err
}

func (m *member) close() error {
	var err error
	if m.log != nil {
		m.log.Close()
	}
	if m.group != nil {
		err = errors.Join(err, m.group.Close())
	}
	if m.node != nil {
		err = errors.Join(err, m.node.Close())
	}
	if m.store != nil {
		err = errors.Join(err, m.store.Close())
	}
	return err
}
