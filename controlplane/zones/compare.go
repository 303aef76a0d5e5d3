package zones

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

const (
	// maxSetRecords is what the proto's constraint on spec.records allows.
	maxSetRecords = 1000
)

// changed is one record set that the file makes otherwise; a nil set ends it.
type changed struct {
	key string
	set *dnsv1.RecordSetSpec
	at  at
}

// at is a place in the file.
type at struct{ line, column uint32 }

// difference between the zone at a revision and the file.
type difference struct {
	revision                             uint64
	created, updated, deleted, unchanged uint64
	changes                              []changed // as long as they are few
	bytes                                int       // that a transaction of the changes has, about
	fixed                                int       // octets of a reference beside the set's own name
	many                                 bool

	listed []*dnsv1.RecordSetChange // of a dry run
	room   int                      // octets left for them
}

const (
	maxListed      = 2000
	maxListedBytes = 1 << 20
)

// list notes a change for the answer of a dry run.
func (d *difference) list(name string, before, after *dnsv1.RecordSetSpec) {
	if d.room <= 0 {
		return
	}
	c := &dnsv1.RecordSetChange{Name: name, Before: before, After: after}
	if d.room -= proto.Size(c) + 8; d.room > 0 && len(d.listed) < maxListed {
		d.listed = append(d.listed, c)
	}
}

func (d *difference) small() bool { return !d.many }

func (d *difference) add(c changed) {
	if d.many {
		return
	}
	d.changes = append(d.changes, c)
	// Beside the records an operation carries the stored name in itself, in its message
	// and in two preconditions.
	d.bytes += 4*(len(c.key)+d.fixed) + 60
	if c.set != nil {
		d.bytes += proto.Size(c.set)
	}
	if len(d.changes) > maxSmall || d.bytes > admit.MaxTransaction {
		d.many, d.changes = true, nil
	}
}

// sets reads the sorted records as record sets.
type sets struct {
	m    *merge
	head entry
	more bool
}

// fileSet is a record set of the file; without a key at its end.
type fileSet struct {
	key   string
	spec  *dnsv1.RecordSetSpec
	lines []at // of the records

	first   entry  // of the set's entries
	mixed   *entry // the first whose TTL is another than that one's
	doubled *entry // the first that is there already
}

func (s *sorter) sets() (*sets, error) {
	m, err := s.sorted()
	if err != nil {
		return nil, err
	}
	out := &sets{m: m}
	out.head, out.more, err = m.pop()
	return out, err
}

// next returns the next set.
func (s *sets) next() (set fileSet, err error) {
	if !s.more {
		return set, nil
	}
	set.first, set.key = s.head, s.head.key
	set.spec = &dnsv1.RecordSetSpec{Ttl: proto.Uint32(s.head.ttl)}
	for s.more && s.head.key == set.key {
		set.add(s.head)
		if len(set.spec.Records) > maxSetRecords {
			return fileSet{}, fmt.Errorf("line %d: %s has more than %d records", s.head.line, set.key, maxSetRecords)
		}
		if s.head, s.more, err = s.m.pop(); err != nil {
			return fileSet{}, err
		}
	}
	return set, nil
}

func (s *fileSet) add(e entry) {
	if e.ttl != s.first.ttl && s.mixed == nil {
		s.mixed = &e
	}
	// RFC 2181 5.2: the TTLs of a set are equal; where a file's differ the least counts.
	*s.spec.Ttl = min(*s.spec.Ttl, e.ttl)
	switch {
	case !slices.Contains(s.spec.Records, e.text):
		s.spec.Records = append(s.spec.Records, e.text)
		s.lines = append(s.lines, at{e.line, e.column})
	case s.doubled == nil:
		s.doubled = &e
	}
}

// present walks the zone's present record sets.
type present struct {
	r      admit.Reader
	org    string
	prefix string
	after  string
	batch  []admit.Version
	done   bool
}

const presentBatch = 4096

func (p *present) next() (key string, v admit.Version, err error) {
	if len(p.batch) == 0 && !p.done && p.prefix != "" {
		err = p.r.Scan(setName, p.org, p.prefix, p.after, func(v admit.Version) bool {
			v.Value = slices.Clone(v.Value)
			p.batch = append(p.batch, v)
			p.after = v.Name
			return len(p.batch) < presentBatch
		})
		p.done = len(p.batch) < presentBatch
	}
	if err != nil || len(p.batch) == 0 {
		return "", v, err
	}
	v, p.batch = p.batch[0], p.batch[1:]
	return v.Name[len(p.prefix):], v, nil
}

// compare walks the file and the zone in step. Every set of the file is compiled, so
// that nothing that edges could not load gets further.
func (i *importing) compare() (*difference, error) {
	r, err := i.w.State.At(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d := &difference{revision: r.Revision(), fixed: len(setName) + len(i.caller.Organization) +
		len(setPrefix(i.segment, 0)) + 8}
	if i.first.DryRun {
		d.room = maxListedBytes
	}
	i.lint = lint{
		apex: i.apex, primary: i.z.soa(i.apex, i.spec).MName, targets: map[string]*target{}, aliases: map[string]at{},
	}
	for _, w := range i.doubts {
		i.lint.warn(w.at, "%s", w.text)
	}
	file, err := i.sorter.sets()
	if err != nil {
		return nil, err
	}
	now := &present{r: r, org: i.caller.Organization}
	if i.base != nil {
		now.prefix = setPrefix(i.segment, i.base.GetStatus().GetGeneration())
	}
	c := &checker{i: i}
	f, err := file.next()
	if err != nil {
		return nil, i.fileError(err)
	}
	nkey, v, err := now.next()
	for err == nil && (f.key != "" || nkey != "") {
		switch {
		case nkey == "" || f.key != "" && f.key < nkey:
			c.check(f)
			d.created++
			d.list(i.name+"/records/"+f.key, nil, f.spec)
			d.add(changed{f.key, f.spec, f.lines[0]})
		case f.key == "" || nkey < f.key:
			d.deleted++
			if err := i.list(d, nkey, nil, v); err != nil {
				return nil, err
			}
			d.add(changed{key: nkey})
		default:
			c.check(f)
			same, serr := i.same(f.key, f.spec, v)
			if serr != nil {
				return nil, serr
			}
			if same {
				d.unchanged++
			} else {
				d.updated++
				if err := i.list(d, f.key, f.spec, v); err != nil {
					return nil, err
				}
				d.add(changed{f.key, f.spec, f.lines[0]})
			}
		}
		was, n := f.key, nkey
		if n == "" || was != "" && was <= n {
			if f, err = file.next(); err != nil {
				return nil, i.fileError(err)
			}
		}
		if was == "" || n != "" && n <= was {
			nkey, v, err = now.next()
		}
	}
	if err != nil {
		return nil, err
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return d, i.lints()
}

// list notes a change of what is stored.
func (i *importing) list(d *difference, key string, after *dnsv1.RecordSetSpec, v admit.Version) error {
	if d.room <= 0 || len(d.listed) >= maxListed {
		return nil
	}
	old := &dnsv1.RecordSet{}
	if err := proto.Unmarshal(v.Value, old); err != nil {
		return fmt.Errorf("read %s: %w", v.Name, err)
	}
	d.list(i.name+"/records/"+key, old.Spec, after)
	return nil
}

// same reports whether the stored set says what the file says, however it is written.
func (i *importing) same(key string, spec *dnsv1.RecordSetSpec, v admit.Version) (bool, error) {
	old := &dnsv1.RecordSet{}
	if err := proto.Unmarshal(v.Value, old); err != nil {
		return false, fmt.Errorf("read %s: %w", v.Name, err)
	}
	if ttl(i.base, old.Spec) != spec.GetTtl() {
		return false, nil
	}
	if slices.Equal(old.GetSpec().GetRecords(), spec.Records) {
		return true, nil
	}
	owner, typ := splitKey(key)
	a, bad := i.z.o.ParseRecordSet(i.apex, owner, typ, spec.GetTtl(), spec.Records)
	b, bad2 := i.z.o.LoadRecordSet(i.apex, owner, typ, spec.GetTtl(), old.GetSpec().GetRecords())
	return len(bad)+len(bad2) == 0 && slices.EqualFunc(a.RData, b.RData, slices.Equal[[]byte]), nil
}

// stored are the records of a set as they are stored; only several can be otherwise, since the
// reader of the file has brought each to its form.
func (i *importing) stored(key string, records []string) []string {
	if len(records) < 2 {
		return records
	}
	_, typ := splitKey(key)
	return i.z.o.StoredRecords(i.apex, typ, records)
}

func splitKey(key string) (owner, typ string) {
	at := strings.LastIndexByte(key, '/')
	return decode(key[:at]), key[at+1:]
}

// checker compiles the file's sets and judges what stands at one owner together.
type checker struct {
	i     *importing
	owner string
	types []uint16
	at    []at // of each type's first record
}

func (c *checker) fail(p at, text string) {
	c.i.faults.add(int(p.line), int(p.column), "%s", text)
}

func (c *checker) check(f fileSet) {
	owner, typ := splitKey(f.key)
	set, bad := c.i.z.o.ParseRecordSet(c.i.apex, owner, typ, f.spec.GetTtl(), f.spec.Records)
	for _, b := range bad {
		line := f.lines[0]
		if b.Index >= 0 {
			line = f.lines[b.Index]
		}
		c.fail(line, f.key+": "+b.Text)
	}
	if len(bad) == 0 {
		c.i.lint.set(f.key, set, f.lines[0], c.places(f, set))
		c.i.lint.kept(f, len(set.RData))
		f.spec.Records = c.i.stored(f.key, f.spec.Records)
	}
	if owner != c.owner || c.types == nil {
		c.together()
		c.owner, c.types, c.at = owner, nil, nil
	}
	c.types, c.at = append(c.types, set.Type), append(c.at, f.lines[0])
}

// places tells where each of a set's data is in the file: they are in canonical order, and the
// lines are not. Of a set that is longer than people write it is the first line for all.
func (c *checker) places(f fileSet, s Set) []at {
	places := slices.Repeat(f.lines[:1], len(s.RData))
	if n := len(f.lines); n == 1 || n > maxPlaced {
		return places
	}
	owner, typ := splitKey(f.key)
	for i := len(f.lines) - 1; i >= 0; i-- { // of what is written in two ways the first counts
		one, _ := c.i.z.o.ParseRecordSet(c.i.apex, owner, typ, s.TTL, f.spec.Records[i:i+1])
		if at := slices.IndexFunc(s.RData, func(rd []byte) bool {
			return len(one.RData) == 1 && bytes.Equal(rd, one.RData[0])
		}); at >= 0 {
			places[at] = f.lines[i]
		}
	}
	return places
}

// maxPlaced is how many records of a set are told by their own lines.
const maxPlaced = 100

// together judges the owner that has just ended.
func (c *checker) together() {
	if len(c.types) == 0 {
		return
	}
	if culprit, err := c.i.z.o.CheckOwner(c.owner == "@", c.types); err != nil {
		c.fail(c.at[slices.Index(c.types, culprit)], c.owner+": "+err.Error())
	}
}

func (c *checker) err() error {
	c.together()
	return c.i.faults.err()
}
