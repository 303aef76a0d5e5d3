package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/dark-ecosystem/dark/internal/ca"
)

// port is an address that the node listens on.
type port struct{ name, network, addr string }

func (d *doctor) wanted() []port {
	var all []port
	if d.role == ca.Control {
		all = append(all, port{"transport", "tcp", d.control.transport}, port{"feed", "tcp", d.control.feed})
		for _, a := range d.control.api {
			all = append(all, port{"api", "tcp", a})
		}
	} else {
		for _, a := range d.edge.dns {
			all = append(all, port{"dns", "udp", a}, port{"dns", "tcp", a})
		}
		for _, a := range d.edge.objects.addresses {
			all = append(all, port{"s3", "tcp", a})
		}
	}
	if d.control.metrics != "" {
		all = append(all, port{"metrics", "tcp", metricsAddr(d.control.metrics)})
	}
	return all
}

func (d *doctor) ports() []finding {
	var all []finding
	for _, p := range d.wanted() {
		all = append(all, d.port(p))
	}
	return all
}

// port listens for a moment. What is taken must be taken by this very node.
func (d *doctor) port(p port) finding {
	err := try(p)
	what := fmt.Sprintf("%s %s", p.network, p.addr)
	setting := "choose another one with --" + p.name
	switch {
	case err == nil:
		return well(p.name, "%s is free", what)
	case errors.Is(err, syscall.EADDRINUSE):
		return d.taken(p, what, setting)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fail(p.name, "give this machine the address, or "+setting, "%s is no address of this machine", what)
	case errors.Is(err, syscall.EACCES):
		return fail(p.name, "give darkd CAP_NET_BIND_SERVICE, or "+setting, "%s may not be listened on by this user",
			what)
	}
	return fail(p.name, setting, "%s cannot be listened on: %v", what, err)
}

func try(p port) error {
	if p.network == "udp" {
		c, err := net.ListenPacket("udp", p.addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	return l.Close()
}

func (d *doctor) taken(p port, what, setting string) finding {
	h, err := holder(p.network, p.addr, d.dir)
	switch {
	case err != nil:
		return warn(p.name, "run this as root to see whether it is this node",
			"%s is taken, and by whom is not to be seen (%v)", what, err)
	case h.ours:
		return well(p.name, "%s is held by this node (process %d)", what, h.pid)
	}
	return fail(p.name, "stop it, or "+setting, "%s is taken by %s (process %d)", what, h.name, h.pid)
}

// held says which process holds a port.
type held struct {
	pid  int
	name string
	ours bool // it has files open below the node's directory
}
