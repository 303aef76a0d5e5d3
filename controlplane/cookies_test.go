package controlplane

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

func TestCookieSecretsOfADay(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, cookieSeed)
	noon := time.Date(2030, 3, 4, 12, 0, 0, 0, time.UTC)
	at := func(seed []byte, now time.Time) map[int64]string {
		t.Helper()
		m, err := cookieSecrets(seed, now)
		if err != nil {
			t.Fatal(err)
		}
		out := map[int64]string{}
		for _, s := range m.Secrets {
			out[s.Begins] = string(s.Secret)
			if len(s.Secret) != 16 {
				t.Errorf("%d octets", len(s.Secret))
			}
		}
		if first := time.Unix(m.Secrets[0].Begins, 0); now.Sub(first) < cookieDay {
			t.Errorf("at %v the first begins %v", now, first)
		}
		if last := time.Unix(m.Secrets[len(m.Secrets)-1].Begins, 0); last.Sub(now) < 14*cookieDay {
			t.Errorf("at %v the last begins %v: an edge alone has not 14 days", now, last)
		}
		return out
	}
	today, tomorrow, other := at(seed, noon), at(seed, noon.Add(cookieDay)), at(bytes.Repeat([]byte{8}, cookieSeed),
		noon)
	different := map[string]bool{}
	for begins, secret := range today {
		different[secret] = true
		if next, ok := tomorrow[begins]; ok && next != secret {
			t.Error("a day's secret changed")
		}
		if other[begins] == secret {
			t.Error("two seeds give one secret")
		}
	}
	if len(today) != 17 || len(different) != 17 {
		t.Errorf("%d secrets, %d different", len(today), len(different))
	}
	a, err := cookieSecrets(seed, noon)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := cookieSecrets(seed, noon.Add(11*time.Hour).In(time.FixedZone("", 9*3600))); err != nil ||
		!proto.Equal(a, b) {
		t.Error("the record changes within a day")
	}
}
