package edge

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dark-ecosystem/dark/internal/frame"
)

// metrics tells Prometheus the node's status when it asks.
type metrics struct {
	n *Node

	revision, connected, contact, refused, frames, deny, loaded, damages, lost, failed *prometheus.Desc
	generations, free, full, certificate, budget, sockets, starts                      *prometheus.Desc
}

func newMetrics(n *Node) *metrics {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("dark_edge_"+name, help, labels, nil)
	}
	return &metrics{
		n:         n,
		revision:  d("view_revision", "Revision that the view is complete to."),
		connected: d("feed_connected", "1 while a control node is connected."),
		contact: d("feed_last_contact_timestamp_seconds",
			"When a control node was heard of last, Unix time; 0 never. Restarts do not reset it."),
		refused:     d("refused_items_total", "Items of the feed that could not be compiled."),
		frames:      d("refused_frames_total", "Frames that were refused.", "reason"),
		deny:        d("deny_entries", "Entries of the deny set: credentials that were revoked."),
		loaded:      d("start_seconds", "Time from the start to a compiled view."),
		damages:     d("config_damages_total", "Generations of the configuration that were found damaged."),
		generations: d("config_generations", "Good copies of the configuration on disk; 2 but while one is made anew."),
		free:        d("disk_free_bytes", "Octets that the file system of the node's directory has left."),
		full:        d("disk_full", "1 while the feed is not followed for want of space."),
		certificate: d("certificate_expiry_timestamp_seconds", "When the node's certificate ends, Unix time."),
		budget: d("autonomy_end_timestamp_seconds",
			"When the first of the certificate and the keys of services ends, Unix time: until then the edge serves "+
				"all without a control node."),
		sockets: d("sockets", "Sockets that a service answers on.", "service", "network"),
		starts:  d("starts_total", "Starts of this edge since it joined, this one included."),
		failed:  d("failed_services", "Services that are not served, as their files are damaged."),
		lost:    d("config_lost", "1 while both generations were damaged and nothing was told since."),
	}
}

// Describe lists the metrics.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect reads the status.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	s := m.n.Status()
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	gauge(m.revision, float64(s.Revision))
	connected, contact, lost := 0.0, 0.0, 0.0
	if s.Connected {
		connected = 1
	}
	if s.Lost {
		lost = 1
	}
	if !s.LastContact.IsZero() {
		contact = float64(s.LastContact.UnixNano()) / 1e9
	}
	gauge(m.connected, connected)
	gauge(m.contact, contact)
	gauge(m.deny, float64(s.DenyEntries))
	gauge(m.loaded, s.Loaded.Seconds())
	gauge(m.lost, lost)
	m.machine(ch, gauge)
	gauge(m.failed, float64(len(s.Failed)))
	ch <- prometheus.MustNewConstMetric(m.damages, prometheus.CounterValue, float64(s.Damages))
	ch <- prometheus.MustNewConstMetric(m.refused, prometheus.CounterValue, float64(s.Refused))
	for _, reason := range frame.Reasons() {
		ch <- prometheus.MustNewConstMetric(m.frames, prometheus.CounterValue, float64(s.RefusedFrames[reason]), reason)
	}
}

// machine tells of the disk, the certificate, sockets and starts.
func (m *metrics) machine(ch chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64)) {
	gauge(m.generations, float64(m.n.config.Generations()))
	free, full := m.n.config.Disk()
	gauge(m.free, float64(free))
	flag := 0.0
	if full {
		flag = 1
	}
	gauge(m.full, flag)
	if m.n.cfg.Certificate != nil {
		if c := m.n.cfg.Certificate(); c != nil {
			ends := c.NotAfter
			gauge(m.certificate, float64(ends.Unix()))
			if t := m.n.ends(); !t.IsZero() && t.Before(ends) {
				ends = t
			}
			gauge(m.budget, float64(ends.Unix()))
		}
	}
	for _, p := range m.n.parts {
		if p.group == nil {
			continue
		}
		for network, count := range map[string]int{"udp": len(p.group.UDP()), "tcp": len(p.group.TCP())} {
			ch <- prometheus.MustNewConstMetric(m.sockets, prometheus.GaugeValue, float64(count), p.Name, network)
		}
	}
	ch <- prometheus.MustNewConstMetric(m.starts, prometheus.CounterValue, float64(m.n.starts))
}

// count registers the metrics of the node and of its parts.
func (n *Node) count() error {
	if n.cfg.Metrics == nil {
		return nil
	}
	all := []prometheus.Collector{newMetrics(n)}
	for _, p := range n.parts {
		if p.Metrics != nil {
			all = append(all, p.Metrics)
		}
	}
	for _, m := range all {
		if err := n.cfg.Metrics.Register(m); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
		n.metrics = append(n.metrics, m)
	}
	return nil
}

func (n *Node) uncount() {
	for _, m := range n.metrics {
		n.cfg.Metrics.Unregister(m)
	}
}
