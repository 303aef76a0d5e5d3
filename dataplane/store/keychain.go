package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
)

// day is how long an epoch lasts.
const day = 24 * time.Hour

// maxCached bounds each of the keychain's caches, in entries of a few hundred octets.
const maxCached = 4096

// keychain opens and caches the keys of spaces: epoch keys, under which data keys are
// wrapped, and the keys of rows' values. mu guards the caches; no lock is held while Keys,
// the database or the log are asked.
type keychain struct {
	s  *Store
	mu struct {
		sync.RWMutex
		epochs  map[epochID]*epochKeys
		values  map[valueID]*seal.Values
		forgets uint64 // calls of forget
	}
}

type valueID struct {
	space   ID
	version uint32
}

// epochKeys are an epoch key, ready for use.
type epochKeys struct {
	number   uint32
	wrapper  *seal.Wrapper // of data keys
	customer *seal.Values  // of data keys that a customer's key wraps
	tenant   string
}

func newKeychain(s *Store) *keychain {
	k := &keychain{s: s}
	k.mu.epochs = map[epochID]*epochKeys{}
	k.mu.values = map[valueID]*seal.Values{}
	return k
}

// forgets is to be asked before a key is read that remember will keep.
func (k *keychain) forgets() uint64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.mu.forgets
}

// remember keeps an entry, unless keys were forgotten since it was looked for: it may be one
// of them. A full cache begins anew.
func remember[K comparable, V any](k *keychain, since uint64, cache map[K]V, id K, v V) V {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.forgets != since {
		return v
	}
	if len(cache) >= maxCached {
		clear(cache)
	}
	cache[id] = v
	return v
}

// forget drops what is cached of a space's epochs: of one key's, or of all.
func (k *keychain) forget(space ID, name string, all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.forgets++
	for id := range k.mu.epochs {
		if id.space == space && (all || id.name == name) {
			delete(k.mu.epochs, id)
		}
	}
	for id := range k.mu.values {
		if all && id.space == space {
			delete(k.mu.values, id)
		}
	}
}

// values gives what seals a space's values under a version of its key, 0 for the newest.
func (k *keychain) values(space ID, version uint32) (*seal.Values, uint32, error) {
	if version != 0 {
		if v := k.cachedValues(valueID{space, version}); v != nil {
			return v, version, nil
		}
	}
	since := k.forgets()
	key, version, err := k.s.opt.Keys.Key(space, "", version)
	if err != nil {
		return nil, 0, keyError(err, "key of space %x", space)
	}
	id := valueID{space, version}
	if v := k.cachedValues(id); v != nil {
		return v, version, nil
	}
	return remember(k, since, k.mu.values, id, seal.NewValues((*seal.Key)(&key), space)), version, nil
}

func keyError(err error, format string, args ...any) error {
	if !errors.Is(err, ErrKey) {
		err = fmt.Errorf("%w: %w", ErrKey, err)
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

func (k *keychain) cachedValues(id valueID) *seal.Values {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.mu.values[id]
}

// today is the number of the epoch that is now.
func (k *keychain) today() uint32 { return epochAt(k.s.opt.Clock.Now()) }

func epochAt(t time.Time) uint32 { return uint32(max(0, t.Unix()) / int64(day/time.Second)) }

// current gives today's epoch key of a space and key name. The first to ask makes it.
func (k *keychain) current(ctx context.Context, space ID, tenant, name string) (*epochKeys, error) {
	id := epochID{space, name, k.today()}
	if e := k.cached(id); e != nil {
		return e, nil
	}
	e, err := k.open(id)
	if !errors.Is(err, errNoEpoch) && !errors.Is(err, errLost) {
		return e, err
	}
	if err := k.make(ctx, id, tenant); err != nil {
		return nil, err
	}
	return k.open(id)
}

func (k *keychain) cached(id epochID) *epochKeys {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.mu.epochs[id]
}

// epoch gives the key of any epoch that was not destroyed.
func (k *keychain) epoch(id epochID) (*epochKeys, error) {
	if e := k.cached(id); e != nil {
		return e, nil
	}
	return k.open(id)
}

var errNoEpoch = errors.New("the epoch key was destroyed or never made")

func (k *keychain) open(id epochID) (*epochKeys, error) {
	since := k.forgets()
	v, err := get(k.s.db, epochKey(id.space, id.name, id.epoch))
	if err != nil {
		return nil, err
	}
	if v == nil && k.s.ledger.gapAt(epochKey(id.space, id.name, id.epoch)) != nil {
		return nil, damagedEpoch(id, errLost)
	}
	if v == nil {
		return nil, keyError(errNoEpoch, "epoch %d of key %q", id.epoch, id.name)
	}
	var e epoch
	if err := e.parse(v); err != nil {
		return nil, damagedEpoch(id, err)
	}
	key, err := k.unwrap(id, &e)
	if err != nil {
		return nil, err
	}
	keys := &epochKeys{
		number: id.epoch, tenant: e.tenant,
		wrapper: seal.NewWrapper(&key), customer: seal.NewValues(&key, id.space),
	}
	return remember(k, since, k.mu.epochs, id, keys), nil
}

func damagedEpoch(id epochID, err error) *Damaged {
	return &Damaged{
		Thing: Thing{Kind: DamagedEpoch, Space: id.space, From: epochKey(id.space, id.name, id.epoch)},
		What:  fmt.Sprintf("epoch %d of key %q of space %x", id.epoch, id.name, id.space), Err: err,
	}
}

func (k *keychain) unwrap(id epochID, e *epoch) (seal.Key, error) {
	wrapping, _, err := k.s.opt.Keys.Key(id.space, id.name, e.keyVersion)
	if err != nil {
		return seal.Key{}, keyError(err, "version %d of key %q", e.keyVersion, id.name)
	}
	key, err := seal.NewWrapper((*seal.Key)(&wrapping)).Unwrap(e.wrapped, bindEpoch(id, e.tenant, e.keyVersion))
	if err != nil {
		return seal.Key{}, damagedEpoch(id, err)
	}
	return key, nil
}

func bindEpoch(id epochID, tenant string, version uint32) []byte {
	return seal.Bind("dark store epoch", []byte(tenant), id.space[:], []byte(id.name),
		seal.Number(uint64(id.epoch)), seal.Number(uint64(version)))
}

// make proposes a new epoch key.
func (k *keychain) make(ctx context.Context, id epochID, tenant string) error {
	return k.wrap(ctx, id, tenant, seal.NewKey(), nil)
}

// wrap proposes an epoch key, wrapped under the newest version of its key: a new one, or
// one in place of how it was wrapped.
func (k *keychain) wrap(ctx context.Context, id epochID, tenant string, key seal.Key, replaces []byte) error {
	wrapping, version, err := k.s.opt.Keys.Key(id.space, id.name, 0)
	if err != nil {
		return keyError(err, "key %q", id.name)
	}
	e := &storev1.Epoch{KeyName: id.name, KeyVersion: version, Epoch: id.epoch, Tenant: tenant, Replaces: replaces}
	e.Wrapped = seal.NewWrapper((*seal.Key)(&wrapping)).Wrap(nil, &key, bindEpoch(id, tenant, version))
	_, err = k.s.propose(ctx, &storev1.Op{Space: id.space[:], Op: &storev1.Op_Epoch{Epoch: e}})
	return err
}

// slot tells holds of one space apart that are wrapped differently.
func (how Sealing) slot() uint32 {
	if how.Key == "" && how.Customer == nil {
		return 0
	}
	h := sha256.New()
	h.Write([]byte("dark store slot"))
	if how.Customer != nil {
		h.Write(how.Customer[:])
	}
	h.Write([]byte(how.Key))
	return binary.BigEndian.Uint32(h.Sum(nil)) | 1
}

func bindCustomer(id ID) []byte { return seal.Bind("dark store customer", id[:]) }

// inner wraps a data key under the customer's key, where there is one.
func (how Sealing) inner(key *seal.Key, id ID) []byte {
	if how.Customer == nil {
		return nil
	}
	return seal.NewWrapper((*seal.Key)(how.Customer)).Wrap(nil, key, bindCustomer(id))
}

// place is a hold's associated data.
func place(tenant string, space, id ID, slot uint32, name string, epoch uint32) []byte {
	return seal.Hold{Tenant: tenant, Space: space, Extent: id, Slot: slot, Name: name, Epoch: epoch}.Bind()
}

// wrapHold wraps a data key, or what a customer's key made of it, under an epoch key.
func (e *epochKeys) wrapHold(key *seal.Key, inner, ad []byte) []byte {
	if inner != nil {
		return e.customer.Seal(nil, inner, ad)
	}
	return e.wrapper.Wrap(nil, key, ad)
}

// openHold unwraps a hold's data key.
func (k *keychain) openHold(h *hold, id ID, how Sealing) (key seal.Key, err error) {
	if h.customer != (how.Customer != nil) {
		return key, fmt.Errorf("extent %x: %w", id, ErrWrongKey)
	}
	e, err := k.epoch(epochID{h.space, h.name, h.epoch})
	if err != nil {
		return key, err
	}
	ad := place(e.tenant, h.space, id, h.slot, h.name, h.epoch)
	if !h.customer {
		if key, err = e.wrapper.Unwrap(h.wrapped, ad); err != nil {
			return key, damagedKey(id, err)
		}
		return key, nil
	}
	inner, err := e.customer.Open(nil, h.wrapped, ad)
	if err != nil {
		return key, damagedKey(id, err)
	}
	key, err = seal.NewWrapper((*seal.Key)(how.Customer)).Unwrap(inner, bindCustomer(id))
	if err != nil {
		return key, fmt.Errorf("extent %x: %w", id, ErrWrongKey)
	}
	return key, nil
}

// check opens a hold as far as that goes without its customer, whose data key it does not give.
func (k *keychain) check(h *hold, id ID) (*seal.Key, error) {
	if !h.customer {
		key, err := k.openHold(h, id, Sealing{})
		return &key, err
	}
	e, err := k.epoch(epochID{h.space, h.name, h.epoch})
	if err != nil {
		return nil, err
	}
	if _, err := e.customer.Open(nil, h.wrapped, place(e.tenant, h.space, id, h.slot, h.name, h.epoch)); err != nil {
		return nil, damagedKey(id, err)
	}
	return nil, nil
}

func damagedKey(id ID, err error) *Damaged {
	return &Damaged{
		Thing: Thing{Kind: DamagedExtent, Extent: id}, What: fmt.Sprintf("wrapped key of extent %x", id), Err: err,
	}
}

// rewrapped is a hold's wrapped key under a newer epoch; no customer's key is needed.
func (k *keychain) rewrapped(h *hold, id ID, to *epochKeys) ([]byte, error) {
	e, err := k.epoch(epochID{h.space, h.name, h.epoch})
	if err != nil {
		return nil, err
	}
	was := place(e.tenant, h.space, id, h.slot, h.name, h.epoch)
	now := place(to.tenant, h.space, id, h.slot, h.name, to.number)
	if h.customer {
		inner, err := e.customer.Open(nil, h.wrapped, was)
		if err != nil {
			return nil, damagedKey(id, err)
		}
		return to.customer.Seal(nil, inner, now), nil
	}
	key, err := e.wrapper.Unwrap(h.wrapped, was)
	if err != nil {
		return nil, damagedKey(id, err)
	}
	return to.wrapper.Wrap(nil, &key, bytes.Clone(now)), nil
}
