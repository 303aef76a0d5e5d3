package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// What an object says that was encrypted here (x-amz-meta-*). The recipients are
// shortened: enough to find the identity file, too little to fill the 2 KiB that metadata
// may have.
const (
	metaEncryption = "Dark-Encryption"
	metaRecipients = "Dark-Recipients"
	encryptionAge  = "age"

	maxRecipients     = 64
	shortRecipient    = 20
	maxMetaRecipients = 1024
	maxKeyFile        = 1 << 20
)

// sealing encrypts what is sent.
type sealing struct {
	recipients []age.Recipient
	names      []string
}

// recipientsOf reads recipients given as words and as files, a line each.
func recipientsOf(words, files []string) (*sealing, error) {
	s := &sealing{}
	for _, w := range words {
		if !strings.HasPrefix(w, "age1") {
			return nil, usage("--encrypt age1…; a file of recipients goes with -R FILE; dark storage keygen makes one",
				"%q is no recipient", w)
		}
		if err := s.add(strings.NewReader(w), show(w)); err != nil {
			return nil, err
		}
	}
	for _, path := range files {
		b, err := readKeyFile(path)
		if err != nil {
			return nil, err
		}
		if err := s.add(bytes.NewReader(b), path); err != nil {
			return nil, err
		}
	}
	switch {
	case len(s.recipients) == 0:
		return nil, nil
	case len(s.recipients) > maxRecipients:
		return nil, usage("", "%d recipients are more than %d", len(s.recipients), maxRecipients)
	}
	// Tried once, on nothing: kinds of recipients that do not mix are told now.
	if _, err := age.Encrypt(io.Discard, s.recipients...); err != nil {
		return nil, usage("recipients of one kind", "%v", err)
	}
	return s, nil
}

func (s *sealing) add(r io.Reader, where string) error {
	list, err := age.ParseRecipients(r)
	if err != nil {
		return usage("dark storage keygen makes an identity and prints its recipient", "%s: %v", where, err)
	}
	s.recipients = append(s.recipients, list...)
	for _, one := range list {
		if n, ok := one.(fmt.Stringer); ok {
			s.names = append(s.names, shorten(n.String()))
		}
	}
	return nil
}

func shorten(recipient string) string {
	if len(recipient) > shortRecipient {
		return recipient[:shortRecipient] + "..."
	}
	return recipient
}

func (s *sealing) metadata() map[string]string {
	names := strings.Join(s.names, " ")
	if len(names) > maxMetaRecipients {
		names = names[:maxMetaRecipients]
	}
	return map[string]string{metaEncryption: encryptionAge, metaRecipients: names}
}

func (s *sealing) reader(r io.Reader) (io.Reader, error) {
	out, err := age.EncryptReader(r, s.recipients...)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return out, nil
}

// opening is what is done with an encrypted object that is read.
type opening struct {
	identities []age.Identity
	raw        bool
	decrypt    bool
	files      []string
}

func (o *opening) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.decrypt, "decrypt", false, "decrypt what was encrypted with --encrypt; needs -i")
	c.Flags().StringArrayVarP(&o.files, "identity", "i", nil,
		"identity file to decrypt with, from dark storage keygen or age-keygen; may be repeated")
	c.Flags().BoolVar(&o.raw, "raw", false, "take an encrypted object as it is stored")
}

// load reads the identity files.
func (o *opening) load() error {
	switch {
	case o.decrypt && o.raw:
		return usage("one of the two", "--decrypt and --raw contradict each other")
	case o.decrypt && len(o.files) == 0:
		return usage("--decrypt -i IDENTITY-FILE", "--decrypt needs an identity file")
	case !o.decrypt && len(o.files) > 0:
		return usage("--decrypt -i "+o.files[0], "-i is for --decrypt")
	}
	for _, path := range o.files {
		b, err := readKeyFile(path)
		if err != nil {
			return err
		}
		list, err := age.ParseIdentities(bytes.NewReader(b))
		if err != nil {
			return usage("an identity file is made by dark storage keygen FILE", "%s: %v", path, err)
		}
		o.identities = append(o.identities, list...)
	}
	return nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, exit.New(exit.Usage, "dark storage keygen FILE makes an identity file", "%w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxKeyFile {
		return nil, usage("", "%s is too long for a file of keys", path)
	}
	return b, nil
}

// check refuses, by its metadata, an object that would not be what the user expects.
func (o *opening) check(name string, header http.Header) error {
	if o.raw || o.decrypt || header.Get("X-Amz-Meta-"+metaEncryption) != encryptionAge {
		return nil
	}
	to := header.Get("X-Amz-Meta-" + metaRecipients)
	if to == "" {
		to = "recipients that it does not name"
	}
	return exit.New(exit.Failed, "the same with --decrypt -i IDENTITY-FILE, or --raw for the encrypted bytes",
		"%s was encrypted before it was uploaded, to %s: an identity is needed", show(name), show(to))
}

// reader decrypts, where that was asked for. What is not encrypted is refused: whoever
// replaced an object must not choose what is taken for its content.
func (o *opening) reader(name string, r io.Reader) (io.Reader, error) {
	if !o.decrypt {
		return r, nil
	}
	out, err := age.Decrypt(r, o.identities...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, exit.New(exit.Denied, "-i with the identity file of one of its recipients; --raw takes it as it is",
			"no identity given opens %s", show(name))
	}
	if err != nil {
		return nil, exit.New(exit.Failed, "without --decrypt it is taken as it is",
			"%s is not encrypted as age has it: %w", show(name), err)
	}
	return out, nil
}

func keygenCommand(env *Env) *cobra.Command {
	var pq bool
	c := &cobra.Command{
		Use: "keygen FILE", Short: "make an identity file for --decrypt and print its recipient for --encrypt",
		Long: "Make an identity file, mode 0600, and print its recipient, which may be known to all.\n" +
			"Whoever has the file can read what was encrypted to the recipient; whoever has lost it\n" +
			"cannot, and neither can the server: keep a copy where no server is. It is a file of age\n" +
			"(age-encryption.org), and age(1) reads it. A file that exists is never overwritten.",
		Example: "  dark storage keygen backup.key\n  dark storage cp --encrypt age1… db.dump darkstorage://backups/",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return env.keygen(args[0], pq) },
	}
	c.Flags().BoolVar(&pq, "post-quantum", false,
		"an identity that withstands quantum computers; its recipient is long (about 1,960 characters)")
	return c
}

func newIdentity(pq bool) (identity, recipient string, err error) {
	if pq {
		i, err := age.GenerateHybridIdentity()
		if err != nil {
			return "", "", err
		}
		return i.String(), i.Recipient().String(), nil
	}
	i, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", err
	}
	return i.String(), i.Recipient().String(), nil
}

func (e *Env) keygen(path string, pq bool) error {
	identity, recipient, err := newIdentity(pq)
	if err != nil {
		return fmt.Errorf("make an identity: %w", err)
	}
	// O_EXCL: an identity that something was encrypted to must not be lost by a repetition.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return exit.New(exit.Conflict, "another name: what was encrypted to an identity is lost with it",
			"%s is there already", show(path))
	}
	if err != nil {
		return exit.New(exit.Failed, "", "%w", err)
	}
	_, err = fmt.Fprintf(f, "# recipient: %s\n%s\n", recipient, identity)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return exit.New(exit.Failed, "", "write the identity: %w", err)
	}
	if f := e.Output(); f == "json" || f == "yaml" {
		return writeJSON(e.Out, map[string]string{"identityFile": path, "recipient": recipient})
	}
	fmt.Fprintf(e.Err, "the identity is in %s; keep a copy in a safe place. Its recipient, for --encrypt:\n",
		show(path))
	_, err = fmt.Fprintln(e.Out, recipient)
	return err
}
