package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/kind"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// where is a resource.
type where struct{ kind, organization, stored string }

// memo is what a pass knows of a resource's record, so that the next one need not read
// either again.
type memo struct {
	revision uint64 // of the resource
	inputs   []byte // of what is sealed, or about to be published
	// Of an access key: what its inputs are made of, beside whom it is sealed to.
	accessKeyID string
	secret      []byte
}

// sealed is a record that is to be published.
type sealed struct {
	revision uint64 // of the resource that it was made of
	inputs   []byte
	record   kind.Record
}

// most records that one publication is given, so that changes need not wait long.
const mostRecords = 256

// Reset forgets what was published and what was about to be: the node began to lead.
func (s *Storage) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.edges, s.mu.memo, s.mu.pending = nil, map[where]memo{}, map[where]sealed{}
}

// Pass looks at every key, and seals again those whose edges changed or whose day came.
// It returns how many there are; Records hands them on. Only one goroutine makes passes.
// What cannot be sealed is left as edges have it, and told of.
func (s *Storage) Pass(ctx context.Context, r admit.Reader, published func(stream, kind, name string) ([]byte, error),
	now time.Time,
) (int, error) {
	p := pass{s: s, ctx: ctx, view: admit.NewView(r, published), now: now, next: map[where]memo{}}
	s.mu.Lock()
	p.last = s.mu.memo
	s.mu.Unlock()
	var bad []error
	for _, k := range []string{bucketKind, encryptionKeyKind, accessKeyKind} {
		err := r.ScanAll(k, func(v admit.Version) bool {
			if err := p.look(v); err != nil && len(bad) < 8 {
				bad = append(bad, fmt.Errorf("%s of %s: %w", v.Name, v.Organization, err))
			}
			return ctx.Err() == nil
		})
		if err != nil {
			return p.sealed, err
		}
	}
	if ctx.Err() != nil {
		return p.sealed, ctx.Err()
	}
	s.mu.Lock()
	s.mu.memo = p.next
	s.mu.Unlock()
	return p.sealed, errors.Join(bad...)
}

// pass is one pass. last is not changed any more; next takes its place.
type pass struct {
	s          *Storage
	ctx        context.Context
	view       *admit.View
	now        time.Time
	last, next map[where]memo
	sealed     int
}

func (p *pass) look(v admit.Version) error {
	w := where{v.Kind, v.Organization, v.Name}
	m := p.last[w]
	if same, err := p.same(v, m); err != nil || same {
		p.next[w] = m
		return err
	}
	x, secret, err := p.sealing(v)
	if err != nil {
		return err
	}
	known := m.revision == v.Revision && bytes.Equal(m.inputs, x.inputs)
	m = memo{revision: v.Revision, inputs: x.inputs, secret: secret}
	if v.Kind == accessKeyKind {
		m.accessKeyID = strings.TrimPrefix(x.name, "accesskeys/")
	}
	p.next[w] = m
	if known {
		return nil
	}
	published, err := p.view.Published(x.stream, x.kind, x.name)
	if err != nil || published != nil && bytes.Equal(inputsOf(x.kind, published), x.inputs) {
		return err
	}
	value, err := x.value(published)
	if err != nil {
		delete(p.next, w)
		return err
	}
	p.sealed++
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.mu.pending[w] = sealed{v.Revision, x.inputs, x.published(value)}
	return nil
}

// same says of an access key that neither it, nor its day, nor its edges changed. Of the
// others, whose inputs do not follow the time, there are few enough to look at.
func (p *pass) same(v admit.Version, m memo) (bool, error) {
	if m.accessKeyID == "" || m.revision != v.Revision {
		return false, nil
	}
	g, err := p.s.organization(p.ctx, p.view, v.Organization)
	if err != nil {
		return false, err
	}
	return bytes.Equal(m.inputs, p.s.accessKeyInputs(g, m.accessKeyID, m.secret, p.now)), nil
}

// sealing reads a resource; of an access key it also returns the sealed secret.
func (p *pass) sealing(v admit.Version) (x sealing, secret []byte, err error) {
	m, err := admit.Decode(v.Kind, v.Value)
	if err != nil {
		return x, nil, err
	}
	switch m := m.(type) {
	case *storagev1.Bucket:
		x, err = p.s.sealBucket(p.ctx, p.view, v.Organization, v.Name, m)
	case *storagev1.EncryptionKey:
		x, err = p.s.sealEncryptionKey(p.ctx, p.view, v.Organization, v.Name, m)
	case *storagev1.AccessKey:
		x, err = p.s.sealAccessKey(p.ctx, p.view, v.Organization, v.Name, m, p.now)
		secret = m.GetStatus().GetSealedSecret()
	default:
		err = fmt.Errorf("%s is not of storage", v.Kind)
	}
	return x, secret, err
}

// Records are those that the publisher keeps as they should be: that of the endpoint, and
// what passes sealed, as far as the resource is still what it was made of. What proves
// to be published is forgotten.
func (s *Storage) Records(r admit.Reader, published func(stream, kind, name string) ([]byte,
	error),
) ([]kind.Record, error) {
	e, err := s.endpoint()
	if err != nil {
		return nil, err
	}
	out := []kind.Record{e}
	s.mu.Lock()
	defer s.mu.Unlock()
	for w, due := range s.mu.pending {
		if len(out) > mostRecords {
			break
		}
		v, ok, err := r.Get(w.kind, w.organization, w.stored)
		if err != nil {
			return nil, err
		}
		if !ok || v.Revision != due.revision {
			// Its own publication tells of it, or a later pass.
			delete(s.mu.pending, w)
			continue
		}
		have, err := published(due.record.Stream, due.record.Kind, due.record.Name)
		if err != nil {
			return nil, err
		}
		if have != nil && bytes.Equal(inputsOf(due.record.Kind, have), due.inputs) {
			delete(s.mu.pending, w)
			continue
		}
		out = append(out, due.record)
	}
	return out, nil
}

// inputsOf reads the inputs of a published record; nil when it cannot be read.
func inputsOf(kindName string, value []byte) []byte {
	var m interface {
		proto.Message
		GetInputs() []byte
	} = &storagev1.PublishedKeys{}
	if kindName == publishedAccessKey {
		m = &storagev1.PublishedAccessKey{}
	}
	if proto.Unmarshal(value, m) != nil {
		return nil
	}
	return m.GetInputs()
}
