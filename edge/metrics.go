package edge

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dark-ecosystem/dark/internal/frame"
)

// metrics tells Prometheus the node's status when it asks.
type metrics struct {
	n *Node

	revision, connected, contact, refused, frames, deny, loaded, damages, lost *prometheus.Desc
}

func newMetrics(n *Node) *metrics {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("dark_edge_"+name, help, labels, nil)
	}
	return &metrics{
		n:         n,
		revision:  d("view_revision", "Revision that the view is complete to."),
		connected: d("feed_connected", "1 while a control node is connected."),
		contact:   d("feed_last_contact_seconds", "When a control node was heard of last, Unix seconds; 0 never."),
		refused:   d("refused_changes_total", "Changes that could not be compiled."),
		frames:    d("refused_frames_total", "Frames that were refused.", "reason"),
		deny:      d("deny_entries", "Size of the deny set."),
		loaded:    d("start_seconds", "Time from the start to a compiled view."),
		damages:   d("config_damages_total", "Generations of the configuration that were found damaged."),
		lost:      d("config_lost", "1 while both generations were damaged and nothing was told since."),
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
	ch <- prometheus.MustNewConstMetric(m.damages, prometheus.CounterValue, float64(s.Damages))
	ch <- prometheus.MustNewConstMetric(m.refused, prometheus.CounterValue, float64(s.Refused))
	for _, reason := range frame.Reasons() {
		ch <- prometheus.MustNewConstMetric(m.frames, prometheus.CounterValue, float64(s.RefusedFrames[reason]), reason)
	}
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
