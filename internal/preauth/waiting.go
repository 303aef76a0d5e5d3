package preauth

import (
	"container/list"
	"net/netip"
)

// waiting are unauthenticated connections in the order of their arrival, in all and by
// source. A connection without a source, that of a Unix socket for instance, is bound by
// the total alone.
type waiting struct {
	all      *list.List
	bySource map[netip.Prefix]*list.List
}

func newWaiting() waiting { return waiting{list.New(), map[netip.Prefix]*list.List{}} }

// oldestOver is the connection that must go before one more of source may come; nil if
// there is room.
func (w *waiting) oldestOver(source netip.Prefix, limits Limits) *Conn {
	own := w.bySource[source]
	switch {
	case own != nil && limits.PerSource > 0 && own.Len() >= limits.PerSource:
		return own.Front().Value.(*Conn)
	case limits.Total > 0 && w.all.Len() >= limits.Total:
		return w.all.Front().Value.(*Conn)
	}
	return nil
}

func (w *waiting) add(c *Conn) {
	c.waiting, c.inAll = w, w.all.PushBack(c)
	if !c.source.IsValid() {
		return
	}
	own := w.bySource[c.source]
	if own == nil {
		own = list.New()
		w.bySource[c.source] = own
	}
	c.ofSource = own.PushBack(c)
}

func (w *waiting) remove(c *Conn) {
	w.all.Remove(c.inAll)
	if own := w.bySource[c.source]; own != nil && c.ofSource != nil {
		own.Remove(c.ofSource)
		if own.Len() == 0 {
			delete(w.bySource, c.source)
		}
	}
	c.waiting, c.inAll, c.ofSource = nil, nil, nil
}

// sources are the last so many sources that authenticated.
type sources struct {
	bound int
	order *list.List // the oldest first
	at    map[netip.Prefix]*list.Element
}

func newSources(bound int) sources {
	return sources{bound, list.New(), map[netip.Prefix]*list.Element{}}
}

func (s *sources) has(p netip.Prefix) bool { return s.at[p] != nil }

func (s *sources) remember(p netip.Prefix) {
	if s.bound == 0 || !p.IsValid() {
		return
	}
	if e := s.at[p]; e != nil {
		s.order.MoveToBack(e)
		return
	}
	if s.order.Len() >= s.bound {
		delete(s.at, s.order.Remove(s.order.Front()).(netip.Prefix))
	}
	s.at[p] = s.order.PushBack(p)
}

// SourceOf is whom a remote address is counted for; not valid where it has no IP address.
func SourceOf(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return p
}
