package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/duration"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/suggest"
)

// Constructor makes one command of a session.
type Constructor func(*session) *cobra.Command

// defaultTimeout is how long one request may take, unless --timeout says otherwise.
const defaultTimeout = 30 * time.Second

// Run runs the command that args name and returns its error, an *exit.Error. The
// commands are those that the constructors make, in their order.
func Run(ctx context.Context, args []string, io Streams, list ...Constructor) (err error) {
	s := &session{Streams: io}
	defer func() {
		if cerr := s.close(); err == nil && cerr != nil {
			err = cerr
		}
	}()
	if out := (&kept{w: s.Out}); !isTerminal(s.Out) {
		s.Out = out
		defer func() { err = out.orErr(err) }()
	}
	root := s.root()
	for _, make := range list {
		root.AddCommand(make(s))
	}
	for _, c := range root.Commands() {
		strict(c)
	}
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	if err := root.ExecuteContext(ctx); err != nil {
		return exit.Of(err)
	}
	return nil
}

func (s *session) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "dark",
		Short: "dark tells an installation of Dark what should be true",
		Long: `dark tells an installation of Dark what should be true, and shows what is.

The first steps:
  darkd dev                                  start an installation on this machine
  dark get zones                             what there is
  dark zones import example.com zone.txt     bring a zone along
  dark apply -f zone.yaml --wait             make it be as the file says, at every edge

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 needs --yes,
6 unavailable, 7 denied, 130 interrupted.`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
		PersistentPreRunE: func(*cobra.Command, []string) error { return s.checkOutput() },
	}
	f := c.PersistentFlags()
	f.StringVar(&s.addr, "addr", "", "address of the installation: http://127.0.0.1:8080, https://HOST, unix:///PATH "+
		"(DARK_ADDR)")
	f.StringVar(&s.token, "token", "", "token to ask with (DARK_TOKEN)")
	f.StringVar(&s.ca, "ca", "", "PEM file with the installation's CA (DARK_CA)")
	f.StringVarP(&s.organization, "organization", "O", "", "organization to work in (DARK_ORGANIZATION)")
	f.StringVar(&s.context, "context", "", "context to take instead of the current one (DARK_CONTEXT)")
	f.StringVarP(&s.output, "output", "o", "table", "table, json, yaml or name")
	duration.Var(f, &s.timeout, "timeout", defaultTimeout, "how long one request may take")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("context", s.completeContexts)
	_ = c.RegisterFlagCompletionFunc("organization", s.completeNames("Organization"))
	c.SetFlagErrorFunc(flagError)
	c.CompletionOptions.HiddenDefaultCmd = false
	return c
}

func (s *session) checkOutput() error {
	if !slices.Contains(formats, s.output) {
		return exit.New(exit.Usage, "-o "+strings.Join(formats, ", -o "), "%q is not an output format%s", s.output,
			suggest.Mean(s.output, formats))
	}
	return nil
}

// strict makes wrong arguments errors of usage with the next step, all the way down.
func strict(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				if e := exit.Of(err); e.Code == exit.Usage {
					return e
				}
				return exit.New(exit.Usage, c.UseLine(), "%v", err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
}

// flagError names a flag that was meant when one is unknown.
func flagError(c *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		text += suggest.Mean("--"+name, names)
	}
	return exit.New(exit.Usage, c.CommandPath()+" --help", "%s", text)
}

// unknownCommand says that there is no such command and which was meant.
func unknownCommand(c *cobra.Command, word string) error {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(append(names, sub.Name()), sub.Aliases...)
		}
	}
	next := c.CommandPath() + " --help"
	if c.Name() == "dns" && strings.Contains(word, ".") {
		next = c.CommandPath() + " query " + word
	}
	return exit.New(exit.Usage, next, "%q is not a command of %s%s", word, c.CommandPath(),
		suggest.Mean(word, names))
}

// group makes a family of commands; the name alone runs its first member.
func group(use, short string, members ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.AddCommand(members...)
	// Flags of the first member serve the family's name as well.
	c.Flags().AddFlagSet(members[0].Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		return members[0].RunE(c, nil)
	}
	return c
}
