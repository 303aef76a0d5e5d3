package storage

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// An access key ID is "DK" and 18 characters (90 bits), a secret 40 (238 bits), as long
// as Amazon's, whose clients sometimes look at that.
const (
	accessKeyPrefix = "DK"
	accessKeyRandom = 18
	secretLen       = 40

	base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// admitAccessKey judges an access key and gives a new one its ID and secret; the secret
// is in the answer of that one request, and sealed in the state.
func (s *Storage) admitAccessKey(ctx context.Context, a *kind.Admission) error {
	if a.New == nil {
		old := a.Old.(*storagev1.AccessKey)
		id := old.GetStatus().GetAccessKeyId()
		a.Ops = append(a.Ops, admit.Ended(a.Organization, keyRevocation(old, a.Now)),
			&statev1.Op{Op: &statev1.Op_DeleteMeta{DeleteMeta: identity.AccessKeyMeta(id)}},
			&statev1.Op{Op: &statev1.Op_DeleteMeta{DeleteMeta: usedMeta(id)}})
		return nil
	}
	k := a.New.(*storagev1.AccessKey)
	if k.Spec == nil {
		k.Spec = &storagev1.AccessKeySpec{}
	}
	if c, ok := identity.From(ctx); ok && !(c.Can("storage", identity.Read) && c.Can("storage", identity.Write)) {
		a.Bad("spec", "%s may not give away what it has not: an access key reads and writes", c.Who)
	}
	if n := octets(k.Spec.GetScopes()); n > maxScopes {
		a.Bad("spec.scopes", "has %d octets, at most %d are allowed; use patterns, or several keys", n, maxScopes)
	}
	if a.Old != nil {
		return nil
	}
	if t := k.Spec.GetExpireTime(); t != nil && !t.AsTime().After(a.Now) {
		a.Bad("spec.expireTime", "must be in the future")
	}
	if len(a.Violations) > 0 {
		return nil
	}
	id, secret := accessKeyPrefix+random(base32, accessKeyRandom), random(base62, secretLen)
	k.Status = &storagev1.AccessKeyStatus{AccessKeyId: id, SealedSecret: s.o.Root.Seal(keyring.AccessKeys,
		sealedSecret(id), []byte(secret))}
	a.Ops = append(a.Ops, &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{
		Key: identity.AccessKeyMeta(id), Value: []byte(a.Organization + "\x00" + a.Stored),
	}}}, admit.Reserve(a.Organization, keyRevocation(k, a.Now)))
	a.Reply = func(m proto.Message) {
		if k, ok := m.(*storagev1.AccessKey); ok && k.GetStatus() != nil {
			k.Status.SecretAccessKey = secret
		}
	}
	return nil
}

func sealedSecret(id string) string { return "accesskey/" + id }

// Secret opens an access key's secret.
func (s *Storage) Secret(k *storagev1.AccessKey) (string, error) {
	st := k.GetStatus()
	secret, err := s.o.Root.Open(keyring.AccessKeys, sealedSecret(st.GetAccessKeyId()), st.GetSealedSecret())
	if err != nil {
		return "", fmt.Errorf("open the secret of access key %s: %w", st.GetAccessKeyId(), err)
	}
	return string(secret), nil
}

// usedMeta is where the state has when an access key was last used, Unix seconds.
func usedMeta(id string) string { return "accesskeyused/" + id }

func readUsed(value []byte) int64 {
	at, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0
	}
	return at
}

// NoteUse is the change that notes when an access key was last used; nil where it is
// noted already, or there is no such key any more.
func (s *Storage) NoteUse(id string, at int64) (*statev1.Op, error) {
	if v, _, err := s.o.Meta(identity.AccessKeyMeta(id)); err != nil || v == nil {
		return nil, err
	}
	v, _, err := s.o.Meta(usedMeta(id))
	if err != nil || readUsed(v) >= at {
		return nil, err
	}
	return &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{
		Key:   usedMeta(id),
		Value: strconv.AppendInt(nil, at, 10),
	}}}, nil
}

// showAccessKey adds when the key was last used.
func (s *Storage) showAccessKey(_ context.Context, _ kind.Reader, m proto.Message) error {
	st := m.(*storagev1.AccessKey).GetStatus()
	if s.o.Meta == nil || st == nil {
		return nil
	}
	v, _, err := s.o.Meta(usedMeta(st.GetAccessKeyId()))
	if at := readUsed(v); err == nil && at > 0 {
		st.LastUsedTime = timestamppb.New(time.Unix(at, 0))
	}
	return err
}

// random returns n characters of an alphabet, each equally likely.
func random(alphabet string, n int) string {
	out := make([]byte, 0, n)
	limit := 256 / len(alphabet) * len(alphabet)
	var buf [64]byte
	for len(out) < n {
		rand.Read(buf[:]) // never fails (crypto/rand)
		for _, b := range buf {
			if int(b) < limit && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}
