package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func join(records []string) string { return strings.Join(records, ", ") }

// partSize is how much of a master file goes in one message; the server takes 1 MiB.
const partSize = 256 << 10

type importZone struct {
	*session
	dryRun, yes, create, progress, wait, withoutDNSSEC bool
	reason                                             string
}

func (s *session) zonesImport() *cobra.Command {
	i := &importZone{session: s}
	c := &cobra.Command{
		Use: "import NAME FILE", Short: "make a zone's records be those of a master file (RFC 1035)",
		Long: "Make a zone's records be those of a master file (RFC 1035), all or none; - is standard input.\n" +
			"The server reads the file; a mistake in it is told as file:line:column. An import that would\n" +
			"delete more than half of a zone needs --yes. What is probably not meant, such as a name\n" +
			"without its last dot, is told as a warning. --dry-run lists the changes.",
		Example: "  dark zones import example.com example.com.zone --dry-run\n  dark zones import example.com - < " +
			"example.com.zone",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return i.run(c.Context(), args[0], args[1]) },
	}
	f := c.Flags()
	f.BoolVar(&i.dryRun, "dry-run", false, "list what would change; change nothing")
	f.BoolVar(&i.withoutDNSSEC, "without-dnssec", false, "leave out what signing made, such as RRSIG, NSEC and DNSKEY")
	f.BoolVar(&i.yes, "yes", false, "allow that more than half of the zone is deleted")
	f.BoolVar(&i.create, "create", true, "make the zone where it does not exist")
	f.BoolVar(&i.progress, "progress", false, "tell the progress in lines where standard error is no terminal")
	f.BoolVar(&i.wait, "wait", false, "follow the change to every edge")
	f.StringVar(&i.reason, "reason", "", "why, for the audit")
	return c
}

func (i *importZone) run(ctx context.Context, name, path string) error {
	in, size, err := i.open(path)
	if err != nil {
		return err
	}
	last, err := i.transfer(ctx, name, path, in, size)
	if err != nil {
		return err
	}
	return i.report(ctx, name, path, last)
}

// transfer sends the file and returns what the server says of it.
func (i *importZone) transfer(ctx context.Context, name, path string, in io.ReadCloser,
	size int64,
) (*dnsv1.ImportZoneResponse, error) {
	defer in.Close()
	c, err := i.dial()
	if err != nil {
		return nil, err
	}
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Zones.ImportZone(streamCtx)
	if err != nil {
		return nil, err
	}
	head := &dnsv1.ImportZoneRequest{
		Name: zoneName(name), DryRun: i.dryRun, AllowLargeDeletion: i.yes,
		Reason: i.reason, Create: i.create, WithoutDnssec: i.withoutDNSSEC,
	}
	sent := make(chan error, 1)
	go func() {
		err := send(stream, head, in)
		if err != nil && !isEOF(err) {
			cancel() // the file cannot be read: the server must not take half of it for the whole
		}
		sent <- err
	}()
	last, err := i.receive(stream, newProgress(i.session, i.progress, size))
	cancel()
	in.Close() // ends a sender that waits for a pipe's next byte
	if serr := <-sent; err != nil && serr != nil && !isEOF(serr) && ctx.Err() == nil &&
		status.Code(err) == codes.Canceled {
		err = exit.New(exit.Failed, "", "%s: %w", path, serr)
	}
	if err != nil {
		return nil, inFile(err, path)
	}
	return last, nil
}

func (i *importZone) open(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		if f, ok := i.In.(io.ReadCloser); ok {
			return f, 0, nil
		}
		return io.NopCloser(i.In), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, exit.New(exit.Failed, "dark zones import NAME FILE", "%w", err)
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s is a directory", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, exit.New(exit.Failed, "dark zones import NAME FILE", "%w", err)
	}
	return f, st.Size(), nil
}

// send sends a file in parts. io.EOF from the stream means that the server ended it; why,
// the receiver learns.
func send(stream dnsgrpc.ZoneService_ImportZoneClient, head *dnsv1.ImportZoneRequest, in io.Reader) error {
	for m := head; ; m = new(dnsv1.ImportZoneRequest) {
		// A part of its own each time: gRPC may still hold the last one.
		buf := make([]byte, partSize)
		n, err := io.ReadFull(in, buf)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return fmt.Errorf("read: %w", err)
		}
		m.Data = buf[:n]
		if n > 0 || m == head {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		if end {
			return stream.CloseSend()
		}
	}
}

func (i *importZone) receive(stream dnsgrpc.ZoneService_ImportZoneClient,
	p *progress,
) (*dnsv1.ImportZoneResponse, error) {
	defer p.end()
	for {
		r, err := stream.Recv()
		if isEOF(err) {
			return nil, exit.New(exit.Failed, "dark zones get NAME",
				"the server ended the import without saying what became of it")
		}
		if err != nil {
			return nil, err
		}
		if r.Done {
			return r, nil
		}
		p.show(r)
	}
}

func (i *importZone) report(ctx context.Context, name, path string, r *dnsv1.ImportZoneResponse) error {
	i.warn(path, r.Warnings)
	err := i.message(r, func() error {
		if err := i.changes(r); err != nil {
			return err
		}
		fmt.Fprintf(i.Out, "%s: %s read, record sets: %d created, %d changed, %d deleted, %d unchanged\n",
			zoneName(name), numbered(r.Records, "record"), r.Created, r.Updated, r.Deleted, r.Unchanged)
		if i.dryRun {
			fmt.Fprintln(i.Out, "dry run; nothing was changed")
			return nil
		}
		_, err := fmt.Fprintf(i.Out, "revision %d\n", r.Revision)
		return err
	})
	if err != nil || !i.wait || i.dryRun {
		return err
	}
	_, err = i.follow(ctx, r.Revision, i.output == "table")
	return err
}

// warn tells what is probably not meant, each with file, line and column.
func (i *importZone) warn(path string, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintf(i.Err, "warning: %s\n", withFile(w, path))
	}
}

// changes lists what a dry run would change.
func (i *importZone) changes(r *dnsv1.ImportZoneResponse) error {
	if len(r.Changes) == 0 {
		return nil
	}
	var out []*resourcev1.Change
	for _, c := range r.Changes {
		ch := &resourcev1.Change{Kind: "RecordSet", Name: unescape(c.Name), Action: resourcev1.Change_ACTION_UPDATE}
		var err error
		if ch.Before, err = specDocument(c.Before); err != nil {
			return err
		}
		if ch.After, err = specDocument(c.After); err != nil {
			return err
		}
		switch {
		case c.Before == nil:
			ch.Action = resourcev1.Change_ACTION_CREATE
		case c.After == nil:
			ch.Action = resourcev1.Change_ACTION_DELETE
		}
		out = append(out, ch)
	}
	if err := i.style().Changes(i.Out, out); err != nil {
		return err
	}
	if more := r.Created + r.Updated + r.Deleted - uint64(len(out)); more > 0 {
		fmt.Fprintf(i.Out, "and %d more\n", more)
	}
	return nil
}

// specDocument is a record set as documents have it; nil for none.
func specDocument(s *dnsv1.RecordSetSpec) (*structpb.Struct, error) {
	if s == nil {
		return nil, nil
	}
	v, err := render.Sparse(s)
	if err != nil {
		return nil, err
	}
	return structpb.NewStruct(map[string]any{"spec": v})
}

// places are the ways in which the server names a place in a master file.
var place = regexp.MustCompile(`^(?:line )?(\d+)(?:(?:, |:| )(?:column )?(\d+))?:? `)

// inFile puts the file's name before a place that the server names in it.
func inFile(err error, path string) error {
	if path == "-" {
		path = "stdin"
	}
	e := *exit.Of(err)
	var lines []string
	places, signed := 0, false
	for _, l := range append([]string{e.Text}, e.Details...) {
		l = strings.TrimPrefix(l, "data: ")
		at := withFile(l, path)
		if at != l {
			places++
		}
		signed = signed || strings.Contains(l, "made by signing")
		lines = append(lines, at)
	}
	e.Text, e.Details = lines[0], lines[1:]
	if places > 0 {
		e.Next = "mend these lines; with --dry-run the same command tries the file and changes nothing"
	}
	if strings.Contains(e.Error(), ofAnother) {
		file := path
		if file == "stdin" {
			file = "-"
		}
		e.Next = "dark zones import NAME " + file + ", where NAME is the zone that the file is of"
	}
	if signed {
		e.Next = "with --without-dnssec what signing made is left out of a signed file"
	}
	if places > 1 && places == len(e.Details) {
		e.Text = fmt.Sprintf("%s has %d mistakes; nothing was changed", path, places)
		if places == toldAtOnce {
			e.Text = fmt.Sprintf("%s has %d mistakes or more; nothing was changed", path, places)
		}
	}
	if e.Code == exit.NeedsYes {
		e.Next = "the same command with --yes; with --yes --dry-run it shows how much would change"
	}
	return &e
}

// toldAtOnce is how many mistakes of a file the server tells in one answer.
const toldAtOnce = 100

// ofAnother is how the server ends what it says of a file of another zone.
const ofAnother = ": give the name of "

// withFile puts the file's name before a place in it.
func withFile(l, path string) string {
	m := place.FindStringSubmatch(l)
	if m == nil {
		return l
	}
	at := path + ":" + m[1]
	if m[2] != "" {
		at += ":" + m[2]
	}
	return at + ": " + l[len(m[0]):]
}

func (s *session) zonesExport() *cobra.Command {
	var out string
	var revision uint64
	c := &cobra.Command{
		Use: "export NAME", Short: "write a zone as a master file (RFC 1035)",
		Example: "  dark zones export example.com > example.com.zone\n" +
			"  dark zones export example.com -o example.com.zone\n" +
			"  dark zones export example.com --revision 120",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeFixed("Zone"),
		RunE: func(c *cobra.Command, args []string) error {
			if slices.Contains(formats, out) {
				return exit.New(exit.Usage, "-o FILE, or -o ./"+out+" for a file of that name; dark get records "+
					args[0]+" -o json",
					"a master file has one format; -o names the file to write, and %q is a format of other commands",
					out)
			}
			return s.exportZone(c.Context(), zoneName(args[0]), revision, out)
		},
	}
	// -o keeps a meaning of its own here: a file, as with every tool that writes one.
	c.Flags().StringVarP(&out, "output", "o", "", "file to write instead of standard output")
	c.Flags().Uint64Var(&revision, "revision", 0, "as it was at this revision")
	return c
}

func (s *session) exportZone(ctx context.Context, name string, revision uint64, path string) (err error) {
	c, err := s.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Zones.ExportZone(ctx, &dnsv1.ExportZoneRequest{Name: name, Revision: revision})
	if err != nil {
		return err
	}
	if path == "" || path == "-" {
		return receiveFile(stream, s.Out, s.Err)
	}
	// The file appears whole or not at all.
	f, err := os.CreateTemp(dirOf(path), ".export-*")
	if err != nil {
		return exit.New(exit.Failed, "", "%w", err)
	}
	err = errors.Join(receiveFile(stream, f, s.Err), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// receiveFile writes a master file. Why other servers refuse it comes at its end.
func receiveFile(stream dnsgrpc.ZoneService_ExportZoneClient, w, notes io.Writer) error {
	for {
		r, err := stream.Recv()
		if isEOF(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(r.Data); err != nil {
			return exit.New(exit.Failed, "", "write the master file: %w", err)
		}
		for _, warning := range r.Warnings {
			fmt.Fprintf(notes, "warning: %s\n", warning)
		}
	}
}
