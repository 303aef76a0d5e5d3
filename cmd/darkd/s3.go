package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/edge"
	"github.com/dark-ecosystem/dark/internal/ca"
)

// s3Settings are those of an edge's S3 endpoint.
type s3Settings struct {
	addresses, domains []string
	cert, key, log     string
}

func (s *s3Settings) declare(to *settings) {
	to.list(&s.addresses, "s3", nil, "`IP:PORT` to answer S3 on, one or more; none when empty, and then nothing is "+
		"kept here")
	s.declareRest(to)
}

// declareRest declares what the development platform may be told, too.
func (s *s3Settings) declareRest(to *settings) {
	to.list(&s.domains, "s3-domain", nil, "`DOMAIN` whose subdomains are buckets (virtual-host style), one or more")
	to.text(&s.cert, "s3-cert", "", "PEM `FILE` with the certificate and chain that S3 clients see; the node's own "+
		"when empty, and HTTP in clear on loopback")
	to.text(&s.key, "s3-key", "", "PEM `FILE` with its key")
	to.text(&s.log, "s3-log", "", "`FILE` to append requests to, of buckets that keep a log, a line of JSON each; "+
		"none when empty")
}

func (s *s3Settings) configure(c *edge.Config, creds *ca.Credentials) error {
	c.S3, c.S3Domains, c.S3Log = s.addresses, s.domains, s.log
	switch {
	case (s.cert == "") != (s.key == ""):
		return usageError{errors.New("s3-cert and s3-key go together")}
	case s.cert != "":
		f := &certificateFiles{cert: s.cert, key: s.key}
		if _, err := f.get(nil); err != nil {
			return usageError{fmt.Errorf("s3-cert: %w", err)}
		}
		c.S3TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: f.get}
	case slices.ContainsFunc(s.addresses, func(a string) bool { return !loopback(a) }):
		if creds == nil { // it would have been the certificate
			c.Logger.Error("S3 is off, for it has no certificate; --s3-cert and --s3-key give it one of its own")
			c.S3 = nil
			return nil
		}
		c.S3TLS = creds.ServerTLS()
	}
	return nil
}

// certificateFiles is a certificate in files that somebody else renews.
type certificateFiles struct {
	cert, key string

	mu struct {
		sync.Mutex
		cert   *tls.Certificate
		looked time.Time
		of     time.Time // when the file was written
	}
}

// certificateLook is how often the files are looked at.
const certificateLook = 10 * time.Second

// get returns the certificate, read again when its file is another one; what cannot be
// read leaves the last in use.
func (f *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.cert != nil && time.Since(f.mu.looked) < certificateLook {
		return f.mu.cert, nil
	}
	f.mu.looked = time.Now()
	st, err := os.Stat(f.cert)
	if err == nil && f.mu.cert != nil && st.ModTime().Equal(f.mu.of) {
		return f.mu.cert, nil
	}
	if err == nil {
		var c tls.Certificate
		if c, err = tls.LoadX509KeyPair(f.cert, f.key); err == nil {
			f.mu.cert, f.mu.of = &c, st.ModTime()
			return f.mu.cert, nil
		}
	}
	if f.mu.cert != nil {
		return f.mu.cert, nil
	}
	return nil, err
}
