package edge

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/keyring"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// storageKeys are the keys of buckets and of SSE-KMS that this edge was given, opened:
// in memory only, since the records are kept as they came, encrypted to the machine key.
// The store is opened before they are read: who asks for a key until then waits.
type storageKeys struct {
	now    atomic.Pointer[layered[keyVersions]]
	once   sync.Once
	loaded chan struct{} // closed when there are some, or never will be
}

func newStorageKeys() *storageKeys { return &storageKeys{loaded: make(chan struct{})} }

// set gives the keys from now on.
func (k *storageKeys) set(all *layered[keyVersions]) {
	k.now.Store(all)
	k.done()
}

// done lets those go on who wait.
func (k *storageKeys) done() { k.once.Do(func() { close(k.loaded) }) }

// keyVersions are one key's versions, the newest last.
type keyVersions []keyVersion

type keyVersion struct {
	number uint32
	key    [32]byte
}

// Where keys are found: a bucket's by its space, one of SSE-KMS by its ARN.
func ofSpace(id store.ID) string { return "space " + string(id[:]) }
func ofARN(arn string) string    { return "arn " + arn }

// Key implements store.Keys.
func (k *storageKeys) Key(space store.ID, name string, version uint32) (key [32]byte, v uint32, err error) {
	<-k.loaded
	at := ofSpace(space)
	if name != "" {
		at = ofARN(name)
	}
	var versions keyVersions
	if now := k.now.Load(); now != nil {
		versions, _ = now.get(at)
	}
	if len(versions) == 0 {
		return key, 0, fmt.Errorf("%w: this edge was given no key of %q for space %x", store.ErrKey, name, space)
	}
	newest := versions[len(versions)-1]
	if version == 0 || version == newest.number {
		return newest.key, newest.number, nil
	}
	for _, x := range versions {
		if x.number == version {
			return x.key, x.number, nil
		}
	}
	return key, 0, fmt.Errorf("%w: version %d of key %q for space %x", store.ErrKey, version, name, space)
}

// readKeys reads versions that were opened.
func readKeys(plain []byte) (keyVersions, error) {
	m := &storagev1.Keys{}
	if err := proto.Unmarshal(plain, m); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	var out keyVersions
	for i, k := range m.GetKeys() {
		if len(k.GetKey()) != 32 || k.GetVersion() == 0 || i > 0 && k.GetVersion() <= out[i-1].number {
			return nil, errors.New("read keys: a key of another length, or versions that do not rise")
		}
		out = append(out, keyVersion{k.GetVersion(), [32]byte(k.GetKey())})
	}
	if len(out) == 0 {
		return nil, errors.New("read keys: there are none")
	}
	return out, nil
}

// opened is what became of a sealed message.
type opened struct {
	plain []byte
	err   error
}

// openAll opens sealed messages, on all cores: each takes a tenth of a millisecond, and a
// start brings all there are.
func openAll(m *keyring.Machine, sealed [][]byte) []opened {
	out := make([]opened, len(sealed))
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(sealed)) {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(sealed) {
					return
				}
				if sealed[i] != nil {
					out[i].plain, out[i].err = m.OpenSealed(sealed[i])
				}
			}
		})
	}
	all.Wait()
	return out
}
