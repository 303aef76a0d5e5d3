package command

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// Whoever waits for a completion waits at a prompt: after this long there is none.
const completionTimeout = 2 * time.Second

// complete asks for words and drops errors: a shell has no place to show them.
func (s *session) complete(c *cobra.Command, words func(context.Context) ([]string,
	error),
) ([]string, cobra.ShellCompDirective) {
	s.timeout = completionTimeout
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	out, err := words(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (s *session) completeContexts(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	f, err := loadContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.Names(), cobra.ShellCompDirectiveNoFileComp
}

func (s *session) completeKinds(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.complete(c, func(ctx context.Context) ([]string, error) {
		kinds, err := s.allKinds(ctx)
		var out []string
		for _, k := range kinds {
			out = append(out, k.Plural)
		}
		return out, err
	})
}

// completeResources completes a kind and then the parts of a name.
func (s *session) completeResources(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return s.completeKinds(c, nil, word)
	}
	return s.complete(c, func(ctx context.Context) ([]string, error) {
		k, err := s.kind(ctx, args[0])
		if err != nil {
			return nil, err
		}
		return s.nextPart(ctx, k, args[1:], word)
	})
}

// nextPart lists what may follow in a name of which the first parts are given.
func (s *session) nextPart(ctx context.Context, k *resourcev1.KindInfo, given []string, word string) ([]string, error) {
	above := variables(parentPattern(k))
	if len(given) >= variables(k.Pattern) {
		return nil, nil
	}
	if len(given) < above { // the parent's own name: complete that kind
		all, err := s.allKinds(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p.Pattern == parentPattern(k) {
				return s.nextPart(ctx, p, given, word)
			}
		}
		return nil, nil
	}
	names, err := s.firstNames(ctx, address{kind: k, parent: fill(parentPattern(k), given[:above])})
	var out []string
	seen := map[string]bool{}
	prefix := fill(k.Pattern, given)
	for _, n := range names {
		parts := strings.Split(n, "/")
		values := valuesOf(k.Pattern, parts)
		if len(values) <= len(given) || !strings.HasPrefix(n, strings.SplitN(prefix, "{", 2)[0]) {
			continue
		}
		if v := unescape(values[len(given)]); strings.HasPrefix(v, word) && !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out, err
}

// valuesOf returns what stands in a name for a pattern's variables.
func valuesOf(pattern string, name []string) []string {
	var out []string
	for i, p := range strings.Split(pattern, "/") {
		if isVariable(p) && i < len(name) {
			out = append(out, name[i])
		}
	}
	return out
}

// firstNames lists one page of names: more is of no use at a prompt.
func (s *session) firstNames(ctx context.Context, to address) (names []string, err error) {
	err = s.call(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.Resources.ListResources(ctx, &resourcev1.ListResourcesRequest{
			Kind:   to.kind.FullName,
			Parent: to.parent, PageSize: pageSize, Stale: true,
		})
		for _, d := range r.GetDocuments() {
			names = append(names, d.GetFields()["name"].GetStringValue())
		}
		return err
	})
	return names, err
}

// completeNames completes names of a kind, for flags.
func (s *session) completeNames(kind string) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		return s.completeResources(c, []string{kind}, word)
	}
}

// completeFixed completes the name of a kind as the first argument.
func (s *session) completeFixed(kind string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return s.completeResources(c, []string{kind}, word)
	}
}

func (s *session) completeMembers(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.complete(c, func(ctx context.Context) ([]string, error) {
		r, err := s.members(ctx)
		var out []string
		for _, m := range r.GetMembers() {
			out = append(out, m.Name)
		}
		return out, err
	})
}
