// Package ca is the installation's certificate authority and what nodes do with its
// certificates: who a peer is stands in a URI of its certificate,
//
//	dark://CLUSTER/ROLE/NAME?instance=ID
//
// and nothing else of it is believed. The instance is the id of one enrolment: a machine that
// joins again under the same name has another. Certificates of older versions have none. Connections are TLS 1.3 with
// both sides
// certified. All values are immutable.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"
)

// Lives of certificates (design/keys.md): a node renews from the twentieth day of sixty,
// so that at every moment more than the autonomy budget of 14 days is left.
const (
	AuthorityLife = 20 * 365 * 24 * time.Hour
	NodeLife      = 60 * 24 * time.Hour
	RenewAfter    = 20 * 24 * time.Hour
	backdate      = time.Hour // clocks differ
)

// Roles of nodes.
const (
	Control = "control"
	Edge    = "edge"
)

// Name is who a certificate belongs to.
type Name struct{ Cluster, Role, Node, Instance string }

// NewInstance makes the id of one enrolment.
func NewInstance() string {
	var id [8]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// uri puts the instance into the query, at which older versions do not look.
func (n Name) uri() *url.URL {
	u := &url.URL{Scheme: "dark", Host: n.Cluster, Path: "/" + n.Role + "/" + n.Node}
	if n.Instance != "" {
		u.RawQuery = url.Values{"instance": {n.Instance}}.Encode()
	}
	return u
}

// NameOf reads a certificate's name. It does not verify the certificate.
func NameOf(c *x509.Certificate) (Name, error) {
	for _, u := range c.URIs {
		parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
		if u.Scheme == "dark" && len(parts) == 2 && u.Host != "" && parts[1] != "" && (parts[0] == Control ||
			parts[0] == Edge) {
			return Name{u.Host, parts[0], parts[1], u.Query().Get("instance")}, nil
		}
	}
	return Name{}, errors.New("certificate names no node of an installation")
}

// Authority can issue certificates.
type Authority struct {
	Cert *x509.Certificate
	key  crypto.Signer
}

// New makes an authority for a cluster.
func New(cluster string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Dark " + cluster},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(AuthorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make CA certificate: %w", err)
	}
	return assemble(der, key)
}

// Load makes an authority of its certificate and its private key (PKCS #8), both DER.
func Load(cert, key []byte) (*Authority, error) {
	k, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	signer, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("CA key of type %T cannot sign", k)
	}
	return assemble(cert, signer)
}

func assemble(der []byte, key crypto.Signer) (*Authority, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	return &Authority{cert, key}, nil
}

// PrivateKey is the authority's key (PKCS #8, DER), to be sealed.
func (a *Authority) PrivateKey() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(a.key) }

// Hash identifies an authority in a join token.
func Hash(cert *x509.Certificate) [32]byte { return sha256.Sum256(cert.Raw) }

// Issue certifies a node's key for 60 days. hosts are names and addresses at which it is
// reached by clients that look at those.
func (a *Authority) Issue(n Name, public crypto.PublicKey, hosts []string, now time.Time) (*x509.Certificate, error) {
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: n.Node},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(NodeLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{n.uri()},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if h != "" {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.Cert, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", n.Node, err)
	}
	return x509.ParseCertificate(der)
}

// IssueFor is Issue for a certificate request (PKCS #10, DER), of which only the key is
// taken: who it is for, and the hosts, are the caller's to know.
func (a *Authority) IssueFor(n Name, request []byte, hosts []string, now time.Time) (*x509.Certificate, error) {
	r, err := ParseRequest(request)
	if err != nil {
		return nil, err
	}
	return a.Issue(n, r.PublicKey, hosts, now)
}

// ParseRequest reads a certificate request and checks that who made it has the key.
func ParseRequest(request []byte) (*x509.CertificateRequest, error) {
	r, err := x509.ParseCertificateRequest(request)
	if err == nil {
		err = r.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return r, nil
}

// Hosts are the names and addresses in a certificate.
func Hosts(c *x509.Certificate) []string { return hosts(c.DNSNames, c.IPAddresses) }

// HostsOf are those that a certificate request wishes for.
func HostsOf(r *x509.CertificateRequest) []string { return hosts(r.DNSNames, r.IPAddresses) }

func hosts(names []string, addresses []net.IP) []string {
	out := append([]string(nil), names...)
	for _, ip := range addresses {
		out = append(out, ip.String())
	}
	return out
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // the system's randomness does not fail
	}
	return n
}
