package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Asker asks one edge over one TCP connection, a question at a time. Over UDP a client
// that asks so much is limited.
type Asker struct {
	addr string
	conn net.Conn
	id   uint16
}

// NewAsker asks the DNS server at host:port.
func NewAsker(addr string) *Asker { return &Asker{addr: addr} }

// Close ends the connection.
func (a *Asker) Close() {
	if a.conn != nil {
		a.conn.Close()
	}
}

// TXT is the text at a name, "" when there is none.
func (a *Asker) TXT(ctx context.Context, name string) (string, error) {
	if a.conn == nil {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.addr)
		if err != nil {
			return "", err
		}
		a.conn = c
	}
	text, err := a.exchange(name)
	if err != nil {
		a.conn.Close()
		a.conn = nil
	}
	return text, err
}

func (a *Asker) exchange(name string) (string, error) {
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return "", err
	}
	a.id++
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: a.id},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}},
	}
	b, err := q.AppendPack(make([]byte, 2, 512))
	if err != nil {
		return "", err
	}
	binary.BigEndian.PutUint16(b, uint16(len(b)-2)) // RFC 1035 4.2.2
	if err := a.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := a.conn.Write(b); err != nil {
		return "", err
	}
	var size [2]byte
	if _, err := io.ReadFull(a.conn, size[:]); err != nil {
		return "", err
	}
	b = make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(a.conn, b); err != nil {
		return "", err
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		return "", err
	}
	if m.ID != a.id {
		return "", errors.New("an answer to another question")
	}
	for _, r := range m.Answers {
		if t, ok := r.Body.(*dnsmessage.TXTResource); ok {
			return strings.Join(t.TXT, ""), nil
		}
	}
	return "", nil
}

// Until asks without a pause until the text at a name is want.
func (a *Asker) Until(ctx context.Context, name, want string) error {
	for {
		got, err := a.TXT(ctx, name)
		if err == nil && got == want {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s at %s is %q, %w, and not %q: %w", name, a.addr, got, err, want, ctx.Err())
		}
		if err != nil { // not listening yet
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}
