package edge

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// storageStats is what a part says of its store; nil when no part has one.
func (n *Node) storageStats() *storagev1.StorageStats {
	for _, p := range n.parts {
		if p.Storage != nil {
			return p.Storage()
		}
	}
	return nil
}

// stats is what the node says of its store and of the buckets that it keeps.
func (s *s3Server) stats() *storagev1.StorageStats {
	st := s.store.Stats()
	out := &storagev1.StorageStats{
		Node: s.c.Name, SegmentBytes: st.SegmentBytes, LiveBytes: st.LiveBytes, FreeBytes: st.FreeBytes,
		Extents: st.Extents, Damaged: st.Damaged, Progress: st.Progress, ReadOnly: st.ReadOnly,
		Hosts: &storagev1.S3Hosts{Domains: sigv4.NewHosts(s.c.S3Domains...).Domains()},
	}
	if !st.Scrubbed.IsZero() {
		out.Scrubbed, out.ScrubDamaged = st.Scrubbed.Unix(), st.ScrubDamaged
	}
	v := s.handler.View()
	out.Damage = damageTold(s.store.Damage(), v)
	v.Buckets(func(b *s3.Bucket) bool {
		if b.Placement.Cell == s.c.Name {
			out.Buckets = append(out.Buckets, s.handler.Stats(b))
		}
		return true
	})
	v.AccessKeys(func(k *s3.AccessKey) bool {
		if t := k.LastUsed(); !t.IsZero() {
			out.AccessKeys = append(out.AccessKeys, &storagev1.AccessKeyUse{AccessKeyId: k.ID, LastUsed: t.Unix()})
		}
		return true
	})
	return out
}

// metricBuckets bounds the series of buckets: the busiest so far have some. `dark storage
// stats` tells of all.
const metricBuckets = 100

// s3Metrics tells Prometheus of the endpoint, the store and the busiest buckets.
type s3Metrics struct {
	s     *s3Server
	names bool // of buckets, too
}

var (
	storeSegments = storeDesc("segment_bytes", "Octets of segments on disk.")
	storeLive     = storeDesc("live_bytes", "Octets of them that objects need.")
	storeFree     = storeDesc("free_bytes", "Octets that the file system has left.")
	storeExtents  = storeDesc("extents", "Extents in segments.")
	storeDamaged  = storeDesc("damaged", "Things that are damaged: rows, extents, ranges of rows and others.")
	storeReadOnly = storeDesc("read_only", "1 while writes are refused.")
	storeScrubbed = storeDesc("scrubbed_timestamp_seconds", "When the last scrub ended, Unix time; 0 for never.")

	s3Waiting = prometheus.NewDesc("dark_s3_unauthenticated_connections",
		"Connections whose caller is not known yet.", nil, nil)
	s3Accepted = prometheus.NewDesc("dark_s3_accepted_connections_total", "Connections that were accepted.", nil,
		nil)
	s3Closed = prometheus.NewDesc("dark_s3_unauthenticated_closed_total",
		"Connections that were closed before their caller was known.", []string{"reason"}, nil)
	bucketRequests = prometheus.NewDesc("dark_s3_bucket_requests_total", "Requests of the busiest buckets, by kind.",
		[]string{"bucket", "kind"}, nil)
	bucketAnswers = prometheus.NewDesc("dark_s3_bucket_errors_total",
		"Answers of the busiest buckets with 4xx and 5xx.", []string{"bucket", "class"}, nil)
	bucketBytes = prometheus.NewDesc("dark_s3_bucket_body_bytes_total", "Octets of bodies of the busiest buckets.",
		[]string{"bucket", "direction"}, nil)
	bucketHeld = prometheus.NewDesc("dark_s3_bucket_bytes", "Octets that the busiest buckets hold.",
		[]string{"bucket"}, nil)
	bucketUploads = prometheus.NewDesc("dark_s3_bucket_uploads", "Uploads to the busiest buckets that go on.",
		[]string{"bucket"}, nil)
	bucketObjects = prometheus.NewDesc("dark_s3_bucket_objects",
		"Objects that the busiest buckets hold, each version one.", []string{"bucket"}, nil)
)

func storeDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("dark_store_"+name, help, nil, nil)
}

// Describe lists the metrics.
func (m s3Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.s.handler.Describe(ch)
	for _, d := range []*prometheus.Desc{
		storeByKind, storeByState, storeDead, storeLevel0, storeSublevels, storeCompaction, storeHeld, storeHanging,
		storeOldest, storeWorked, storeWorkFailed,
		storeSegments, storeLive, storeFree, storeExtents, storeDamaged, storeReadOnly, storeScrubbed,
		bucketRequests, bucketAnswers, bucketBytes, bucketHeld, bucketObjects, bucketUploads,
		s3Waiting, s3Accepted, s3Closed,
	} {
		ch <- d
	}
}

// Collect reads the counters.
func (m s3Metrics) Collect(ch chan<- prometheus.Metric) {
	m.s.handler.Collect(ch)
	gauge := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	m.store(gauge, counter)
	st := m.s.stats()
	gauge(storeSegments, st.SegmentBytes)
	gauge(storeLive, st.LiveBytes)
	gauge(storeFree, st.FreeBytes)
	gauge(storeExtents, st.Extents)
	gauge(storeDamaged, st.Damaged)
	gauge(storeScrubbed, uint64(st.Scrubbed))
	gauge(storeReadOnly, one(st.ReadOnly != ""))
	doors := m.s.doors.Stats()
	gauge(s3Waiting, uint64(doors.Waiting))
	counter(s3Accepted, doors.Accepted)
	counter(s3Closed, doors.ClosedByFull, "full")
	counter(s3Closed, doors.ClosedByDeadline, "deadline")
	if !m.names {
		return
	}
	asked := func(b *storagev1.BucketStats) uint64 { return b.Reads + b.Writes + b.Lists }
	slices.SortFunc(st.Buckets, func(a, b *storagev1.BucketStats) int {
		return cmp.Or(cmp.Compare(asked(b), asked(a)), cmp.Compare(a.Bucket, b.Bucket))
	})
	for _, b := range st.Buckets[:min(len(st.Buckets), metricBuckets)] {
		counter(bucketRequests, b.Reads, b.Bucket, "read")
		counter(bucketRequests, b.Writes, b.Bucket, "write")
		counter(bucketRequests, b.Lists, b.Bucket, "list")
		counter(bucketAnswers, b.Refused, b.Bucket, "4xx")
		counter(bucketAnswers, b.Failed, b.Bucket, "5xx")
		counter(bucketBytes, b.BytesIn, b.Bucket, "in")
		counter(bucketBytes, b.BytesOut, b.Bucket, "out")
		gauge(bucketHeld, b.Bytes, b.Bucket)
		gauge(bucketObjects, b.Objects, b.Bucket)
		gauge(bucketUploads, b.Uploads, b.Bucket)
	}
}
