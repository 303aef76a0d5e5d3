package ca

import (
	"crypto"
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
	leaf, err := a.IssueFor(n, req, []string{"127.0.0.1", "localhost"}, time.Now())
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
	one := credentials(t, a, Name{"c1", Control, "one", "i1"})
	two := credentials(t, a, Name{"c1", Edge, "two", "i2"})
	if cerr, serr := shake(t, one.TLS(), two.TLS()); cerr != nil || serr != nil {
		t.Fatal(cerr, serr)
	}
	n, err := one.Peer(two.Leaf())
	if err != nil || n != (Name{"c1", Edge, "two", "i2"}) {
		t.Fatal(n, err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	a := authority(t, "c1")
	own := credentials(t, a, Name{"c1", Control, "one", "i1"})
	for name, peer := range map[string]*Credentials{
		"another authority": credentials(t, authority(t, "c1"),
			Name{"c1", Control, "one", "i1"}),
		"another cluster under the same authority": credentials(t, a, Name{"c2", Control, "one", "i1"}),
	} {
		if cerr, serr := shake(t, peer.TLS(), own.TLS()); cerr == nil && serr == nil {
			t.Errorf("%s: accepted as client", name)
		}
		if cerr, _ := shake(t, own.TLS(), peer.TLS()); cerr == nil {
			t.Errorf("%s: accepted as server", name)
		}
	}
	plain := own.TLS()
	plain.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &tls.Certificate{}, nil
	}
	if _, serr := shake(t, plain, own.TLS()); serr == nil {
		t.Error("a client without a certificate was accepted")
	}
}

func TestJoinTokenTrustsOnlyItsInstallation(t *testing.T) {
	a := authority(t, "c1")
	own := credentials(t, a, Name{"c1", Control, "one", "i1"})
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
	impostor := credentials(t, authority(t, "c1"), Name{"c1", Control, "one", "i1"})
	if cerr, _ := shake(t, tok.TLS(), impostor.ServerTLS()); cerr == nil {
		t.Fatal("an impostor got the token")
	}
	for _, bad := range []string{"", "dark_join_", "dark_key_abc", tok.String() + "A", tok.String()[1:]} {
		if _, err := ParseJoinToken(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestARequestsWishesAreNotCertified: names in it would let an edge be the API.
func TestARequestsWishesAreNotCertified(t *testing.T) {
	a := authority(t, "c1")
	_, request, err := NewRequest([]string{"api.example.net", "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := a.IssueFor(Name{"c1", Edge, "e1", "i1"}, request, []string{"e1.example.net"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := Hosts(leaf); len(got) != 1 || got[0] != "e1.example.net" {
		t.Errorf("certified for %q", got)
	}
	if n, err := NameOf(leaf); err != nil || n != (Name{"c1", Edge, "e1", "i1"}) {
		t.Errorf("%v %v", n, err)
	}
}

// TestAnEdgeGetsNoJoinToken: it has a certificate of the same CA as the API.
func TestAnEdgeGetsNoJoinToken(t *testing.T) {
	a := authority(t, "c1")
	token := NewJoinToken(a.Cert)
	edge := credentials(t, a, Name{"c1", Edge, "e1", "i1"})
	if cerr, _ := shake(t, token.TLS(), edge.ServerTLS()); cerr == nil {
		t.Fatal("an edge was taken for a control node")
	}
}

// TestOnlyAFittingCertificateReplacesTheOldOne: whatever else comes leaves the file and the
// certificate in use as they are, also through a restart.
func TestOnlyAFittingCertificateReplacesTheOldOne(t *testing.T) {
	a, own := authority(t, "c1"), Name{"c1", Edge, "e1", "i1"}
	c := credentials(t, a, own)
	before := c.Leaf()
	issue := func(a *Authority, n Name) (crypto.Signer, []byte) {
		key, request, err := NewRequest(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := a.IssueFor(n, request, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return key, leaf.Raw
	}
	key, good := issue(a, own)
	_, foreign := issue(authority(t, "c1"), own)
	otherKey, other := issue(a, Name{"c1", Edge, "e2", "i1"})
	impostor, forged := issue(authority(t, "c1"), own)
	for what, bad := range map[string]struct {
		key  crypto.Signer
		leaf []byte
	}{
		"another key's":        {key, foreign},
		"another node's":       {otherKey, other},
		"another CA's":         {impostor, forged},
		"no certificate":       {key, []byte("x")},
		"cut short":            {key, good[:len(good)-1]},
		"a certificate and no": {key, nil},
	} {
		if err := c.Replace(bad.key, bad.leaf, time.Now()); err == nil {
			t.Errorf("%s was accepted", what)
		}
		again, err := LoadCredentials(c.path)
		if err != nil || !again.Leaf().Equal(before) || !c.Leaf().Equal(before) {
			t.Fatalf("%s: the old one is gone: %v", what, err)
		}
	}
	if err := c.Replace(key, good, time.Now()); err != nil {
		t.Fatal(err)
	}
	if again, err := LoadCredentials(c.path); err != nil || again.Leaf().Equal(before) {
		t.Fatalf("the new one was not kept: %v", err)
	}
}
