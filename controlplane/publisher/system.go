package publisher

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/kind"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// PublishingKeyKind is the kind of the records of stream "system" that tell edges which
// keys sign frames; their name is the key's id in hexadecimal.
const PublishingKeyKind = "dark.feed.v1.PublishingKey"

// system adds the installation's own records, as far as they fit. Should they fail, the
// publication goes on without them.
func (r *round) system() error {
	var all []kind.Record
	_, err := r.make(&kind.Kind{MaxRecord: kind.MaxRecord}, func(func(kind.Record) error) (err error) {
		all, err = r.p.systemRecords()
		return err
	})
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	if err != nil {
		r.p.Log.Error("the installation's own records cannot be made; publication goes on without them", "err", err)
		return nil
	}
	for _, rec := range all {
		switch {
		case len(rec.Value) > kind.MaxRecord:
			r.p.Log.Error("a record of the installation's own is too large to be published", "kind", rec.Kind, "name",
				rec.Name, "octets", len(rec.Value))
		case r.bytes+rec.Cost() < r.p.Bounds.Bytes:
			r.take([]kind.Record{rec})
		}
	}
	return nil
}

// systemRecords are what edges must know of the installation itself and were not told.
func (p *Publisher) systemRecords() ([]kind.Record, error) {
	news, err := p.ownKey()
	if err != nil || p.System == nil {
		return news, err
	}
	all, err := p.System(p.Clock.Now())
	if err != nil {
		return nil, fmt.Errorf("make the installation's records: %w", err)
	}
	for _, r := range all {
		have, err := p.Store.Published(r.Stream, r.Kind, r.Name)
		if err != nil {
			return nil, err
		}
		if have == nil || !bytes.Equal(have, r.Value) {
			news = append(news, r)
		}
	}
	return news, nil
}

// ownKey is the record of the key that signs, until it is published.
func (p *Publisher) ownKey() ([]kind.Record, error) {
	public := p.Key.Public().(ed25519.PublicKey)
	id := frame.KeyID(public)
	name := hex.EncodeToString(id[:])
	have, err := p.Store.Published("system", PublishingKeyKind, name)
	if err != nil || have != nil {
		return nil, err
	}
	value, err := proto.Marshal(&feedv1.PublishingKey{PublicKey: public, ActiveFrom: p.Clock.Now().Unix()})
	if err != nil {
		return nil, err
	}
	return []kind.Record{{Kind: PublishingKeyKind, Stream: "system", Name: name, Lane: kind.LaneData, Value: value}},
		nil
}
