package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
)

// edges are the edges of the installation at one revision, and to whom secrets are
// sealed there.
type edges struct {
	revision uint64
	recovery string
	all      []edge // by name
	byOrg    map[string]*keyring.Group
	byCell   map[string]*keyring.Group
}

// edge is one edge node.
type edge struct {
	name    string
	labels  map[string]string
	key     string // recipient; empty where it has none that can be read
	drained bool
}

// readEdges lists the edges that a reader knows of.
func readEdges(ctx context.Context, r kind.Reader, recovery string) (*edges, error) {
	e := &edges{
		revision: r.Revision(), recovery: recovery, byOrg: map[string]*keyring.Group{},
		byCell: map[string]*keyring.Group{},
	}
	err := r.List(ctx, nodeKind, "", "nodes/", func(stored string, m proto.Message) bool {
		n := m.(*clusterv1.Node)
		if role := n.GetSpec().GetRole(); role != "" && role != ca.Edge {
			return true
		}
		key := string(n.GetSpec().GetMachineKey())
		if _, err := keyring.ParseRecipient(key); err != nil {
			key = "" // written through the API by hand: nothing can be sealed to it
		}
		e.all = append(e.all, edge{strings.TrimPrefix(stored, "nodes/"), n.GetLabels(), key, n.GetSpec().GetDrained()})
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read the edges: %w", err)
	}
	return e, nil
}

// edgesAt are the edges at a reader's revision; what was read last is used again.
func (s *Storage) edgesAt(ctx context.Context, r kind.Reader) (*edges, error) {
	s.mu.Lock()
	have := s.mu.edges
	s.mu.Unlock()
	if have != nil && have.revision == r.Revision() {
		return have, nil
	}
	e, err := readEdges(ctx, r, s.o.Recovery)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.edges = e
	return e, nil
}

// of lists the edges that carry an organization: those with the labels that it asks for.
func (e *edges) of(ctx context.Context, r kind.Reader, organization string) ([]edge, error) {
	m, _, err := r.Get(ctx, organizationKind, "", "organizations/"+organization)
	if err != nil {
		return nil, err
	}
	o, _ := m.(*identityv1.Organization)
	var out []edge
	for _, n := range e.all {
		if matches(o.GetSpec().GetPlacement(), n.labels) {
			out = append(out, n)
		}
	}
	return out, nil
}

func matches(want, have map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// organization is whom an organization's secrets are sealed to: the edges that carry it,
// and recovery.
func (s *Storage) organization(ctx context.Context, r kind.Reader, organization string) (*keyring.Group, error) {
	e, err := s.edgesAt(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.group(e.byOrg, organization, func() ([]edge, error) { return e.of(ctx, r, organization) })
}

// cell is whom a bucket's keys are sealed to: the members of the cell that keeps it, and
// recovery. No other edge can open what is kept there.
func (s *Storage) cell(ctx context.Context, r kind.Reader, cell string) (*keyring.Group, error) {
	e, err := s.edgesAt(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.group(e.byCell, cell, func() ([]edge, error) {
		for _, n := range e.all {
			if n.name == cell {
				return []edge{n}, nil
			}
		}
		return nil, nil
	})
}

// maxRecipients bounds whom one message is sealed to, a hundred octets each, so that it
// fits in a frame: an organization whose buckets are used on more edges is placed on fewer.
const maxRecipients = 1000

// group makes a group once.
func (s *Storage) group(made map[string]*keyring.Group, name string,
	members func() ([]edge, error),
) (*keyring.Group, error) {
	s.mu.Lock()
	g := made[name]
	s.mu.Unlock()
	if g != nil {
		return g, nil
	}
	list, err := members()
	if err != nil {
		return nil, err
	}
	if s.o.Recovery == "" {
		return nil, errors.New("the installation has no recovery key to seal to")
	}
	to := []string{s.o.Recovery}
	for _, n := range list {
		if n.key != "" && len(to) <= maxRecipients {
			to = append(to, n.key)
		}
	}
	if g, err = keyring.NewGroup(to...); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	made[name] = g
	return g, nil
}
