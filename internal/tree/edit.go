package tree

import "slices"

// Put returns the tree with item in the place of its key.
func (t Tree[T]) Put(e *Edit, item T) Tree[T] {
	if t.root == nil {
		n := &node[T]{edit: e, items: []T{item}}
		n.reheads()
		return Tree[T]{root: n, n: 1}
	}
	root, split, added := t.root.put(e, item.TreeKey(), item)
	if split != nil {
		root = &node[T]{edit: e, kids: []*node[T]{root, split}, lows: []string{root.low(), split.low()}}
		root.reheads()
	}
	if added {
		t.n++
	}
	return Tree[T]{root: root, n: t.n}
}

// Delete returns the tree without the item of key, and whether there was one.
func (t Tree[T]) Delete(e *Edit, key string) (Tree[T], bool) {
	if _, ok := t.Get(key); !ok {
		return t, false
	}
	root := t.root.remove(e, key)
	for root != nil && len(root.kids) == 1 {
		root = root.kids[0]
	}
	return Tree[T]{root: root, n: t.n - 1}, true
}

// own returns n itself when this batch made it, else a copy that the batch owns.
func (n *node[T]) own(e *Edit) *node[T] {
	if e != nil && n.edit == e {
		return n
	}
	return &node[T]{
		edit: e, prefix: n.prefix, heads: grown(n.heads), items: grown(n.items),
		kids: grown(n.kids), lows: grown(n.lows),
	}
}

// grown copies s with room for one more; nil stays nil, which tells leaf from branch.
func grown[S ~[]E, E any](s S) S {
	if s == nil {
		return nil
	}
	return append(make(S, 0, len(s)+1), s...)
}

// put returns the owned node with item in it, the upper half when it had to split,
// and whether the key is new.
func (n *node[T]) put(e *Edit, key string, item T) (self, split *node[T], added bool) {
	n = n.own(e)
	if n.kids == nil {
		i, exact := n.lower(key)
		if exact {
			n.items[i] = item
			return n, nil, false
		}
		n.items = slices.Insert(n.items, i, item)
		n.insertHead(i, key)
		return n, n.splitIfFull(e), true
	}
	i := n.child(key)
	kid, upper, added := n.kids[i].put(e, key, item)
	n.kids[i] = kid
	if upper != nil {
		low := upper.low()
		n.kids = slices.Insert(n.kids, i+1, upper)
		n.lows = slices.Insert(n.lows, i+1, low)
		n.insertHead(i+1, low)
	}
	if key < n.lows[i] {
		n.lows[i] = key
		n.reheads()
	}
	return n, n.splitIfFull(e), added
}

// remove returns the owned node without key, or nil when nothing is left of it.
func (n *node[T]) remove(e *Edit, key string) *node[T] {
	n = n.own(e)
	if n.kids == nil {
		i, _ := n.lower(key)
		n.items = slices.Delete(n.items, i, i+1)
		n.heads = slices.Delete(n.heads, i, i+1)
		if len(n.items) == 0 {
			return nil
		}
		return n
	}
	i := n.child(key)
	kid := n.kids[i].remove(e, key)
	if kid == nil {
		n.drop(i)
		if len(n.kids) == 0 {
			return nil
		}
		return n
	}
	n.kids[i] = kid
	n.merge(e, i)
	return n
}

func (n *node[T]) drop(i int) {
	n.kids = slices.Delete(n.kids, i, i+1)
	n.lows = slices.Delete(n.lows, i, i+1)
	n.heads = slices.Delete(n.heads, i, i+1)
}

// merge joins child i with a neighbour when it has become thin and both fit in one.
func (n *node[T]) merge(e *Edit, i int) {
	if len(n.kids[i].heads) >= fan/4 || len(n.kids) == 1 {
		return
	}
	if i+1 == len(n.kids) {
		i--
	}
	a, b := n.kids[i], n.kids[i+1]
	if len(a.heads)+len(b.heads) > fan*3/4 {
		return
	}
	a = a.own(e)
	a.items = append(a.items, b.items...)
	a.kids = append(a.kids, b.kids...)
	a.lows = append(a.lows, b.lows...)
	a.reheads()
	n.kids[i] = a
	n.drop(i + 1)
}

func (n *node[T]) splitIfFull(e *Edit) *node[T] {
	if len(n.heads) <= fan {
		return nil
	}
	half := len(n.heads) / 2
	up := &node[T]{edit: e}
	if n.kids == nil {
		up.items = slices.Clone(n.items[half:])
		clear(n.items[half:])
		n.items = n.items[:half]
	} else {
		up.kids, up.lows = slices.Clone(n.kids[half:]), slices.Clone(n.lows[half:])
		clear(n.kids[half:])
		clear(n.lows[half:])
		n.kids, n.lows = n.kids[:half], n.lows[:half]
	}
	up.reheads()
	n.reheads()
	return up
}

// insertHead accounts for a key that was put at index i.
func (n *node[T]) insertHead(i int, key string) {
	p := n.prefix
	if len(key) < len(p) || key[:len(p)] != p {
		n.reheads()
		return
	}
	n.heads = slices.Insert(n.heads, i, head(key[len(p):]))
}

// reheads computes the shared prefix and the heads anew. Keys are in order, so what
// the first and the last share, all share.
func (n *node[T]) reheads() {
	count := max(len(n.items), len(n.kids))
	first, last := n.key(0), n.key(count-1)
	p := 0
	for p < len(first) && p < len(last) && first[p] == last[p] {
		p++
	}
	if count == 1 {
		p = 0
	}
	n.prefix = first[:p]
	if cap(n.heads) < count {
		n.heads = make([]uint64, 0, count)
	}
	n.heads = n.heads[:0]
	for i := range count {
		n.heads = append(n.heads, head(n.key(i)[p:]))
	}
}
