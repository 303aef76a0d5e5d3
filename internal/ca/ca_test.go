package ca

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"testing"
	"time"
)

func credentials(t *testing.T, a *Authority, n Name) *Credentials {
	t.Helper()
	key, req, err := NewRequest([]string{"127.0.0.1", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := a.IssueFor(n, req, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "node.pem")
	if err := Save(path, key, leaf.Raw, [][]byte{a.Cert.Raw}); err != nil {
		t.Fatal(err)
	}
	c, err := LoadCredentials(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authority(t *testing.T, cluster string) *Authority {
	t.Helper()
	a, err := New(cluster, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// shake connects a client and a server and returns both sides' errors.
func shake(t *testing.T, client, server *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	cc, sc := net.Pipe()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(sc, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1}) // TLS 1.3: the client learns of a refusal when it reads
		}
		sc.Close()
		done <- err
	}()
	c := tls.Client(cc, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1))
	}
	cc.Close()
	return clientErr, <-done
}

func TestNodesOfOneClusterKnowEachOther(t *testing.T) {
	a := authority(t, "c1")
	one := credentials(t, a, Name{"c1", Control, "one"})
	two := credentials(t, a, Name{"c1", Edge, "two"})
	if cerr, serr := shake(t, one.TLS(), two.TLS()); cerr != nil || serr != nil {
		t.Fatal(cerr, serr)
	}
	n, err := one.Peer(two.Leaf())
	if err != nil || n != (Name{"c1", Edge, "two"}) {
		t.Fatal(n, err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	a := authority(t, "c1")
	own := credentials(t, a, Name{"c1", Control, "one"})
	for name, peer := range map[string]*Credentials{
		"another authority":                        credentials(t, authority(t, "c1"), Name{"c1", Control, "one"}),
		"another cluster under the same authority": credentials(t, a, Name{"c2", Control, "one"}),
	} {
		if cerr, serr := shake(t, peer.TLS(), own.TLS()); cerr == nil && serr == nil {
			t.Errorf("%s: accepted as client", name)
		}
		if cerr, _ := shake(t, own.TLS(), peer.TLS()); cerr == nil {
			t.Errorf("%s: accepted as server", name)
		}
	}
	plain := own.TLS()
	plain.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	if _, serr := shake(t, plain, own.TLS()); serr == nil {
		t.Error("a client without a certificate was accepted")
	}
}

func TestJoinTokenTrustsOnlyItsInstallation(t *testing.T) {
	a := authority(t, "c1")
	own := credentials(t, a, Name{"c1", Control, "one"})
	tok, err := ParseJoinToken(NewJoinToken(a.Cert).String())
	if err != nil {
		t.Fatal(err)
	}
	if !tok.Matches(tok.Digest()) || NewJoinToken(a.Cert).Matches(tok.Digest()) {
		t.Fatal("digest")
	}
	if cerr, serr := shake(t, tok.TLS(), own.ServerTLS()); cerr != nil || serr != nil {
		t.Fatal(cerr, serr)
	}
	impostor := credentials(t, authority(t, "c1"), Name{"c1", Control, "one"})
	if cerr, _ := shake(t, tok.TLS(), impostor.ServerTLS()); cerr == nil {
		t.Fatal("an impostor got the token")
	}
	for _, bad := range []string{"", "dark_join_", "dark_key_abc", tok.String() + "A", tok.String()[1:]} {
		if _, err := ParseJoinToken(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
