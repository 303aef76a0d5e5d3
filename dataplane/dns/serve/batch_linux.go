package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchSize = 64
	// busyBatches without a wait between them is a loop under full load; see flow.
	busyBatches = 16
	pmtuOmit    = 5 // IP_PMTUDISC_OMIT: never fragment by a path MTU that strangers send
)

// ServeBatch answers messages on c until ctx ends; it closes c then. It is tier 1: up
// to 64 messages a system call each way, nothing allocated. Run one on each socket of
// an SO_REUSEPORT group, one socket a core. On a socket bound to all addresses the
// answer leaves from the address that was asked (IP_PKTINFO).
//
// An idle loop waits in Go's poller and costs nothing. It reads and writes by raw system
// calls that never block, because each ordinary one that leaves an idle process wakes
// Go's monitor thread, which then looks round every 20 us for a millisecond: at a
// thousand messages a second that cost several times what the answers cost.
func (h *Handler) ServeBatch(ctx context.Context, c *net.UDPConn) error {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("take the socket at %v: %w", c.LocalAddr(), err)
	}
	b, err := newBatch(raw, c.LocalAddr())
	if err != nil {
		return fmt.Errorf("prepare the socket at %v: %w", c.LocalAddr(), err)
	}
	defer context.AfterFunc(ctx, func() {
		b.ended.Store(true)
		c.Close()
	})()
	x := h.newExchange()
	x.batched = true
	err = raw.Read(func(fd uintptr) bool {
		b.fd = fd
		return b.flow(x)
	})
	switch {
	case b.err != nil:
		return fmt.Errorf("read DNS messages at %v: %w", c.LocalAddr(), b.err)
	case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
		return nil
	}
	return fmt.Errorf("wait for DNS messages at %v: %w", c.LocalAddr(), err)
}

// flow answers what is there. It returns false to wait for more, and true when the loop
// must end: b.err then says why, or b.ended is set.
//
// After a message that came alone it waits at once: the poller tells of one that came
// meanwhile, since flow's caller arms it once and for all.
func (b *batch) flow(x *exchange) (end bool) {
	for busy := 0; !b.ended.Load(); busy++ {
		n, errno := b.receive()
		if errno != 0 {
			b.err = errno
			return true
		}
		if n == 0 {
			return false
		}
		x.now = x.h.clock.Now()
		b.answer(x, n)
		// Raw calls hide a busy loop from Go's monitor, if that sleeps. An ordinary one
		// wakes it, so that it gives other goroutines and sockets their turn.
		b.send(busy%busyBatches == busyBatches-1)
		if n == 1 {
			return false
		}
	}
	return true
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// batch is the memory of one loop. Go's heap does not move, so the kernel's pointers
// into it stay good; every one of them is held as a typed pointer too.
type batch struct {
	fd      uintptr
	ended   atomic.Bool
	err     error // why flow ended
	pktinfo bool
	in      [batchSize]mmsghdr
	out     [batchSize]mmsghdr
	inVec   [batchSize]unix.Iovec
	outVec  [batchSize]unix.Iovec
	names   [batchSize]unix.RawSockaddrInet6
	control [batchSize][64]byte
	data    [batchSize][udpBuffer]byte
	buf     []byte
	nout    int
}

func newBatch(raw syscall.RawConn, local net.Addr) (*batch, error) {
	b := &batch{buf: make([]byte, 0, batchSize*defaultUDPSize)}
	a, ok := local.(*net.UDPAddr)
	if !ok {
		return nil, errors.New("not a UDP socket")
	}
	b.pktinfo = a.IP.IsUnspecified()
	var err error
	cerr := raw.Control(func(fd uintptr) { err = b.prepare(int(fd), a.IP.To4() != nil) })
	for i := range b.in {
		b.inVec[i].Base = &b.data[i][0]
		b.inVec[i].SetLen(udpBuffer)
		h := &b.in[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.inVec[i]
		h.SetIovlen(1)
		if b.pktinfo {
			h.Control = &b.control[i][0]
		}
		b.rearm(i)
	}
	return b, errors.Join(cerr, err)
}

// prepare sets the socket's options.
func (b *batch) prepare(fd int, v4 bool) (err error) {
	if v4 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, pmtuOmit)
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, pmtuOmit)
	}
	if b.pktinfo && v4 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	} else if b.pktinfo {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
	}
	return err
}

// rearm sets the lengths that the kernel changed.
func (b *batch) rearm(i int) {
	h := &b.in[i].hdr
	h.Namelen = uint32(unsafe.Sizeof(b.names[i]))
	if b.pktinfo {
		h.SetControllen(len(b.control[i]))
	}
}

// receive reads the messages that are there and returns their number.
func (b *batch) receive() (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, b.fd, uintptr(unsafe.Pointer(&b.in[0])), batchSize,
			unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EAGAIN:
			return 0, 0
		case syscall.EINTR, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
			continue // the last three tell of answers sent earlier
		}
		return 0, errno
	}
}

// answer makes the answers to the first n messages.
func (b *batch) answer(x *exchange, n int) {
	b.buf, b.nout = b.buf[:0], 0
	for i := range n {
		m := &b.in[i]
		if m.hdr.Flags&unix.MSG_TRUNC == 0 {
			at := len(b.buf)
			b.buf = x.handle(b.buf, b.data[i][:m.len], b.from(i), UDP)
			if len(b.buf) > at {
				b.queue(i, b.buf[at:])
			}
		}
		b.rearm(i)
	}
}

// queue sends answer to where message i came from, from where it was sent to. Should
// buf grow later, the earlier array stays alive through the pointer kept here.
func (b *batch) queue(i int, answer []byte) {
	in, out, vec := &b.in[i].hdr, &b.out[b.nout].hdr, &b.outVec[b.nout]
	vec.Base = &answer[0]
	vec.SetLen(len(answer))
	out.Iov = vec
	out.SetIovlen(1)
	out.Name, out.Namelen = in.Name, in.Namelen
	out.Control = nil
	out.SetControllen(0)
	if b.pktinfo && in.Flags&unix.MSG_CTRUNC == 0 && in.Controllen >= unix.SizeofCmsghdr {
		freeInterface(b.control[i][:in.Controllen])
		out.Control = in.Control
		out.Controllen = in.Controllen
	}
	b.nout++
}

// freeInterface leaves the way out to the routing table: of the packet info it keeps
// the address and drops the interface, but where the address is local to a link.
func freeInterface(c []byte) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	data := c[unix.SizeofCmsghdr:]
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		p := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
		p.Ifindex = 0
		if p.Spec_dst == [4]byte{} {
			p.Spec_dst = p.Addr // queued before the option was set
		}
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		p := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
		if p.Addr[0] != 0xfe || p.Addr[1]&0xc0 != 0x80 {
			p.Ifindex = 0
		}
	}
}

// from is the client's address.
func (b *batch) from(i int) netip.AddrPort {
	n := &b.names[i]
	if n.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(n))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port(&v4.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(n.Addr).Unmap(), port(&n.Port))
}

func port(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}

// send sends all answers; one that cannot be sent is as one lost on the way. An ordinary
// call tells Go's scheduler of itself.
func (b *batch) send(ordinary bool) {
	call := unix.RawSyscall6
	if ordinary {
		call = unix.Syscall6
	}
	for i := 0; i < b.nout; {
		n, _, errno := call(unix.SYS_SENDMMSG, b.fd, uintptr(unsafe.Pointer(&b.out[i])), uintptr(b.nout-i),
			unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			i += int(n)
		case errno != syscall.EINTR:
			i++
		}
	}
}
