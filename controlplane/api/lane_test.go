package api

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
)

func by(org, key string) identity.Caller { return identity.Caller{Organization: org, Who: key} }

// TestAnOrganizationHoldsUpItsOwnLists: others pass those that wait for a share.
func TestAnOrganizationHoldsUpItsOwnLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane("lists", bounds{1, 2, 3}, bounds{1, 2, 4})
		enter := func(org, key string) func() {
			t.Helper()
			leave, err := l.enter(t.Context(), by(org, key))
			if err != nil {
				t.Fatal(err)
			}
			return leave
		}
		one, two := enter("a", "k1"), enter("a", "k2")
		var order []string
		wait := func(org, key string) {
			go func() {
				if leave, err := l.enter(context.Background(), by(org, key)); err == nil {
					order = append(order, org+" "+key)
					defer leave()
				} else {
					order = append(order, org+" gave up")
				}
			}()
			synctest.Wait()
		}
		wait("a", "k1")
		wait("a", "k3")
		if _, err := l.enter(t.Context(), by("a", "k1")); !errs.Is(err, errs.Exhausted) {
			t.Fatalf("a key has a second place in the queue: %v", err)
		}
		if _, err := l.enter(t.Context(), by("a", "k4")); !errs.Is(err, errs.Exhausted) {
			t.Fatalf("an organization has a third place in the queue: %v", err)
		}
		enter("b", "k5")() // passes both
		two()              // the place of k2 is for k3, since k1 has its share
		synctest.Wait()
		one()
		synctest.Wait()
		if want := []string{"a k3", "a k1"}; len(order) != 2 || order[0] != want[0] || order[1] != want[1] {
			t.Errorf("order %v, want %v", order, want)
		}
		if l.mu.working.all != 0 || len(l.mu.working.keys)+len(l.mu.queued.organizations) != 0 {
			t.Errorf("left behind: %+v, %+v", l.mu.working, l.mu.queued)
		}
	})
}

func TestWhoWaitsTooLongIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane("lists", bounds{1, 1, 1}, bounds{1, 1, 1})
		leave, err := l.enter(t.Context(), by("a", "k"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.enter(t.Context(), by("a", "k")); !errs.Is(err, errs.Exhausted) {
			t.Fatalf("%v", err)
		}
		leave()
		if l.mu.queued.all != 0 || len(l.mu.queue) != 0 {
			t.Fatal("it still waits")
		}
	})
}
