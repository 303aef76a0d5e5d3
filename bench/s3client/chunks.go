package s3client

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// chunks reads a chunked body (RFC 9112 7.1) without trailers.
type chunks struct {
	r    *bufio.Reader
	left int64
	end  bool
}

func newChunks(r *bufio.Reader) *chunks { return &chunks{r: r} }

func (c *chunks) Read(p []byte) (int, error) {
	if c.end {
		return 0, io.EOF
	}
	if c.left == 0 {
		if err := c.next(); err != nil || c.end {
			return 0, orEOF(err)
		}
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); c.left == 0 && err == nil {
		_, err = c.r.Discard(2)
	}
	return n, err
}

func (c *chunks) next() error {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return err
	}
	if c.left, err = strconv.ParseInt(strings.TrimSpace(line), 16, 64); err != nil {
		return fmt.Errorf("chunk: %w", err)
	}
	if c.left == 0 {
		c.end = true
		_, err = c.r.Discard(2)
	}
	return err
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}
