package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/duration"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
)

// Keys is about API keys.
func Keys(s *session) *cobra.Command {
	return group("keys", "list, create and delete API keys",
		s.generic("list", "list the API keys", Get, "ApiKey", cobra.NoArgs),
		s.keysCreate(),
		s.generic("delete NAME", "delete an API key: it is refused everywhere from then on", Delete, "ApiKey",
			cobra.ExactArgs(1)))
}

type createKey struct {
	*session
	write
	permissions          []string
	expires, description string
}

func (s *session) keysCreate() *cobra.Command {
	k := &createKey{session: s}
	c := &cobra.Command{
		Use: "create NAME --permission PERMISSION", Short: "create an API key; its token is printed once",
		Example: "  dark keys create ci --permission dns:write --expires 90d",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error { return k.run(c.Context(), args[0]) },
	}
	c.Flags().StringSliceVar(&k.permissions, "permission", nil,
		"what the key may do, such as dns:read, dns:write, admin:*; may be repeated")
	c.Flags().StringVar(&k.expires, "expires", "", "when it ends: 90d, 12h, or a time in RFC 3339 (default: never)")
	c.Flags().StringVar(&k.description, "description", "", "what it is for")
	k.flags(c)
	return c
}

func (k *createKey) run(ctx context.Context, name string) error {
	if len(k.permissions) == 0 {
		return exit.New(exit.Usage, "dark keys create "+name+" --permission dns:write",
			"a key needs at least one --permission")
	}
	spec := &identityv1.ApiKeySpec{Description: k.description, Permissions: k.permissions}
	if k.expires != "" {
		t, err := expiry(k.expires, time.Now())
		if err != nil {
			return err
		}
		spec.ExpireTime = timestamppb.New(t)
	}
	q := &identityv1.CreateApiKeyRequest{
		RequestId: k.id(), ValidateOnly: k.dryRun, Reason: k.reason,
		ApiKey: &identityv1.ApiKey{Name: "apikeys/" + strings.TrimPrefix(name, "apikeys/"), Spec: spec},
	}
	var m *identityv1.ApiKey
	err := k.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		m, err = c.Keys.CreateApiKey(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	return k.message(m, func() error { return k.show(m) })
}

// show prints the token alone on standard output, so that a script can take it.
func (k *createKey) show(m *identityv1.ApiKey) error {
	if k.dryRun {
		_, err := fmt.Fprintf(k.Out, "%s would be created; nothing was changed\n", m.Name)
		return err
	}
	if m.GetStatus().GetToken() == "" {
		return exit.New(exit.Conflict, "dark keys delete it and create another",
			"%s was made by an earlier request; its token was shown then and never again", m.Name)
	}
	fmt.Fprintf(k.Err, "%s may %s; this token is shown once, keep it safe:\n", m.Name,
		strings.Join(m.Spec.GetPermissions(), ", "))
	_, err := fmt.Fprintln(k.Out, m.Status.Token)
	return err
}

// expiry reads "90d", a Go duration or a time.
func expiry(text string, now time.Time) (time.Time, error) {
	if d, err := duration.Parse(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil && t.After(now) {
		return t, nil
	}
	return time.Time{}, exit.New(exit.Usage, "--expires 90d, 12h or 2027-01-31T00:00:00Z", "%q is no time to come",
		text)
}

// Organizations is about who owns what.
func Organizations(s *session) *cobra.Command {
	return group("organizations", "list, create and delete organizations",
		s.generic("list", "list the organizations", Get, "Organization", cobra.NoArgs),
		s.generic("get NAME", "show one organization", Get, "Organization", cobra.ExactArgs(1)),
		s.organizationsCreate(),
		s.generic("delete NAME", "delete an organization and all it has", Delete, "Organization", cobra.ExactArgs(1)))
}

func (s *session) organizationsCreate() *cobra.Command {
	var w write
	var display string
	c := &cobra.Command{
		Use: "create NAME", Short: "create an organization",
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			return s.createOrganization(c.Context(), strings.TrimPrefix(args[0], "organizations/"), display, w)
		},
	}
	c.Flags().StringVar(&display, "display-name", "", "name for people")
	w.flags(c)
	return c
}

func (s *session) createOrganization(ctx context.Context, name, display string, w write) error {
	var m *identityv1.Organization
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		m, err = c.Organizations.CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{
			RequestId: w.id(), ValidateOnly: w.dryRun, Reason: w.reason,
			Organization: &identityv1.Organization{
				Name: "organizations/" + name,
				Spec: &identityv1.OrganizationSpec{DisplayName: display},
			},
		})
		return err
	})
	if err != nil {
		return err
	}
	return s.message(m, func() error {
		if w.dryRun {
			fmt.Fprintf(s.Out, "Organization %s would be created; nothing was changed\n", m.Name)
			return nil
		}
		fmt.Fprintf(s.Out, "Organization %s created at revision %d\n", m.Name, m.Revision)
		fmt.Fprintf(s.Err, "to work in it: -O %s with each command, or dark context set CONTEXT -O %[1]s\n", name)
		return nil
	})
}
