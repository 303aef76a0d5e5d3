package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// zonesCheck reads a master file, or the zone itself, as an import would, and changes nothing.
func (s *session) zonesCheck() *cobra.Command {
	i := &importZone{session: s, dryRun: true, yes: true, create: true}
	c := &cobra.Command{
		Use: "check NAME [FILE]", Short: "tell mistakes in a zone or a master file, and what is probably not meant",
		Long: "Tell mistakes in a master file, or without one in the zone as it is, and what is probably\n" +
			"not meant: a name without its last dot, NS or MX without an address, to an address or to a\n" +
			"CNAME, no NS, SPF twice, a DKIM key that was cut, a TTL of more than a day. It changes\n" +
			"nothing. With a mistake or a warning the exit code is 1.",
		Example: "  dark zones check example.com\n  dark zones check example.com example.com.zone",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: s.completeFixed("Zone"),
		RunE: func(c *cobra.Command, args []string) error { return i.checkZone(c.Context(), args) },
	}
	c.Flags().BoolVar(&i.withoutDNSSEC, "without-dnssec", false,
		"leave out what signing made, such as RRSIG, NSEC and DNSKEY")
	return c
}

func (i *importZone) checkZone(ctx context.Context, args []string) error {
	path := "zone " + args[0]
	var in io.ReadCloser
	var size int64
	var err error
	if len(args) == 2 {
		path = args[1]
		in, size, err = i.open(path)
	} else {
		in, err = i.exported(ctx, zoneName(args[0]))
	}
	if err != nil {
		return needZone(err, args)
	}
	r, err := i.transfer(ctx, args[0], path, in, size)
	if err != nil {
		return err
	}
	i.warn(path, r.Warnings)
	if err := i.message(&dnsv1.ImportZoneResponse{Records: r.Records, Done: true, Warnings: r.Warnings}, func() error {
		_, err := fmt.Fprintf(i.Out, "%s: %s, no mistakes, %s\n",
			zoneName(args[0]), numbered(r.Records, "record"), numbered(uint64(len(r.Warnings)), "warning"))
		return err
	}); err != nil || len(r.Warnings) == 0 {
		return err
	}
	return exit.New(exit.Failed, "mend what is not meant so; nothing refuses it",
		"%s", numbered(uint64(len(r.Warnings)), "warning"))
}

// needZone asks for the zone's name where a file stands in its place.
func needZone(err error, args []string) error {
	if fi, serr := os.Stat(args[0]); len(args) > 1 || serr != nil || !fi.Mode().IsRegular() {
		return err
	}
	switch e := exit.Of(err); e.Code {
	case exit.NotFound, exit.Failed:
		return exit.New(exit.Usage, "dark zones check NAME "+args[0],
			"%s is a file, and no zone has that name; NAME is missing, the zone that the file is of", args[0])
	}
	return err
}

// exported is the zone as it is, as a master file.
func (i *importZone) exported(ctx context.Context, name string) (io.ReadCloser, error) {
	c, err := i.dial()
	if err != nil {
		return nil, err
	}
	stream, err := c.Zones.ExportZone(ctx, &dnsv1.ExportZoneRequest{Name: name})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer // what refuses a file is told of it below
	if err := receiveFile(stream, &b, io.Discard); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), nil
}
