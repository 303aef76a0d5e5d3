package storage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/duration"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

func catCommand(env *Env) *cobra.Command {
	var o opening
	var part, id string
	var l limits
	c := &cobra.Command{
		Use: "cat URL...", Short: "write objects to standard output",
		Example: "  dark storage cat darkstorage://logs/today.log --range 0-1023",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: env.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			list, err := parseObjects(args, id)
			if err != nil {
				return err
			}
			if part != "" && o.decrypt {
				return usage("one of the two", "a part of an encrypted object cannot be decrypted alone")
			}
			if err := o.load(); err != nil {
				return err
			}
			l.parallel = 1
			e, err := env.engine(l)
			if err != nil {
				return err
			}
			defer e.report.bar.end()
			return e.cat(c.Context(), list, id, part, &o)
		},
	}
	c.Flags().StringVar(&part, "range", "", "only these bytes: 0-1023, 1024- or -512 for the last 512")
	env.versionFlag(c, &id)
	l.bandwidthFlag(c)
	o.flags(c)
	return c
}

func (e *engine) cat(ctx context.Context, list []location, id, part string, how *opening) error {
	for _, l := range list {
		if l.folder() {
			return usage("an object's name; dark storage ls "+l.String(), "%s is a prefix, not an object",
				show(l.String()))
		}
		if err := e.catOne(ctx, l, id, part, how); err != nil {
			return explain(err)
		}
	}
	return nil
}

func (e *engine) catOne(ctx context.Context, l location, id, part string, how *opening) error {
	of, err := e.stat(ctx, l, id)
	if err != nil {
		return err
	}
	begin, end, err := span(part, of.size)
	if err != nil {
		return err
	}
	b, err := e.open(ctx, of, begin, end)
	if err != nil {
		return err
	}
	defer b.done()
	if err := how.check(l.String(), b.header); err != nil {
		return err
	}
	in, err := how.reader(l.String(), b)
	if err != nil {
		return err
	}
	if _, err := io.Copy(e.Out, in); err != nil {
		return fmt.Errorf("%s: %w", show(l.String()), err)
	}
	return nil
}

// span reads a range (RFC 9110, 14.1.2) of something of n bytes; end is exclusive.
func span(text string, n int64) (begin, end int64, err error) {
	if text == "" {
		return 0, n, nil
	}
	bad := usage("--range 0-1023, 1024- or -512", "%q is no range of %d bytes", text, n)
	first, last, ok := strings.Cut(text, "-")
	a, aerr := strconv.ParseInt(first, 10, 64)
	b, berr := strconv.ParseInt(last, 10, 64)
	switch {
	case !ok || first != "" && aerr != nil || last != "" && berr != nil || first == "" && last == "":
		return 0, 0, bad
	case first == "":
		begin, end = n-min(b, n), n
	case last == "":
		begin, end = a, n
	default:
		begin, end = a, min(b, n-1)+1
	}
	if begin >= end || begin < 0 {
		return 0, 0, bad
	}
	return begin, end, nil
}

// maxPresign is AWS's, and the endpoint's: seven days.
const maxPresign = 7 * 24 * time.Hour

func presignCommand(env *Env) *cobra.Command {
	var expires time.Duration
	var method string
	c := &cobra.Command{
		Use: "presign URL", Short: "make an address by which anyone can read or write one object for a while",
		Long: "Make an address by which anyone who has it can read an object, or with --method PUT write it,\n" +
			"until it expires. Deleting the access key ends it at once.",
		Example: "  dark storage presign darkstorage://docs/report.pdf --expires 24h\n  curl -T report.pdf \"$(dark " +
			"storage presign darkstorage://docs/report.pdf --method PUT)\"",
		Args: cobra.ExactArgs(1), ValidArgsFunction: env.completeObjects,
		RunE: func(c *cobra.Command, args []string) error { return env.presign(c.Context(), args[0], method, expires) },
	}
	duration.Var(c.Flags(), &expires, "expires", time.Hour, "how long it works: 15m, 24h, at most 7d")
	c.Flags().StringVar(&method, "method", http.MethodGet, "GET, HEAD or PUT")
	_ = c.RegisterFlagCompletionFunc("method", cobra.FixedCompletions([]string{"GET", "HEAD", "PUT"},
		cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (e *Env) presign(ctx context.Context, text, method string, expires time.Duration) error {
	l, err := parseRemote(text)
	if err != nil {
		return err
	}
	method = strings.ToUpper(method)
	switch {
	case l.folder():
		return usage("an object's name", "%s is a prefix, not an object", show(text))
	case expires < time.Second || expires > maxPresign:
		return usage("--expires 24h", "an address works for a second to %s, not %s", maxPresign, expires)
	case method != http.MethodGet && method != http.MethodHead && method != http.MethodPut:
		return usage("--method GET", "%q is not a method that can be signed for here", method)
	}
	c, err := e.connect(0)
	if err != nil {
		return err
	}
	u, err := c.Presign(ctx, method, l.bucket, l.key, expires, nil)
	if err != nil {
		return explain(err)
	}
	if f := e.Output(); f == "json" || f == "yaml" {
		return writeJSON(e.Out, map[string]string{
			"url": u.String(), "method": method, "source": l.String(),
			"expires": time.Now().Add(expires).UTC().Format(time.RFC3339),
		})
	}
	if _, err := fmt.Fprintln(e.Out, u); err != nil {
		return exit.New(exit.Failed, "", "write the output: %w", err)
	}
	return nil
}
