package topology

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"govn/pkg/ovsdb"
)

// maxTag is the highest VLAN tag of a nested port (ovn-nb(5), tag).
const maxTag = 4095

// ErrNoTag is returned, wrapped, when all tags of a parent are taken.
var ErrNoTag = errors.New("all VLAN tags of its parent are taken")

// Tags writes Logical_Switch_Port:tag where tag_request asks for it
// (ovn-nb(5)): a request of 0 by a nested port gets the lowest tag that no other
// port of the parent has, and keeps it; another request is copied. Like the
// Allocator it is no part of the compile, and belongs to the goroutine that runs
// the compiler.
//
// It reads nothing but the rows, so a restart changes no tag.
type Tags struct {
	c     *Columns
	nb    *ovsdb.DatabaseSchema
	ports map[ovsdb.UUID]tagged
	used  map[string]map[uint32]int // by parent: how many ports have a tag
	wait  map[ovsdb.UUID]bool       // got none
}

// tagged is the tag that a port has of its parent.
type tagged struct {
	parent string
	tag    uint32
}

// NewTags reads what tags there are.
func NewTags(c *Columns, nb *ovsdb.DatabaseSchema, sn *ovsdb.Snapshot) *Tags {
	t := &Tags{c: c, nb: nb, ports: make(map[ovsdb.UUID]tagged), used: make(map[string]map[uint32]int), wait: make(map[ovsdb.UUID]bool)}
	for row := range sn.Rows(c.LSP.Table) {
		t.note(row.UUID(), row)
	}
	return t
}

// All serves every request: what a start does once.
func (t *Tags) All(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot) error {
	var rows []*ovsdb.Row
	for row := range sn.Rows(t.c.LSP.Table) {
		if t.wants(row) {
			rows = append(rows, row)
		}
	}
	_, err := t.write(ctx, s, rows)
	return err
}

// Follow serves the requests of the commits, and those that waited where a port
// changed. It reports whether it wrote.
func (t *Tags) Follow(ctx context.Context, s *ovsdb.Store, commits []ovsdb.Commit, sn *ovsdb.Snapshot) (bool, error) {
	touched := make(map[ovsdb.UUID]bool)
	freed := false
	for _, commit := range commits {
		for i := range commit.Changes {
			if ch := &commit.Changes[i]; ch.Table == t.c.LSP.Table {
				freed = t.note(ch.UUID, ch.New) || freed
				touched[ch.UUID] = true
			}
		}
	}
	if freed {
		for u := range t.wait {
			touched[u] = true
		}
	}
	var rows []*ovsdb.Row
	for u := range touched {
		if row := sn.Row(t.c.LSP.Table, u); row == nil {
			delete(t.wait, u)
		} else if t.wants(row) {
			rows = append(rows, row)
		}
	}
	return t.write(ctx, s, rows)
}

// note takes in a row as it is now, nil: it is gone. It reports whether a tag
// got free.
func (t *Tags) note(u ovsdb.UUID, row *ovsdb.Row) (freed bool) {
	now := tagged{}
	if row != nil {
		now.parent = t.parent(row)
		if v, ok := row.Opt(t.c.LSP.Tag); ok && now.parent != "" {
			now.tag = uint32(v.(int64))
		}
	}
	old := t.ports[u]
	if old == now {
		return false
	}
	if old.tag != 0 {
		if t.used[old.parent][old.tag]--; t.used[old.parent][old.tag] == 0 {
			delete(t.used[old.parent], old.tag)
			freed = true
		}
		if len(t.used[old.parent]) == 0 {
			delete(t.used, old.parent)
		}
	}
	if now.tag == 0 {
		delete(t.ports, u)
		return freed
	}
	t.ports[u] = now
	if t.used[now.parent] == nil {
		t.used[now.parent] = make(map[uint32]int)
	}
	t.used[now.parent][now.tag]++
	return freed
}

func (t *Tags) parent(row *ovsdb.Row) string {
	if v, ok := row.Opt(t.c.LSP.ParentName); ok {
		return v.(string)
	}
	return ""
}

// wants reports whether a row asks for a tag that it does not have.
func (t *Tags) wants(row *ovsdb.Row) bool {
	request, ok := row.Opt(t.c.LSP.TagRequest)
	if !ok {
		return false
	}
	tag, has := row.Opt(t.c.LSP.Tag)
	if request.(int64) == 0 {
		return !has && t.parent(row) != ""
	}
	return !has || tag != request
}

// free is the lowest tag that no port of the parent has, 0 if there is none.
func (t *Tags) free(parent string) uint32 {
	used := t.used[parent]
	for tag := uint32(1); tag <= maxTag; tag++ {
		if used[tag] == 0 {
			return tag
		}
	}
	return 0
}

// write serves requests in one transaction, in the order of the ports' names.
// The error names the first that got no tag.
func (t *Tags) write(ctx context.Context, s *ovsdb.Store, rows []*ovsdb.Row) (wrote bool, err error) {
	if len(rows) == 0 {
		return false, nil
	}
	slices.SortFunc(rows, func(a, b *ovsdb.Row) int {
		if c := CompareNatural(a.Str(t.c.LSP.Name), b.Str(t.c.LSP.Name)); c != 0 {
			return c
		}
		x, y := a.UUID(), b.UUID()
		return bytes.Compare(x[:], y[:])
	})
	var full error
	_, err = s.Update(ctx, t.nb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, old := range rows {
			u := old.UUID()
			row := tx.Row(t.c.LSP.Table, u)
			if row == nil || !t.wants(row) {
				continue // it changed meanwhile; that commit is still to come
			}
			request, _ := row.Opt(t.c.LSP.TagRequest)
			tag := uint32(request.(int64))
			if tag == 0 {
				tag = t.free(t.parent(row))
			}
			if tag == 0 {
				t.wait[u] = true
				if full == nil {
					full = fmt.Errorf("port %q: %w", row.Str(t.c.LSP.Name), ErrNoTag)
				}
				continue
			}
			delete(t.wait, u)
			tx.SetColumn(t.c.LSP.Table, u, "tag", ovsdb.NewSet(int64(tag)))
			t.note(u, tx.Row(t.c.LSP.Table, u))
			wrote = true
		}
		return tx.Err()
	})
	if err != nil {
		return false, fmt.Errorf("writing tags of ports: %w", err)
	}
	return wrote, full
}
