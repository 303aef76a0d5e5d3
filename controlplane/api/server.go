package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/preauth"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
)

// MaxRequest is the most octets of one request.
const MaxRequest = 4 << 20

// Registration is what the API needs to know of one kind.
type Registration struct {
	Kind *kind.Kind
	// Service is the full name of the service with its standard methods.
	Service protoreflect.FullName
	// Gateway registers the service's REST handlers, as generated.
	Gateway func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error
}

// Extra is a method of a kind's service beside the standard ones.
type Extra struct {
	Service protoreflect.FullName
	Name    string
	Kind    *kind.Kind // whose permission it needs
	Verb    string     // identity.Read, Write
	// Stream carries out a streaming method, Unary one that is not: gRPC asks no interceptor
	// about a stream without streams.
	Stream func(grpc.ServerStream) error
	Unary  func(ctx context.Context, req proto.Message) (proto.Message, error)
	// File makes a stream with a file in it reachable by REST; nil: by gRPC alone.
	File *File
}

// Options of a Server. State, Proposer, Auth, Cluster and TokenKey must be set.
type Options struct {
	State    admit.State
	Proposer admit.Proposer
	Auth     *identity.Authenticator
	Kinds    []Registration
	Extras   []Extra
	Cluster  Cluster
	// TokenKey authenticates page tokens; the same on all members.
	TokenKey []byte
	Clock    clock.Clock
	Log      *slog.Logger // nil discards
	Version  string
	// Live and Ready answer /livez and /readyz; nil is always well.
	Live, Ready func(context.Context) error
	// Contact says why bearer credentials cannot be judged here at the moment; nil: they
	// always can.
	Contact  func(context.Context) error
	Registry prometheus.Registerer // nil: not exported
	// Fallback answers paths that are not the API's, such as the console's; may be nil.
	Fallback http.Handler
}

// Server serves the API.
type Server struct {
	*core
	o             Options
	log           *slog.Logger
	table         map[string]need
	resourceField map[string]protoreflect.FieldDescriptor
	kindOfMethod  map[string]*kind.Kind // of the standard methods
	routes        routes
	bodyTime      time.Duration // how long the body of a request may take
	recheck       time.Duration // how often a stream's caller is looked at again
	doors         preauth.Doors
	lanes         *lanes
	openLanes     openLanes
	openStreams   map[string]bool
	streams       sync.WaitGroup // handlers of streams
	metrics       *metrics
	grpc          *grpc.Server
	health        *health.Server
	loop          *bufconn.Listener // by which the gateway reaches grpc
	conn          *grpc.ClientConn
	mux           *runtime.ServeMux // REST, over grpc
	openapi       []byte
	secret        string // of headerLocal and headerSubmit
	close         func() // closes core.closing
	looped        chan error
}

// New builds a server. Close it after use.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c, stop, err := newCore(o)
	if err != nil {
		return nil, err
	}
	var secret [32]byte
	rand.Read(secret[:])
	s := &Server{
		core: c, o: o, log: o.Log, table: c.needs(), resourceField: map[string]protoreflect.FieldDescriptor{},
		kindOfMethod: map[string]*kind.Kind{}, routes: routes{}, bodyTime: bodyTime,
		recheck: recheckEvery, lanes: newLanes(), openLanes: newOpenLanes(),
		secret: hex.EncodeToString(secret[:]), close: stop, looped: make(chan error, 1),
	}
	if s.metrics, err = newMetrics(o.Registry); err != nil {
		return nil, err
	}
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(MaxRequest),
		grpc.ForceServerCodecV2(strictCodec{encoding.GetCodecV2("proto")}),
		grpc.UnaryInterceptor(s.unaryInterceptor), grpc.StreamInterceptor(s.streamInterceptor))
	if err := s.register(); err != nil {
		return nil, err
	}
	packages := map[string]bool{"dark.resource.v1": true, "dark.cluster.v1": true}
	for _, r := range o.Kinds {
		packages[string(r.Service.Parent())] = true
	}
	if s.openapi, err = openAPI(o.Version, packages, o.Extras); err != nil {
		return nil, err
	}
	return s, s.startGateway()
}

func newCore(o Options) (*core, func(), error) {
	if o.State == nil || o.Proposer == nil || o.Auth == nil || o.Cluster == nil || len(o.TokenKey) == 0 {
		return nil, nil, errors.New("api: State, Proposer, Auth, Cluster and TokenKey must be set")
	}
	var list []*kind.Kind
	for _, r := range o.Kinds {
		list = append(list, r.Kind)
	}
	kinds, err := admit.NewKinds(list)
	if err != nil {
		return nil, nil, err
	}
	valid, err := newValidator()
	if err != nil {
		return nil, nil, fmt.Errorf("prepare validation: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &core{
		state: o.State, proposer: o.Proposer, kinds: kinds, valid: valid, pages: pager{o.TokenKey}, clock: o.Clock,
		writer:  &admit.Writer{State: o.State, Proposer: o.Proposer, Validate: valid.violations, Clock: o.Clock},
		watches: &watches{}, closing: ctx.Done(),
	}, stop, nil
}

// Writer admits and proposes writes as the API does, for extra methods.
func (s *Server) Writer() *admit.Writer { return s.writer }

// Kinds are those registered.
func (s *Server) Kinds() *admit.Kinds { return s.core.kinds }

// register makes every service.
func (s *Server) register() error {
	for _, r := range s.o.Kinds {
		if err := s.registerKind(r); err != nil {
			return fmt.Errorf("api: service %s: %w", r.Service, err)
		}
	}
	resourcegrpc.RegisterResourceServiceServer(registrar{s.grpc}, &resources{core: s.core})
	clustergrpc.RegisterClusterServiceServer(registrar{s.grpc}, &clusterService{c: s.o.Cluster})
	s.health = health.NewServer()
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.openStreams = openStreams(s.table, s.grpc.GetServiceInfo())
	return nil
}

// registerKind makes the service of one kind from its descriptor.
func (s *Server) registerKind(r Registration) error {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(r.Service)
	if err != nil {
		return err
	}
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return fmt.Errorf("is no service")
	}
	desc := grpc.ServiceDesc{ServiceName: string(r.Service), HandlerType: (*any)(nil), Metadata: sd.ParentFile().Path()}
	std := standard{s.core, r.Kind}
	for i := range sd.Methods().Len() {
		md := sd.Methods().Get(i)
		full := "/" + string(r.Service) + "/" + string(md.Name())
		if u, verb, in := std.method(md); u != nil {
			desc.Methods = append(desc.Methods, handler(md, full, u))
			s.table[full], s.resourceField[full], s.kindOfMethod[full] = ofKind(r.Kind, verb), in, r.Kind
			continue
		}
		x, ok := s.extra(r.Service, string(md.Name()))
		if !ok {
			return fmt.Errorf("method %s is neither a standard one nor given as an extra", md.Name())
		}
		s.table[full] = ofKind(x.Kind, x.Verb)
		streams := md.IsStreamingClient() || md.IsStreamingServer()
		if streams != (x.Stream != nil) || streams == (x.Unary != nil) {
			return fmt.Errorf("method %s must be given as Stream where it streams, and as Unary where not", md.Name())
		}
		if !streams {
			desc.Methods = append(desc.Methods, handler(md, full, x.Unary))
			continue
		}
		desc.Streams = append(desc.Streams, grpc.StreamDesc{
			StreamName: x.Name, ClientStreams: md.IsStreamingClient(), ServerStreams: md.IsStreamingServer(),
			Handler: func(_ any, stream grpc.ServerStream) error { return x.Stream(stream) },
		})
	}
	registrar{s.grpc}.RegisterService(&desc, nil)
	return s.routes.add(r.Service)
}

func (s *Server) extra(service protoreflect.FullName, name string) (Extra, bool) {
	for _, x := range s.o.Extras {
		if x.Service == service && x.Name == name {
			return x, true
		}
	}
	return Extra{}, false
}
