package signature

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// checkTime holds X-Amz-Date against the clock and the credential.
func (c *claim) checkTime(now time.Time) *Error {
	if c.date[:len(isoDay)] != c.credential.date {
		return malformed(c.method, `Invalid credential date "`+c.credential.date+
			`". This date is not the same as X-Amz-Date: "`+c.date[:len(isoDay)]+`".`)
	}
	if c.method == Query {
		return c.checkExpiry(now)
	}
	if skew := now.Sub(c.time); skew > MaxSkew || skew < -MaxSkew {
		return s3xml.Say(s3xml.RequestTimeTooSkewed,
			"The difference between the request time and the current time is too large.").
			With("RequestTime", c.date).With("ServerTime", now.UTC().Format(time.RFC3339)).
			With("MaxAllowedSkewMilliseconds", "900000")
	}
	return nil
}

func (c *claim) checkExpiry(now time.Time) *Error {
	if c.time.Sub(now) > MaxSkew {
		return s3xml.Say(s3xml.AccessDenied, "Request is not yet valid").
			With("X-Amz-Date", c.date).With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	end := c.time.Add(c.expires)
	if now.After(end) {
		return s3xml.Say(s3xml.AccessDenied, "Request has expired").
			With("X-Amz-Expires", strconv.Itoa(int(c.expires/time.Second))).With("Expires", end.Format(time.RFC3339)).
			With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkScope accepts the service s3 in the installation's own region and its aliases.
func (v *Verifier) checkScope(c *claim) *Error {
	k := &c.credential
	switch {
	case k.terminal != terminal:
		return malformed(c.method, `incorrect terminal "`+k.terminal+`". This endpoint uses "aws4_request".`)
	case k.service != service:
		return malformed(c.method, `incorrect service "`+k.service+`". This endpoint belongs to "s3".`)
	case k.region != v.Region && !slices.Contains(v.Aliases, k.region):
		return malformed(c.method, "the region '"+k.region+"' is wrong; expecting '"+v.Region+"'").With("Region",
			v.Region)
	}
	return nil
}

// findKey asks for kSigning of the credential's day.
func (v *Verifier) findKey(c *claim) *Error {
	key, state := v.Keys(c.credential.accessKeyID, sigv4.Day(c.time), c.credential.region)
	switch state {
	case KeyFound:
		c.key = key
		return nil
	case KeyAbsent:
		return s3xml.Say(s3xml.ServiceUnavailable,
			"The signing key of this day has not reached this node. Please try again later.")
	}
	return s3xml.Say(s3xml.InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.").
		With("AWSAccessKeyId", c.credential.accessKeyID)
}

// checkToken: session credentials are not issued here, so that no token can be right.
func checkToken(s *scratch, r *http.Request) *Error {
	token, _ := first(r.Header, "X-Amz-Security-Token")
	if token == "" {
		token = s.auth[paramToken]
	}
	if token == "" {
		return nil
	}
	return errToken()
}

func errToken() *Error {
	return s3xml.Say(s3xml.InvalidToken, "The provided token is malformed or otherwise invalid.")
}

// checkSigned: the host and every x-amz-* header must be signed. The names are distinct, so
// that it is enough to count.
func checkSigned(signed string, h http.Header) *Error {
	var host bool
	var covered, present int
	for name := range strings.SplitSeq(signed, ";") {
		host = host || name == "host"
		if strings.HasPrefix(name, "x-amz-") && values(h, name) != nil {
			covered++
		}
	}
	for name := range h {
		if amz(name) {
			present++
		}
	}
	if host && covered == present {
		return nil
	}
	return s3xml.Say(s3xml.AccessDenied, "There were headers present in the request which were not signed").
		With("HeadersNotSigned", notSigned(signed, host, h))
}

func amz(name string) bool { return len(name) > 6 && strings.EqualFold(name[:6], "x-amz-") }

func notSigned(signed string, host bool, h http.Header) string {
	names := strings.Split(signed, ";")
	var missing []string
	if !host {
		missing = append(missing, "host")
	}
	for name := range h {
		if lower := strings.ToLower(name); amz(name) && !slices.Contains(names, lower) {
			missing = append(missing, lower)
		}
	}
	slices.Sort(missing)
	return strings.Join(missing, ", ")
}
