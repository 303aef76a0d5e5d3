package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// Calls share one connection in each direction between two members. A frame is
//
//	0 length of what follows u32 | 4 id u64 | 12 type u8 | payload
//
// request: 0 milliseconds left u32, 0 for no limit | 4 length u8 | method | body
// reply: body
// failure: see appendFailure
// cancel: empty; the caller has gone
const (
	frameRequest = 1
	frameReply   = 2
	frameFailure = 3
	frameCancel  = 4

	frameHeader = 13
	// MaxMessage bounds the body of a request or a reply, in bytes.
	MaxMessage = 16 << 20
	maxFrame   = MaxMessage + 64<<10
)

type frame struct {
	id      uint64
	kind    byte
	payload []byte
}

func appendFrame(b []byte, id uint64, kind byte, parts ...[]byte) []byte {
	n := frameHeader - 4
	for _, p := range parts {
		n += len(p)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	b = binary.BigEndian.AppendUint64(b, id)
	b = append(b, kind)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func readFrame(r io.Reader) (frame, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < frameHeader-4 || n > maxFrame {
		return frame{}, fmt.Errorf("frame of %d bytes", n)
	}
	f := frame{id: binary.BigEndian.Uint64(head[4:]), kind: head[12], payload: make([]byte, n-(frameHeader-4))}
	_, err := io.ReadFull(r, f.payload)
	return f, err
}

func requestHead(left time.Duration, method string) []byte {
	ms := uint32(0)
	if left > 0 {
		ms = uint32(min(max(left.Milliseconds(), 1), 1<<31))
	}
	b := binary.BigEndian.AppendUint32(nil, ms)
	b = append(b, byte(len(method)))
	return append(b, method...)
}

func parseRequest(b []byte) (left time.Duration, method string, body []byte, err error) {
	if len(b) < 5 || len(b) < 5+int(b[4]) {
		return 0, "", nil, errors.New("malformed request")
	}
	left = time.Duration(binary.BigEndian.Uint32(b)) * time.Millisecond
	n := 5 + int(b[4])
	return left, string(b[5:n]), b[n:], nil
}

// What a failure says beyond its text.
const (
	failurePlain     = 0
	failureUnknown   = 1 // matches ErrUnknown
	failureNotLeader = 2 // a *NotLeaderError follows
)

const maxFailureText = 8 << 10

// encodeFailure encodes err:
//
//	0 class u8 | 1 kind u8 | text | count of fields u8 | name, text of each | leader, address
//
// where a text is its length as u16 and its bytes. Of an error without a kind the text
// goes as it is: both ends are ours.
func encodeFailure(err error) []byte {
	class, leader, addr := byte(failurePlain), "", ""
	var nl *NotLeaderError
	switch {
	case errors.As(err, &nl):
		class, leader, addr = failureNotLeader, string(nl.Leader), nl.Addr
	case errors.Is(err, ErrUnknown):
		class = failureUnknown
	}
	text := err.Error()
	var fields []errs.Field
	var e *errs.Error
	if errors.As(err, &e) && class == failurePlain {
		text, fields = e.Text, e.Fields
	}
	b := []byte{class, byte(errs.KindOf(err))}
	b = appendText(b, text)
	fields = fields[:min(len(fields), 255)]
	b = append(b, byte(len(fields)))
	for _, f := range fields {
		b = appendText(appendText(b, f.Name), f.Text)
	}
	return appendText(appendText(b, leader), addr)
}

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), maxFailureText)]
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// parseFailure is the inverse of encodeFailure.
func parseFailure(b []byte) error {
	if len(b) < 2 || b[1] > byte(errs.Expired) {
		return errors.New("malformed failure")
	}
	class, kind := b[0], errs.Kind(b[1])
	p := textParser{b: b[2:]}
	e := &errs.Error{Kind: kind, Text: p.text()}
	for range p.byte() {
		e.Fields = append(e.Fields, errs.Field{Name: p.text(), Text: p.text()})
	}
	leader, addr := p.text(), p.text()
	if p.bad || len(p.b) > 0 {
		return errors.New("malformed failure")
	}
	switch class {
	case failureNotLeader:
		return &NotLeaderError{Leader: ServerID(leader), Addr: addr}
	case failureUnknown:
		return unknown(e)
	}
	return e
}

type textParser struct {
	b   []byte
	bad bool
}

func (p *textParser) byte() byte {
	if p.bad || len(p.b) < 1 {
		p.bad = true
		return 0
	}
	v := p.b[0]
	p.b = p.b[1:]
	return v
}

func (p *textParser) text() string {
	if p.bad || len(p.b) < 2 || len(p.b)-2 < int(binary.BigEndian.Uint16(p.b)) {
		p.bad = true
		return ""
	}
	n := 2 + int(binary.BigEndian.Uint16(p.b))
	s := string(p.b[2:n])
	p.b = p.b[n:]
	return s
}
