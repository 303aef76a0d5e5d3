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
	return []kind.Record{{Kind: PublishingKeyKind, Stream: "system", Name: name, Lane: kind.LaneData, Value: value}}, nil
}
