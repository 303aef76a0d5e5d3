package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// kindCookies is the published kind of the secrets of DNS cookies.
const kindCookies = "dark.dns.v1.CookieSecrets"

// cookieSecrets are those that the node was told, by rising begin.
type cookieSecrets []cookieSecret

type cookieSecret struct {
	begins time.Time
	secret cookie.Secret
}

// cookies is the part that hands the secrets to the DNS server.
func (d *dnsServer) cookies() Part {
	return Part{Service: kind.Service{
		Name: "dns cookies", Kinds: []string{kindCookies}, Compile: compileCookies,
		Swap: func(next any) { d.setSecrets(next.(cookieSecrets)) },
	}}
}

// compileCookies keeps the record that came last; there is but one.
func compileCookies(prev any, changes []kind.Change) (any, []kind.Refusal) {
	next, _ := prev.(cookieSecrets)
	var refused []kind.Refusal
	for _, c := range changes {
		s, err := readCookies(c.Value)
		if err != nil {
			refused = append(refused, kind.Refusal{
				Kind: c.Kind, Organization: c.Organization, Name: c.Name,
				Revision: c.Revision, Reason: err.Error(),
			})
			continue
		}
		next = s
	}
	return next, refused
}

func readCookies(value []byte) (cookieSecrets, error) {
	m := &dnsv1.CookieSecrets{}
	if err := proto.Unmarshal(value, m); err != nil {
		return nil, fmt.Errorf("cookie secrets: %w", err)
	}
	out := cookieSecrets{}
	for i, s := range m.GetSecrets() {
		if len(s.GetSecret()) != len(cookie.Secret{}) {
			return nil, fmt.Errorf("cookie secret %d has %d octets", i, len(s.GetSecret()))
		}
		if i > 0 && s.GetBegins() <= m.Secrets[i-1].GetBegins() {
			return nil, errors.New("cookie secrets are not by rising begin")
		}
		out = append(out, cookieSecret{time.Unix(s.GetBegins(), 0), cookie.Secret(s.GetSecret())})
	}
	return out, nil
}

// at is what makes cookies at a time, and after it what is accepted too: the one before,
// whose cookies are still about, and the one after, which an edge whose clock is ahead
// takes already (RFC 9018 5). Before the first begins it is the first, and when the
// control plane is away for longer than it planned for, the last remains.
func (s cookieSecrets) at(now time.Time) cookie.Secrets {
	if len(s) == 0 {
		return nil
	}
	i, _ := slices.BinarySearchFunc(s, now, func(s cookieSecret, t time.Time) int {
		if s.begins.After(t) {
			return 1
		}
		return -1
	})
	i = max(i-1, 0)
	out := cookie.Secrets{s[i].secret}
	if i > 0 {
		out = append(out, s[i-1].secret)
	}
	if i+1 < len(s) {
		out = append(out, s[i+1].secret)
	}
	return out
}

func (d *dnsServer) setSecrets(s cookieSecrets) {
	d.mu.Lock()
	d.mu.secrets = s
	d.mu.Unlock()
	d.choose()
}

// choose makes the handler use the secrets of the present time.
func (d *dnsServer) choose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.mu.secrets.at(d.clock.Now()); !slices.Equal(now, d.mu.settings.Cookies) {
		d.mu.settings.Cookies = now
		d.h.Set(d.mu.settings)
	}
}

// keepChoosing follows the time until ctx ends.
func (d *dnsServer) keepChoosing(ctx context.Context) {
	t := time.NewTicker(chooseEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.choose()
		}
	}
}
