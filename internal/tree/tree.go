// Package tree is a persistent ordered map: a B+ tree whose nodes are copied on
// write, so that a change costs the same among ten items and among a million, and
// every earlier version stays whole for whoever still reads it.
//
// Keys are byte strings compared byte by byte. Each node keeps the prefix that all
// its keys share and, for each key, the eight bytes after it as a number: a search
// touches one or two cache lines a level and follows no pointer to a key until the
// last step.
//
// A Tree is an immutable value and needs no lock. An Edit marks the nodes that one
// batch of changes made itself, which that batch may change again in place; it is
// owned by one goroutine and dropped with the batch.
package tree

import (
	"slices"
)

// fan is the most entries a node holds; a node below a quarter of it is merged with
// a neighbour when both fit.
const (
	fan  = 64
	fill = 56 // entries a node gets from Build: room for a few changes before it splits
)

// Keyed is an item of a Tree. Its key never changes.
type Keyed interface{ TreeKey() string }

// Tree is an immutable ordered map from keys to items. The zero Tree is empty.
type Tree[T Keyed] struct {
	root *node[T]
	n    int
}

// Edit is the mark of one batch of changes. Each batch uses its own new(Edit).
type Edit struct{ _ byte }

type node[T Keyed] struct {
	edit   *Edit
	prefix string     // what all keys of the node begin with
	heads  []uint64   // the 8 bytes after prefix of each key, zero padded
	items  []T        // leaf: the items
	kids   []*node[T] // branch: the children
	lows   []string   // branch: a key at or below the lowest of each child
}

// Place is where a key is, or would be, with its neighbours; what is absent is the
// zero T.
type Place[T Keyed] struct {
	Prev, At, Next        T
	HasPrev, Has, HasNext bool
}

// Len is the number of items.
func (t Tree[T]) Len() int { return t.n }

// Get returns the item of a key.
func (t Tree[T]) Get(key string) (item T, ok bool) {
	n := t.root
	if n == nil {
		return item, false
	}
	for n.kids != nil {
		n = n.kids[n.child(key)]
	}
	i, ok := n.lower(key)
	if ok {
		item = n.items[i]
	}
	return item, ok
}

// Seek returns the place of a key.
func (t Tree[T]) Seek(key string) (p Place[T]) {
	n := t.root
	if n == nil {
		return p
	}
	var left, right *node[T]
	for n.kids != nil {
		i := n.child(key)
		if i > 0 {
			left = n.kids[i-1]
		}
		if i+1 < len(n.kids) {
			right = n.kids[i+1]
		}
		n = n.kids[i]
	}
	i, exact := n.lower(key)
	p.Has = exact
	next := i
	if exact {
		p.At = n.items[i]
		next++
	}
	if i > 0 {
		p.Prev, p.HasPrev = n.items[i-1], true
	} else if left != nil {
		p.Prev, p.HasPrev = left.last(), true
	}
	if next < len(n.items) {
		p.Next, p.HasNext = n.items[next], true
	} else if right != nil {
		p.Next, p.HasNext = right.first(), true
	}
	return p
}

// Ascend calls f with each item whose key is at or above from, in order, until f
// returns false.
func (t Tree[T]) Ascend(from string, f func(T) bool) {
	if t.root != nil {
		t.root.ascend(from, f)
	}
}

func (n *node[T]) ascend(from string, f func(T) bool) bool {
	if n.kids == nil {
		i, _ := n.lower(from)
		for _, it := range n.items[i:] {
			if !f(it) {
				return false
			}
		}
		return true
	}
	for i := n.child(from); i < len(n.kids); i++ {
		if !n.kids[i].ascend(from, f) {
			return false
		}
	}
	return true
}

// Build makes a tree of items in rising order of distinct keys.
func Build[T Keyed](items []T) Tree[T] {
	if len(items) == 0 {
		return Tree[T]{}
	}
	var level []*node[T]
	for part := range slices.Chunk(items, fill) {
		n := &node[T]{items: slices.Clone(part)}
		n.reheads()
		level = append(level, n)
	}
	for len(level) > 1 {
		var up []*node[T]
		for part := range slices.Chunk(level, fill) {
			n := &node[T]{kids: slices.Clone(part)}
			for _, k := range part {
				n.lows = append(n.lows, k.low())
			}
			n.reheads()
			up = append(up, n)
		}
		level = up
	}
	return Tree[T]{root: level[0], n: len(items)}
}

func (n *node[T]) first() T {
	for n.kids != nil {
		n = n.kids[0]
	}
	return n.items[0]
}

func (n *node[T]) last() T {
	for n.kids != nil {
		n = n.kids[len(n.kids)-1]
	}
	return n.items[len(n.items)-1]
}

func (n *node[T]) low() string {
	if n.kids != nil {
		return n.lows[0]
	}
	return n.items[0].TreeKey()
}

func (n *node[T]) key(i int) string {
	if n.kids != nil {
		return n.lows[i]
	}
	return n.items[i].TreeKey()
}

// child is the index of the child that holds key, or would.
func (n *node[T]) child(key string) int {
	i, exact := n.lower(key)
	if exact {
		return i
	}
	return max(i-1, 0)
}

// lower is the index of the first key at or above key, and whether they are equal.
func (n *node[T]) lower(key string) (int, bool) {
	p := n.prefix
	if len(key) < len(p) || key[:len(p)] != p {
		if key < p {
			return 0, false
		}
		return len(n.heads), false
	}
	h := head(key[len(p):])
	lo, hi := 0, len(n.heads)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if n.heads[m] < h {
			lo = m + 1
		} else {
			hi = m
		}
	}
	end := lo
	for end < len(n.heads) && n.heads[end] == h {
		end++
	}
	for hi = end; lo < hi; {
		m := int(uint(lo+hi) >> 1)
		k := n.key(m)
		if k == key {
			return m, true
		}
		if k < key {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, false
}

// head is the first 8 bytes of s as a number that orders as they do.
func head(s string) uint64 {
	if len(s) >= 8 {
		return uint64(s[7]) | uint64(s[6])<<8 | uint64(s[5])<<16 | uint64(s[4])<<24 |
			uint64(s[3])<<32 | uint64(s[2])<<40 | uint64(s[1])<<48 | uint64(s[0])<<56
	}
	var h uint64
	for i := range len(s) {
		h |= uint64(s[i]) << (56 - 8*i)
	}
	return h
}
