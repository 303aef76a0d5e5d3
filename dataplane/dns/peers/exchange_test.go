package peers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
)

// question is a message and its octets, whose ID is its place in its chunk.
type question struct {
	*mdns.Msg
	wire []byte
}

func newQuestion(t *testing.T, m *mdns.Msg) question {
	b, err := m.Pack()
	if err != nil {
		t.Error(m.Question, err)
	}
	return question{m, b}
}

// serveOwn serves h on loopback as production does, by the batched loop and TCP.
func serveOwn(t *testing.T, h *serve.Handler) *peer {
	t.Helper()
	port := freePort(t)
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- h.ServeBatch(ctx, c) }()
	go func() { done <- h.ServeTCP(ctx, l, serve.Limits{}) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
	return &peer{name: "dark", addr: c.LocalAddr().String()}
}

// window is how many questions are on the way to one server over one connection: four
// workers' together fit a socket's ordinary buffer.
const window = 50

// exchange asks all questions and returns the answers; over UDP what is lost is asked
// again. It sets the IDs.
func (p *peer) exchange(qs []question, network string) ([][]byte, error) {
	c, err := net.Dial(network, p.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	out := make([][]byte, len(qs))
	x := &exchange{c: c, stream: network == "tcp", qs: qs, out: out, room: make([]byte, 65536)}
	for lost := 0; x.got < len(qs); {
		if err := x.fill(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		err := x.receive()
		var late net.Error
		if !x.stream && errors.As(err, &late) && late.Timeout() && lost < 20 {
			lost++
			x.again()
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s after %d of %d questions: %w", p.name, x.sent, len(qs), err)
		}
	}
	return out, nil
}

// exchange is one connection's questions on their way.
type exchange struct {
	c         net.Conn
	stream    bool
	qs        []question
	out       [][]byte
	room      []byte
	sent, got int
	flying    int   // a guess: late answers come after their questions were given up
	repeat    []int // to be sent again
}

// fill sends questions until the window is full.
func (x *exchange) fill() error {
	for x.flying < window && (x.sent < len(x.qs) || len(x.repeat) > 0) {
		k := x.sent
		if len(x.repeat) > 0 {
			k, x.repeat = x.repeat[0], x.repeat[1:]
			if x.out[k] != nil {
				continue // it was only late
			}
		} else {
			x.sent++
		}
		x.flying++
		msg := append(x.room[:0], 0, 0)
		msg = append(msg, x.qs[k].wire...)
		binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
		binary.BigEndian.PutUint16(msg[2:], uint16(k))
		if !x.stream {
			msg = msg[2:]
		}
		if _, err := x.c.Write(msg); err != nil {
			return err
		}
	}
	return nil
}

// again puts all that has no answer up for another try.
func (x *exchange) again() {
	x.flying, x.repeat = 0, x.repeat[:0]
	for k := range x.sent {
		if x.out[k] == nil {
			x.repeat = append(x.repeat, k)
		}
	}
}

// receive takes one answer.
func (x *exchange) receive() error {
	wait := 5 * time.Second
	if !x.stream {
		wait = time.Second
	}
	if err := x.c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	msg, err := x.read()
	if err != nil {
		return err
	}
	if len(msg) < 12 {
		return fmt.Errorf("an answer of %d octets", len(msg))
	}
	k := int(binary.BigEndian.Uint16(msg))
	if k >= x.sent || x.out[k] != nil {
		return nil // of a question that was asked twice
	}
	id := x.qs[k].wire[:2]
	x.out[k] = append(append([]byte(nil), id...), msg[2:]...)
	x.got++
	x.flying--
	return nil
}

func (x *exchange) read() ([]byte, error) {
	if !x.stream {
		n, err := x.c.Read(x.room)
		return x.room[:n], err
	}
	if _, err := io.ReadFull(x.c, x.room[:2]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(x.room)
	_, err := io.ReadFull(x.c, x.room[:n])
	return x.room[:n], err
}
