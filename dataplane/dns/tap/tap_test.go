package tap

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
)

func sample(t *testing.T) serve.Sample {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("www.example.com.", dns.TypeA)
	q, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m.Response = true
	a, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return serve.Sample{
		Time: time.Unix(1700000000, 5), From: netip.MustParseAddrPort("192.0.2.1:99"), Via: serve.TCP,
		Query: q, Answer: a,
	}
}

// fields reads a protobuf message into its fields.
func fields(t *testing.T, b []byte) map[protowire.Number][]byte {
	t.Helper()
	out := map[protowire.Number][]byte{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal("not protobuf")
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			t.Fatal("not protobuf")
		}
		v := b[:n]
		if typ == protowire.BytesType {
			v, _ = protowire.ConsumeBytes(b)
		}
		out[num] = v
		b = b[n:]
	}
	return out
}

func TestStream(t *testing.T) {
	var out bytes.Buffer
	m := sample(t)
	s := NewStream(&out, "edge-1", "dark")
	for _, f := range []func() error{s.Start, func() error { return s.Write(m) }, s.Stop} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	b := out.Bytes()
	control := func(typ uint32) {
		t.Helper()
		n := binary.BigEndian.Uint32(b[4:])
		if binary.BigEndian.Uint32(b) != 0 || binary.BigEndian.Uint32(b[8:]) != typ {
			t.Fatalf("not control frame %d: %x", typ, b)
		}
		b = b[8+n:]
	}
	control(controlStart)
	n := binary.BigEndian.Uint32(b)
	top := fields(t, b[4:4+n])
	b = b[4+n:]
	control(controlStop)
	msg := fields(t, top[14])
	if string(top[1]) != "edge-1" || !bytes.Equal(msg[10], m.Query) || !bytes.Equal(msg[14], m.Answer) ||
		!bytes.Equal(msg[4], []byte{192, 0, 2, 1}) || msg[3][0] != 2 {
		t.Errorf("%v %v", top, msg)
	}
}

func TestHandshake(t *testing.T) {
	var out bytes.Buffer
	s := NewStream(&out, "", "")
	accept := append([]byte{0, 0, 0, 0, 0, 0, 0, 4}, 0, 0, 0, controlAccept)
	if err := s.Handshake(bytes.NewReader(accept)); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]byte{
		nil, accept[:9],
		{0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1},
		{0, 0, 0, 0, 255, 0, 0, 0},
		append([]byte{0, 0, 0, 0, 0, 0, 0, 4}, 0, 0, 0, controlFinish),
	} {
		if s.Handshake(bytes.NewReader(bad)) == nil {
			t.Errorf("%x was taken", bad)
		}
	}
}

func TestLog(t *testing.T) {
	m := sample(t)
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		ch := make(chan serve.Sample)
		done := make(chan struct{})
		go func() { defer close(done); Log(ctx, slog.New(slog.NewJSONHandler(&out, nil)), ch) }()
		ch <- m
		synctest.Wait()
		cancel()
		<-done
		if !strings.Contains(out.String(), `"name":"www.example.com.","type":"A","rcode":"NOERROR"`) {
			t.Error(out.String())
		}
	})
}
