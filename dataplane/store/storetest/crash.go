package storetest

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

// CrashClone is the disk as it may be after the machine loses power now: all that was
// synced, and of the rest about so many percent, chosen by the seed. This disk goes on.
// The faults that were asked for, the switches among them, end with the crash.
func (y *FS) CrashClone(percent int, seed uint64) *FS {
	y.mu.Lock()
	defer y.mu.Unlock()
	chance := rand.New(rand.NewPCG(seed, uint64(percent)))
	survives := func() bool { return chance.IntN(100) < percent }
	names := maps.Clone(y.durable)
	for _, c := range y.pending {
		if survives() {
			apply(names, c)
		}
	}
	after := New()
	clones := map[*node]*node{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if n := names[name]; reachable(names, name) && name != "/" {
			if clones[n] == nil {
				clones[n] = n.crash(survives, chance)
			}
			clones[n].links++
			after.names[name], after.durable[name] = clones[n], clones[n]
		}
	}
	return after
}

func apply(names map[string]*node, c change) {
	for _, e := range c {
		if e.node == nil {
			delete(names, e.name)
		} else {
			names[e.name] = e.node
		}
	}
}

// reachable says whether all directories above a name are there.
func reachable(names map[string]*node, name string) bool {
	for name != "/" {
		name = path.Dir(name)
		if n := names[name]; n == nil || !n.dir {
			return false
		}
	}
	return true
}

// syncNames makes what happened in a directory durable. What happened in others stays
// pending, also of a rename between two.
func (y *FS) syncNames(dir string) {
	var rest []change
	for _, c := range y.pending {
		var other change
		for _, e := range c {
			if path.Dir(e.name) == dir {
				apply(y.durable, change{e})
			} else {
				other = append(other, e)
			}
		}
		if len(other) > 0 {
			rest = append(rest, other)
		}
	}
	y.pending = rest
}

// crash is a file after the crash.
func (n *node) crash(survives func() bool, chance *rand.Rand) *node {
	after := &node{dir: n.dir, reserved: n.reserved, data: bytes.Clone(n.data)}
	all := n.unsynced()
	for _, s := range slices.Sorted(maps.Keys(all)) {
		if !survives() {
			sector := after.data[s*Sector : min((s+1)*Sector, int64(len(after.data)))]
			clear(sector)
			copy(sector, all[s])
		}
	}
	if size := n.sizeAfter(survives, chance); size < int64(len(after.data)) {
		after.data = after.data[:size]
	}
	after.size = int64(len(after.data))
	return after
}

// sizeAfter is the size that the file system remembers of a file that grew.
func (n *node) sizeAfter(survives func() bool, chance *rand.Rand) int64 {
	grown := int64(len(n.data)) - n.size
	switch {
	case grown <= 0 || survives():
		return int64(len(n.data))
	case survives():
		return n.size + chance.Int64N(grown)
	}
	return n.size
}
