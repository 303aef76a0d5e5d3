package api_test

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/internal/kind"
	clustergw "github.com/dark-ecosystem/dark/proto/dark/cluster/v1/gw"
	dnsgw "github.com/dark-ecosystem/dark/proto/dark/dns/v1/gw"
	identitygw "github.com/dark-ecosystem/dark/proto/dark/identity/v1/gw"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
	storagegw "github.com/dark-ecosystem/dark/proto/dark/storage/v1/gw"
)

// kinds is the list of kinds as cmd/darkd has it, and more.
func kinds(z *zones.Zones, st *storage.Storage, more []api.Registration) []api.Registration {
	var list []api.Registration
	list = append([]api.Registration{
		{
			Kind: identity.Organization(owned(&list)), Service: "dark.identity.v1.OrganizationService",
			Gateway: identitygw.RegisterOrganizationServiceHandler,
		},
		{
			Kind: identity.ApiKey(pepper), Service: "dark.identity.v1.ApiKeyService",
			Gateway: identitygw.RegisterApiKeyServiceHandler,
		},
		{
			Kind: identity.RoleBinding(), Service: "dark.identity.v1.RoleBindingService",
			Gateway: identitygw.RegisterRoleBindingServiceHandler,
		},
		{
			Kind: cluster.Node(nil), Service: "dark.cluster.v1.NodeService",
			Gateway: clustergw.RegisterNodeServiceHandler,
		},
		{Kind: z.Zone(), Service: "dark.dns.v1.ZoneService", Gateway: dnsgw.RegisterZoneServiceHandler},
		{Kind: z.RecordSet(), Service: "dark.dns.v1.RecordSetService", Gateway: dnsgw.RegisterRecordSetServiceHandler},
		{Kind: st.Bucket(), Service: "dark.storage.v1.BucketService", Gateway: storagegw.RegisterBucketServiceHandler},
		{
			Kind: st.AccessKey(), Service: "dark.storage.v1.AccessKeyService",
			Gateway: storagegw.RegisterAccessKeyServiceHandler,
		},
		{
			Kind: st.EncryptionKey(), Service: "dark.storage.v1.EncryptionKeyService",
			Gateway: storagegw.RegisterEncryptionKeyServiceHandler,
		},
	}, more...)
	return list
}

// owned lets organizations know of the kinds of the finished list.
func owned(list *[]api.Registration) identity.Owned {
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

// extras are the methods beside the standard ones; srv is set when they are called.
func extras(z *zones.Zones, st *storage.Storage, srv **api.Server) []api.Extra {
	t := func() *zones.Transfers { return z.Transfers((*srv).Writer()) }
	return []api.Extra{
		{
			Service: "dark.dns.v1.ZoneService", Name: "ImportZone", Kind: z.Zone(), Verb: identity.Write,
			Stream: func(s grpc.ServerStream) error {
				return t().Import(s)
			}, File: &api.File{Verb: "import", Media: "text/dns"},
		},
		{
			Service: "dark.dns.v1.ZoneService", Name: "ExportZone", Kind: z.Zone(), Verb: identity.Read,
			Stream: func(s grpc.ServerStream) error {
				return t().Export(s)
			}, File: &api.File{Verb: "export", Media: "text/dns"},
		},
		{
			Service: "dark.storage.v1.BucketService", Name: "GetStorageStats", Kind: st.Bucket(), Verb: identity.Read,
			Unary: storageStats,
		},
	}
}

// storageStats answers with whose buckets are asked for.
func storageStats(ctx context.Context, _ proto.Message) (proto.Message, error) {
	who, _ := identity.From(ctx)
	return &storagev1.GetStorageStatsResponse{Edges: []*storagev1.StorageStats{{Node: who.Organization}}}, nil
}
