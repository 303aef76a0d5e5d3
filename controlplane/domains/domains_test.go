package domains

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is a state with pending claims, and name servers of which some never answer.
type world struct {
	mu      sync.Mutex
	claims  []Claim
	began   time.Time
	shown   map[string]time.Duration // when control over a name was written
	looked  map[string]int           // looks by name
	now     map[string]int           // looks in flight by organization
	most    map[string]int           // and the most at a time
	all     int                      // in flight in all
	mostAll int
}

func newWorld(tenants map[string]int) *world {
	w := &world{
		began: time.Now(), shown: map[string]time.Duration{}, looked: map[string]int{}, now: map[string]int{},
		most: map[string]int{},
	}
	for org, n := range tenants {
		for i := range n {
			name := fmt.Sprintf("z%d.%s.example", i, org)
			w.claims = append(w.claims, Claim{
				Kind: "zone", Organization: org, Stored: "zones/" + name, Revision: 1,
				Name: name, Challenge: "dark=" + name,
			})
		}
	}
	return w
}

// LookupTXT hangs for names of organizations that are slow.
func (w *world) LookupTXT(ctx context.Context, name string) ([]string, error) {
	apex := strings.TrimSuffix(strings.TrimPrefix(name, challengeAt), ".")
	org := strings.Split(apex, ".")[1]
	w.enter(org, apex)
	defer w.leave(org)
	if strings.HasPrefix(org, "slow") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []string{"dark=" + apex}, nil
}

func (w *world) LookupNS(context.Context, string) ([]*net.NS, error) {
	return nil, errors.New("no such host")
}

func (w *world) enter(org, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now[org]++
	w.all++
	w.looked[name]++
	w.most[org] = max(w.most[org], w.now[org])
	w.mostAll = max(w.mostAll, w.all)
}

func (w *world) leave(org string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now[org]--
	w.all--
}

func (w *world) source() Source {
	return Source{
		Pending: func() ([]Claim, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			var out []Claim
			for _, c := range w.claims {
				if _, done := w.shown[c.Name]; !done {
					out = append(out, c)
				}
			}
			return out, nil
		},
		Prove: func(ctx context.Context, c Claim) bool { return ChallengeShown(ctx, w, c.Name, c.Challenge) },
		Shown: func(_ context.Context, c Claim) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.shown[c.Name] = time.Since(w.began)
			return nil
		},
	}
}

// run runs for a while of the bubble's time.
func (w *world) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	Run(ctx, Config{Sources: []Source{w.source()}, Log: slog.New(slog.DiscardHandler)})
}

// latest is when the last name of an organization was shown, and how many were.
func (w *world) latest(org string) (last time.Duration, n int) {
	for name, at := range w.shown {
		if strings.HasSuffix(name, "."+org+".example") {
			last, n = max(last, at), n+1
		}
	}
	return last, n
}

// A tenant whose name servers never answer, with very many zones, delays nobody.
func TestASlowTenantDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(map[string]int{"slow": 10_000, "good": 500})
		w.run(t, 20*time.Second)
		if last, n := w.latest("good"); n != 500 || last > time.Second {
			t.Errorf("%d of 500 shown, the last after %v", n, last)
		}
		if w.most["slow"] != defaultPerOrganization || w.most["good"] > defaultPerOrganization {
			t.Errorf("looks at a time: %v", w.most)
		}
	})
}

// When slow tenants fill all places, the others wait for a time-out, not for the queues of
// those.
func TestManySlowTenantsDelayOthersByOneTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := map[string]int{"good": 20}
		for i := range 50 {
			tenants[fmt.Sprint("slow", i)] = 100
		}
		w := newWorld(tenants)
		w.run(t, 3*time.Minute)
		if last, n := w.latest("good"); n != 20 || last > 2*defaultTimeout {
			t.Errorf("%d of 20 shown, the last after %v", n, last)
		}
		if w.mostAll > defaultMost {
			t.Errorf("%d looks at a time", w.mostAll)
		}
		for i := range 50 { // nor do slow ones starve each other
			if w.most[fmt.Sprint("slow", i)] == 0 {
				t.Errorf("slow%d was never looked at", i)
			}
		}
	})
}

// Within an organization names take turns, too: one that never answers is not looked at
// again before the last one was.
func TestEveryNameOfATenantHasItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(map[string]int{"slow": 200})
		w.run(t, 20*time.Minute) // a time-out for each: 1,000 s
		if len(w.looked) != 200 {
			t.Errorf("%d of 200 names were looked at", len(w.looked))
		}
		for name, n := range w.looked {
			if n > 2 {
				t.Errorf("%s was looked at %d times", name, n)
			}
		}
	})
}

// What a name shows later is seen, what is no longer pending is not looked at.
func TestNamesAreLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(map[string]int{"good": 1})
		src, asked := w.source(), 0
		prove := src.Prove
		src.Prove = func(ctx context.Context, c Claim) bool {
			asked++
			return asked == 3 && prove(ctx, c)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		Run(ctx, Config{Sources: []Source{src}, Log: slog.New(slog.DiscardHandler)})
		if last, n := w.latest("good"); n != 1 || last != 2*defaultEvery || asked != 3 {
			t.Errorf("%d shown after %v and %d looks", n, last, asked)
		}
	})
}

func TestDelegatedTo(t *testing.T) {
	r := nsOnly{"NS1.Dark.example.", "other.example."}
	for servers, want := range map[string]bool{"": false, "ns2.dark.example": false, "ns1.dark.example": true} {
		if got := DelegatedTo(t.Context(), r, "example.com", strings.Fields(servers)); got != want {
			t.Errorf("%q: %v", servers, got)
		}
	}
	if ChallengeShown(t.Context(), r, "example.com", "") {
		t.Error("an empty challenge was shown")
	}
}

// nsOnly has these name servers, and an empty TXT record.
type nsOnly []string

func (r nsOnly) LookupTXT(context.Context, string) ([]string, error) { return []string{""}, nil }

func (r nsOnly) LookupNS(context.Context, string) (out []*net.NS, err error) {
	for _, host := range r {
		out = append(out, &net.NS{Host: host})
	}
	return out, nil
}
