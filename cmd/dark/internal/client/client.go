// Package client connects to an installation and holds the stubs of its services.
//
// An address is http://HOST:PORT (gRPC over cleartext HTTP/2, loopback only),
// https://HOST:PORT (TLS) or unix:///PATH (the break-glass socket). A Client owns its
// connection; Close ends it.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/internal/contexts"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	"github.com/dark-ecosystem/dark/proto/dark/identity/v1/identitygrpc"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
	"github.com/dark-ecosystem/dark/proto/dark/storage/v1/storagegrpc"
)

// Client holds the services of one installation.
type Client struct {
	Resources     resourcegrpc.ResourceServiceClient
	Zones         dnsgrpc.ZoneServiceClient
	Records       dnsgrpc.RecordSetServiceClient
	Cluster       clustergrpc.ClusterServiceClient
	Nodes         clustergrpc.NodeServiceClient
	Keys          identitygrpc.ApiKeyServiceClient
	Organizations identitygrpc.OrganizationServiceClient
	Buckets       storagegrpc.BucketServiceClient
	AccessKeys    storagegrpc.AccessKeyServiceClient
	Encryption    storagegrpc.EncryptionKeyServiceClient

	conn *grpc.ClientConn
}

// maxMessage bounds one answer: a page of 1,000 documents, or 2,000 changes of 512 KiB
// in all, and room to spare.
const maxMessage = 64 << 20

// policy repeats what may be repeated. Reads are harmless, and Apply, DeleteResource and
// Rollback always carry a request id, by which the server knows a repetition.
const policy = `{"methodConfig":[{"name":[
 {"service":"dark.resource.v1.ResourceService"},
 {"service":"dark.cluster.v1.ClusterService","method":"GetStatus"},
 {"service":"dark.cluster.v1.ClusterService","method":"ListMembers"},
 {"service":"dark.cluster.v1.NodeService","method":"ListNodes"}],
 "retryPolicy":{"maxAttempts":4,"initialBackoff":"0.1s","maxBackoff":"1s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`

// New prepares a connection; nothing is sent before the first call.
func New(c contexts.Context) (*Client, error) {
	target, creds, err := target(c)
	if err != nil {
		return nil, err
	}
	h := headers{token: c.Token, organization: c.Organization}
	conn, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(creds),
		grpc.WithUnaryInterceptor(h.unary), grpc.WithStreamInterceptor(h.stream),
		grpc.WithDefaultServiceConfig(policy),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithUserAgent("dark"))
	if err != nil {
		return nil, exit.New(exit.Usage, "", "address %s: %v", c.Addr, err)
	}
	return &Client{
		Resources:     resourcegrpc.NewResourceServiceClient(conn),
		Zones:         dnsgrpc.NewZoneServiceClient(conn),
		Records:       dnsgrpc.NewRecordSetServiceClient(conn),
		Cluster:       clustergrpc.NewClusterServiceClient(conn),
		Nodes:         clustergrpc.NewNodeServiceClient(conn),
		Keys:          identitygrpc.NewApiKeyServiceClient(conn),
		Organizations: identitygrpc.NewOrganizationServiceClient(conn),
		Buckets:       storagegrpc.NewBucketServiceClient(conn),
		AccessKeys:    storagegrpc.NewAccessKeyServiceClient(conn),
		Encryption:    storagegrpc.NewEncryptionKeyServiceClient(conn),
		conn:          conn,
	}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

const forms = "an address is http://127.0.0.1:8080, https://HOST:PORT or unix:///PATH"

// target turns an address into what gRPC dials, and how.
func target(c contexts.Context) (string, credentials.TransportCredentials, error) {
	addr := c.Addr
	if !strings.Contains(addr, "://") {
		addr = "https://" + addr
		if isLoopback(hostOf(c.Addr)) {
			addr = "http://" + c.Addr
		}
	}
	u, err := url.Parse(addr)
	if err != nil {
		return "", nil, exit.New(exit.Usage, forms, "%q is not an address", c.Addr)
	}
	switch u.Scheme {
	case "unix":
		// unix://DIR/control.sock is what people write of a directory here.
		path, err := filepath.Abs(u.Host + u.Path)
		if err != nil || u.Host+u.Path == "" {
			return "", nil, exit.New(exit.Usage, forms, "%q is not an address", c.Addr)
		}
		return "unix://" + path, insecure.NewCredentials(), nil
	case "http":
		// In clear a token could be read on the way; on loopback there is no way.
		if !isLoopback(u.Hostname()) {
			return "", nil, exit.New(exit.Usage, "https://"+u.Host,
				"http is for loopback only: the token would travel in clear to %s", u.Host)
		}
		return "passthrough:///" + withPort(u, "80"), insecure.NewCredentials(), nil
	case "https":
		creds, err := secure(c.CA)
		return "dns:///" + withPort(u, "443"), creds, err
	}
	return "", nil, exit.New(exit.Usage, forms, "%q is not an address", c.Addr)
}

func hostOf(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return addr
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func withPort(u *url.URL, port string) string {
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func secure(ca string) (credentials.TransportCredentials, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, exit.New(exit.Usage, "--ca FILE with the installation's CA", "read the CA: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, exit.New(exit.Usage, "--ca FILE with the installation's CA",
				"%s holds no certificate in PEM form", ca)
		}
	}
	return credentials.NewTLS(conf), nil
}

// headers say who asks and for which organization.
type headers struct{ token, organization string }

func (h headers) on(ctx context.Context) context.Context {
	if h.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+h.token)
	}
	if org := OrganizationIn(ctx, h.organization); org != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "dark-organization", org)
	}
	return ctx
}

func (h headers) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	return invoke(h.on(ctx), method, req, reply, cc, opts...)
}

func (h headers) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return open(h.on(ctx), desc, cc, method, opts...)
}

type organizationKey struct{}

// ForOrganization names another organization than the context's for the calls made with ctx.
func ForOrganization(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, organizationKey{}, name)
}

// OrganizationIn returns the organization named in ctx, or otherwise.
func OrganizationIn(ctx context.Context, otherwise string) string {
	if o, ok := ctx.Value(organizationKey{}).(string); ok && o != "" {
		return o
	}
	return otherwise
}
