// Package command is what people type: each file holds one command or one family of
// them, as functions of a session.
//
// A session is one run of dark. It is used by one goroutine, except where a command
// starts another and waits for it (zones import); it owns the connection.
package command

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	"github.com/dark-ecosystem/dark/internal/contexts"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// Streams are where a run reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// kept is an output that remembers its first error: a run whose answer was lost has failed,
// whether or not the command looked at what Fprintf returned.
type kept struct {
	w   io.Writer
	err error
}

func (k *kept) Write(b []byte) (int, error) {
	n, err := k.w.Write(b)
	if k.err == nil {
		k.err = err
	}
	return n, err
}

// orErr is the run's own error, else that of its output.
func (k *kept) orErr(err error) error {
	if err == nil && k.err != nil {
		return exit.New(exit.Failed, "", "%w", k.err)
	}
	return err
}

// session is one run: its flags and, once something is asked of it, its connection.
type session struct {
	Streams
	addr, token, organization, context, ca string
	output                                 string
	timeout                                time.Duration

	unused string // the current context, where an address from elsewhere stands for it

	client *client.Client
	kinds  []*resourcev1.KindInfo
}

// close ends the connection, if there is one.
func (s *session) close() error {
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

const noInstallation = "dark context use dev (darkd dev writes it), or --addr http://127.0.0.1:8080 --token TOKEN"

// target finds the installation: the context, above it the environment, above it flags.
func (s *session) target() (contexts.Context, error) {
	c, err := s.base()
	if err != nil {
		return c, err
	}
	env := os.Getenv
	if s.context != "" {
		// A flag is above the environment: the context's token must not go to DARK_ADDR.
		env = func(string) string { return "" }
	}
	own := c.Addr
	for _, o := range []struct {
		into      *string
		flag, env string
	}{
		{&c.Addr, s.addr, "DARK_ADDR"},
		{&c.Token, s.token, "DARK_TOKEN"},
		{&c.Organization, s.organization, "DARK_ORGANIZATION"},
		{&c.CA, s.ca, "DARK_CA"},
	} {
		if v := firstOf(o.flag, env(o.env)); v != "" {
			*o.into = v
		}
	}
	if sameAddress(own, c.Addr) {
		c.Addr = own // it may state more, such as its scheme
	}
	if c.Addr == "" {
		return c, exit.New(exit.Usage, noInstallation, "it is not known which installation to ask")
	}
	return c, nil
}

// base returns the context that is named, or the current one. With another address than its
// own the current one is not taken: its token is for another installation.
func (s *session) base() (contexts.Context, error) {
	name := firstOf(s.context, os.Getenv("DARK_CONTEXT"))
	addr := ""
	if name == "" {
		addr = firstOf(s.addr, os.Getenv("DARK_ADDR"))
	}
	path, err := contexts.Path()
	if err != nil {
		if name == "" {
			return contexts.Context{}, nil
		}
		return contexts.Context{}, err
	}
	f, err := contexts.Load(path)
	if err != nil && addr != "" {
		return contexts.Context{}, nil // it is not needed
	}
	if err != nil {
		return contexts.Context{}, err
	}
	c, ok := f.Contexts[firstOf(name, f.Current)]
	switch {
	case !ok && name != "":
		return c, unknownContext(name, f)
	case ok && addr != "" && !sameAddress(c.Addr, addr):
		if !strings.HasPrefix(addr, "unix:") { // a socket asks for neither
			s.unused = f.Current
		}
		return contexts.Context{}, nil
	}
	return c, nil
}

// sameAddress reports whether two addresses are one; an address without a scheme has that of the other.
func sameAddress(a, b string) bool {
	a, b = strings.ToLower(strings.TrimSuffix(a, "/")), strings.ToLower(strings.TrimSuffix(b, "/"))
	schemeA, restA, okA := strings.Cut(a, "://")
	schemeB, restB, okB := strings.Cut(b, "://")
	switch {
	case a == b:
		return true
	case okA && okB:
		return schemeA == schemeB && restA == restB
	case okA:
		return restA == b
	}
	return okB && restB == a
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// dial returns the connection, made at the first call.
func (s *session) dial() (*client.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	c, err := s.target()
	if err != nil {
		return nil, err
	}
	if s.unused != "" && c.Token == "" {
		fmt.Fprintf(s.Err, "note: the address is not that of context %s, so its token and CA are not used; give "+
			"--token and --ca, or --context\n", s.unused)
	}
	s.client, err = client.New(c)
	return s.client, err
}

// call dials and runs f within the time that one request may take.
func (s *session) call(ctx context.Context, f func(context.Context, *client.Client) error) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return f(ctx, c)
}

// style of what is written to standard output.
func (s *session) style() render.Style {
	return render.Style{Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(s.Out)}
}

// formats that -o accepts.
var formats = []string{"table", "json", "yaml", "name"}

// value prints v in JSON or YAML, or lets table write it for reading.
func (s *session) value(v any, table func() error) error {
	switch s.output {
	case "json":
		return render.JSON(s.Out, v)
	case "yaml":
		return render.YAML(s.Out, v)
	}
	return table()
}

// newRequestID makes an id by which the server knows a repeated request.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// write holds the flags that every change takes.
type write struct {
	reason, requestID string
	dryRun            bool
}

func (w *write) flags(c *cobra.Command) {
	c.Flags().StringVar(&w.reason, "reason", "", "why, for the audit")
	c.Flags().StringVar(&w.requestID, "request-id", "", "makes a repeated request harmless (default: a random one)")
	c.Flags().BoolVar(&w.dryRun, "dry-run", false, "check all and show what would change; change nothing")
	_ = c.RegisterFlagCompletionFunc("reason", cobra.NoFileCompletions)
}

func (w *write) id() string { return firstOf(w.requestID, newRequestID()) }

// isEOF tells the orderly end of a stream from its failure.
func isEOF(err error) bool { return errors.Is(err, io.EOF) }
