package edge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What metrics tell of the store beside what goes upward.
var (
	storeDead      = storeDesc("dead_bytes", "Octets of segments that nothing needs.")
	storeLevel0    = storeDesc("level0_tables", "Tables of the first level of the rows' database.")
	storeSublevels = storeDesc("level0_sublevels",
		"How many of these lie over one another at most; writes are held back from 40 on.")
	storeCompaction = storeDesc("compaction_failing", "1 while the last compaction of the rows' database failed.")
	storeHeld       = storeDesc("writes_held_total", "Times that writes were held back since the start.")
	storeHanging    = storeDesc("writes_hanging_seconds", "How long no write has come back though some are under way.")
	storeOldest     = storeDesc("oldest_epoch_key_timestamp_seconds",
		"The day of the oldest epoch key, Unix time; 0: there is none, or nobody looked yet.")

	storeByKind = prometheus.NewDesc("dark_store_damaged_things", "Things that are damaged, by their kind.",
		[]string{"kind"}, nil)
	storeByState = prometheus.NewDesc("dark_store_segments",
		"Segments by state; held ones wait until bodies that are missing were looked for.", []string{"state"}, nil)
	storeWorked = prometheus.NewDesc("dark_store_work_success_timestamp_seconds",
		"When background work last ended without an error, Unix time; 0 for never since the start.", []string{"work"},
		nil)
	storeWorkFailed = prometheus.NewDesc("dark_store_work_errors_total",
		"Rounds of background work that failed since the start.", []string{"work"}, nil)
)

// store tells how the store does.
func (m s3Metrics) store(gauge, counter func(d *prometheus.Desc, v uint64, labels ...string)) {
	h := m.s.store.Health()
	gauge(storeDead, h.Dead)
	gauge(storeLevel0, h.Level0)
	gauge(storeSublevels, h.Sublevels)
	gauge(storeCompaction, one(h.Compaction != ""))
	counter(storeHeld, h.Held)
	gauge(storeHanging, uint64(h.Hanging/time.Second))
	gauge(storeOldest, seconds(h.OldestEpoch))
	for kind, n := range h.DamagedByKind {
		gauge(storeByKind, n, string(kind))
	}
	for state, n := range h.Segments {
		gauge(storeByState, uint64(n), state)
	}
	for _, w := range h.Works {
		gauge(storeWorked, seconds(w.Last), w.Name)
		counter(storeWorkFailed, w.Failed, w.Name)
	}
}

func one(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

// seconds is a Unix time; 0 for the zero time.
func seconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.Unix(), 0))
}
