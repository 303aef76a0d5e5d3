package controlplane

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/keyring"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Meta keys of the installation.
const (
	metaCluster = "cluster"
	metaJoin    = "join/"
	metaMember  = "member/"
)

// Names under which the cluster's secrets are sealed.
const (
	sealedAuthority  = "cluster/authority"
	sealedPublishing = "cluster/publishing"
)

// clusterKeys is the cluster's record with its secrets opened.
type clusterKeys struct {
	*statev1.ClusterRecord
	authority  *ca.Authority
	publishing ed25519.PrivateKey
}

// seal makes the record of a new cluster.
func sealCluster(id, recovery string, root *keyring.Root, authority *ca.Authority,
	publishing ed25519.PrivateKey,
) (*statev1.ClusterRecord, error) {
	key, err := authority.PrivateKey()
	if err != nil {
		return nil, fmt.Errorf("seal the CA key: %w", err)
	}
	return &statev1.ClusterRecord{
		ClusterId: id, Epoch: 1, RecoveryRecipient: recovery, Authority: authority.Cert.Raw,
		SealedAuthorityKey:  root.Seal(keyring.CA, sealedAuthority, key),
		SealedPublishingKey: root.Seal(keyring.Publishing, sealedPublishing, publishing.Seed()),
	}, nil
}

// openCluster reads the record from the state and opens it.
func (k *core) openCluster() (*clusterKeys, error) {
	b, _, err := k.store.Meta(metaCluster)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's record: %w", err)
	}
	if b == nil {
		return nil, errNoRecord
	}
	c := &clusterKeys{ClusterRecord: &statev1.ClusterRecord{}}
	if err := proto.Unmarshal(b, c.ClusterRecord); err != nil {
		return nil, fmt.Errorf("the cluster's record: %w", err)
	}
	key, err := k.root.Open(keyring.CA, sealedAuthority, c.SealedAuthorityKey)
	if err != nil {
		return nil, err
	}
	if c.authority, err = ca.Load(c.Authority, key); err != nil {
		return nil, err
	}
	seed, err := k.root.Open(keyring.Publishing, sealedPublishing, c.SealedPublishingKey)
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("publishing key of %d bytes", len(seed))
	}
	c.publishing = ed25519.NewKeyFromSeed(seed)
	return c, nil
}

// errNoRecord: this member has not caught up with the entry that began the cluster.
var errNoRecord = errors.New("the cluster's record has not reached this member yet")
