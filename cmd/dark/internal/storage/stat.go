package storage

import (
	"context"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// description is what -o json tells of one object.
type description struct {
	Source  string `json:"source"`
	Bytes   int64  `json:"bytes"`
	ETag    string `json:"etag"`
	Time    string `json:"time"`
	Version string `json:"version,omitempty"`
	// Headers are those of the object: Content-Type, and what else is set.
	Headers  map[string]string `json:"headers"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

func statCommand(env *Env) *cobra.Command {
	var id string
	c := &cobra.Command{
		Use: "stat URL...", Short: "show an object's size, time, version, headers and metadata",
		Example: "  dark storage stat darkstorage://docs/report.pdf\n  dark storage stat " +
			"darkstorage://docs/report.pdf --version ID -o json",
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: env.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			list, err := parseObjects(args, id)
			if err != nil {
				return err
			}
			e, err := env.engine(limits{parallel: 1})
			if err != nil {
				return err
			}
			for _, l := range list {
				if err := e.describe(c.Context(), l, id); err != nil {
					return explain(err)
				}
			}
			return nil
		},
	}
	env.versionFlag(c, &id)
	return c
}

// versionFlag is --version of the commands that read one object.
func (e *Env) versionFlag(c *cobra.Command, id *string) {
	c.Flags().StringVar(id, "version", "", "this version of the object; dark storage ls --versions lists them")
	_ = c.RegisterFlagCompletionFunc("version", e.completeVersions)
}

// parseObjects reads locations that name one object each; a version is of one.
func parseObjects(args []string, version string) (list []location, err error) {
	if version != "" && len(args) > 1 {
		return nil, usage("one object at a time", "--version is a version of one object, not of %d", len(args))
	}
	for _, a := range args {
		l, err := parseRemote(a)
		if err != nil {
			return nil, err
		}
		if l.folder() {
			return nil, usage("an object's name; dark storage ls "+l.String(), "%s is a prefix, not an object",
				show(l.String()))
		}
		list = append(list, l)
	}
	return list, nil
}

func (e *engine) describe(ctx context.Context, l location, id string) error {
	o, header, err := e.head(ctx, l, id)
	if err != nil {
		return err
	}
	d := description{
		Source: l.String(), Bytes: o.size, ETag: o.etag, Time: o.modified.UTC().Format(time.RFC3339),
		Version: header.Get("X-Amz-Version-Id"),
	}
	d.Headers, d.Metadata = headersOf(header)
	switch e.report.format {
	case "table":
		return e.describeTable(&d)
	case "name":
		return e.report.write(Item{Source: d.Source})
	case "yaml":
		if _, err := fmt.Fprintln(e.Out, "---"); err != nil {
			return err
		}
	}
	return writeJSON(e.Out, d)
}

const metaPrefix = "X-Amz-Meta-"

// headersOf takes what was said when the object was written out of an answer's header. Metadata that is
// not ASCII comes as RFC 2047 has it.
func headersOf(all http.Header) (headers, metadata map[string]string) {
	headers, metadata = map[string]string{}, map[string]string{}
	for name := range all {
		value := all.Get(name)
		short, isMeta := strings.CutPrefix(name, metaPrefix)
		switch {
		case isMeta:
			if plain, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
				value = plain
			}
			metadata[strings.ToLower(short)] = value
		case slices.Contains(describedBy, name) || strings.HasPrefix(name, "X-Amz-Server-Side-Encryption") ||
			strings.HasPrefix(name, "X-Amz-Object-Lock"):
			headers[name] = value
		}
	}
	return headers, metadata
}

// describedBy are the headers of an answer that are of the object, and not of the connection
// (API reference, HeadObject).
var describedBy = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires",
	"X-Amz-Expiration", "X-Amz-Mp-Parts-Count", "X-Amz-Replication-Status", "X-Amz-Restore", "X-Amz-Storage-Class",
	"X-Amz-Tagging-Count", "X-Amz-Website-Redirect-Location",
}

func (e *engine) describeTable(d *description) error {
	w := tabwriter.NewWriter(e.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, show(d.Source))
	fmt.Fprintf(w, "  size\t%s (%d octets)\n  written\t%s\n  ETag\t%s\n", size(d.Bytes), d.Bytes, d.Time, show(d.ETag))
	if d.Version != "" {
		fmt.Fprintf(w, "  version\t%s\n", show(d.Version))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		fmt.Fprintf(w, "  %s\t%s\n", name, show(d.Headers[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Metadata)) {
		fmt.Fprintf(w, "  metadata %s\t%s\n", show(name), show(d.Metadata[name]))
	}
	return w.Flush()
}
