package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/internal/keyring"
)

// Credentials are a node's certificate and key in a PEM file, replaced while it runs.
type Credentials struct {
	path        string
	authorities *x509.CertPool
	roots       []*x509.Certificate
	cert        atomic.Pointer[tls.Certificate]
}

// NewRequest makes a key and a certificate request for it (DER). Hosts are names and
// addresses at which clients will reach the node.
func NewRequest(hosts []string) (key crypto.Signer, request []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make node key: %w", err)
	}
	t := &x509.CertificateRequest{}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if h != "" {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	request, err = x509.CreateCertificateRequest(rand.Reader, t, k)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate request: %w", err)
	}
	return k, request, nil
}

// Save writes a certificate, its key and the authorities to path, mode 0600.
func Save(path string, key crypto.Signer, leaf []byte, authorities [][]byte) error {
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("save certificate: %w", err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})
	for _, a := range authorities {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a})...)
	}
	out = append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})...)
	if err := keyring.WriteFile(path, out, 0o600); err != nil {
		return fmt.Errorf("save certificate: %w", err)
	}
	return nil
}

// LoadCredentials reads what Save wrote.
func LoadCredentials(path string) (*Credentials, error) {
	c := &Credentials{path: path, authorities: x509.NewCertPool()}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	chain := c.cert.Load().Certificate
	for _, der := range chain[1:] {
		a, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		c.authorities.AddCert(a)
		c.roots = append(c.roots, a)
	}
	if len(c.roots) == 0 {
		return nil, fmt.Errorf("%s holds no certificate of the installation's CA", path)
	}
	return c, nil
}

// Reload reads the certificate again; the authorities stay.
func (c *Credentials) Reload() error {
	b, err := os.ReadFile(c.path)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(b, b)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.path, err)
	}
	c.cert.Store(&cert)
	return nil
}

// Replace saves a new certificate for a new key and uses it from now on.
func (c *Credentials) Replace(key crypto.Signer, leaf []byte) error {
	var authorities [][]byte
	for _, a := range c.roots {
		authorities = append(authorities, a.Raw)
	}
	if err := Save(c.path, key, leaf, authorities); err != nil {
		return err
	}
	return c.Reload()
}

// Leaf is the certificate now in use.
func (c *Credentials) Leaf() *x509.Certificate { return c.cert.Load().Leaf }

// Authorities are the installation's CA certificates.
func (c *Credentials) Authorities() []*x509.Certificate { return c.roots }

// Name is who this node is.
func (c *Credentials) Name() (Name, error) { return NameOf(c.Leaf()) }

// Remaining is how long the certificate is still good.
func (c *Credentials) Remaining(now time.Time) time.Duration { return c.Leaf().NotAfter.Sub(now) }

// TLS is the configuration of both sides of a link between nodes: TLS 1.3, certificates
// of the installation's CA on both sides, and no other name looked at than the URI.
func (c *Credentials) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.cert.Load(), nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return c.cert.Load(), nil
		},
		ClientAuth: tls.RequireAnyClientCert,
		RootCAs:    c.authorities,
		ClientCAs:  c.authorities,
		// The chain is verified in VerifyConnection, for server and client alike: host
		// names say nothing about nodes.
		InsecureSkipVerify: true,
		VerifyConnection:   c.verify,
	}
}

func (c *Credentials) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the peer has no certificate")
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: c.authorities, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("the peer's certificate: %w", err)
	}
	_, err = c.Peer(s.PeerCertificates[0])
	return err
}

// Peer names the node that a verified certificate belongs to; a node of another cluster
// is refused.
func (c *Credentials) Peer(cert *x509.Certificate) (Name, error) {
	n, err := NameOf(cert)
	if err != nil {
		return n, err
	}
	own, err := c.Name()
	if err != nil {
		return n, err
	}
	if n.Cluster != own.Cluster {
		return n, fmt.Errorf("the peer is of cluster %s, this is %s", n.Cluster, own.Cluster)
	}
	return n, nil
}

// ServerTLS is for clients that are not nodes: they verify the host name, we ask no
// certificate of them.
func (c *Credentials) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.cert.Load(), nil
		},
	}
}
