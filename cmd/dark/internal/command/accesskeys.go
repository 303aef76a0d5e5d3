package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// AccessKeys is about the keys of S3 clients.
func AccessKeys(s *session) *cobra.Command {
	return group("accesskeys", "list, create, rotate and delete the access keys of S3 clients",
		s.generic("list", "list the access keys", Get, "AccessKey", cobra.NoArgs),
		s.generic("get NAME", "show one access key; its secret is never shown again", Get, "AccessKey",
			cobra.ExactArgs(1)),
		s.accessKeysCreate(), s.accessKeysRotate(),
		s.generic("delete NAME", "delete an access key: it is refused everywhere from then on", Delete, "AccessKey",
			cobra.ExactArgs(1)))
}

type accessKey struct {
	*session
	write
	reads, writes        []string
	expires, description string
	unsignedDocuments    bool
}

func accessKeyName(name string) string {
	return "accesskeys/" + strings.TrimPrefix(name, "accesskeys/")
}

func (s *session) accessKeysCreate() *cobra.Command {
	k := &accessKey{session: s}
	c := &cobra.Command{
		Use: "create NAME", Short: "create an access key; its secret is printed once",
		Long: "Create an access key. Its secret is printed once, with a line for the aws command. Without\n" +
			"--read and --write it may do all that the organization may; with them only that, and --write\n" +
			"neither reads nor lists. A BUCKET may have a prefix and stars: photos, photos/2026/*, logs-*. A key\n" +
			"that reads photos/2026/* may list what begins with 2026/. Presigned addresses need Signature\n" +
			"Version 4: see dark storage presign.\n" +
			"Clients whose signature leaves out the documents that configure a bucket, such as mc anonymous\n" +
			"set, are refused unless the key has --unsigned-documents.",
		Example: "  dark accesskeys create web --read www --expires 720h\n  dark accesskeys create backup --read " +
			"backups --write backups",
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error { return k.create(c.Context(), accessKeyName(args[0])) },
	}
	f := c.Flags()
	f.StringSliceVar(&k.reads, "read", nil, "may read this bucket; may be repeated")
	f.StringSliceVar(&k.writes, "write", nil, "may write to this bucket; may be repeated")
	f.StringVar(&k.expires, "expires", "", "when it ends: 90d, 720h, or a time in RFC 3339 (default: never)")
	f.StringVar(&k.description, "description", "", "what it is for")
	f.BoolVar(&k.unsignedDocuments, "unsigned-documents", false,
		"accept bucket policies and other documents that the signature does not cover; root on the edge could "+
			"replace them")
	_ = c.RegisterFlagCompletionFunc("read", s.completeNames("Bucket"))
	_ = c.RegisterFlagCompletionFunc("write", s.completeNames("Bucket"))
	k.flags(c)
	return c
}

// scopes says what --read and --write mean.
func (k *accessKey) scopes() []*storagev1.Scope {
	var out []*storagev1.Scope
	for action, buckets := range map[string][]string{"read": k.reads, "write": k.writes} {
		if r := resources(buckets); len(r) > 0 {
			out = append(out, &storagev1.Scope{Actions: []string{action}, Resources: r})
		}
	}
	if len(out) == 2 && out[0].Actions[0] == "write" {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

// resources makes of a bucket's name itself and all that is in it.
func resources(buckets []string) []string {
	var out []string
	for _, typed := range buckets {
		b := strings.TrimPrefix(bucketName(typed), "buckets/")
		switch {
		case !strings.Contains(b, "/"):
			out = append(out, b, b+"/*")
		case strings.HasSuffix(typed, "/"): // a prefix, as people write it
			out = append(out, b+"/*")
		default:
			out = append(out, b)
		}
	}
	return out
}

func (k *accessKey) create(ctx context.Context, name string) error {
	spec := &storagev1.AccessKeySpec{
		Description: k.description, Scopes: k.scopes(),
		UnsignedDocuments: k.unsignedDocuments,
	}
	if k.expires != "" {
		t, err := expiry(k.expires, time.Now())
		if err != nil {
			return err
		}
		spec.ExpireTime = timestamppb.New(t)
	}
	if err := k.make(ctx, name, spec); err != nil {
		return err
	}
	k.missing(ctx)
	return nil
}

// missing notes the buckets that a key is for and that there are not: such a key is valid and of no use yet. Which
// buckets a pattern is for is not known.
func (k *accessKey) missing(ctx context.Context) {
	told := map[string]bool{}
	for _, typed := range slices.Concat(k.reads, k.writes) {
		bucket, _, _ := strings.Cut(strings.TrimPrefix(bucketName(typed), "buckets/"), "/")
		if strings.ContainsAny(bucket, "*?") || told[bucket] {
			continue
		}
		told[bucket] = true
		err := k.call(ctx, func(ctx context.Context, c *client.Client) error {
			_, err := c.Buckets.GetBucket(ctx, &storagev1.GetBucketRequest{Name: bucketName(bucket)})
			return err
		})
		if e := exit.Of(err); e != nil && e.Code == exit.NotFound {
			fmt.Fprintf(k.Err, "note: there is no bucket %s yet; to make it: dark buckets create %[1]s\n", bucket)
		}
	}
}

func (k *accessKey) make(ctx context.Context, name string, spec *storagev1.AccessKeySpec) error {
	q := &storagev1.CreateAccessKeyRequest{
		RequestId: k.id(), ValidateOnly: k.dryRun, Reason: k.reason,
		AccessKey: &storagev1.AccessKey{Name: name, Spec: spec},
	}
	var m *storagev1.AccessKey
	err := k.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		m, err = c.AccessKeys.CreateAccessKey(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if k.output == "name" {
		fmt.Fprintln(k.Out, m.Name)
		return nil
	}
	return k.message(m, func() error { return k.show(m) })
}

// show prints what a shell takes on standard output, and what people read beside it.
func (k *accessKey) show(m *storagev1.AccessKey) error {
	if k.dryRun {
		_, err := fmt.Fprintf(k.Out, "AccessKey %s would be created; nothing was changed\n", m.Name)
		return err
	}
	if m.GetStatus().GetSecretAccessKey() == "" {
		return exit.New(exit.Conflict, "dark accesskeys rotate "+shortName(m.Name),
			"%s was made by an earlier request; its secret was shown then and never again", m.Name)
	}
	fmt.Fprintf(k.Err, "AccessKey %s created at revision %d; its secret is shown once, keep it safe:\n", m.Name,
		m.Revision)
	fmt.Fprint(k.Err, k.presigning())
	if writesOnly(m.GetSpec().GetScopes()) {
		fmt.Fprint(k.Err, "This key only writes: it neither lists nor reads; --read BUCKET allows that.\n")
	}
	env, url := k.endpoint()
	_, err := fmt.Fprintf(k.Out, "AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s%s aws --endpoint-url %s %s\n",
		m.Status.AccessKeyId, m.Status.SecretAccessKey, env, url, firstUse(m.GetSpec().GetScopes()))
	return err
}

func reads(s *storagev1.Scope) bool {
	return slices.ContainsFunc(s.Actions, func(action string) bool { return action != "write" })
}

func writesOnly(scopes []*storagev1.Scope) bool {
	return len(scopes) > 0 && !slices.ContainsFunc(scopes, reads)
}

// firstUse is what the aws command can do with a key first. A key of some buckets may not list all of them, and
// one that only writes lists nothing.
func firstUse(scopes []*storagev1.Scope) string {
	if len(scopes) == 0 {
		return "s3 ls"
	}
	verb, at := "s3 cp FILE", 0
	if i := slices.IndexFunc(scopes, reads); i >= 0 {
		verb, at = "s3 ls", i
	}
	bucket, prefix := "BUCKET", ""
	if r := scopes[at].GetResources(); len(r) > 0 {
		bucket, prefix, _ = strings.Cut(r[0], "/")
	}
	if strings.ContainsAny(bucket, "*?") {
		bucket, prefix = "BUCKET", ""
	}
	if i := strings.IndexAny(prefix, "*?"); i >= 0 {
		prefix = prefix[:i]
	}
	return verb + " s3://" + bucket + "/" + prefix
}

// presigning says what makes addresses that are taken. In the region us-east-1, aws and boto3
// presign by Signature Version 2, which no endpoint here takes, and s3cmd knows no other.
func (k *accessKey) presigning() string {
	where := "with the endpoint's --region, which must not be us-east-1"
	if e, _ := k.s3(); e.Region != "" && e.Region != "us-east-1" {
		where = "in region " + e.Region
	}
	return "Presigned addresses need Signature Version 4: dark storage presign; aws s3 presign " + where +
		";\nboto3 with Config(signature_version='s3v4'). s3cmd signurl makes none.\n"
}

// endpoint is what the aws command needs to know of the installation, as far as it is known here. Its versions
// before 2.13 read no AWS_ENDPOINT_URL: without --endpoint-url they ask Amazon.
func (k *accessKey) endpoint() (env, url string) {
	e, err := k.s3()
	if e.URL == "" || err != nil && e.Region == "" {
		return "", "https://EDGE:PORT"
	}
	return " AWS_REGION=" + e.Region + " AWS_ENDPOINT_URL=" + e.URL, e.URL
}

func (s *session) accessKeysRotate() *cobra.Command {
	k := &accessKey{session: s}
	var as string
	c := &cobra.Command{
		Use: "rotate NAME", Short: "create a second key that may do the same; the old one works until it is deleted",
		Example: "  dark accesskeys rotate backup\n  dark accesskeys delete backup",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completeFixed("AccessKey"),
		RunE: func(c *cobra.Command, args []string) error { return k.rotate(c.Context(), args[0], as) },
	}
	c.Flags().StringVar(&as, "as", "", "name of the new key (default: the old one's with the next number)")
	k.flags(c)
	return c
}

func (k *accessKey) rotate(ctx context.Context, name, as string) error {
	var old *storagev1.AccessKey
	err := k.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		old, err = c.AccessKeys.GetAccessKey(ctx, &storagev1.GetAccessKeyRequest{Name: accessKeyName(name)})
		return err
	})
	if err != nil {
		return err
	}
	if t := old.GetSpec().GetExpireTime(); t != nil && t.AsTime().Before(time.Now()) {
		return exit.New(exit.Conflict, "dark accesskeys create NAME --expires 720h",
			"%s has expired: what follows it would have as well", old.Name)
	}
	if err := k.make(ctx, accessKeyName(firstOf(as, nextName(shortName(old.Name)))), old.Spec); err != nil {
		return err
	}
	if !k.dryRun {
		fmt.Fprintf(k.Err, "%s still works; when nothing uses it any more: dark accesskeys delete %s\n", old.Name,
			shortName(old.Name))
	}
	return nil
}

// nextName counts up: backup, backup-2, backup-3.
func nextName(name string) string {
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		var n uint32
		if _, err := fmt.Sscanf(name[i+1:]+"\n", "%d\n", &n); err == nil && fmt.Sprint(n) == name[i+1:] && n > 1 {
			return fmt.Sprintf("%s-%d", name[:i], n+1)
		}
	}
	return name + "-2"
}
