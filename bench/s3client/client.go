package s3client

import (
	"bufio"
	"context"
	"crypto/md5" //nolint:gosec // what SSE-C asks for
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Client is one connection that stays open. It writes requests by hand, so that on two
// cores most of the time is left to the server.
type Client struct {
	host string
	who  Credentials
	conn net.Conn
	r    *bufio.Reader
	out  []byte
	sink []byte
}

// New is a client of a server at host:port.
func New(host string, who Credentials) *Client {
	return &Client{host: host, who: who, sink: make([]byte, 256<<10)}
}

// Close closes the connection; Do opens another.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Body of a request: what is sent, and how it is announced.
type Body struct {
	data    []byte
	payload string // x-amz-content-sha256
	signed  []header
	headers string // further header lines
}

// Signed is sent with its hash.
func Signed(data []byte) Body {
	hash := sha256.Sum256(data)
	return Body{data: data, payload: hex.EncodeToString(hash[:])}
}

// Trailer is sent as current SDKs do by default: unsigned chunks and a trailer with a
// CRC-32 of it.
func Trailer(data []byte) Body {
	const chunk = 64 << 10
	out := make([]byte, 0, len(data)+len(data)/chunk*16+128)
	for rest := data; len(rest) > 0; {
		n := min(chunk, len(rest))
		out = append(strconv.AppendInt(out, int64(n), 16), "\r\n"...)
		out = append(append(out, rest[:n]...), "\r\n"...)
		rest = rest[n:]
	}
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(data))
	out = append(out, "0\r\nx-amz-checksum-crc32:"+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n"...)
	return Body{data: out, payload: unsignedTrailer, headers: "Content-Encoding: aws-chunked\r\n", signed: []header{
		{"x-amz-decoded-content-length", strconv.Itoa(len(data))}, {"x-amz-trailer", "x-amz-checksum-crc32"},
	}}
}

// WithKey has the server encrypt under a key of the customer's (SSE-C), which makes its ETag
// none of the content's MD5.
func (b Body) WithKey(key [32]byte) Body {
	sum := md5.Sum(key[:]) //nolint:gosec // what SSE-C asks for
	b.signed = append(slices.Clone(b.signed),
		header{"x-amz-server-side-encryption-customer-algorithm", "AES256"},
		header{"x-amz-server-side-encryption-customer-key", base64.StdEncoding.EncodeToString(key[:])},
		header{"x-amz-server-side-encryption-customer-key-md5", base64.StdEncoding.EncodeToString(sum[:])})
	slices.SortFunc(b.signed, func(x, y header) int { return strings.Compare(x.name, y.name) })
	return b
}

// Do sends a request and reads its answer, of which it returns the length.
func (c *Client) Do(ctx context.Context, method, path, query string, b Body) (int64, error) {
	if c.conn == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", c.host)
		if err != nil {
			return 0, err
		}
		c.conn, c.r = conn, bufio.NewReaderSize(conn, 256<<10)
	}
	n, err := c.exchange(method, path, query, b)
	if err != nil {
		c.Close()
		return 0, fmt.Errorf("%s %s?%s: %w", method, path, query, err)
	}
	return n, nil
}

func (c *Client) exchange(method, path, query string, b Body) (int64, error) {
	if b.payload == "" {
		b.payload = emptyPayload
	}
	date, authorization := c.who.signed(method, path, query, c.host, b.payload, b.signed, time.Now())
	target := path
	if query != "" {
		target += "?" + query
	}
	c.out = fmt.Appendf(c.out[:0], "%s %s HTTP/1.1\r\nHost: %s\r\nX-Amz-Date: %s\r\nX-Amz-Content-Sha256: "+
		"%s\r\nAuthorization: %s\r\n%s", method, target, c.host, date, b.payload, authorization, b.headers)
	for _, h := range b.signed {
		c.out = fmt.Appendf(c.out, "%s: %s\r\n", h.name, h.value)
	}
	if method == http.MethodPut || len(b.data) > 0 {
		c.out = fmt.Appendf(c.out, "Content-Length: %d\r\n", len(b.data))
	}
	c.out = append(c.out, "\r\n"...)
	buffers := net.Buffers{c.out, b.data}
	if _, err := buffers.WriteTo(c.conn); err != nil {
		return 0, err
	}
	return c.answer(method)
}

// answer reads the status, the headers and the body.
func (c *Client) answer(method string) (int64, error) {
	tp := textproto.NewReader(c.r)
	line, err := tp.ReadLine()
	if err != nil {
		return 0, err
	}
	h, err := tp.ReadMIMEHeader()
	if err != nil {
		return 0, err
	}
	var in io.Reader
	switch {
	case method == http.MethodHead || h.Get("Content-Length") == "0" || strings.Contains(line, " 204 "):
	case h.Get("Content-Length") != "":
		length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		if err != nil {
			return 0, err
		}
		in = io.LimitReader(c.r, length)
	case strings.EqualFold(h.Get("Transfer-Encoding"), "chunked"):
		in = newChunks(c.r)
	}
	if f := strings.Fields(line); len(f) < 2 || f[1] != "200" && f[1] != "204" {
		text := ""
		if in != nil {
			b, _ := io.ReadAll(io.LimitReader(in, 2048))
			text = string(b)
		}
		return 0, fmt.Errorf("%s: %s", line, text)
	}
	if strings.EqualFold(h.Get("Connection"), "close") {
		defer c.Close()
	}
	if in == nil {
		return 0, nil
	}
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{in}, c.sink)
}
