package main

import (
	"google.golang.org/grpc"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/internal/kind"
	clustergw "github.com/dark-ecosystem/dark/proto/dark/cluster/v1/gw"
	dnsgw "github.com/dark-ecosystem/dark/proto/dark/dns/v1/gw"
	identitygw "github.com/dark-ecosystem/dark/proto/dark/identity/v1/gw"
	storagegw "github.com/dark-ecosystem/dark/proto/dark/storage/v1/gw"
)

// controlKinds is the one list of kinds on the control side. What compiles at an edge
// is given here to what admits at the API, which imports no service.
func controlKinds(nameServers []string,
	buckets storage.Options,
) func(*controlplane.Node) ([]api.Registration, []api.Extra) {
	return func(n *controlplane.Node) ([]api.Registration, []api.Extra) {
		o := zones.Options{Compilers: dnsCompilers()}
		o.Dir, o.Room = n.Imports()
		if len(nameServers) > 0 {
			o.NameServer = nameServers[0] + "."
		}
		z := zones.New(o)
		st := n.Storage(buckets)
		var list []api.Registration
		owned := identity.Owned{
			FullNames: func() []string { return ownedKinds(list) },
			FullName:  func(short string) (string, bool) { return fullName(list, short) },
		}
		list = []api.Registration{
			{
				Kind: identity.Organization(owned), Service: "dark.identity.v1.OrganizationService",
				Gateway: identitygw.RegisterOrganizationServiceHandler,
			},
			{
				Kind: identity.ApiKey(n.TokenPepper()), Service: "dark.identity.v1.ApiKeyService",
				Gateway: identitygw.RegisterApiKeyServiceHandler,
			},
			{
				Kind: identity.RoleBinding(), Service: "dark.identity.v1.RoleBindingService",
				Gateway: identitygw.RegisterRoleBindingServiceHandler,
			},
			{
				Kind: cluster.Node(n.NodeStatus), Service: "dark.cluster.v1.NodeService",
				Gateway: clustergw.RegisterNodeServiceHandler,
			},
			{Kind: z.Zone(), Service: "dark.dns.v1.ZoneService", Gateway: dnsgw.RegisterZoneServiceHandler},
			{
				Kind: z.RecordSet(), Service: "dark.dns.v1.RecordSetService",
				Gateway: dnsgw.RegisterRecordSetServiceHandler,
			},
			{
				Kind: st.Bucket(), Service: "dark.storage.v1.BucketService",
				Gateway: storagegw.RegisterBucketServiceHandler,
			},
			{
				Kind: st.AccessKey(), Service: "dark.storage.v1.AccessKeyService",
				Gateway: storagegw.RegisterAccessKeyServiceHandler,
			},
			{
				Kind: st.EncryptionKey(), Service: "dark.storage.v1.EncryptionKeyService",
				Gateway: storagegw.RegisterEncryptionKeyServiceHandler,
			},
		}
		return list, append(zoneMethods(n, z), storageMethods(n, st)...)
	}
}

// ownedKinds are those whose resources belong to organizations.
func ownedKinds(list []api.Registration) []string {
	var names []string
	for _, r := range list {
		if r.Kind.Scope == kind.ScopeOrganization {
			names = append(names, r.Kind.FullName())
		}
	}
	return names
}

func fullName(list []api.Registration, short string) (string, bool) {
	for _, r := range list {
		if r.Kind.ShortName() == short {
			return r.Kind.FullName(), true
		}
	}
	return "", false
}

// zoneMethods are import and export, which write as the API does.
func zoneMethods(n *controlplane.Node, z *zones.Zones) []api.Extra {
	transfers := func() *zones.Transfers { return z.Transfers(n.API().Writer()) }
	return []api.Extra{
		{
			Service: "dark.dns.v1.ZoneService", Name: "ImportZone", Kind: z.Zone(), Verb: identity.Write,
			Stream: func(s grpc.ServerStream) error {
				return transfers().Import(s)
			}, File: &api.File{Verb: "import", Media: "text/dns"},
		},
		{
			Service: "dark.dns.v1.ZoneService", Name: "ExportZone", Kind: z.Zone(), Verb: identity.Read,
			Stream: func(s grpc.ServerStream) error {
				return transfers().Export(s)
			}, File: &api.File{Verb: "export", Media: "text/dns"},
		},
	}
}
