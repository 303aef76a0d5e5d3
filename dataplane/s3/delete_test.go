package s3

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// between is a store in which something happens before a request is given its space for the
// second time: after it was judged, and before it writes.
type between struct {
	Store
	asked int
	then  func()
}

func (b *between) At(p store.Placement) (*store.Space, error) {
	if b.asked++; b.asked == 2 && b.then != nil {
		then := b.then
		b.then = nil
		then()
	}
	return b.Store.At(p)
}

// TestADeletionIsOfTheObjectThatWasJudged: where a policy asks for an object's tags, another
// object that comes to lie at the key after the decision is judged anew.
func TestADeletionIsOfTheObjectThatWasJudged(t *testing.T) {
	at := &between{}
	s := newServer(t, func(c *Config) { at.Store, c.Store = c.Store, at })
	owner, guest := s.client("AKACME"), s.client("AKOTHER")
	const red, blue = "team=red", "team=blue"
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"other"},"Action":["s3:DeleteObject","s3:DeleteObjectVersion"],
		"Resource":"arn:aws:s3:::BOX/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}}]}`
	one := func(box string) error {
		_, err := guest.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &box, Key: aws.String("k")})
		return err
	}
	null := func(box string) error {
		_, err := guest.DeleteObject(t.Context(), &awss3.DeleteObjectInput{
			Bucket: &box, Key: aws.String("k"),
			VersionId: aws.String("null"),
		})
		return err
	}
	many := func(box string) error {
		out, err := guest.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{
			Bucket: &box,
			Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("k")}}},
		})
		if err == nil && len(out.Errors) > 0 {
			err = &smithy.GenericAPIError{Code: *out.Errors[0].Code}
		}
		return err
	}
	for box, versioning := range map[string]storagev1.BucketSpec_Versioning{
		"plain": storagev1.BucketSpec_VERSIONING_UNSPECIFIED, "stacked": storagev1.BucketSpec_VERSIONING_ENABLED,
	} {
		s.bucket(t, box, &storagev1.BucketSpec{Policy: strings.ReplaceAll(policy, "BOX", box), Versioning: versioning})
		write := func(tags string) {
			ok(owner.PutObject(t.Context(), &awss3.PutObjectInput{
				Bucket: &box, Key: aws.String("k"),
				Tagging: &tags,
			}))(t)
		}
		there := func() bool {
			_, err := owner.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: &box, Key: aws.String("k")})
			return err == nil
		}
		for _, c := range []struct {
			what          string
			remove        func(string) error
			before, after string
			gone          bool
		}{
			{"one, to blue", one, red, blue, false},
			{"one, to red again", one, red, red, true},
			{"many, to blue", many, red, blue, false},
			{"many, to red again", many, red, red, true},
			{"null, to blue", null, red, blue, false},
		} {
			if versioning == storagev1.BucketSpec_VERSIONING_ENABLED && strings.HasPrefix(c.what, "null") {
				continue // it has no null version
			}
			write(c.before)
			at.asked, at.then = 0, func() { write(c.after) }
			err := c.remove(box)
			code := ""
			if api, known := errors.AsType[smithy.APIError](err); known {
				code = api.ErrorCode()
			}
			if c.gone && (err != nil || there()) || !c.gone && (code != "AccessDenied" || !there()) {
				t.Errorf("%s, %s: %v, there: %t", box, c.what, err, there())
			}
			if at.then != nil {
				t.Errorf("%s, %s: nothing came between", box, c.what)
			}
			at.then = nil
		}
	}
}
