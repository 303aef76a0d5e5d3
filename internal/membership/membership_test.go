package membership

import (
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/ca"
)

type world struct {
	authority *ca.Authority
	now       time.Time
	denied    []string
	nodes     map[string]*Record
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	a, err := ca.New("c1", now)
	if err != nil {
		t.Fatal(err)
	}
	return &world{authority: a, now: now, nodes: map[string]*Record{}}
}

func (w *world) door(role string) Door {
	roots := x509.NewCertPool()
	roots.AddCert(w.authority.Cert)
	return Door{
		Cluster: "c1", Roots: roots, Role: role, Now: func() time.Time { return w.now },
		Denied: func(s string) bool { return slices.Contains(w.denied, s) },
		Node:   func(n string) (*Record, error) { return w.nodes[n], nil },
	}
}

// certificate of a new key; it is recorded when record is set.
func (w *world) certificate(t *testing.T, n ca.Name, record bool) *x509.Certificate {
	t.Helper()
	_, request, err := ca.NewRequest(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.authority.IssueFor(n, request, nil, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if record {
		w.nodes[n.Node] = &Record{Role: n.Role, Instance: n.Instance, Keys: [][]byte{c.RawSubjectPublicKeyInfo}}
	}
	return c
}

func TestWhoIsKnown(t *testing.T) {
	w := newWorld(t)
	edge := ca.Name{Cluster: "c1", Role: ca.Edge, Node: "e1", Instance: "i1"}
	good := w.certificate(t, edge, true)
	sameInstance := w.certificate(t, edge, false)
	earlier := w.certificate(t, ca.Name{Cluster: "c1", Role: ca.Edge, Node: "e1", Instance: "i0"}, false)
	noInstance := w.certificate(t, ca.Name{Cluster: "c1", Role: ca.Edge, Node: "e1"}, false)
	control := w.certificate(t, ca.Name{Cluster: "c1", Role: ca.Control, Node: "e1", Instance: "i1"}, false)
	strange := w.certificate(t, ca.Name{Cluster: "c1", Role: ca.Edge, Node: "e2", Instance: "i2"}, false)
	elsewhere := w.certificate(t, ca.Name{Cluster: "c2", Role: ca.Edge, Node: "e1", Instance: "i1"}, false)
	forged := newWorld(t).certificate(t, edge, false)
	old := w.certificate(t, ca.Name{Cluster: "c1", Role: ca.Edge, Node: "old"}, true)
	oldRenewed := w.certificate(t, ca.Name{Cluster: "c1", Role: ca.Edge, Node: "old"}, false)
	for name, c := range map[string]struct {
		cert *x509.Certificate
		want error
	}{
		"the node":                                    {good, nil},
		"another key of its instance":                 {sameInstance, ErrReplaced},
		"the machine that had the name before":        {earlier, ErrReplaced},
		"a certificate without an instance":           {noInstance, ErrReplaced},
		"a control node":                              {control, ErrRole},
		"a node that is not there":                    {strange, ErrUnknown},
		"a node of another cluster":                   {elsewhere, ErrCluster},
		"a certificate of another CA":                 {forged, ErrUntrusted},
		"a node of an older version":                  {old, nil},
		"one that renewed when no keys were recorded": {oldRenewed, nil},
	} {
		n, err := w.door(ca.Edge).Known(c.cert)
		if !errors.Is(err, c.want) || (err == nil) != (n.Node != "") {
			t.Errorf("%s: %v, %v", name, n, err)
		}
	}
	if _, err := w.door(ca.Control).Known(good); !errors.Is(err, ErrRole) {
		t.Errorf("an edge at a door for control nodes: %v", err)
	}
	w.now = w.now.Add(ca.NodeLife + time.Hour)
	if _, err := w.door(ca.Edge).Known(good); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a certificate that ended: %v", err)
	}
}

// TestTheOldKeyIsKeptUntilTheRenewedOneIsUsed: both are recorded in between.
func TestTheOldKeyIsKeptUntilTheRenewedOneIsUsed(t *testing.T) {
	w := newWorld(t)
	name := ca.Name{Cluster: "c1", Role: ca.Edge, Node: "e1", Instance: "i1"}
	old := w.certificate(t, name, true)
	renewed := w.certificate(t, name, false)
	w.nodes["e1"].Keys = append(w.nodes["e1"].Keys, renewed.RawSubjectPublicKeyInfo)
	for _, c := range []*x509.Certificate{old, renewed} {
		if _, err := w.door(ca.Edge).Known(c); err != nil {
			t.Error(err)
		}
	}
}

// TestADeniedNodeIsKnownNowhere: neither where the Node resource is back, nor at an edge,
// nor at a member that has not caught up.
func TestADeniedNodeIsKnownNowhere(t *testing.T) {
	for _, instance := range []string{"i1", ""} {
		w := newWorld(t)
		c := w.certificate(t, ca.Name{Cluster: "c1", Role: ca.Control, Node: "c1", Instance: instance}, true)
		atEdge, behind := w.door(ca.Control), w.door(ca.Control)
		atEdge.Node, behind.Behind = nil, func() bool { return true }
		for _, d := range []Door{w.door(ca.Control), atEdge, behind} {
			w.denied = nil
			if _, err := d.Known(c); err != nil {
				t.Fatal(err)
			}
			w.denied = w.nodes["c1"].Denials()
			if _, err := d.Known(c); !errors.Is(err, ErrRemoved) {
				t.Errorf("instance %q: %v", instance, err)
			}
		}
	}
}

// TestAMemberThatIsBehindBelievesTheCA: the leader may have joined while it was away.
func TestAMemberThatIsBehindBelievesTheCA(t *testing.T) {
	w := newWorld(t)
	c := w.certificate(t, ca.Name{Cluster: "c1", Role: ca.Control, Node: "c9", Instance: "i9"}, false)
	is := true
	d := w.door(ca.Control)
	d.Behind = func() bool { return is }
	if _, err := d.Known(c); err != nil {
		t.Error(err)
	}
	is = false
	if _, err := d.Known(c); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}
