package rig

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
)

// Zone is a master file of n record sets, an address each, made while it is read; the
// last one is a TXT "last" that says that all is there.
type Zone struct {
	Records, next int
	rest          []byte
}

// Read implements io.Reader.
func (z *Zone) Read(p []byte) (int, error) {
	for len(z.rest) < len(p) && z.next < z.Records {
		if z.next++; z.next == z.Records {
			z.rest = append(z.rest, "last 60 IN TXT \"here\"\n"...)
			break
		}
		z.rest = fmt.Appendf(z.rest, "n%07d 300 IN A 10.%d.%d.%d\n", z.next, z.next>>16&255, z.next>>8&255, z.next&255)
	}
	if len(z.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, z.rest)
	z.rest = z.rest[n:]
	return n, nil
}

// Import makes a zone be a master file, and returns when that is acknowledged.
func Import(ctx context.Context, conn grpc.ClientConnInterface, apex string,
	file io.Reader,
) (*dnsv1.ImportZoneResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := dnsgrpc.NewZoneServiceClient(conn).ImportZone(ctx)
	if err != nil {
		return nil, err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(s, apex, file) }()
	var last *dnsv1.ImportZoneResponse
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", apex, err)
		}
		last = m
	}
	if err := <-sent; err != nil {
		return nil, err
	}
	if !last.GetDone() {
		return nil, fmt.Errorf("the import of %s ended without having been done", apex)
	}
	return last, nil
}

func send(s grpc.BidiStreamingClient[dnsv1.ImportZoneRequest, dnsv1.ImportZoneResponse], apex string,
	file io.Reader,
) error {
	b := make([]byte, 256<<10)
	m := &dnsv1.ImportZoneRequest{Name: "zones/" + apex, Create: true}
	for {
		n, err := io.ReadFull(file, b)
		if n > 0 {
			m.Data = append([]byte(nil), b[:n]...)
			if err := s.Send(m); err != nil {
				return nil //nolint:nilerr // why the server ended it is what Recv returns
			}
			m = &dnsv1.ImportZoneRequest{}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return s.CloseSend()
		}
		if err != nil {
			return err
		}
	}
}
