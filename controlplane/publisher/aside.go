package publisher

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// maxReason is the most octets that are kept of why something was set aside.
const maxReason = 300

func asideKey(ref *statev1.Ref) string { return kind.AsideKey(ref.Kind, ref.Organization, ref.Name) }

// shown is the name that people know a resource by.
func (p *Publisher) shown(ref *statev1.Ref) string {
	if k := p.kinds[ref.Kind]; k != nil {
		return k.Shown(ref.Name)
	}
	return ref.Name
}

// settle notes that a resource is set aside, or that it is not any more. Publication goes
// on without it, and edges keep what they had of it.
func (r *round) settle(ref *statev1.Ref, err error) {
	key := asideKey(ref)
	was := r.p.aside[key]
	if err == nil {
		if was {
			r.note(key, nil, func() { delete(r.p.aside, key) })
		}
		return
	}
	r.p.Log.Error("a resource cannot be published and is set aside", "kind", ref.Kind, "organization", ref.Organization,
		"name", r.p.shown(ref), "err", err)
	a := &statev1.SetAside{Ref: ref, Revision: r.target, Reason: reason(err), Time: r.p.Clock.Now().Unix()}
	if have, _ := r.p.asideNote(key); have != nil {
		if have.Reason == a.Reason {
			return // noted already: what is tried again at each start writes nothing
		}
		a.Revision, a.Time = have.Revision, have.Time
	}
	r.note(key, a, func() { r.p.aside[key] = true })
}

// reason is an error's text as it is kept.
func reason(err error) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	for len(text) > maxReason {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

func (p *Publisher) asideNote(key string) (*statev1.SetAside, error) {
	value, _, err := p.Store.Meta(key)
	if err != nil || value == nil {
		return nil, err
	}
	a := &statev1.SetAside{}
	if err := proto.Unmarshal(value, a); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return a, nil
}

// loadAside reads what was set aside. A publisher that begins tries all of it once more:
// its program may be one that can.
func (p *Publisher) loadAside() error {
	names, err := p.Store.MetaNames("aside/")
	if err != nil {
		return err
	}
	p.aside, p.again = map[string]bool{}, nil
	var bad []error
	for _, name := range names {
		p.aside[name] = true
		a, err := p.asideNote(name)
		if bad = append(bad, err); a != nil {
			p.again = append(p.again, a.Ref)
		}
	}
	return errors.Join(bad...)
}

// retry publishes some of what was set aside before this publisher began.
func (r *round) retry() error {
	for len(r.p.again) > 0 && r.bytes < r.p.Bounds.Bytes/2 {
		if err := r.item(r.p.again[0]); err != nil {
			return err
		}
		r.p.again = r.p.again[1:]
	}
	return nil
}
