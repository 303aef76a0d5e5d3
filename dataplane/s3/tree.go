package s3

import "github.com/cespare/xxhash/v2"

// tree is an immutable ordered map from text: a treap whose priorities are hashes of the
// keys, so that its shape depends on its content alone. A change copies the path to what
// changed and shares the rest; the zero value is empty.
type tree[V any] struct {
	root *node[V]
	size int
}

type node[V any] struct {
	key         string
	rank        uint64
	value       V
	left, right *node[V]
	edit        *edit // who may change it in place
}

// edit marks the nodes that one batch of changes made and nobody else has seen.
type edit struct{ _ byte }

// get finds the value of key.
func (t tree[V]) get(key string) (v V, ok bool) {
	n := t.root
	for n != nil {
		switch {
		case key == n.key:
			return n.value, true
		case key < n.key:
			n = n.left
		default:
			n = n.right
		}
	}
	return v, false
}

// put returns the tree with key set.
func (t tree[V]) put(e *edit, key string, v V) tree[V] {
	added := true
	t.root = insert(e, t.root, key, xxhash.Sum64String(key), v, &added)
	if added {
		t.size++
	}
	return t
}

// drop returns the tree without key.
func (t tree[V]) drop(e *edit, key string) tree[V] {
	if _, ok := t.get(key); !ok {
		return t
	}
	t.root = remove(e, t.root, key)
	t.size--
	return t
}

// from calls yield with what is at or after key, in order, until it says no.
func (t tree[V]) from(key string, yield func(key string, v V) bool) {
	t.root.walk(key, yield)
}

func (n *node[V]) walk(key string, yield func(string, V) bool) bool {
	if n == nil {
		return true
	}
	if key < n.key && !n.left.walk(key, yield) {
		return false
	}
	if key <= n.key && !yield(n.key, n.value) {
		return false
	}
	return n.right.walk(key, yield)
}

// own returns a node that e may change.
func (n *node[V]) own(e *edit) *node[V] {
	if n.edit == e {
		return n
	}
	c := *n
	c.edit = e
	return &c
}

func insert[V any](e *edit, n *node[V], key string, rank uint64, v V, added *bool) *node[V] {
	if n == nil {
		return &node[V]{key: key, rank: rank, value: v, edit: e}
	}
	n = n.own(e)
	switch {
	case key == n.key:
		n.value = v
		*added = false
	case key < n.key:
		n.left = insert(e, n.left, key, rank, v, added)
		if n.left.rank > n.rank {
			return rotateRight(n)
		}
	default:
		n.right = insert(e, n.right, key, rank, v, added)
		if n.right.rank > n.rank {
			return rotateLeft(n)
		}
	}
	return n
}

// Both nodes of a rotation are e's: insert has just owned them.
func rotateRight[V any](n *node[V]) *node[V] {
	l := n.left
	n.left, l.right = l.right, n
	return l
}

func rotateLeft[V any](n *node[V]) *node[V] {
	r := n.right
	n.right, r.left = r.left, n
	return r
}

func remove[V any](e *edit, n *node[V], key string) *node[V] {
	if key == n.key {
		return merge(e, n.left, n.right)
	}
	n = n.own(e)
	if key < n.key {
		n.left = remove(e, n.left, key)
	} else {
		n.right = remove(e, n.right, key)
	}
	return n
}

// merge joins two trees, all of a before all of b.
func merge[V any](e *edit, a, b *node[V]) *node[V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.rank > b.rank:
		a = a.own(e)
		a.right = merge(e, a.right, b)
		return a
	default:
		b = b.own(e)
		b.left = merge(e, a, b.left)
		return b
	}
}
