package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchSize = 64
	// stopCheck is how often an idle loop looks whether it should end.
	stopCheck = 200 * time.Millisecond
	// rawWait is how long a loop waits without telling Go's scheduler.
	rawWait = time.Millisecond
	// msgWaitForOne makes recvmmsg return with what there is after the first message.
	msgWaitForOne = 0x10000
	pmtuOmit      = 5 // IP_PMTUDISC_OMIT: never fragment by a path MTU that strangers send
)

// ServeBatch answers messages on c until ctx ends; it closes c then. It is tier 1: up
// to 64 messages a system call each way, nothing allocated. Run one on each socket of
// an SO_REUSEPORT group, one socket a core.
//
// The loop waits in recvmmsg itself, which costs one wake-up for each burst and next to
// none when nothing comes; under load it never sleeps. The socket is put in blocking
// mode with a receive time-out, and GOMAXPROCS is raised by one for the loop. On a
// socket bound to all addresses the answer leaves from the address that was asked
// (IP_PKTINFO).
func (h *Handler) ServeBatch(ctx context.Context, c *net.UDPConn) error {
	defer c.Close()
	f, err := c.File()
	if err != nil {
		return fmt.Errorf("take the socket at %v: %w", c.LocalAddr(), err)
	}
	defer f.Close()
	b, err := newBatch(f, c.LocalAddr())
	if err != nil {
		return fmt.Errorf("prepare the socket at %v: %w", c.LocalAddr(), err)
	}
	defer ownProcessor()()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	x := h.newExchange()
	x.batched = true
	for ctx.Err() == nil {
		n, err := b.receive()
		if err != nil {
			return fmt.Errorf("read DNS messages at %v: %w", c.LocalAddr(), err)
		}
		x.now = h.clock.Now()
		b.answer(x, n)
		b.send()
	}
	return nil
}

// processors guards GOMAXPROCS, which is the process's.
var processors sync.Mutex

// ownProcessor gives Go one processor more for a loop, which keeps one busy while it
// waits; the function returned takes it back.
func ownProcessor() func() {
	add := func(n int) {
		processors.Lock()
		defer processors.Unlock()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
	}
	add(1)
	return func() { add(-1) }
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
	fd      int
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
	poll    [1]unix.PollFd
}

func newBatch(f *os.File, local net.Addr) (*batch, error) {
	b := &batch{fd: int(f.Fd()), buf: make([]byte, 0, batchSize*defaultUDPSize)}
	b.poll[0] = unix.PollFd{Fd: int32(b.fd), Events: unix.POLLIN}
	a, ok := local.(*net.UDPAddr)
	if !ok {
		return nil, errors.New("not a UDP socket")
	}
	v4 := a.IP.To4() != nil
	b.pktinfo = a.IP.IsUnspecified()
	err := errors.Join(
		unix.SetNonblock(b.fd, false),
		unix.SetsockoptTimeval(b.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: rawWait.Microseconds()}),
	)
	if v4 {
		err = errors.Join(err, unix.SetsockoptInt(b.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, pmtuOmit))
	} else {
		err = errors.Join(err, unix.SetsockoptInt(b.fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, pmtuOmit))
	}
	if b.pktinfo && v4 {
		err = errors.Join(err, unix.SetsockoptInt(b.fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	} else if b.pktinfo {
		err = errors.Join(err, unix.SetsockoptInt(b.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
	}
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
	return b, err
}

// rearm sets the lengths that the kernel changed.
func (b *batch) rearm(i int) {
	h := &b.in[i].hdr
	h.Namelen = uint32(unsafe.Sizeof(b.names[i]))
	if b.pktinfo {
		h.SetControllen(len(b.control[i]))
	}
}

// receive waits for messages and returns their number, 0 when none came in time.
//
// The first wait is short and hidden from Go's scheduler (a raw system call), which
// else would take the processor away and give it back around each burst: that costs
// more than the answer. Signals still end it, so that the collector never waits. When
// nothing came, the long wait is an ordinary one.
func (b *batch) receive() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.in[0])), batchSize, msgWaitForOne, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EAGAIN:
		return 0, b.wait()
	case syscall.EINTR, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return 0, nil
	}
	return 0, errno
}

// wait returns when a message is there, or after stopCheck.
func (b *batch) wait() error {
	_, err := unix.Poll(b.poll[:], int(stopCheck.Milliseconds()))
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return err
	}
	return nil
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

// send sends all answers; one that cannot be sent is as one lost on the way.
func (b *batch) send() {
	for i := 0; i < b.nout; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.out[i])), uintptr(b.nout-i), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			i += int(n)
		case errno != syscall.EINTR:
			i++
		}
	}
}
