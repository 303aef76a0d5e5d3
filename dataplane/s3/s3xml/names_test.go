package s3xml

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func TestBucketNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"abc": true, "a.b": true, "a-b.c-d": true, "123": true, strings.Repeat("a", 63): true, "1.2.3.4.5": true,
		"my..bucket": false,
		"ab":         false, "": false, strings.Repeat("a", 64): false, "Abc": false, "a_b": false, "-abc": false,
		"abc-": false, ".abc": false, "abc.": false,
		"192.168.5.4": false, "192.168.05.004": false, "999.1.1.1": false, "xn--abc": false, "sthree-x": false,
		"sthree-configurator": false, "amzn-s3-demo-x": false,
		"abc-s3alias": false, "abc--ol-s3": false, "abc.mrap": false, "abc--x-s3": false, "abc--table-s3": false,
		"a.-b": true, "bücket": false, "a b": false,
		"a/b": false, "..": false, "...": false, "a\x00b": false, "1.2.3": true,
	} {
		if err := CheckBucketName(name); (err == nil) != ok || err != nil && !errors.Is(err, InvalidBucketName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	for key, want := range map[string]Code{
		"a": "", "../x": "", "//": "", "\x01": "", strings.Repeat("k", 1024): "",
		strings.Repeat("k", 1025): KeyTooLongError,
		strings.Repeat("é", 512):  "", strings.Repeat("é", 513): KeyTooLongError, "a\xff": InvalidURI,
		"\xed\xa0\x80": InvalidURI,
	} {
		if err := CheckKey(key); (err == nil) != (want == "") || err != nil && !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %q", key, err, want)
		}
	}
	if err := CheckMetadata(map[string]string{"a": strings.Repeat("b", 2047)}); err != nil {
		t.Error(err)
	}
	if err := CheckMetadata(map[string]string{"ab": strings.Repeat("b", 2047)}); !errors.Is(err, MetadataTooLarge) {
		t.Error(err)
	}
}

func TestTagHeader(t *testing.T) {
	for in, want := range map[string]Code{
		"": "", "a=b&c=d+e": "", "a": "", "a=b&a=c": InvalidArgument, "a=%zz": InvalidArgument, "aws:a=b": InvalidTag,
		"=b":                   InvalidTag,
		"1&2&3&4&5&6&7&8&9&10": "", "1&2&3&4&5&6&7&8&9&10&11": BadRequest, "a=b%3Cc": InvalidTag,
	} {
		if _, err := ParseTagHeader(in); (err == nil) != (want == "") || err != nil && !errors.Is(err, want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
	tags, _ := ParseTagHeader("a=1%2B1&b+c=%C3%A9")
	if tags["a"] != "1+1" || tags["b c"] != "é" {
		t.Errorf("%v", tags)
	}
}

// TestCodes: each has a status of an error and a text; each setting of ownership a name.
func TestCodes(t *testing.T) {
	if len(codes) < 100 {
		t.Errorf("only %d codes", len(codes))
	}
	for c, k := range codes {
		if k.status < 300 || http.StatusText(k.status) == "" || k.message == "" || c.Status() != k.status {
			t.Errorf("%s: %+v", c, k)
		}
	}
	if Code("Nonsense").Status() != 500 || Code("Nonsense").Known() {
		t.Error("an unknown code has no 500")
	}
	for name, o := range ownerships {
		if got, err := ParseOwnership(name); err != nil || got != o || OwnershipName(o) != name {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	if _, err := ParseOwnership("x"); !errors.Is(err, InvalidArgument) ||
		OwnershipName(storagev1.BucketSpec_OWNERSHIP_UNSPECIFIED) != "BucketOwnerEnforced" {
		t.Errorf("ownership: %v", err)
	}
}

// TestErrorsKeepTheirNature: what is returned, wrapped or not, becomes the right answer.
func TestErrorsKeepTheirNature(t *testing.T) {
	inner := errors.New("disk")
	for _, c := range []struct {
		err  error
		code Code
	}{
		{NoSuchKey, NoSuchKey},
		{New(NoSuchBucket), NoSuchBucket},
		{errors.Join(inner, NoSuchUpload), NoSuchUpload},
		{inner, InternalError},
	} {
		if e := From(c.err); e.Code != c.code || !errors.Is(e, c.code) {
			t.Errorf("%v became %v", c.err, e)
		}
	}
	e := New(InvalidArgument).With("ArgumentName", "x").Because(inner)
	if !errors.Is(e, inner) || !errors.Is(e, InvalidArgument) || errors.Is(e, NoSuchKey) || From(nil) != nil {
		t.Error("errors.Is does not see through an Error")
	}
	if got := AppendError(nil, New(NotModified)); len(got) != 0 {
		t.Errorf("304 has a body: %s", got)
	}
	if e := (&Error{Code: AccessDenied, Status: 401}); e.HTTPStatus() != 401 {
		t.Error("the status is not overridden")
	}
}
