package feed

import (
	"net"
	"slices"
	"sync"
)

// places are what connections of edges take up from the moment at which they showed who they
// are. One edge has a few: with the certificate of a single one, all would be taken otherwise,
// and no other edge heard of a revocation. Where an edge has its share its oldest connection
// ends, which may be a dead one that nobody has noticed.
type places struct {
	all, node int // bounds
	mu        struct {
		sync.Mutex
		taken  int
		byNode map[string][]net.Conn // the oldest first
	}
}

func newPlaces(all, node int) *places {
	p := &places{all: all, node: node}
	p.mu.byNode = map[string][]net.Conn{}
	return p
}

// enter takes a place for a connection; false when all are taken.
func (p *places) enter(node string, c net.Conn) (leave func(), ok bool) {
	p.mu.Lock()
	var oldest net.Conn
	if own := p.mu.byNode[node]; len(own) >= p.node {
		oldest = own[0]
		p.leaveLocked(node, oldest)
	}
	if ok = p.mu.taken < p.all; ok {
		p.mu.taken++
		p.mu.byNode[node] = append(p.mu.byNode[node], c)
	}
	p.mu.Unlock()
	if oldest != nil {
		oldest.Close()
	}
	return func() { p.leave(node, c) }, ok
}

func (p *places) leave(node string, c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(node, c)
}

func (p *places) leaveLocked(node string, c net.Conn) {
	i := slices.Index(p.mu.byNode[node], c)
	if i < 0 {
		return // it had to go before
	}
	p.mu.taken--
	if p.mu.byNode[node] = slices.Delete(p.mu.byNode[node], i, i+1); len(p.mu.byNode[node]) == 0 {
		delete(p.mu.byNode, node)
	}
}
