package controlplane

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/publisher"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// What is kept: history of 30 days or 100,000 revisions, whichever is more
// (design/settled.md); an import that was never activated, a day.
const (
	historyTime      = 30 * 24 * time.Hour
	historyRevisions = 100_000
	compactStep      = 200 // revisions forgotten in one transaction
	importTime       = 24 * time.Hour
	tidyEvery        = time.Minute
	promoteEvery     = 500 * time.Millisecond
	checksumEvery    = 5 * time.Second
)

// lead runs the controllers while this node leads: each can be stopped at any point,
// and goes on on the next leader.
func (n *Node) lead(ctx context.Context) {
	leading := n.core.group.Leadership()
	now := n.core.group.IsLeader()
	for ctx.Err() == nil {
		if now {
			now = n.control(ctx, leading)
			continue
		}
		select {
		case <-ctx.Done():
		case l, ok := <-leading:
			if !ok {
				return
			}
			now = l
		}
	}
}

// control runs the controllers until leadership is lost or ctx ends.
func (n *Node) control(ctx context.Context, leading <-chan bool) bool {
	ctx, stop := context.WithCancel(ctx)
	var controllers sync.WaitGroup
	defer controllers.Wait()
	defer stop()
	for _, c := range []func(context.Context){
		n.runPublisher, n.runPromote, n.runFeatures, n.runChecksum, n.runTidy,
		n.runDomains, n.runCookies, n.runStorage,
	} {
		controllers.Add(1)
		go func() { defer controllers.Done(); c(ctx) }()
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case l, ok := <-leading:
			if !ok || !l {
				return false
			}
		}
	}
}

// every calls f now and then until ctx ends.
func every(ctx context.Context, d time.Duration, f func(context.Context)) {
	for ctx.Err() == nil {
		f(ctx)
		pause(ctx, d)
	}
}

func (n *Node) runPublisher(ctx context.Context) {
	p := publisher.New(publisher.Config{
		Node: n.core.self.Name, Cluster: n.core.self.ClusterID, Epoch: n.epoch, Key: n.keys.publishing,
		Store: n.core.store, Read: stateReader{n.core.store}.At, Propose: n.core.log,
		Kinds: n.cfg.kinds(), System: n.systemRecords, Wake: n.wake, Clock: n.cfg.Clock, Log: n.cfg.Logger,
	})
	every(ctx, 100*time.Millisecond, func(ctx context.Context) {
		if err := p.Run(ctx); err != nil && ctx.Err() == nil && !n.diskFull() { // watchDisk told of that
			n.cfg.Logger.Error("publisher stopped; it starts again", "err", err)
		}
	})
}

func (n *Node) runPromote(ctx context.Context) { every(ctx, promoteEvery, n.promote) }

// runChecksum has the members compare their rows whenever they pass a thousand entries.
func (n *Node) runChecksum(ctx context.Context) {
	var last uint64
	every(ctx, checksumEvery, func(ctx context.Context) {
		index, hash := n.core.store.Checked()
		if index == last || index == 0 {
			return
		}
		tx := &statev1.Transaction{Origin: n.controller("checksum"), Ops: []*statev1.Op{
			{Op: &statev1.Op_Checksum{Checksum: &statev1.Checksum{Index: index, Hash: hash}}},
		}}
		if _, err := n.core.log.Propose(ctx, tx); err == nil {
			last = index
		}
	})
}

func (n *Node) controller(name string) *statev1.Origin {
	return &statev1.Origin{Who: "controller:" + name + "@" + n.core.self.Name, Method: name}
}

// runTidy forgets old history, unfinished imports and generations that ended.
func (n *Node) runTidy(ctx context.Context) {
	every(ctx, tidyEvery, func(ctx context.Context) {
		for _, tidy := range []func(context.Context) error{
			n.compact, n.sweepImports, n.sweepGenerations,
			n.sweepDenied,
		} {
			if err := tidy(ctx); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Warn("tidy", "err", err)
			}
		}
	})
}

// compact forgets history step by step, so that no step keeps Apply long.
func (n *Node) compact(ctx context.Context) error {
	for ctx.Err() == nil {
		oldest, revision := n.core.store.Oldest(), n.core.store.Revision()
		through, _ := n.core.store.Through()
		to := min(oldest+compactStep, through)
		if revision < historyRevisions || to > revision-historyRevisions || to <= oldest {
			return nil
		}
		c, err := n.core.store.Commits(to-1, 1)
		if err != nil || len(c) == 0 || n.cfg.Clock.Now().Sub(time.Unix(0, c[0].Time)) < historyTime {
			return err
		}
		tx := &statev1.Transaction{
			Origin: n.controller("compact"),
			Ops:    []*statev1.Op{{Op: &statev1.Op_CompactTo{CompactTo: to}}},
		}
		if _, err := n.core.log.Propose(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

const (
	metaImport = "import/" // ORGANIZATION/zones/APEX/GENERATION: Unix seconds of its beginning
	metaFill   = "fill/"   // the same: how far it came
)

// sweepImports drops what imports stored that were never made active.
func (n *Node) sweepImports(ctx context.Context) error {
	names, err := n.core.store.MetaNames(metaImport)
	if err != nil {
		return err
	}
	for _, name := range names {
		value, revision, err := n.core.store.Meta(name)
		if err != nil {
			return err
		}
		began, err := strconv.ParseInt(string(value), 10, 64)
		if err == nil && n.cfg.Clock.Now().Sub(time.Unix(began, 0)) < importTime {
			continue
		}
		org, stored, ok := strings.Cut(strings.TrimPrefix(name, metaImport), "/")
		if !ok {
			continue
		}
		tx := &statev1.Transaction{
			Origin: n.controller("sweep"), Preconditions: []*statev1.Precondition{metaAt(name, revision)},
			Ops: []*statev1.Op{
				dropRecords(org, stored+"/"),
				{Op: &statev1.Op_DeleteMeta{DeleteMeta: name}},
				{Op: &statev1.Op_DeleteMeta{DeleteMeta: metaFill + org + "/" + stored}},
			},
		}
		if _, err := n.core.log.Propose(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

var (
	zoneKind      = string((&dnsv1.Zone{}).ProtoReflect().Descriptor().FullName())
	recordSetKind = string((&dnsv1.RecordSet{}).ProtoReflect().Descriptor().FullName())
)

func dropRecords(org, prefix string) *statev1.Op {
	return &statev1.Op{Op: &statev1.Op_DropPrefix{DropPrefix: &statev1.Ref{
		Kind: recordSetKind, Organization: org,
		Name: prefix,
	}}}
}

// sweepGenerations drops record sets of generations that no kept version of their zone
// names: nobody can read or roll back to them any more.
func (n *Node) sweepGenerations(ctx context.Context) error {
	groups, err := n.core.store.Groups(recordSetKind, 3)
	if err != nil {
		return err
	}
	for _, g := range groups {
		parts := strings.Split(g.Name, "/") // zones, APEX, GENERATION, ""
		if len(parts) < 3 {
			continue
		}
		generation, err := strconv.ParseUint(parts[2], 16, 64)
		if err != nil {
			continue
		}
		marker, _, err := n.core.store.Meta(metaImport + g.Organization + "/" + strings.TrimSuffix(g.Name, "/"))
		if err != nil || marker != nil {
			continue
		}
		named, err := n.generationNamed(g.Organization, parts[0]+"/"+parts[1], generation)
		if err != nil || named {
			continue
		}
		tx := &statev1.Transaction{
			Origin: n.controller("sweep"),
			Ops:    []*statev1.Op{dropRecords(g.Organization, g.Name)},
		}
		if _, err := n.core.log.Propose(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) generationNamed(org, zone string, generation uint64) (bool, error) {
	versions, err := n.core.store.History(zoneKind, org, zone, 0, 1<<20)
	if err != nil {
		return false, err
	}
	for _, v := range versions {
		var z dnsv1.Zone
		if err := proto.Unmarshal(v.Value, &z); err != nil {
			return false, err
		}
		if z.GetStatus().GetGeneration() == generation {
			return true, nil
		}
	}
	return false, nil
}
