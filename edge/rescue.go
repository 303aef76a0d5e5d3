package edge

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Rescue serves what the disk of an edge keeps, to be read and not to be written, in any machine. It needs
// no control node. Close it.
type Rescue struct {
	http.Handler
	Keys []RescueKey // one for each organization that has a bucket here

	handler *s3.Handler
	store   *store.Store
}

// RescueKey may read all of an organization's buckets for two days. It is made at each start.
type RescueKey struct {
	Organization, ID, Secret string
	Buckets                  []string
}

// RescueRegion is the region that rescue keys sign for.
const RescueRegion = s3.DefaultRegion

// OpenRescue opens the store below dir, with the machine's own key where recovery is empty, and else with
// that recovery key. Nothing of the store is changed.
func OpenRescue(dir, recovery string, log *slog.Logger) (_ *Rescue, err error) {
	var key *keyring.Machine
	if recovery != "" {
		if key, err = keyring.ReadRecovery(recovery); err != nil {
			return nil, err
		}
	}
	o, err := openOffline(dir, key, log)
	if err != nil && key == nil {
		err = fmt.Errorf("%w; the recovery key opens it, too: --recovery-key FILE", err)
	}
	if err != nil {
		return nil, err
	}
	r := &Rescue{Keys: rescueKeys(o)}
	if len(r.Keys) == 0 {
		return nil, fmt.Errorf("%s keeps no bucket", dir)
	}
	var changes []s3.Change
	for _, k := range r.Keys {
		changes = append(changes, k.grant(time.Now()))
	}
	view, err := o.view.With(changes...)
	if err != nil {
		return nil, err
	}
	if r.store, err = store.OpenReadOnly(o.store); err != nil {
		return nil, err
	}
	r.handler = s3.New(s3.Config{Store: r.store, Logger: log})
	r.handler.Swap(view)
	r.Handler = r.handler
	return r, nil
}

// Close ends it once no request is served any more.
func (r *Rescue) Close() error {
	r.handler.Close()
	return r.store.Close()
}

// rescueKeys makes a key for each organization that has buckets in this edge's cell.
func rescueKeys(o *offlineEdge) (keys []RescueKey) {
	of := map[string]int{}
	o.view.Buckets(func(b *s3.Bucket) bool {
		if b.Placement.Cell != o.store.Cell {
			return true
		}
		i, ok := of[b.Organization]
		if !ok {
			i = len(keys)
			of[b.Organization] = i
			keys = append(keys, RescueKey{
				Organization: b.Organization, ID: "DK" + rand.Text()[:18], Secret: rand.Text() + rand.Text()[:14],
			})
		}
		keys[i].Buckets = append(keys[i].Buckets, b.Name)
		return true
	})
	for i := range keys {
		slices.Sort(keys[i].Buckets)
	}
	slices.SortFunc(keys, func(a, b RescueKey) int { return strings.Compare(a.Organization, b.Organization) })
	return keys
}

// grant is the key as the endpoint takes it.
func (k *RescueKey) grant(now time.Time) s3.Change {
	signing := &storagev1.SigningKeys{}
	today := int32(now.Unix() / 86400) //nolint:gosec // until the year 5881610
	for day := today - 1; day <= today+2; day++ {
		derived := sigv4.Derive(k.Secret, day, RescueRegion)
		signing.Keys = append(signing.Keys, &storagev1.SigningKey{Day: day, Region: RescueRegion, Key: derived[:]})
	}
	return s3.PutAccessKey(&storagev1.PublishedAccessKey{
		AccessKeyId: k.ID, Organization: k.Organization, Name: "accesskeys/rescue",
		Scopes: []*storagev1.Scope{{Actions: []string{"read"}}},
	}, signing)
}
