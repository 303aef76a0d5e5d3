package tree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

type item struct {
	key string
	val int
}

func (i *item) TreeKey() string { return i.key }

// model is the plain map that a Tree must agree with.
type model map[string]int

func (m model) keys() []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	return ks
}

func check(t *testing.T, tr Tree[*item], m model, probes []string) {
	t.Helper()
	ks := m.keys()
	if tr.Len() != len(ks) {
		t.Fatalf("Len %d, want %d", tr.Len(), len(ks))
	}
	var got []string
	tr.Ascend("", func(i *item) bool { got = append(got, i.key); return true })
	if !slices.Equal(got, ks) {
		t.Fatalf("order differs: %d keys, want %d", len(got), len(ks))
	}
	for _, k := range probes {
		i := sort.SearchStrings(ks, k)
		p := tr.Seek(k)
		has := i < len(ks) && ks[i] == k
		if p.Has != has || has && p.At.val != m[k] {
			t.Fatalf("Seek(%q).At wrong", k)
		}
		if p.HasPrev != (i > 0) || i > 0 && p.Prev.key != ks[i-1] {
			t.Fatalf("Seek(%q).Prev wrong", k)
		}
		if has {
			i++
		}
		if p.HasNext != (i < len(ks)) || i < len(ks) && p.Next.key != ks[i] {
			t.Fatalf("Seek(%q).Next wrong", k)
		}
		if it, ok := tr.Get(k); ok != has || ok && it.val != m[k] {
			t.Fatalf("Get(%q) wrong", k)
		}
	}
}

func randomKey(r *rand.Rand) string {
	b := make([]byte, r.IntN(12))
	for i := range b {
		b[i] = "ab\x00\xff"[r.IntN(4)]
	}
	return string(b)
}

func TestAgreesWithMap(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var tr Tree[*item]
		m := model{}
		type version struct {
			tr Tree[*item]
			m  model
		}
		var old []version
		for round := range 40 {
			e := new(Edit)
			for range 100 {
				k := randomKey(r)
				if r.IntN(3) == 0 || round > 30 {
					var ok bool
					_, want := m[k]
					if tr, ok = tr.Delete(e, k); ok != want {
						t.Fatalf("Delete(%q) = %v", k, ok)
					}
					delete(m, k)
					continue
				}
				v := r.Int()
				tr = tr.Put(e, &item{k, v})
				m[k] = v
			}
			if round%8 == 0 {
				cp := model{}
				for k, v := range m {
					cp[k] = v
				}
				old = append(old, version{tr, cp})
			}
		}
		var probes []string
		for range 200 {
			probes = append(probes, randomKey(r))
		}
		check(t, tr, m, probes)
		for _, o := range old {
			check(t, o.tr, o.m, probes) // no later batch touched an earlier version
		}
	}
}

func TestBuild(t *testing.T) {
	for _, n := range []int{0, 1, 55, 56, 57, 3136, 3137, 10000} {
		m := model{}
		var items []*item
		for i := range n {
			k := fmt.Sprintf("host%06d", i)
			m[k] = i
			items = append(items, &item{k, i})
		}
		tr := Build(items)
		check(t, tr, m, []string{"", "host", "host000000", "host000055x", "host9", "z", "a"})
		e := new(Edit)
		for i := range n {
			tr, _ = tr.Delete(e, items[i].key)
		}
		if tr.Len() != 0 || tr.root != nil {
			t.Fatalf("%d: not empty after all were deleted", n)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	var items []*item
	for i := range 1_000_000 {
		items = append(items, &item{fmt.Sprintf("host%07d\x00", i), i})
	}
	tr := Build(items)
	b.ReportAllocs()
	r := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		if _, ok := tr.Get(items[r.IntN(len(items))].key); !ok {
			b.Fatal("lost")
		}
	}
}

func BenchmarkPut(b *testing.B) {
	var items []*item
	for i := range 1_000_000 {
		items = append(items, &item{fmt.Sprintf("host%07d\x00", i), i})
	}
	tr := Build(items)
	b.ReportAllocs()
	r := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		tr = tr.Put(new(Edit), items[r.IntN(len(items))])
	}
}
