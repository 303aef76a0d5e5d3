package controlplane

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// The secrets of DNS cookies (RFC 9018) come of one random seed, which is in the state,
// sealed, and never leaves the centre: each day's is derived from it. Edges are told
// those of yesterday, of today and of the days that they may have to go on alone, which
// are 14 (design/keys.md), and one more so that a feed that is a day behind takes
// nothing from those.
const (
	metaCookies   = "dns/cookies" // the sealed seed; deleted, it is made anew
	cookieSeed    = 32
	cookieDay     = 24 * time.Hour
	cookiesBefore = 1
	cookiesAhead  = 15
	cookiesEvery  = time.Minute
)

var cookieKind = string((&dnsv1.CookieSecrets{}).ProtoReflect().Descriptor().FullName())

// runCookies makes the seed where there is none.
func (n *Node) runCookies(ctx context.Context) {
	every(ctx, cookiesEvery, func(ctx context.Context) {
		if err := n.makeCookieSeed(ctx); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Warn("make the seed of DNS cookies", "err", err)
		}
	})
}

func (n *Node) makeCookieSeed(ctx context.Context) error {
	have, revision, err := n.core.store.Meta(metaCookies)
	if err != nil || have != nil {
		return err
	}
	var seed [cookieSeed]byte
	rand.Read(seed[:])
	sealed := n.core.root.Seal(keyring.Cookies, metaCookies, seed[:])
	_, err = n.core.log.Propose(ctx, &statev1.Transaction{
		Origin: n.controller("cookies"), Preconditions: []*statev1.Precondition{metaAt(metaCookies, revision)},
		Ops: []*statev1.Op{{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: metaCookies, Value: sealed}}}},
	})
	if errs.Is(err, errs.Conflict) {
		return nil // another leader made it
	}
	return err
}

// systemRecords are those that the publisher keeps as they should be at a time.
func (n *Node) systemRecords(now time.Time) ([]kind.Record, error) {
	cookies, err := n.cookieRecords(now)
	if err != nil {
		return nil, err
	}
	addresses, err := n.feedRecords()
	if err != nil {
		return nil, err
	}
	storage, err := n.storageRecords()
	return slices.Concat(cookies, addresses, storage), err
}

// feedRecords tell edges where control nodes are. The record of one that was removed ends
// with its Node (controlplane/cluster).
func (n *Node) feedRecords() ([]kind.Record, error) {
	var out []kind.Record
	for name, m := range n.members() {
		if m.GetFeed() == "" {
			continue
		}
		value, err := proto.MarshalOptions{Deterministic: true}.Marshal(&feedv1.FeedAddress{
			Node:    name,
			Address: m.GetFeed(),
		})
		if err != nil {
			return nil, err
		}
		out = append(out, kind.Record{
			Kind: cluster.FeedAddressKind, Stream: "system", Name: name, Lane: kind.LaneData,
			Value: value,
		})
	}
	return out, nil
}

func (n *Node) cookieRecords(now time.Time) ([]kind.Record, error) {
	sealed, _, err := n.core.store.Meta(metaCookies)
	if err != nil || sealed == nil {
		return nil, err
	}
	seed, err := n.core.root.Open(keyring.Cookies, metaCookies, sealed)
	if err != nil {
		return nil, fmt.Errorf("the seed of DNS cookies: %w", err)
	}
	secrets, err := cookieSecrets(seed, now)
	if err != nil {
		return nil, err
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(secrets)
	if err != nil {
		return nil, err
	}
	return []kind.Record{{
		Kind: cookieKind, Stream: "role/" + ca.Edge, Name: "cookies", Lane: kind.LaneData,
		Value: value,
	}}, nil
}

// cookieSecrets are those that edges are told at a time: the same all day long (UTC).
func cookieSecrets(seed []byte, now time.Time) (*dnsv1.CookieSecrets, error) {
	out := &dnsv1.CookieSecrets{}
	today := now.UTC().Truncate(cookieDay)
	for day := -cookiesBefore; day <= cookiesAhead; day++ {
		begins := today.Add(time.Duration(day) * cookieDay).Unix()
		secret, err := hkdf.Key(sha256.New, seed, nil, "dark dns cookie v1 "+strconv.FormatInt(begins, 10), 16)
		if err != nil {
			return nil, fmt.Errorf("derive the secret of DNS cookies: %w", err)
		}
		out.Secrets = append(out.Secrets, &dnsv1.CookieSecret{Begins: begins, Secret: secret})
	}
	return out, nil
}
