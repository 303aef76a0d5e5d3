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
// addresses at which clients will reach the node; the join token has to state them too.
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
	out, err := encode(key, leaf, authorities)
	if err != nil {
		return fmt.Errorf("save certificate: %w", err)
	}
	if err := keyring.WriteFile(path, out, 0o600); err != nil {
		return fmt.Errorf("save certificate: %w", err)
	}
	return nil
}

func encode(key crypto.Signer, leaf []byte, authorities [][]byte) ([]byte, error) {
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})
	for _, a := range authorities {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a})...)
	}
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})...), nil
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

// Replace saves a new certificate for a new key and uses it from now on. Where the
// certificate does not fit the key, does not verify, or is another node's, the file and
// what is in use stay as they are.
func (c *Credentials) Replace(key crypto.Signer, leaf []byte, now time.Time) error {
	var authorities [][]byte
	for _, a := range c.roots {
		authorities = append(authorities, a.Raw)
	}
	out, err := encode(key, leaf, authorities)
	if err != nil {
		return fmt.Errorf("new certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(out, out)
	if err != nil {
		return fmt.Errorf("new certificate: %w", err)
	}
	if err := c.succeeds(cert.Leaf, now); err != nil {
		return fmt.Errorf("new certificate: %w", err)
	}
	if err := keyring.WriteFile(c.path, out, 0o600); err != nil {
		return fmt.Errorf("save certificate: %w", err)
	}
	c.cert.Store(&cert)
	return nil
}

// succeeds says whether a certificate may take the place of the present one.
func (c *Credentials) succeeds(leaf *x509.Certificate, now time.Time) error {
	if err := c.verifyChain(leaf, now); err != nil {
		return err
	}
	next, err := NameOf(leaf)
	if err != nil {
		return err
	}
	own, err := c.Name()
	if err != nil {
		return err
	}
	if own.Instance == "" {
		next.Instance = "" // a certificate of an older version gets its instance with its renewal
	}
	if next != own {
		return fmt.Errorf("it is for %s %s, this is %s %s", next.Role, next.Node, own.Role, own.Node)
	}
	return nil
}

func (c *Credentials) verifyChain(leaf *x509.Certificate, now time.Time) error {
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.authorities, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

// Leaf is the certificate now in use.
func (c *Credentials) Leaf() *x509.Certificate { return c.cert.Load().Leaf }

// Authorities are the installation's CA certificates.
func (c *Credentials) Authorities() []*x509.Certificate { return c.roots }

// Roots are the same, to verify by.
func (c *Credentials) Roots() *x509.CertPool { return c.authorities }

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
	if err := c.verifyChain(s.PeerCertificates[0], time.Time{}); err != nil {
		return fmt.Errorf("the peer's certificate: %w", err)
	}
	_, err := c.Peer(s.PeerCertificates[0])
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
