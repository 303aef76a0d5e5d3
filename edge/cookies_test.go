package edge

import (
	"context"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

const aDay = 24 * time.Hour

// cookieItem is a secret for each of 17 days, the second of which begins at today.
func cookieItem(t *testing.T, today time.Time) *feedv1.Item {
	t.Helper()
	m := &dnsv1.CookieSecrets{}
	for day := range 17 {
		secret := []byte(strings.Repeat(string(rune('a'+day)), 16))
		m.Secrets = append(m.Secrets, &dnsv1.CookieSecret{
			Begins: today.Add(time.Duration(day-1) * aDay).Unix(),
			Secret: secret,
		})
	}
	value, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return &feedv1.Item{Kind: kindCookies, Name: "cookies", Lane: 1, Value: value}
}

// bake asks with a cookie and returns the server's answer to it, both in hexadecimal.
func bake(t *testing.T, n *Node, cookie string) string {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion("www.example.com.", dns.TypeA)
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
	c := dns.Client{Timeout: 5 * time.Second}
	r, _, err := c.Exchange(q, n.Addresses("dns")[0].String())
	if err != nil {
		t.Fatal(err)
	}
	if r.IsEdns0() != nil {
		for _, o := range r.IsEdns0().Option {
			if k, ok := o.(*dns.EDNS0_COOKIE); ok {
				return k.Cookie
			}
		}
	}
	return ""
}

// TestEdgesShareCookies: a cookie of one edge is one to another, after a restart with no
// control node too, and for the hour that it lives across the change of the secret.
func TestEdgesShareCookies(t *testing.T) {
	today := time.Now().UTC().Truncate(aDay)
	var offset atomic.Int64
	offset.Store(int64(time.Until(today.Add(aDay - 20*time.Minute)))) // 23:40
	now := clock.At(func() time.Time { return time.Now().Add(time.Duration(offset.Load())) })
	f := fakeControl(t, sealedFrame(t, append(zoneItems(t), cookieItem(t, today))...))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := func(dir string, feeds ...string) (*Node, func()) {
		cfg := settings(t, dir)
		cfg.Feeds, cfg.Clock = feeds, now
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, n)
		if err := n.WaitRevision(ctx, 1); err != nil {
			t.Fatal(err)
		}
		waitReady(t, n)
		return n, stop
	}
	dir := t.TempDir()
	one, stop := begin(dir, f.addr)
	two, _ := begin(t.TempDir(), f.addr)
	const client = "0102030405060708"
	first := bake(t, one, client)
	if len(first) != 2*cookie.Len {
		t.Fatalf("cookie %q", first)
	}
	// A cookie that is taken comes back as it is; another's time stamp is the present.
	offset.Add(int64(time.Minute))
	if got := bake(t, two, first); got != first {
		t.Errorf("the second edge answers %s to %s of the first", got, first)
	}
	forged := first[:len(first)-2] + hex.EncodeToString([]byte{first[len(first)-1]})
	if got := bake(t, two, forged); got == forged || got == first {
		t.Errorf("a forged cookie was taken")
	}
	stop()
	f.stop()
	one, _ = begin(dir)
	if got := bake(t, one, first); got != first {
		t.Errorf("after a restart the edge answers %s to %s", got, first)
	}
	// Half past midnight: the next secret makes cookies; the last still vouches.
	offset.Add(int64(39 * time.Minute))
	for _, n := range []*Node{one, two} {
		n.parts[1].Swap(cookiesOf(t, cookieItem(t, today).Value)) // as the next look at the clock does
		if got := bake(t, n, first); got == first || len(got) != len(first) {
			t.Errorf("on another day %s is answered %s", first, got)
		}
	}
	second := bake(t, one, client)
	offset.Add(int64(time.Minute))
	if got := bake(t, two, second); got != second {
		t.Errorf("on the next day the second edge answers %s to %s of the first", got, second)
	}
}

func cookiesOf(t *testing.T, value []byte) cookieSecrets {
	t.Helper()
	s, err := readCookies(value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCookieSecretsByTheClock(t *testing.T) {
	today := time.Date(2030, 3, 4, 0, 0, 0, 0, time.UTC)
	s := cookiesOf(t, cookieItem(t, today).Value)
	for _, c := range []struct {
		at   time.Duration
		want string
	}{
		{-5 * aDay, "ab"},
		{-aDay, "ab"},
		{-time.Second, "ab"},
		{0, "bac"},
		{aDay - 1, "bac"},
		{aDay, "cbd"},
		{14 * aDay, "poq"},
		{15 * aDay, "qp"},
		{99 * aDay, "qp"},
	} {
		got := ""
		for _, k := range s.at(today.Add(c.at)) {
			got += string(k[:1])
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.at, got, c.want)
		}
	}
	if (cookieSecrets{}).at(today) != nil {
		t.Error("none make some")
	}
}

func TestBadCookieSecretsAreRefused(t *testing.T) {
	good := cookieItem(t, time.Now()).Value
	short, err := proto.Marshal(&dnsv1.CookieSecrets{Secrets: []*dnsv1.CookieSecret{{Begins: 1, Secret: []byte("x")}}})
	if err != nil {
		t.Fatal(err)
	}
	back, err := proto.Marshal(&dnsv1.CookieSecrets{Secrets: []*dnsv1.CookieSecret{{
		Begins: 2,
		Secret: make([]byte, 16),
	}, {Begins: 1, Secret: make([]byte, 16)}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{short, back, {0xff}} {
		next, refused := compileCookies(nil, []kind.Change{
			{Kind: kindCookies, Name: "cookies", Value: good},
			{Kind: kindCookies, Name: "cookies", Value: bad},
		})
		if len(refused) != 1 || len(next.(cookieSecrets)) != 17 {
			t.Errorf("%x: %v", bad, refused)
		}
	}
}
