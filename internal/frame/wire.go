package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Limits of a message on the wire. The first message of each side lists streams and
// may be larger than those that follow.
const (
	MaxMessage = MaxFrame + 64<<10
	MaxHello   = 16 << 20
)

// ReasonRefused begins the reason of a Behind that refuses the edge itself.
const ReasonRefused = "refused: "

// ErrTooLarge is a message over the limit; the connection cannot go on after it.
var ErrTooLarge = errors.New("message is too large")

// downFrame is the field number of Down.frame.
const downFrame = 2

// ReadMsg reads one message into buf, which it grows as needed, and returns it. The
// buffer grows with what arrives, so that a length alone allocates nothing. At the end
// of the stream between two messages the error is io.EOF.
func ReadMsg(r io.Reader, buf []byte, limit int) ([]byte, error) {
	buf = slices.Grow(buf[:0], 4)[:4]
	if _, err := io.ReadFull(r, buf); err != nil {
		return buf[:0], err
	}
	n := int(binary.BigEndian.Uint32(buf))
	if n > limit {
		return buf[:0], fmt.Errorf("%w: %d octets, at most %d", ErrTooLarge, n, limit)
	}
	const step = 64 << 10
	buf = buf[:0]
	for len(buf) < n {
		from := len(buf)
		buf = slices.Grow(buf, min(step, n-from))[:from+min(step, n-from)]
		if _, err := io.ReadFull(r, buf[from:]); err != nil {
			return buf[:0], noEOF(err)
		}
	}
	return buf, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// AppendMsg appends m with its length to buf.
func AppendMsg(buf []byte, m proto.Message) ([]byte, error) {
	from := len(buf)
	buf = append(buf, 0, 0, 0, 0)
	buf, err := proto.MarshalOptions{}.MarshalAppend(buf, m)
	if err != nil {
		return buf[:from], fmt.Errorf("marshal %T: %w", m, err)
	}
	binary.BigEndian.PutUint32(buf[from:], uint32(len(buf)-from-4))
	return buf, nil
}

// WriteMsg writes one message, using buf, which it grows as needed and returns.
func WriteMsg(w io.Writer, buf []byte, m proto.Message) ([]byte, error) {
	buf, err := AppendMsg(buf[:0], m)
	if err != nil {
		return buf, err
	}
	_, err = w.Write(buf)
	return buf, err
}

// AppendFrame appends a Down message that carries a stored SignedFrame, with its length:
// the bytes that are shared by all edges.
func AppendFrame(buf, signed []byte) []byte {
	n := protowire.SizeTag(downFrame) + protowire.SizeBytes(len(signed))
	buf = binary.BigEndian.AppendUint32(slices.Grow(buf, 4+n), uint32(n))
	buf = protowire.AppendTag(buf, downFrame, protowire.BytesType)
	return protowire.AppendBytes(buf, signed)
}

// FrameIn returns the SignedFrame's bytes in a Down message as they came, since a hash
// is over bytes; ok is false for every other message. It keeps a reference to msg.
func FrameIn(msg []byte) (signed []byte, ok bool) {
	n, t, l := protowire.ConsumeTag(msg)
	if l < 0 || n != downFrame || t != protowire.BytesType {
		return nil, false
	}
	v, m := protowire.ConsumeBytes(msg[l:])
	if m < 0 || l+m != len(msg) {
		return nil, false
	}
	return v, true
}
