package identity

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// BootstrapKey makes the first key of an installation, "apikeys/bootstrap" in the
// system organization with all power, and the transaction that stores it together
// with that organization. The token is shown once and kept nowhere. The transaction
// is refused where a bootstrap key exists.
func BootstrapKey(pepper []byte) (token string, tx *statev1.Transaction, err error) {
	id, token := NewToken()
	org := &identityv1.Organization{
		Name: "organizations/" + System,
		Spec: &identityv1.OrganizationSpec{DisplayName: "Operators of the installation"},
	}
	key := &identityv1.ApiKey{
		Name: "apikeys/bootstrap", Organization: System,
		Spec:   &identityv1.ApiKeySpec{Description: "made by darkd init", Permissions: []string{"admin:*"}},
		Status: &identityv1.ApiKeyStatus{KeyId: id, SecretHash: HashToken(pepper, token)},
	}
	tx = &statev1.Transaction{Origin: &statev1.Origin{
		Who:    "controller:bootstrap",
		Reason: "first key of the installation",
	}}
	if err := put(tx, organizationKind, "", org.Name, org, &statev1.Claim{
		Space: "organization",
		Name:  System,
	}); err != nil {
		return "", nil, err
	}
	if err := put(tx, apiKeyKind, System, key.Name, key); err != nil {
		return "", nil, err
	}
	tx.Ops = append(tx.Ops, putKeyMeta(id, System, key.Name))
	return token, tx, nil
}

// put adds the creation of a resource that must not exist.
func put(tx *statev1.Transaction, kind, organization, name string, m proto.Message, claims ...*statev1.Claim) error {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("bootstrap %s: %w", name, err)
	}
	ref := &statev1.Ref{Kind: kind, Organization: organization, Name: name}
	tx.Preconditions = append(tx.Preconditions, admit.At(ref, 0))
	tx.Ops = append(tx.Ops, &statev1.Op{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
		Ref:   ref,
		Value: value, Claims: claims,
	}}})
	return nil
}
