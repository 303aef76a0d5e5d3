package controlplane

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/keyring"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// InitConfig says how a cluster begins.
type InitConfig struct {
	Dir  string
	Name string // of this first control node
	// Transport is the address at which other control nodes will reach this one.
	Transport string
	// Hosts are names and addresses by which clients reach its API.
	Hosts []string
	// Edges are names for which join tokens are made, Nodes likewise of further control nodes;
	// each may state the names in its certificate, NAME=HOST+HOST.
	Edges, Nodes []string
	Timing       consensus.Timing
	Clock        clock.Clock
	Logger       *slog.Logger
}

// InitResult is what a person must keep; none of it can be shown again.
type InitResult struct {
	ClusterID   string            `json:"clusterID"`
	RecoveryKey string            `json:"recoveryKey"`
	AdminToken  string            `json:"adminToken"`
	JoinTokens  map[string]string `json:"joinTokens,omitempty"` // by the node's name
	// PublishingKey and Authority are for an edge in the same process.
	PublishingKey ed25519.PublicKey `json:"-"`
}

// Init makes a cluster of one control node in an empty directory: its keys, its CA and
// the first entries of its log.
func Init(ctx context.Context, c InitConfig) (*InitResult, error) {
	if err := Vacant(c.Dir); err != nil {
		return nil, err
	}
	b, res, err := c.begin()
	if err != nil {
		return nil, err
	}
	k, err := openCore(coreConfig{
		dir: c.Dir, listen: c.Transport, advertise: c.Transport, timing: c.Timing, clock: c.Clock, logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	for _, tx := range b {
		if _, err := k.log.Propose(ctx, tx); err != nil {
			return nil, errors.Join(fmt.Errorf("write the cluster's first entries: %w", err), k.close())
		}
	}
	return res, k.close()
}

// begin makes the node's files and the first transactions.
func (c InitConfig) begin() ([]*statev1.Transaction, *InitResult, error) {
	var id [8]byte
	rand.Read(id[:])
	res := &InitResult{ClusterID: hex.EncodeToString(id[:]), JoinTokens: map[string]string{}}
	now := c.Clock.Now()
	secret, recovery, err := keyring.NewRecovery()
	if err != nil {
		return nil, nil, err
	}
	res.RecoveryKey = secret
	root := keyring.NewRoot()
	if err := saveRoot(c.Dir, root, recovery); err != nil {
		return nil, nil, err
	}
	authority, err := ca.New(res.ClusterID, now)
	if err != nil {
		return nil, nil, err
	}
	node, err := c.certify(authority, res.ClusterID, now)
	if err != nil {
		return nil, nil, err
	}
	public, publishing, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make publishing key: %w", err)
	}
	res.PublishingKey = public
	record, err := sealCluster(res.ClusterID, recovery, root, authority, publishing)
	if err != nil {
		return nil, nil, err
	}
	tx, err := c.firstEntries(record, authority, node, res, now)
	if err != nil {
		return nil, nil, err
	}
	token, admin, err := identity.BootstrapKey(root.Key(keyring.Pepper))
	if err != nil {
		return nil, nil, err
	}
	res.AdminToken = token
	// The file that says "here is a node" comes last.
	self := Self{ClusterID: res.ClusterID, Name: c.Name, ServerID: c.Name, Bootstrap: true}
	return []*statev1.Transaction{tx, admin}, res, self.write(c.Dir)
}

func saveRoot(dir string, root *keyring.Root, recovery string) error {
	machine, err := keyring.LoadMachine(filepath.Join(dir, fileMachine))
	if err != nil {
		return err
	}
	own, err := keyring.ParseRecipient(machine.Recipient())
	if err != nil {
		return err
	}
	offline, err := keyring.ParseRecipient(recovery)
	if err != nil {
		return err
	}
	wrapped, err := root.Wrap(own, offline)
	if err != nil {
		return err
	}
	return keyring.WriteFile(filepath.Join(dir, fileRoot), wrapped, 0o600)
}

// certify makes the node's certificate, and what is recorded of it.
func (c InitConfig) certify(authority *ca.Authority, cluster string, now time.Time) (*clusterv1.Node, error) {
	hosts := c.Hosts
	if h, _, err := net.SplitHostPort(c.Transport); err == nil {
		hosts = append([]string{h}, hosts...)
	}
	key, request, err := ca.NewRequest(hosts)
	if err != nil {
		return nil, err
	}
	name := ca.Name{Cluster: cluster, Role: ca.Control, Node: c.Name, Instance: ca.NewInstance()}
	leaf, err := authority.IssueFor(name, request, hosts, now)
	if err != nil {
		return nil, err
	}
	// Clients of the API trust this one.
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Cert.Raw})
	if err := keyring.WriteFile(filepath.Join(c.Dir, "ca.pem"), public, 0o644); err != nil {
		return nil, err
	}
	node := nodeResource(c.Name, ca.Control, name.Instance, leaf.RawSubjectPublicKeyInfo)
	return node, ca.Save(filepath.Join(c.Dir, fileCert), key, leaf.Raw, [][]byte{authority.Cert.Raw})
}

// firstEntries is the transaction that begins the cluster.
func (c InitConfig) firstEntries(record *statev1.ClusterRecord, authority *ca.Authority, node *clusterv1.Node,
	res *InitResult, now time.Time,
) (*statev1.Transaction, error) {
	tx := &statev1.Transaction{
		Origin:        &statev1.Origin{Who: "controller:init@" + c.Name, Method: "darkd init"},
		Preconditions: []*statev1.Precondition{metaAt(metaCluster, 0)},
	}
	err := putMeta(tx, metaCluster, record)
	for role, machines := range map[string][]string{ca.Edge: c.Edges, ca.Control: c.Nodes} {
		for _, machine := range machines {
			name, hosts := machineHosts(machine)
			token := ca.NewJoinToken(authority.Cert)
			res.JoinTokens[name] = token.String()
			err = errors.Join(err, putMeta(tx, metaJoin+token.Key(), &statev1.JoinTokenRecord{
				Node: name, Role: role, Digest: token.Digest(), Expires: now.Add(joinTokenLife).Unix(),
				Hosts: canonical(hosts),
			}))
		}
	}
	return tx, errors.Join(err, putNode(tx, node, 0))
}

// machineHosts takes NAME=HOST+HOST apart.
func machineHosts(machine string) (name string, hosts []string) {
	name, list, some := strings.Cut(machine, "=")
	if some {
		hosts = strings.Split(list, "+")
	}
	return name, hosts
}

func putMeta(tx *statev1.Transaction, key string, m proto.Message) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	tx.Ops = append(tx.Ops, &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: key, Value: b}}})
	return nil
}

func metaAt(key string, revision uint64) *statev1.Precondition {
	return &statev1.Precondition{Condition: &statev1.Precondition_MetaAt{MetaAt: &statev1.MetaAt{
		Key:      key,
		Revision: revision,
	}}}
}
