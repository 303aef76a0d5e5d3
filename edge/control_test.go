package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// control is the least of a control node: it welcomes an edge, sends it frames of
// org/acme, and reads its acks.
type control struct {
	addr string
	acks chan *feedv1.Ack
	stop func()
}

func sealedFrame(t testing.TB, items ...*feedv1.Item) []byte {
	t.Helper()
	data, _, err := frame.Seal(testKey, &feedv1.Frame{
		Cluster: "test", Stream: "org/acme", Epoch: 1, Revision: 1,
		Last: true, Items: items, SignedAt: time.Now().UnixNano(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func fakeControl(t testing.TB, signed ...[]byte) *control {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0",
		&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &control{addr: ln.Addr().String(), acks: make(chan *feedv1.Ack, 16)}
	var mu sync.Mutex
	var conns []net.Conn
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			all.Go(func() { c.serve(conn, signed) })
		}
	})
	c.stop = sync.OnceFunc(func() {
		ln.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	t.Cleanup(c.stop)
	return c
}

func (c *control) serve(conn net.Conn, signed [][]byte) {
	defer conn.Close()
	msg, err := frame.ReadMsg(conn, nil, frame.MaxHello)
	if err != nil {
		return
	}
	var out []byte
	for _, down := range []*feedv1.Down{
		{Message: &feedv1.Down_Welcome{Welcome: &feedv1.Welcome{
			Cluster: "test", Epoch: 1,
			Subscription: &feedv1.Subscription{Streams: []string{"org/acme"}},
		}}},
		nil,
		{Message: &feedv1.Down_Progress{Progress: &feedv1.Progress{Revision: 1, Frames: uint64(len(signed))}}},
	} {
		if down == nil {
			for _, f := range signed {
				out = frame.AppendFrame(out, f)
			}
			continue
		}
		if out, err = frame.AppendMsg(out, down); err != nil {
			return
		}
	}
	if _, err := conn.Write(out); err != nil {
		return
	}
	for {
		if msg, err = frame.ReadMsg(conn, msg, frame.MaxMessage); err != nil {
			return
		}
		up := &feedv1.Up{}
		if proto.Unmarshal(msg, up) == nil && up.GetAck() != nil {
			select {
			case c.acks <- up.GetAck():
			default:
			}
		}
	}
}
