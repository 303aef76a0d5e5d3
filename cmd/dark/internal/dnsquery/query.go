// Package dnsquery asks one DNS server one question, as a client of a given address
// (RFC 1035, 6891, 7871), and reads the answer. It keeps nothing.
package dnsquery

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Sizes and waits.
const (
	udpSize     = 1232             // as resolvers announce
	tryUDP      = 2 * time.Second  // before a datagram is sent again
	maxAttempts = 3                // datagrams
	tryTCP      = 10 * time.Second // a whole exchange
)

// Query is what to ask.
type Query struct {
	Name string          // in presentation form; the last dot may be left out
	Type dnsmessage.Type // of records
	// From, if valid, is the client on whose behalf is asked, in an EDNS option.
	From netip.Prefix
	// TCP asks over TCP at once; else it is asked again so when the answer was cut short.
	TCP bool
	// DNSSEC asks for signatures (the bit DO).
	DNSSEC bool
}

// Answer is what came back.
type Answer struct {
	Server    string // address and port
	Transport string // udp or tcp
	Truncated bool   // it was cut short over UDP and asked for again by TCP
	Took      time.Duration
	Octets    int
	Message
}

// Ask sends the query to server, host:port, and reads the answer.
func Ask(ctx context.Context, server string, q Query) (*Answer, error) {
	var id [2]byte
	rand.Read(id[:])
	msg, err := q.pack(binary.BigEndian.Uint16(id[:]))
	if err != nil {
		return nil, err
	}
	a := &Answer{Server: server, Transport: "udp"}
	if !q.TCP {
		if err := a.exchange(ctx, msg, overUDP); err != nil {
			return nil, err
		}
		if !a.Header.Truncated {
			return a, nil
		}
		a.Truncated = true
	}
	a.Transport = "tcp"
	return a, a.exchange(ctx, msg, overTCP)
}

func (a *Answer) exchange(ctx context.Context, query []byte, via func(context.Context, string, []byte) ([]byte,
	error),
) error {
	began := time.Now()
	b, err := via(ctx, a.Server, query)
	if err != nil {
		return err
	}
	a.Took, a.Octets = time.Since(began), len(b)
	m, err := Read(b)
	if err != nil {
		return fmt.Errorf("the answer of %s: %w", a.Server, err)
	}
	a.Message = *m
	return nil
}

// answers reports whether b may be the answer to the query: id, QR, and the question,
// octet for octet, where there is one.
func answers(b, query []byte) bool {
	if len(b) < 12 || b[0] != query[0] || b[1] != query[1] || b[2]&0x80 == 0 {
		return false
	}
	if binary.BigEndian.Uint16(b[4:]) == 0 {
		return true // an error about a question that could not be read
	}
	n := questionEnd(query)
	return len(b) >= n && string(b[12:n]) == string(query[12:n])
}

func questionEnd(query []byte) int {
	i := 12
	for query[i] != 0 {
		i += int(query[i]) + 1
	}
	return i + 5
}

// overUDP sends again what is not answered; another message is not the answer.
func overUDP(ctx context.Context, server string, query []byte) ([]byte, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	b := make([]byte, 65535)
	for try := 1; ; try++ {
		if _, err = conn.Write(query); err != nil {
			return nil, err
		}
		if err := conn.SetReadDeadline(time.Now().Add(tryUDP)); err != nil {
			return nil, err
		}
		var n int
		for err == nil {
			if n, err = conn.Read(b); err == nil && answers(b[:n], query) {
				return b[:n], nil
			}
		}
		var late net.Error
		if ctx.Err() != nil || try == maxAttempts || !errors.As(err, &late) || !late.Timeout() {
			return nil, err
		}
	}
}

// overTCP: each message after its length (RFC 1035 4.2.2).
func overTCP(ctx context.Context, server string, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTCP)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, b); err != nil {
		return nil, err
	}
	if !answers(b, query) {
		return nil, errors.New("the server sent what is no answer to the question")
	}
	return b, nil
}
