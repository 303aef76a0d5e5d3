package command

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// EncryptionKeys is about keys of SSE-KMS.
func EncryptionKeys(s *session) *cobra.Command {
	return group("encryptionkeys", "list, create, rotate and delete keys for SSE-KMS",
		s.generic("list", "list the encryption keys", Get, "EncryptionKey", cobra.NoArgs),
		s.generic("get NAME", "show one encryption key", Get, "EncryptionKey", cobra.ExactArgs(1)),
		s.encryptionKeysCreate(), s.encryptionKeysRotate(),
		s.generic("delete NAME", "delete an encryption key: what it encrypted can never be read again", Delete,
			"EncryptionKey", cobra.ExactArgs(1)))
}

func encryptionKeyName(name string) string {
	return "encryptionkeys/" + strings.TrimPrefix(name, "encryptionkeys/")
}

func (s *session) encryptionKeysCreate() *cobra.Command {
	var w write
	var description string
	c := &cobra.Command{
		Use: "create NAME", Short: "create a key for SSE-KMS",
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			return s.createEncryptionKey(c.Context(), encryptionKeyName(args[0]), description, w)
		},
	}
	c.Flags().StringVar(&description, "description", "", "what it is for")
	w.flags(c)
	return c
}

func (s *session) createEncryptionKey(ctx context.Context, name, description string, w write) error {
	var m *storagev1.EncryptionKey
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		m, err = c.Encryption.CreateEncryptionKey(ctx, &storagev1.CreateEncryptionKeyRequest{
			EncryptionKey: &storagev1.EncryptionKey{
				Name: name,
				Spec: &storagev1.EncryptionKeySpec{Description: description},
			},
			RequestId: w.id(), Reason: w.reason, ValidateOnly: w.dryRun,
		})
		return err
	})
	if err != nil {
		return err
	}
	return s.created("EncryptionKey", m, w.dryRun)
}

func (s *session) encryptionKeysRotate() *cobra.Command {
	return s.rotates(rotation{
		kind: "EncryptionKey", what: "rotation", use: "rotate NAME",
		short: "make a new version of a key; what older ones encrypted stays readable",
		rotate: func(ctx context.Context, c *client.Client, name string, w write) (made, uint32, error) {
			m, err := c.Encryption.GetEncryptionKey(ctx,
				&storagev1.GetEncryptionKeyRequest{Name: encryptionKeyName(name)})
			if err != nil {
				return nil, 0, err
			}
			next := &storagev1.EncryptionKey{
				Name: m.Name, Etag: m.Etag,
				Spec: &storagev1.EncryptionKeySpec{Rotation: m.GetSpec().GetRotation() + 1},
			}
			m, err = c.Encryption.UpdateEncryptionKey(ctx, &storagev1.UpdateEncryptionKeyRequest{
				EncryptionKey: next, UpdateMask: mask("spec.rotation"), RequestId: w.id(), Reason: w.reason,
				ValidateOnly: w.dryRun,
			})
			return m, m.GetSpec().GetRotation(), err
		},
	})
}
