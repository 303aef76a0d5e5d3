// Package membership is the one rule for who is a node, and until when. Every door asks it:
// the feed's server and client, the transport of consensus, joining, renewal, doctor.
//
// A peer is known when its certificate verifies under the cluster's CA, belongs to this
// cluster and has the role that the door is for, when nobody denied it, and when the
// installation records its public key for its name. Control nodes look at the Node resource.
// Edges have none: they ask the CA, the role and their deny set.
//
// Denied are instances, the ids of enrolments: a machine that joins again under the same
// name is another instance, so that who was removed stays out. The package is pure.
package membership

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dark-ecosystem/dark/internal/ca"
)

// Record is what the installation records of a node.
type Record struct {
	Role     string
	Instance string
	// Keys are the public keys (PKIX, DER) of its certificate, and of a renewed one that was
	// not used yet. None: the node was made by a version that recorded none.
	Keys [][]byte
}

// Door is one place where nodes meet.
type Door struct {
	Cluster string
	Roots   *x509.CertPool
	Role    string // whom the door is for
	Now     func() time.Time
	// Denied says whether a subject (see Subjects) is in the deny set.
	Denied func(subject string) bool
	// Node is what is recorded of a node; nil when nothing is. The func is nil at an edge,
	// which has no records.
	Node func(name string) (*Record, error)
	// Behind says that this control node may lack records, as it has not caught up with the
	// others; nil: never. It then believes who is not denied: it could otherwise never catch
	// up with a leader that joined while it was away.
	Behind func() bool
}

// What Known refuses.
var (
	ErrUntrusted = errors.New("its certificate is not of this installation's CA, or has ended")
	ErrCluster   = errors.New("it belongs to another cluster")
	ErrRole      = errors.New("it has another role")
	ErrRemoved   = errors.New("it was removed")
	ErrUnknown   = errors.New("the installation has no such node")
	ErrReplaced  = errors.New("another machine has its name now")
)

// Known names the node that a certificate belongs to, or says why it is none.
func (d Door) Known(c *x509.Certificate) (ca.Name, error) {
	n, err := ca.NameOf(c)
	if err == nil {
		err = d.judge(c, n)
	}
	if err != nil {
		return ca.Name{}, fmt.Errorf("%s %s: %w", n.Role, n.Node, err)
	}
	return n, nil
}

func (d Door) judge(c *x509.Certificate, n ca.Name) error {
	_, err := c.Verify(x509.VerifyOptions{
		Roots: d.Roots, CurrentTime: d.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	case n.Cluster != d.Cluster:
		return ErrCluster
	case n.Role != d.Role:
		return ErrRole
	case slices.ContainsFunc(Subjects(n, c.RawSubjectPublicKeyInfo), d.Denied):
		return ErrRemoved
	case d.Node == nil:
		return nil
	}
	r, err := d.Node(n.Node)
	if err != nil {
		return err
	}
	if err := r.has(n, c.RawSubjectPublicKeyInfo); err != nil && (d.Behind == nil || !d.Behind()) {
		return err
	}
	return nil
}

// has says whether the record is of the node with this name and key. A certificate of an
// older version has no instance: where none is recorded either, it is believed by its name.
func (r *Record) has(n ca.Name, public []byte) error {
	switch {
	case r == nil:
		return ErrUnknown
	case r.Role != n.Role:
		return ErrRole
	case n.Instance != "" && n.Instance != r.Instance:
		return ErrReplaced
	case n.Instance == "" && r.Instance == "", r.Holds(public):
		return nil
	}
	return ErrReplaced
}

// Holds says whether a public key is recorded.
func (r *Record) Holds(public []byte) bool {
	return slices.ContainsFunc(r.Keys, func(k []byte) bool { return bytes.Equal(k, public) })
}

// Subjects are the entries of the deny set that deny a node: one by its key, and one by its
// instance where it has one.
func Subjects(n ca.Name, public []byte) []string {
	h := sha256.Sum256(public)
	s := []string{"node:key:" + hex.EncodeToString(h[:16])}
	if n.Instance != "" {
		s = append(s, "node:"+n.Instance)
	}
	return s
}

// Denials are the entries that keep the node of a record out.
func (r *Record) Denials() []string {
	var out []string
	if r.Instance != "" {
		out = append(out, "node:"+r.Instance)
	}
	for _, k := range r.Keys {
		out = append(out, Subjects(ca.Name{}, k)...)
	}
	return out
}
