package state

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// What an organization may use where nothing else is set for it.
const (
	defaultResources       = 100_000
	defaultRecordSets      = 5_000_000
	defaultHistoryBytes    = 4 << 30
	defaultWritesPerSecond = 2_000
	burstSeconds           = 10
)

const recordSetKind = "dark.dns.v1.RecordSet" // the one kind that is counted in millions

// requestsKept bounds how long a request id is remembered.
const requestsKept = int64(24 * 3600 * 1e9)

// usage is what an organization has and may have. It is kept in memory by the apply
// goroutine and written once an entry.
type usage struct{ *statev1.Usage }

func (u usage) count(kind string, n int) {
	if u.Resources == nil {
		u.Resources = map[string]uint64{}
	}
	if have := int64(u.Resources[kind]) + int64(n); have > 0 {
		u.Resources[kind] = uint64(have)
	} else {
		delete(u.Resources, kind)
	}
}

func (u usage) limit(kind string) uint64 {
	if n := u.Limits.GetResources()[kind]; n > 0 {
		return n
	}
	if kind == recordSetKind {
		return defaultRecordSets
	}
	return defaultResources
}

func (u usage) historyLimit() uint64 {
	if n := u.Limits.GetHistoryBytes(); n > 0 {
		return n
	}
	return defaultHistoryBytes
}

func (u usage) writesPerSecond() int64 {
	if n := u.Limits.GetWritesPerSecond(); n > 0 {
		return int64(n)
	}
	return defaultWritesPerSecond
}

// LevelElapsed is the level of features from which entries carry the time that elapsed.
const LevelElapsed = 2

// maxElapsed is the most that one entry may refill. The bucket holds no more.
const maxElapsed = burstSeconds * 1e9

// takeElapsed takes one write from the bucket, which is refilled by the time that elapsed
// at leaders and never by a time of day: a clock that is wrong for one entry and then
// mended must not stop writes (design/identity.md, Limits in the state machine).
func (u usage) takeElapsed(elapsed int64) bool {
	rate, full := u.writesPerSecond(), u.writesPerSecond()*burstSeconds*1000
	switch {
	case u.Filled == 0 && u.Refilled == 0:
		u.Tokens, u.Filled = full, elapsed
	case u.Filled == 0:
		u.Filled = elapsed // it was filled by the time of day until now
	}
	passed := (elapsed - u.Filled) / 1e6 // what is less than a millisecond is left for the next time
	u.Tokens = min(full, u.Tokens+min(passed, burstSeconds*1000)*rate)
	u.Filled += passed * 1e6
	if u.Tokens < 1000 {
		return false
	}
	u.Tokens -= 1000
	return true
}

// take is takeElapsed for entries that do not say what elapsed: it goes by their time.
func (u usage) take(now int64) bool {
	rate, full := u.writesPerSecond(), u.writesPerSecond()*burstSeconds*1000
	switch {
	case u.Refilled == 0:
		u.Tokens = full
	case now > u.Refilled:
		u.Tokens = min(full, u.Tokens+min(now-u.Refilled, burstSeconds*1e9)/1e6*rate)
	}
	// What is less than a millisecond is left for the next time.
	if u.Refilled == 0 {
		u.Refilled = now
	}
	u.Refilled += (now - u.Refilled) / 1e6 * 1e6
	if u.Tokens < 1000 {
		return false
	}
	u.Tokens -= 1000
	return true
}

// use returns the usage of an organization, to be written at the end of the entry.
func (a *applying) use(organization string) (usage, error) {
	a.dirty[organization] = true
	if u := a.s.usage[organization]; u != nil {
		return *u, nil
	}
	u := &usage{&statev1.Usage{}}
	err := getProto(a.b, key(rowUsage, organization), u.Usage)
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return usage{}, err
	}
	a.s.usage[organization] = u
	return *u, nil
}

func (a *applying) writeUsage() error {
	for _, organization := range sortedKeys(a.dirty) {
		if err := a.put(key(rowUsage, organization), a.s.usage[organization].Usage); err != nil {
			return err
		}
	}
	clear(a.dirty)
	return nil
}

// judgeLimits comes last: what is refused for another reason costs nothing. The
// installation itself, which is what controllers write for, has no limits, and the end of
// a credential is refused for none.
func (a *applying) judgeLimits(tx *statev1.Transaction) (*errs.Error, error) {
	if tx.Organization == "" {
		return nil, nil
	}
	u, err := a.use(tx.Organization)
	if err != nil {
		return nil, err
	}
	if ends(tx) {
		a.takeWrite(u)
		return nil, nil
	}
	if refusal, err := a.judgeTombstones(tx); refusal != nil || err != nil {
		return refusal, err
	}
	added := map[string]int{}
	for _, op := range tx.Ops {
		ref, n := op.GetDeleteResource(), 0
		if put := op.GetPutResource(); put != nil {
			ref, n = put.Ref, 1
		}
		if ref == nil || ref.Organization != tx.Organization {
			continue
		}
		old, err := a.latest(ref)
		if err != nil {
			return nil, err
		}
		added[ref.Kind] += n - live(old)
	}
	for _, kind := range sortedKeys(added) {
		if have, most := u.Resources[kind], u.limit(kind); added[kind] > 0 && have+uint64(added[kind]) > most {
			return errs.New(errs.Exhausted, "limit resources[%s]: organization %s has %d of at most %d", kind,
				tx.Organization, have, most), nil
		}
	}
	if u.HistoryBytes > u.historyLimit() {
		return errs.New(errs.Exhausted, "limit history_bytes: organization %s keeps %d bytes of history, at most %d",
			tx.Organization, u.HistoryBytes, u.historyLimit()), nil
	}
	if !a.takeWrite(u) {
		return errs.New(errs.Exhausted, "limit writes_per_second: organization %s may write %d times a second",
			tx.Organization, u.writesPerSecond()), nil
	}
	return nil, nil
}

func (a *applying) takeWrite(u usage) bool {
	if a.elapsed {
		return u.takeElapsed(a.p.Elapsed)
	}
	return u.take(a.time)
}

func (a *applying) setLimits(o *statev1.SetLimits) error {
	u, err := a.use(o.Organization)
	if err != nil {
		return err
	}
	u.Limits = o.Limits
	u.Tokens, u.Refilled, u.Filled = 0, 0, 0
	return nil
}

// seenRequest answers a request that was made before with what became of it then.
func (a *applying) seenRequest(tx *statev1.Transaction) (outcome, bool, error) {
	if tx.RequestId == "" {
		return outcome{}, false, nil
	}
	var r statev1.RequestRecord
	err := getProto(a.b, key(rowRequest, tx.Organization, tx.RequestId), &r)
	if errors.Is(err, pebble.ErrNotFound) {
		return outcome{}, false, nil
	}
	if err != nil {
		return outcome{}, false, err
	}
	if string(r.Digest) != string(tx.RequestDigest) {
		return outcome{refusal: errs.New(errs.Conflict, "request id %q was used before for another request",
			tx.RequestId)}, true, nil
	}
	return outcome{revision: r.Revision, repeated: true}, true, nil
}

func (a *applying) rememberRequest(tx *statev1.Transaction) error {
	if tx.RequestId == "" {
		return nil
	}
	at := append(number([]byte{rowRequestAt}, uint64(a.time)), key(0, tx.Organization, tx.RequestId)[1:]...)
	if err := a.b.Set(at, nil, nil); err != nil {
		return err
	}
	return a.put(key(rowRequest, tx.Organization, tx.RequestId),
		&statev1.RequestRecord{Digest: tx.RequestDigest, Revision: a.p.Revision, Time: a.time})
}

// forgetRequests forgets at most 64 old request ids an entry, so that no entry pauses.
func (a *applying) forgetRequests() error {
	if a.time <= requestsKept {
		return nil
	}
	var old [][]byte
	until := number([]byte{rowRequestAt}, uint64(a.time-requestsKept))
	err := scan(a.b, []byte{rowRequestAt}, until, func(k, _ []byte) error {
		if len(old) == 64 {
			return errEnough
		}
		old = append(old, append([]byte(nil), k...))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for _, k := range old {
		request := append([]byte{rowRequest}, k[9:]...)
		if err := errors.Join(a.b.Delete(k, nil), a.b.Delete(request, nil)); err != nil {
			return err
		}
	}
	return nil
}

var errEnough = errors.New("enough")
