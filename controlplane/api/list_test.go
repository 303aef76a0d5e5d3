package api

import (
	"context"

	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/internal/kind"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	clustergw "github.com/dark-ecosystem/dark/proto/dark/cluster/v1/gw"
	dnsgw "github.com/dark-ecosystem/dark/proto/dark/dns/v1/gw"
	identitygw "github.com/dark-ecosystem/dark/proto/dark/identity/v1/gw"
)

// Parts are what the kinds are made of.
type Parts struct {
	// Pepper of API keys.
	Pepper []byte
	Zones  *zones.Zones
	// NodeStatus tells what is known of a node at the moment; may be nil.
	NodeStatus func(ctx context.Context, name string) (*clusterv1.NodeStatus, error)
	// More kinds than this list has.
	More []Registration
}

// List is the list of the installation's kinds, the control side. A new kind is one
// line here and one in the edge's list.
func List(p Parts) []Registration {
	var list []Registration
	list = append([]Registration{
		{identity.Organization(owned(&list)), "dark.identity.v1.OrganizationService", identitygw.RegisterOrganizationServiceHandler},
		{identity.ApiKey(p.Pepper), "dark.identity.v1.ApiKeyService", identitygw.RegisterApiKeyServiceHandler},
		{identity.RoleBinding(), "dark.identity.v1.RoleBindingService", identitygw.RegisterRoleBindingServiceHandler},
		{cluster.Node(p.NodeStatus), "dark.cluster.v1.NodeService", clustergw.RegisterNodeServiceHandler},
		{p.Zones.Zone(), "dark.dns.v1.ZoneService", dnsgw.RegisterZoneServiceHandler},
		{p.Zones.RecordSet(), "dark.dns.v1.RecordSetService", dnsgw.RegisterRecordSetServiceHandler},
	}, p.More...)
	return list
}

// owned lets organizations know of the kinds of the finished list.
func owned(list *[]Registration) identity.Owned {
	return identity.Owned{
		FullNames: func() []string {
			var names []string
			for _, r := range *list {
				if r.Kind.Scope == kind.ScopeOrganization {
					names = append(names, r.Kind.FullName())
				}
			}
			return names
		},
		FullName: func(short string) (string, bool) {
			for _, r := range *list {
				if r.Kind.ShortName() == short {
					return r.Kind.FullName(), true
				}
			}
			return "", false
		},
	}
}
