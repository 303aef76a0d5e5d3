package signature

import (
	"crypto/subtle"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// Field is a field of a form, as it came before the file.
type Field struct{ Name, Value string }

// Fields are a form's, in their order. Names are the same whatever their case.
type Fields []Field

// Get is the value of the field of that name, which is in lower case.
func (f Fields) Get(lower string) (string, bool) {
	for i := range f {
		if strings.EqualFold(f[i].Name, lower) {
			return f[i].Value, true
		}
	}
	return "", false
}

// Expand puts the file's name, without its folders, where a value says ${filename}. It
// comes before VerifyForm: conditions are about what is expanded.
func (f Fields) Expand(filename string) {
	if i := strings.LastIndexAny(filename, `/\`); i >= 0 {
		filename = filename[i+1:]
	}
	for i := range f {
		if !strings.EqualFold(f[i].Name, "policy") {
			f[i].Value = strings.ReplaceAll(f[i].Value, "${filename}", filename)
		}
	}
}

// MaxPolicy bounds the policy field, in octets of base64.
const MaxPolicy = 20 << 10

// VerifyForm says who signed the form of a POST to the bucket and holds the form against
// its policy; the Policy that it returns has the bounds of the file's size, which the
// caller holds (CheckSize). A form without a policy is Anonymous. "POST Policy" and
// "Authenticating Requests in Browser-Based Uploads" of the API Reference.
func (v *Verifier) VerifyForm(f Fields, bucket string, now time.Time) (Result, Policy, error) {
	if err := f.once(); err != nil {
		return Result{}, Policy{}, err
	}
	text, ok := f.Get("policy")
	if !ok && !f.signed() {
		return Result{}, Policy{}, nil
	}
	if token, _ := f.Get("x-amz-security-token"); token != "" {
		return Result{}, Policy{}, errToken()
	}
	c, err := formClaim(f, text, ok)
	if err != nil {
		return Result{}, Policy{}, v.told(err)
	}
	if err := v.checkForm(&c, text, now); err != nil {
		return Result{}, Policy{}, err
	}
	p, bad := ParsePolicy(text)
	if bad != nil {
		return Result{}, Policy{}, bad
	}
	if err := p.check(f, bucket, now); err != nil {
		return Result{}, Policy{}, err
	}
	return c.Result(), p, nil
}

// once: a field that is given twice would be one thing to a condition and another to who
// uses it.
func (f Fields) once() *Error {
	seen := make(map[string]bool, len(f))
	for i := range f {
		lower := strings.ToLower(f[i].Name)
		if seen[lower] {
			return s3xml.Say(s3xml.InvalidArgument, "POST requires at most one "+f[i].Name+" field.").
				With("ArgumentName", f[i].Name).With("ArgumentValue", f[i].Value)
		}
		seen[lower] = true
	}
	return nil
}

func (f Fields) signed() bool {
	for _, name := range []string{
		"x-amz-signature", "x-amz-credential", "x-amz-algorithm", "awsaccesskeyid",
		"signature",
	} {
		if _, ok := f.Get(name); ok {
			return true
		}
	}
	return false
}

// formClaim reads the fields that stand for the Authorization header.
func formClaim(f Fields, policy string, given bool) (claim, *Error) {
	c := claim{method: Form}
	_, key2 := f.Get("awsaccesskeyid")
	_, sig2 := f.Get("signature")
	if key2 || sig2 {
		return c, errV2
	}
	if !given {
		return c, missingField("policy")
	}
	if len(policy) > MaxPolicy {
		return c, s3xml.Say(s3xml.MaxPostPreDataLengthExceeded,
			"Your POST request fields preceding the upload file were too large.")
	}
	var got [4]string
	for i, name := range [...]string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"} {
		if got[i], _ = f.Get(name); got[i] == "" {
			return c, missingField(name)
		}
	}
	switch got[0] {
	case algorithm:
	case "AWS4-ECDSA-P256-SHA256":
		return c, errV4A()
	default:
		return c, s3xml.Say(s3xml.InvalidArgument, `x-amz-algorithm only supports "AWS4-HMAC-SHA256"`).
			With("ArgumentName", "x-amz-algorithm").With("ArgumentValue", got[0])
	}
	var ok bool
	if c.credential, ok = parseCredential(got[1]); !ok {
		return c, badCredential(Form)
	}
	c.date, c.signature = got[2], got[3]
	if c.time, ok = parseDate(c.date); !ok {
		return c, s3xml.Say(s3xml.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
	}
	return c, nil
}

func missingField(name string) *Error {
	return s3xml.Say(s3xml.InvalidArgument, "Bucket POST must contain a field named '"+name+
		"'.  If it is specified, please check the order of the fields.").
		With("ArgumentName", name).With("ArgumentValue", "")
}

// checkForm holds the claim against the time and the keys. A policy has an end of its own;
// besides it, a signing key is good for seven days, and a form is not from the future.
func (v *Verifier) checkForm(c *claim, policy string, now time.Time) *Error {
	if c.date[:len(isoDay)] != c.credential.date {
		return malformed(Form, `Invalid credential date "`+c.credential.date+
			`". This date is not the same as X-Amz-Date: "`+c.date[:len(isoDay)]+`".`)
	}
	switch {
	case now.Sub(c.time) > MaxExpires*time.Second:
		return failed("Policy expired.")
	case c.time.Sub(now) > MaxSkew:
		return s3xml.Say(s3xml.AccessDenied, "Request is not yet valid")
	}
	if err := v.checkScope(c); err != nil {
		return err
	}
	if err := v.findKey(c); err != nil {
		return err
	}
	sum := sigv4.MAC(c.key[:], policy)
	if want := sigv4.Hex(sum); subtle.ConstantTimeCompare([]byte(want), []byte(c.signature)) != 1 {
		return mismatch(c.credential.accessKeyID, policy, c.signature, "")
	}
	return nil
}

func failed(why string) *Error {
	return s3xml.Say(s3xml.AccessDenied, "Invalid according to Policy: "+why)
}
