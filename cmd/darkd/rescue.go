package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/edge"
)

type rescue struct{ dir, recovery, listen string }

func newRescue() *cobra.Command {
	r := &rescue{}
	cmd := &cobra.Command{
		Use: "rescue", Args: cobra.NoArgs,
		Short: "Serve what a disk of an edge keeps, to be read, in any machine and without a control node",
		Long: "Serves the buckets that the edge in DIR keeps over S3, to be read and not to be written, until\n" +
			"Ctrl-C. Nothing of the store is changed. The machine key in DIR opens it; where that is gone, the\n" +
			"recovery key does, which `darkd init` printed once. Objects with a key of their customer's (SSE-C)\n" +
			"need that, too.",
		Example: "  darkd rescue --data /mnt/edge --recovery-key recovery.txt\n  darkd rescue --data /mnt/edge",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&r.dir, "data", "/var/lib/dark/edge", "`DIR` that the edge lived in, or that of `darkd dev`")
	cmd.Flags().StringVar(&r.recovery, "recovery-key", "", "`FILE` with the recovery key, - for standard input")
	cmd.Flags().StringVar(&r.listen, "s3", "127.0.0.1:9000", "loopback `ADDRESS:PORT` to serve S3 on")
	return cmd
}

func (r *rescue) run(ctx context.Context, in io.Reader, out, stderr io.Writer) error {
	if at, err := netip.ParseAddrPort(r.listen); err != nil || !at.Addr().IsLoopback() {
		return usageError{fmt.Errorf("--s3 %s is not a loopback address with a port: what is served here is in clear",
			r.listen)}
	}
	secret, err := r.secret(in)
	if err != nil {
		return err
	}
	dir := r.dir
	if _, err := edge.ReadSelf(dir); errors.Is(err, os.ErrNotExist) {
		dir = filepath.Join(dir, "edge") // darkd dev keeps its edge there
	}
	if conn, err := (&net.Dialer{}).DialContext(ctx, "unix", edge.LocalSocket(dir)); err == nil {
		_ = conn.Close()
		return errRunning
	}
	open, err := edge.OpenRescue(dir, secret, logger(stderr, "warn"))
	if err != nil {
		return err
	}
	err = r.serve(ctx, open, out)
	return errors.Join(err, open.Close())
}

// secret reads the recovery key, which no command line should have in it.
func (r *rescue) secret(in io.Reader) (string, error) {
	switch r.recovery {
	case "":
		return "", nil
	case "-":
		b, err := io.ReadAll(io.LimitReader(in, 4<<10))
		return string(b), err
	}
	b, err := os.ReadFile(r.recovery)
	if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(r.recovery, "AGE-SECRET-KEY-") {
		return "", usageError{errors.New("--recovery-key takes a file, or - for standard input: others can read " +
			"command lines")}
	}
	return string(b), err
}

func (r *rescue) serve(ctx context.Context, open *edge.Rescue, out io.Writer) error {
	l, err := net.Listen("tcp", r.listen)
	if err != nil {
		return err
	}
	for _, k := range open.Keys {
		fmt.Fprintf(out, "organization %s, buckets %s:\n  AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s AWS_REGION=%s "+
			"aws --endpoint-url http://%s s3 sync s3://%s COPY\n", k.Organization, strings.Join(k.Buckets, ", "), k.ID,
			k.Secret, edge.RescueRegion, l.Addr(), k.Buckets[0])
	}
	server := &http.Server{Handler: open, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if server.Shutdown(drain) != nil {
		_ = server.Close() // what is not sent by then is asked for again
	}
	return nil
}
