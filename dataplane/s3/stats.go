package s3

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// counts are what one bucket was asked since its counts began. All versions of the bucket
// in views share them.
type counts struct {
	reads, writes, lists, refused, failed, in, out atomic.Uint64

	uploads uploadCount
}

// uploadCount is how many uploads went on when they were last counted.
type uploadCount struct {
	sync.Mutex
	usage  store.Usage // of then
	writes uint64      // to the bucket, until then
	n      uint64
}

// maxCounted bounds how many uploads of a bucket are counted.
const maxCounted = 100_000

// count counts the uploads that go on, again if something may have changed.
func (c *uploadCount) count(space *store.Space, u store.Usage, writes uint64) (uint64, error) {
	if u.Others == 0 {
		return 0, nil
	}
	c.Lock()
	defer c.Unlock()
	if c.usage == u && c.writes == writes {
		return c.n, nil
	}
	scan, err := space.Scan(store.ScanOptions{Prefix: []byte{rowUpload}})
	if err != nil {
		return 0, err
	}
	defer finish(scan)
	n := uint64(0)
	for ok := scan.Seek([]byte{rowUpload}); ok && n < maxCounted; ok = scan.Next() {
		n++
	}
	if err := scan.Err(); err != nil {
		return 0, err
	}
	c.usage, c.writes, c.n = u, writes, n
	return n, nil
}

// totals are counts of all requests.
type totals struct{ counts }

// count ends a request: it is counted, and told to the log of buckets that have one.
func (q *request) count() {
	q.h.total.add(q)
	b := q.bucket
	if b == nil && q.name != "" {
		b, _ = q.v.Bucket(q.name) // it was refused before its bucket counted
	}
	if b == nil {
		return
	}
	b.counts.add(q)
	if b.Spec.GetRequestLog() {
		q.h.log.line(q)
	}
}

func (c *counts) add(q *request) {
	if q.op != nil {
		switch q.op.sort {
		case writes:
			c.writes.Add(1)
		case lists:
			c.lists.Add(1)
		default:
			c.reads.Add(1)
		}
	}
	switch {
	case q.status >= 500:
		c.failed.Add(1)
	case q.status >= 400:
		c.refused.Add(1)
	}
	c.in.Add(uint64(q.in))
	c.out.Add(uint64(q.out))
}

// Stats are a bucket's counts and what it holds. Uploads that go on are counted up to
// 100,000.
func (h *Handler) Stats(b *Bucket) *storagev1.BucketStats {
	c := b.counts
	s := &storagev1.BucketStats{
		Bucket: b.Name, Id: b.ID[:], Reads: c.reads.Load(), Writes: c.writes.Load(), Lists: c.lists.Load(),
		Refused: c.refused.Load(), Failed: c.failed.Load(), BytesIn: c.in.Load(), BytesOut: c.out.Load(),
	}
	space, err := h.config.Store.At(b.Placement)
	if err != nil {
		return s
	}
	u, err := space.Usage()
	if err != nil {
		return s
	}
	s.Objects, s.Bytes = u.Rows, u.Bytes
	if u.Bytes >= closingBytes { // it is being deleted: the mark is no object
		s.Objects, s.Bytes = u.Rows-1, u.Bytes-closingBytes
	}
	if n, err := c.uploads.count(space, u, s.Writes); err == nil {
		s.Uploads = n
	}
	return s
}

var (
	descRequests = prometheus.NewDesc("dark_s3_requests_total", "Requests by what they do.", []string{"kind"}, nil)
	descErrors   = prometheus.NewDesc("dark_s3_errors_total", "Answers with 4xx and 5xx.", []string{"class"}, nil)
	descBytes    = prometheus.NewDesc("dark_s3_body_bytes_total", "Octets of bodies, in the clear.",
		[]string{"direction"}, nil)
	descFlying = prometheus.NewDesc("dark_s3_requests_in_flight",
		"Requests that are being answered, whose callers were authenticated or need not be.", nil, nil)
	descDropped = prometheus.NewDesc("dark_s3_log_lines_dropped_total",
		"Lines of the request log that were dropped, its queue being full.", nil, nil)
	descBuckets = prometheus.NewDesc("dark_s3_buckets", "Buckets in the view.", nil, nil)
)

// Describe implements prometheus.Collector.
func (h *Handler) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRequests, descErrors, descBytes, descFlying, descDropped, descBuckets} {
		out <- d
	}
}

// Collect implements prometheus.Collector. Counts of single buckets are in Stats: a label
// for each of 100,000 would be too many.
func (h *Handler) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	t := &h.total
	counter(descRequests, t.reads.Load(), "read")
	counter(descRequests, t.writes.Load(), "write")
	counter(descRequests, t.lists.Load(), "list")
	counter(descErrors, t.refused.Load(), "4xx")
	counter(descErrors, t.failed.Load(), "5xx")
	counter(descBytes, t.in.Load(), "in")
	counter(descBytes, t.out.Load(), "out")
	counter(descDropped, h.log.dropped.Load())
	out <- prometheus.MustNewConstMetric(descFlying, prometheus.GaugeValue, float64(h.slots.taken()))
	out <- prometheus.MustNewConstMetric(descBuckets, prometheus.GaugeValue, float64(h.View().buckets.size))
}
