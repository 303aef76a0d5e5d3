package consensus

import (
	"context"
	"fmt"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/hashicorp/raft"
)

// Members returns the group's membership as this member last heard it.
func (g *Group) Members() ([]Server, error) {
	f := g.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, err
	}
	var out []Server
	for _, s := range f.Configuration().Servers {
		out = append(out, Server{ID: ServerID(s.ID), Addr: string(s.Address), Learner: s.Suffrage != raft.Voter})
	}
	return out, nil
}

// AddLearner adds a member that gets the log and has no vote. It returns when the
// change is committed, not when the learner has caught up. Leader only.
func (g *Group) AddLearner(ctx context.Context, s Server) error {
	if err := checkServer(s); err != nil {
		return err
	}
	if err := g.addressFree(s); err != nil {
		return err
	}
	return g.change(ctx, "add learner "+string(s.ID), func() raft.Future {
		return g.raft.AddNonvoter(raft.ServerID(s.ID), raft.ServerAddress(s.Addr), 0, timeoutOf(ctx))
	})
}

// addressFree refuses a member whose address another one has: raft would refuse it as well, in
// words that name neither.
func (g *Group) addressFree(s Server) error {
	members, err := g.Members()
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Addr == s.Addr && m.ID != s.ID {
			return errs.New(errs.Conflict, "member %s has the address %s already", m.ID, m.Addr)
		}
	}
	return nil
}

// AddVoter adds a member with a vote, or gives a learner one. Leader only.
func (g *Group) AddVoter(ctx context.Context, s Server) error {
	if err := checkServer(s); err != nil {
		return err
	}
	return g.change(ctx, "add voter "+string(s.ID), func() raft.Future {
		return g.raft.AddVoter(raft.ServerID(s.ID), raft.ServerAddress(s.Addr), 0, timeoutOf(ctx))
	})
}

// Remove takes a member out. Leader only; a leader that removes itself steps down when
// the change is committed.
func (g *Group) Remove(ctx context.Context, id ServerID) error {
	return g.change(ctx, "remove "+string(id), func() raft.Future {
		return g.raft.RemoveServer(raft.ServerID(id), 0, timeoutOf(ctx))
	})
}

// Transfer hands leadership to a voter, "" for the one that is furthest. Leader only.
func (g *Group) Transfer(ctx context.Context, to ServerID) error {
	if to == "" {
		return g.change(ctx, "hand over", g.raft.LeadershipTransfer)
	}
	members, err := g.Members()
	if err != nil {
		return err
	}
	for _, s := range members {
		if s.ID == to && !s.Learner {
			return g.change(ctx, "hand over to "+string(to), func() raft.Future {
				return g.raft.LeadershipTransferToServer(raft.ServerID(to), raft.ServerAddress(s.Addr))
			})
		}
	}
	return errs.New(errs.NotFound, "group %s has no voter %s", g.name, to)
}

func (g *Group) change(ctx context.Context, what string, request func() raft.Future) error {
	if g.raft.State() != raft.Leader {
		return g.notLeader()
	}
	if err := g.await(ctx, func() error { return request().Error() }); err != nil {
		return fmt.Errorf("group %s: %s: %w", g.name, what, err)
	}
	return nil
}

func checkServer(s Server) error {
	if s.ID == "" || s.Addr == "" {
		return errs.New(errs.Invalid, "a member needs an id and an address")
	}
	return nil
}
