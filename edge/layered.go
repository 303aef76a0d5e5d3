package edge

import "maps"

// layered is a map that is never changed: edit makes the next one, which shares the large
// layer with the last. A record that came is in recent until there are many of them.
type layered[V any] struct{ base, recent map[string]*V } // nil in recent: gone from base

const maxRecent = 256

func (l layered[V]) get(key string) (v V, ok bool) {
	p, ok := l.recent[key]
	if !ok {
		p = l.base[key]
	}
	if p == nil {
		return v, false
	}
	return *p, true
}

// all calls f with each value.
func (l layered[V]) all(f func(V)) {
	for k, v := range l.base {
		if _, newer := l.recent[k]; !newer {
			f(*v)
		}
	}
	for _, v := range l.recent {
		if v != nil {
			f(*v)
		}
	}
}

// editing is a layered map on its way to the next; it is for one goroutine.
type editing[V any] struct{ layered[V] }

func (l layered[V]) edit() *editing[V] {
	e := &editing[V]{layered[V]{l.base, make(map[string]*V, len(l.recent))}}
	maps.Copy(e.recent, l.recent)
	return e
}

func (e *editing[V]) set(key string, v V) { e.recent[key] = &v }
func (e *editing[V]) drop(key string)     { e.recent[key] = nil }

// done is the next map.
func (e *editing[V]) done() layered[V] {
	if len(e.recent) <= max(maxRecent, len(e.base)/8) {
		return e.layered
	}
	all := make(map[string]*V, len(e.base)+len(e.recent))
	maps.Copy(all, e.base)
	for k, v := range e.recent {
		if v == nil {
			delete(all, k)
			continue
		}
		all[k] = v
	}
	return layered[V]{base: all}
}
