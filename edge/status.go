package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dark-ecosystem/dark/edge/config"
)

// Status is what a node knows of itself.
type Status struct {
	Name string
	// Revision that the view is complete to.
	Revision uint64
	// Connected to a control node now, and when one was heard of last, restarts included.
	Connected   bool
	LastContact time.Time
	// Refused counts changes that could not be compiled, RefusedFrames frames by reason.
	Refused       uint64
	RefusedFrames map[string]uint64
	DenyEntries   int
	// Damages counts the generations of the configuration that were found damaged since the
	// start. Lost: both were, and no control node has told everything again since.
	Damages uint64
	Lost    bool
	// Failed names the services that are not served, as their files are damaged.
	Failed []string
	// Loaded is how long the start took until the view was compiled.
	Loaded time.Duration
}

// Status returns the node's.
func (n *Node) Status() Status {
	return Status{
		Name: n.cfg.Name, Revision: n.view.Revision(),
		Connected: n.config.Connected(), LastContact: n.config.LastContact(),
		Refused: n.view.Refused(), RefusedFrames: n.config.RefusedFrames(), DenyEntries: n.config.DenyEntries(),
		Damages: n.config.Damages(), Lost: n.config.Lost(), Failed: n.failed, Loaded: n.loaded,
	}
}

// Ready says why the node should get no requests; nil when it serves what it was told, and its
// store takes writes.
// A control plane is not needed for it.
func (n *Node) Ready() error {
	n.mu.Lock()
	serving := n.mu.serving
	n.mu.Unlock()
	for _, p := range n.parts {
		if p.Ready == nil || !serving {
			continue
		}
		if err := p.Ready(); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	switch {
	case !serving:
		return errors.New("the node is not serving")
	case n.view.Revision() == 0 && n.config.Lost():
		return errors.New("both generations of the configuration were damaged, and no control node has told it again " +
			"yet")
	case n.view.Revision() == 0:
		return errors.New("the node has no configuration yet: it has not reached a control node since it joined")
	}
	return nil
}

// ends is when the first key that a part was given ends; the zero time for never.
func (n *Node) ends() time.Time {
	var first time.Time
	for _, p := range n.parts {
		if p.Ends == nil {
			continue
		}
		if t := p.Ends(); !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Revision that the view is complete to.
func (n *Node) Revision() uint64 { return n.view.Revision() }

// WaitRevision returns when the view is complete to a revision, or with ctx's error.
func (n *Node) WaitRevision(ctx context.Context, revision uint64) error {
	return n.config.WaitRevision(ctx, revision)
}

// Denied reports whether a credential was revoked. It takes no lock.
func (n *Node) Denied(subject string) bool { return n.config.Denied(subject) }

// Submit carries out an end user's write at a control node; see config.Config.Submit.
func (n *Node) Submit(ctx context.Context, r config.Request) (response []byte, revision uint64, err error) {
	return n.config.Submit(ctx, r)
}
