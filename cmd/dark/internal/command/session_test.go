package command

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/internal/contexts"
)

func TestFlagsAreAboveTheEnvironmentAndThatAboveTheContext(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	f := &contexts.File{}
	f.Put("dev", contexts.Context{Addr: "http://127.0.0.1:1", Token: "dev-token", Organization: "demo"}, true)
	f.Put("prod", contexts.Context{Addr: "https://prod", Token: "prod-token", CA: "/ca"}, false)
	if err := f.Save(filepath.Join(dir, "dark", "contexts.yaml")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		s    session
		env  map[string]string
		want contexts.Context
	}{
		"the current context": {want: contexts.Context{
			Addr: "http://127.0.0.1:1", Token: "dev-token",
			Organization: "demo",
		}},
		"a context by flag": {s: session{context: "prod"}, want: contexts.Context{
			Addr:  "https://prod",
			Token: "prod-token", CA: "/ca",
		}},
		"a context by environment": {
			env:  map[string]string{"DARK_CONTEXT": "prod"},
			want: contexts.Context{Addr: "https://prod", Token: "prod-token", CA: "/ca"},
		},
		"an address takes no other installation's token": {
			s:    session{addr: "https://other"},
			want: contexts.Context{Addr: "https://other"},
		},
		"the current context's own address keeps the rest of it": {
			s:    session{addr: "127.0.0.1:1/"},
			want: contexts.Context{Addr: "http://127.0.0.1:1", Token: "dev-token", Organization: "demo"},
		},
		"from the environment, too, and flags are above it": {
			s:    session{token: "t"},
			env:  map[string]string{"DARK_ADDR": "HTTP://127.0.0.1:1"},
			want: contexts.Context{Addr: "http://127.0.0.1:1", Token: "t", Organization: "demo"},
		},
		"another scheme is another address": {
			s:    session{addr: "https://127.0.0.1:1"},
			want: contexts.Context{Addr: "https://127.0.0.1:1"},
		},
		"nor does one from the environment": {
			env:  map[string]string{"DARK_ADDR": "https://other", "DARK_TOKEN": "t", "DARK_CA": "/c"},
			want: contexts.Context{Addr: "https://other", Token: "t", CA: "/c"},
		},
		"a named context's token stays with its address": {
			s: session{context: "prod"}, env: map[string]string{"DARK_ADDR": "https://other", "DARK_ORGANIZATION": "x"},
			want: contexts.Context{Addr: "https://prod", Token: "prod-token", CA: "/ca"},
		},
		"an organization by flag": {
			s: session{organization: "acme"}, env: map[string]string{"DARK_ORGANIZATION": "x"},
			want: contexts.Context{Addr: "http://127.0.0.1:1", Token: "dev-token", Organization: "acme"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			got, err := c.s.target()
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	var said strings.Builder
	for _, c := range []struct {
		s    session
		want string
	}{
		{session{addr: "https://other"}, "note: the address is not that of context dev, so its token"},
		{session{addr: "https://other", token: "t"}, ""},
		{session{addr: "http://127.0.0.1:1"}, ""},
		{session{}, ""},
	} {
		said.Reset()
		c.s.Err = &said
		_, err := c.s.dial()
		if err != nil || !strings.HasPrefix(said.String(), c.want) || c.want == "" && said.Len() > 0 {
			t.Errorf("%+v says %q, %v", c.s, said.String(), err)
		}
		if err := c.s.close(); err != nil {
			t.Error(err)
		}
	}
	s := session{context: "pord"}
	if _, err := s.target(); exit.Of(err).Code != exit.NotFound {
		t.Errorf("an unknown context: %v", err)
	}
}

// full is a file on a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestAnAnswerThatIsLostIsAFailure: for every command, whatever it does with its output.
func TestAnAnswerThatIsLostIsAFailure(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--help"}, {"zones", "--help"}, {"completion", "bash"}} {
		err := Run(t.Context(), args, Streams{In: strings.NewReader(""), Out: full{}, Err: io.Discard}, Zones, Version)
		if e := exit.Of(err); e == nil || e.Code != exit.Failed || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
