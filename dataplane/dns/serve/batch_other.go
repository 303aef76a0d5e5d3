//go:build !linux

package serve

import (
	"context"
	"net"
)

// ServeBatch is ServeUDP where the system has no batched reads.
func (h *Handler) ServeBatch(ctx context.Context, c *net.UDPConn) error { return h.ServeUDP(ctx, c) }
