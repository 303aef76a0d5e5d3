package identity_test

import (
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/controlplane/identity"
)

func TestTokenForm(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		id, token := identity.NewToken()
		if got, err := identity.ParseToken(token); err != nil || got != id || seen[id] ||
			!strings.HasPrefix(token, "dark_key_") {
			t.Fatalf("%s %s %v", token, id, err)
		}
		seen[id] = true
	}
}

// TestMistypedTokenIsTold: one character changed, anywhere, breaks the form or the
// checksum, so that a mistyped token is told from a revoked one.
func TestMistypedTokenIsTold(t *testing.T) {
	_, token := identity.NewToken()
	for i := range token {
		b := []byte(token)
		b[i] ^= 1
		if _, err := identity.ParseToken(string(b)); err == nil {
			t.Errorf("character %d changed: accepted", i)
		}
	}
	for _, s := range []string{"", token[:len(token)-1], token + "x", strings.ToUpper(token), "Bearer " + token} {
		if _, err := identity.ParseToken(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestHashNeedsThePepper(t *testing.T) {
	_, token := identity.NewToken()
	a, b := identity.HashToken([]byte("one"), token), identity.HashToken([]byte("two"), token)
	if string(a) == string(b) || len(a) != 32 {
		t.Fatal("the pepper does not count")
	}
}

func FuzzParseToken(f *testing.F) {
	_, token := identity.NewToken()
	for _, s := range []string{token, "dark_key_", "dark_key_0123456789ab_" + strings.Repeat("A", 38), ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := identity.ParseToken(s)
		if err == nil && (len(id) != 12 || !strings.Contains(s, id)) {
			t.Fatalf("%q: %q", s, id)
		}
	})
}
