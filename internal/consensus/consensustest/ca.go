// Package consensustest helps tests of what is built on consensus: a throwaway
// certificate authority, a machine that keeps a ledger, and clusters in one process.
package consensustest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/consensus"
)

// CA signs certificates of members for one test.
type CA struct {
	tb   testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

// NewCA makes a CA.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	key := newKey(tb)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert := sign(tb, tmpl, tmpl, key, key)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &CA{tb: tb, key: key, cert: cert, pool: pool}
}

// TLS returns the TLS of the member called name. It trusts every certificate of the CA
// that has a common name.
func (ca *CA) TLS(name string) consensus.TLS {
	ca.tb.Helper()
	return ca.TLSUntil(name, time.Now().Add(time.Hour))
}

// TLSUntil is TLS with a certificate that ends at a time.
func (ca *CA) TLSUntil(name string, ends time.Time) consensus.TLS {
	ca.tb.Helper()
	key := newKey(ca.tb)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: ends,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert := sign(ca.tb, tmpl, ca.cert, key, ca.key)
	conf := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
		RootCAs:      ca.pool, ClientCAs: ca.pool,
	}
	return consensus.TLS{
		Config: func() *tls.Config { return conf },
		Peer: func(c *x509.Certificate) (string, error) {
			if c.Subject.CommonName == "" {
				return "", errors.New("certificate without a name")
			}
			return c.Subject.CommonName, nil
		},
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func sign(tb testing.TB, tmpl, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), by)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}
