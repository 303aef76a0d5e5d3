package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// udpBuffer is room for the largest query over UDP that is read whole; what is longer
// is cut short by the kernel and then malformed.
const udpBuffer = 4096

// ServeUDP answers messages on c until ctx ends or c is closed; it closes c then. It
// answers one at a time: run it on several sockets of one SO_REUSEPORT group for more
// cores. c should be bound to an address, not to all of them: see ServeBatch.
func (h *Handler) ServeUDP(ctx context.Context, c *net.UDPConn) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	x := h.newExchange()
	in, out := make([]byte, udpBuffer), make([]byte, 0, maxMessage)
	for {
		n, from, err := c.ReadFromUDPAddrPort(in)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil //nolint:nilerr // it was told to end
			}
			return fmt.Errorf("read DNS messages at %v: %w", c.LocalAddr(), err)
		}
		x.now = h.clock.Now()
		out = x.handle(out[:0], in[:n], from, UDP)
		if len(out) > 0 {
			// An answer that cannot be sent is as one lost on the way.
			_, _ = c.WriteToUDPAddrPort(out, from)
		}
	}
}
