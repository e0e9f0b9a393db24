package topology

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"govn/pkg/abi"
	"govn/pkg/ovsdb"
)

// KindGroup is the kind of allocated OpenFlow group ids. They have no scope: a
// chassis may have the groups of every datapath.
const KindGroup = "group"

// ErrNoGroup is returned, wrapped, when all group ids are used.
var ErrNoGroup = errors.New("no free OpenFlow group id")

// Groups gives OpenFlow group ids to forwarding groups, one for each switch that
// has one. It is no part of the compile; like an [Allocator] it writes what the
// compile reads. An id is free as soon as its owner is gone: a chassis takes
// groups and the flows that use them in one bundle, and other chassis never see
// the id.
type Groups struct {
	c    *Columns
	db   *ovsdb.DatabaseSchema
	ids  map[ovsdb.UUID]uint32 // by owner
	used map[uint32]bool
	low  uint32 // all ids below are used
}

// NewGroups reads what was allocated before.
func NewGroups(c *Columns, private *ovsdb.DatabaseSchema, sn *ovsdb.Snapshot) *Groups {
	g := &Groups{c: c, db: private, ids: make(map[ovsdb.UUID]uint32), used: make(map[uint32]bool), low: abi.MinAllocatedGroup}
	t := &c.Allocation
	for row := range sn.Rows(t.Table) {
		if row.Str(t.Kind) != KindGroup {
			continue
		}
		owner, _ := row.Ref(t.Owner)
		id := uint32(row.Int(t.Key))
		g.ids[owner], g.used[id] = id, true
	}
	return g
}

// GroupOwner stands for an object of a datapath as the owner of a group id.
func GroupOwner(m Member) ovsdb.UUID {
	h := sha256.Sum256(append(append([]byte("govn group\x00"), m.Row[:]...), m.Elem[:]...))
	u := ovsdb.UUID(h[:16])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}

// All makes the table agree with the whole northbound database. It reports
// whether it wrote.
func (g *Groups) All(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot) (bool, error) {
	want := make(map[ovsdb.UUID]Member)
	for ls := range sn.Rows(g.c.LS.Table) {
		for a := range ls.Set(g.c.LS.ForwardingGroups).All() {
			m := Member{ls.UUID(), a.(ovsdb.UUID)}
			want[GroupOwner(m)] = m
		}
	}
	var gone []ovsdb.UUID
	for owner := range g.ids {
		if _, stays := want[owner]; !stays {
			gone = append(gone, owner)
		}
	}
	return g.write(ctx, s, sn, gone, want)
}

// Follow makes the table agree with the commits. It reports whether it wrote.
func (g *Groups) Follow(ctx context.Context, s *ovsdb.Store, commits []ovsdb.Commit, sn *ovsdb.Snapshot) (bool, error) {
	touched := make(map[Member]bool)
	for _, commit := range commits {
		for i := range commit.Changes {
			ch := &commit.Changes[i]
			if ch.Table != g.c.LS.Table {
				continue
			}
			var old, new ovsdb.Set
			if ch.Old != nil {
				old = ch.Old.Set(g.c.LS.ForwardingGroups)
			}
			if ch.New != nil {
				new = ch.New.Set(g.c.LS.ForwardingGroups)
			}
			removed, added := ovsdb.DiffSets(old, new)
			for _, a := range slices.Concat(removed, added) {
				touched[Member{ch.UUID, a.(ovsdb.UUID)}] = true
			}
		}
	}
	var gone []ovsdb.UUID
	want := make(map[ovsdb.UUID]Member)
	for m := range touched {
		if ls := sn.Row(g.c.LS.Table, m.Row); ls != nil && ls.Set(g.c.LS.ForwardingGroups).Has(m.Elem) {
			want[GroupOwner(m)] = m
		} else {
			gone = append(gone, GroupOwner(m))
		}
	}
	return g.write(ctx, s, sn, gone, want)
}

// write frees ids and gives out others, the lowest first to the group whose name
// sorts first.
func (g *Groups) write(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot, gone []ovsdb.UUID, want map[ovsdb.UUID]Member) (bool, error) {
	gone = slices.DeleteFunc(gone, func(u ovsdb.UUID) bool { return g.ids[u] == 0 })
	maps.DeleteFunc(want, func(u ovsdb.UUID, _ Member) bool { return g.ids[u] != 0 })
	if len(gone)+len(want) == 0 {
		return false, nil
	}
	name := func(u ovsdb.UUID) string {
		if row := sn.Row(g.c.FwdGroup.Table, want[u].Elem); row != nil {
			return row.Str(g.c.FwdGroup.Name)
		}
		return ""
	}
	order := slices.SortedFunc(maps.Keys(want), func(a, b ovsdb.UUID) int {
		return cmp.Or(CompareNatural(name(a), name(b)), a.Compare(b))
	})
	var full error
	t := &g.c.Allocation
	_, err := s.Update(ctx, g.db, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, owner := range gone {
			if row := tx.Lookup(t.Table, 0, KindGroup, "", owner); row != nil {
				tx.Delete(t.Table, row.UUID())
			}
			id := g.ids[owner]
			delete(g.ids, owner)
			delete(g.used, id)
			g.low = min(g.low, id)
		}
		for _, owner := range order {
			id, ok := g.take(owner)
			if !ok {
				full = fmt.Errorf("forwarding group %q: %w", name(owner), ErrNoGroup)
				break
			}
			tx.Insert(t.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"kind": KindGroup, "scope": "", "owner": owner, "key": int64(id), "retired": false})
		}
		return tx.Err()
	})
	if err != nil {
		return false, fmt.Errorf("allocation table: %w", err)
	}
	return true, full
}

// take gives the lowest free id to an owner.
func (g *Groups) take(owner ovsdb.UUID) (uint32, bool) {
	for ; g.low <= abi.MaxAllocatedGroup; g.low++ {
		if !g.used[g.low] {
			g.ids[owner], g.used[g.low] = g.low, true
			return g.low, true
		}
	}
	return 0, false
}
