package command

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/suggest"
	"github.com/dark-ecosystem/dark/internal/contexts"
)

// Context is about the installations that dark knows by name.
func Context(s *session) *cobra.Command {
	return group("context", "list, choose, set and remove the installations that dark knows",
		s.contextList(), s.contextUse(), s.contextSet(), s.contextRemove())
}

func unknownContext(name string, f *contexts.File) error {
	return exit.New(exit.NotFound, "dark context list", "there is no context %q%s", name, suggest.Mean(name, f.Names()))
}

func loadContexts() (*contexts.File, error) {
	path, err := contexts.Path()
	if err != nil {
		return nil, err
	}
	return contexts.Load(path)
}

func (s *session) contextList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the contexts; tokens are not shown", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := loadContexts()
			if err != nil {
				return err
			}
			out, t := []any{}, render.NewTable("CURRENT", "NAME", "ADDRESS", "ORGANIZATION")
			for _, n := range f.Names() {
				c := f.Contexts[n]
				if s.output == "name" {
					fmt.Fprintln(s.Out, n)
				}
				out = append(out, map[string]any{
					"name": n, "addr": c.Addr, "organization": c.Organization, "ca": c.CA,
					"current": n == f.Current,
				})
				t.Row(map[bool]string{true: "*"}[n == f.Current], n, c.Addr, c.Organization)
			}
			if s.output == "name" {
				return nil
			}
			return s.value(out, func() error {
				if len(out) == 0 {
					fmt.Fprintln(s.Err, "no context yet; darkd dev writes one named dev, dark context set NAME "+
						"--addr ADDR makes one")
					return nil
				}
				return t.Flush(s.Out)
			})
		},
	}
}

// edit changes the contexts file and says what was done.
func (s *session) edit(done string, change func(*contexts.File) error) error {
	path, err := contexts.Path()
	if err != nil {
		return err
	}
	if err := contexts.Update(path, change); err != nil {
		return err
	}
	return s.value(map[string]any{"done": done, "file": path}, func() error {
		_, err := fmt.Fprintln(s.Out, done)
		return err
	})
}

func (s *session) contextUse() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "make a context the current one", Args: cobra.ExactArgs(1),
		ValidArgsFunction: s.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit("context "+args[0]+" is current", func(f *contexts.File) error {
				if _, ok := f.Contexts[args[0]]; !ok {
					return unknownContext(args[0], f)
				}
				f.Current = args[0]
				return nil
			})
		},
	}
}

func (s *session) contextSet() *cobra.Command {
	var use bool
	var s3 contexts.S3
	c := &cobra.Command{
		Use: "set NAME --addr ADDR", Short: "make or change a context with --addr, --token, --ca, -O and an S3 " +
			"endpoint",
		Example: "  dark context set prod --addr https://control.example.net --token dark_… --ca ca.pem -O acme --use",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit("context "+args[0]+" is set", func(f *contexts.File) error {
				return s.setContext(f, args[0], s3, use)
			})
		},
	}
	c.Flags().BoolVar(&use, "use", false, "also make it the current one")
	c.Flags().StringVar(&s3.URL, "s3-url", "", "where dark storage finds objects: http://127.0.0.1:9000, https://HOST")
	c.Flags().StringVar(&s3.Region, "s3-region", "", "region of the endpoint")
	c.Flags().StringVar(&s3.AccessKey, "s3-access-key", "", "id of an access key, of dark accesskeys create")
	c.Flags().StringVar(&s3.SecretKey, "s3-secret-key", "", "its secret")
	return c
}

func (s *session) setContext(f *contexts.File, name string, s3 contexts.S3, use bool) error {
	c := f.Contexts[name]
	c.S3 = contexts.S3{
		URL: firstOf(s3.URL, c.S3.URL), Region: firstOf(s3.Region, c.S3.Region),
		AccessKey: firstOf(s3.AccessKey, c.S3.AccessKey), SecretKey: firstOf(s3.SecretKey, c.S3.SecretKey),
	}
	c.Addr, c.Token, c.Organization = firstOf(s.addr, c.Addr), firstOf(s.token, c.Token),
		firstOf(s.organization, c.Organization)
	if s.ca != "" {
		ca, err := filepath.Abs(s.ca)
		if err != nil {
			return err
		}
		c.CA = ca
	}
	if c.Addr == "" {
		return exit.New(exit.Usage, "dark context set "+name+" --addr https://HOST:PORT --token TOKEN",
			"a context needs an address")
	}
	f.Put(name, c, use)
	return nil
}

func (s *session) contextRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "forget a context", Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return s.edit("context "+args[0]+" is forgotten", func(f *contexts.File) error {
				if !f.Remove(args[0]) {
					return unknownContext(args[0], f)
				}
				return nil
			})
		},
	}
}
