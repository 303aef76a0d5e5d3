package signature

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// signForm completes a form with a policy and its signature.
func signForm(policy string, fields ...Field) Fields {
	f := append(Fields{
		{"x-amz-algorithm", algorithm},
		{"x-amz-credential", exampleID + "/" + today},
		{"x-amz-date", "20130524T000000Z"},
	}, fields...)
	text := encodePolicy(policy)
	key := sigv4.Derive(exampleSecret, sigv4.Day(exampleTime), "us-east-1")
	return append(f, Field{"policy", text}, Field{"x-amz-signature", sigv4.Hex(sigv4.MAC(key[:], text))})
}

// policyOf is a policy that covers the credentials, with more conditions.
func policyOf(conditions string) string {
	return `{"expiration":"2013-05-25T00:00:00Z","conditions":[["starts-with","$x-amz-algorithm",""],` +
		`["starts-with","$X-Amz-Credential",""],["eq","$x-amz-date","20130524T000000Z"],{"bucket":"b"}` + conditions +
		`]}`
}

func TestForms(t *testing.T) {
	key := Field{"Key", "user/a"}
	for name, c := range map[string]struct {
		form Fields
		code string // empty: taken
		text string
	}{
		"exact":          {signForm(policyOf(`,{"key":"user/a"}`), key), "", ""},
		"prefix":         {signForm(policyOf(`,["starts-with","$key","user/"]`), key), "", ""},
		"anything":       {signForm(policyOf(`,["starts-with","$key",""]`), key), "", ""},
		"capitals":       {signForm(policyOf(`,["Starts-With","$KEY","user/"]`), key), "", ""},
		"ignored fields": {signForm(policyOf(`,{"key":"user/a"}`), key, Field{"x-ignore-me", "1"}), "", ""},
		"two in an object": {
			signForm(policyOf(`,{"key":"user/a","acl":"private"}`), key, Field{"acl", "private"}), "",
			"",
		},
		"list of types": {signForm(policyOf(`,["starts-with","$content-type","image/"]`),
			Field{"Content-Type", "image/a,image/b"}), "", ""},
		"one wrong type": {signForm(policyOf(`,["starts-with","$content-type","image/"]`),
			Field{"Content-Type", "image/a,text/b"}), "AccessDenied", "Policy Condition failed"},
		"other key": {signForm(policyOf(`,{"key":"user/b"}`), key), "AccessDenied", `["eq", "$key", "user/b"]`},
		"other prefix": {
			signForm(policyOf(`,["starts-with","$key","users/"]`), key), "AccessDenied",
			"Policy Condition failed",
		},
		"both must hold": {signForm(policyOf(`,{"key":"user/a"},{"key":"user/b"}`), key), "AccessDenied", ""},
		"missing field": {
			signForm(policyOf(`,{"key":"user/a"},{"acl":"private"}`), key), "AccessDenied",
			`["eq", "$acl", "private"]`,
		},
		"uncovered field": {signForm(policyOf(``), key), "AccessDenied", "Extra input fields: Key"},
		"uncovered tagging": {
			signForm(policyOf(`,{"key":"user/a"}`), key, Field{"tagging", "x"}), "AccessDenied",
			"Extra input fields: tagging",
		},
		"field twice": {
			signForm(policyOf(`,{"key":"user/a"}`), key, Field{"KEY", "user/b"}), "InvalidArgument",
			"",
		},
		"other bucket": {signForm(strings.Replace(policyOf(``), `"b"`, `"c"`, 1)), "AccessDenied", `$bucket`},
		"no bucket": {
			signForm(strings.Replace(policyOf(``), `,{"bucket":"b"}`, "", 1)), "AccessDenied",
			"Extra input fields: bucket",
		},
		"bucket field lies": {
			signForm(strings.Replace(policyOf(``), `"b"`, `"c"`, 1), Field{"bucket", "c"}),
			"AccessDenied", `$bucket`,
		},
		"expired": {
			signForm(strings.Replace(policyOf(``), "05-25", "05-23", 1)), "AccessDenied",
			"Policy expired.",
		},
		"no policy":    {Fields{{"x-amz-signature", "x"}}, "InvalidArgument", "'policy'"},
		"no signature": {signForm(policyOf(``))[:4], "InvalidArgument", "'x-amz-signature'"},
		"SigV2": {
			Fields{{"AWSAccessKeyId", "x"}, {"Signature", "x"}, {"policy", "x"}},
			"InvalidRequest",
			"AWS4-HMAC-SHA256",
		},
		"session token": {
			signForm(policyOf(`,{"x-amz-security-token":"t"}`), Field{"X-Amz-Security-Token", "t"}),
			"InvalidToken", "",
		},
		"no base64":     {unsound(`x`), "InvalidPolicyDocument", "Base64"},
		"no JSON":       {signForm(`{`), "InvalidPolicyDocument", "Invalid JSON"},
		"JSON and more": {signForm(policyOf(``) + `{}`), "InvalidPolicyDocument", "Invalid JSON"},
		"other members": {
			signForm(`{"expiration":"2013-05-25T00:00:00Z","conditions":[],"x":1}`),
			"InvalidPolicyDocument", "",
		},
		"no expiration": {signForm(`{"conditions":[]}`), "InvalidPolicyDocument", "expiration"},
		"bad expiration": {
			signForm(`{"expiration":"tomorrow","conditions":[]}`), "InvalidPolicyDocument",
			"tomorrow",
		},
		"no conditions":     {signForm(`{"expiration":"2013-05-25T00:00:00Z"}`), "InvalidPolicyDocument", "conditions"},
		"value of a number": {signForm(policyOf(`,{"key":1}`)), "InvalidPolicyDocument", ""},
		"empty object":      {signForm(policyOf(`,{}`)), "InvalidPolicyDocument", ""},
		"nested object":     {signForm(policyOf(`,{"key":{}}`)), "InvalidPolicyDocument", ""},
		"four in an array":  {signForm(policyOf(`,["eq","$key","a","b"]`)), "InvalidPolicyDocument", ""},
		"unknown operation": {signForm(policyOf(`,["ne","$key","a"]`)), "InvalidPolicyDocument", ""},
		"no dollar":         {signForm(policyOf(`,["eq","key","a"]`)), "InvalidPolicyDocument", ""},
		"range of words":    {signForm(policyOf(`,["content-length-range","a","b"]`)), "InvalidPolicyDocument", ""},
		"range reversed":    {signForm(policyOf(`,["content-length-range",2,1]`)), "InvalidPolicyDocument", ""},
		"too large":         {signForm(policyOf(strings.Repeat(" ", MaxPolicy))), "MaxPostPreDataLengthExceeded", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := example().VerifyForm(c.form, "b", exampleTime)
			var e *Error
			switch {
			case c.code == "" && err != nil:
				t.Error(detailed(err))
			case c.code == "":
			case !errors.As(err, &e) || string(e.Code) != c.code || !strings.Contains(e.Text(), c.text):
				t.Errorf("want %s %q, got %v", c.code, c.text, err)
			}
		})
	}
}

// unsound is a form whose policy is no base64, signed all the same.
func unsound(text string) Fields {
	f := signForm("")
	key := sigv4.Derive(exampleSecret, sigv4.Day(exampleTime), "us-east-1")
	f[len(f)-2].Value, f[len(f)-1].Value = text, sigv4.Hex(sigv4.MAC(key[:], text))
	return f
}

// TestFormOfAnotherDay: the day of the credential is that of the date, though the policy
// would take any credential.
func TestFormOfAnotherDay(t *testing.T) {
	f := signForm(policyOf(``))
	f[1].Value = strings.Replace(f[1].Value, "20130524", "20130523", 1)
	if _, _, err := example().VerifyForm(f, "b", exampleTime); err == nil || !strings.Contains(err.Error(),
		"Invalid credential date") {
		t.Error(err)
	}
}

func TestAnonymousForm(t *testing.T) {
	res, p, err := example().VerifyForm(Fields{{"key", "a"}}, "b", exampleTime)
	if err != nil || res.Method != Anonymous || p.Conditions != nil {
		t.Errorf("%+v %+v %v", res, p, err)
	}
}

// TestFormsChanged: each field of Amazon's example that counts is changed in turn.
func TestFormsChanged(t *testing.T) {
	for i, field := range exampleForm() {
		if field.Name == "x-amz-meta-tag" || field.Name == "key" {
			continue // any value will do, or any with its prefix
		}
		f := exampleForm()
		f[i].Value += "x"
		if field.Name == "Content-Type" {
			f[i].Value = "text/plain"
		}
		if _, _, err := example().VerifyForm(f, "sigv4examplebucket", exampleFormTime); err == nil {
			t.Errorf("%s was changed and taken", field.Name)
		}
	}
	if _, _, err := example().VerifyForm(exampleForm(), "otherbucket", exampleFormTime); err == nil {
		t.Error("another bucket was taken")
	}
}

// TestFormTime: a form is good for seven days at most, whatever its policy says.
func TestFormTime(t *testing.T) {
	f := signForm(strings.Replace(policyOf(``), "2013-05-25", "2014-05-25", 1))
	for late, ok := range map[time.Duration]bool{
		-MaxSkew - time.Second: false, -MaxSkew: true,
		MaxExpires * time.Second: true, MaxExpires*time.Second + 1: false,
	} {
		if _, _, err := example().VerifyForm(f, "b", exampleTime.Add(late)); (err == nil) != ok {
			t.Errorf("%v: %v", late, err)
		}
	}
}

func TestFormSize(t *testing.T) {
	f := signForm(policyOf(`,["content-length-range",5,100],["content-length-range","1","10"]`))
	_, p, err := example().VerifyForm(f, "b", exampleTime)
	if err != nil {
		t.Fatal(detailed(err))
	}
	for n, code := range map[int64]string{4: "EntityTooSmall", 5: "", 10: "", 11: "EntityTooLarge"} {
		err := p.CheckSize(n)
		var e *Error
		if errors.As(err, &e) != (code != "") || code != "" && string(e.Code) != code {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// TestExpandLeavesThePolicy: ${filename} in the policy itself is a condition's text.
func TestExpandLeavesThePolicy(t *testing.T) {
	f := Fields{{"key", "a/${filename}/${filename}"}, {"policy", "${filename}"}}
	f.Expand("dir/x")
	if f[0].Value != "a/x/x" || f[1].Value != "${filename}" {
		t.Error(f)
	}
}
