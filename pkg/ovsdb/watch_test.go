package ovsdb

import (
	"slices"
	"testing"
)

// TestWatch: a watcher is told of every commit until it stops.
func TestWatch(t *testing.T) {
	d := testSchema(t)
	s := openTest(t, NewMemoryEngine(), d)
	var a, b []uint64
	now, stop := s.watch(func(c *Commit) { a = append(a, c.Revision) })
	_, stopOther := s.watch(func(c *Commit) { b = append(b, c.Revision) })
	first := now.Revision() + 1
	insert := func() {
		update(t, s, d, func(tx *Txn) { tx.Insert(d.Table("Flow"), UUID{}, nil) })
	}
	insert()
	stop()
	stop()
	insert()
	stopOther()
	insert()
	if !slices.Equal(a, []uint64{first}) || !slices.Equal(b, []uint64{first, first + 1}) {
		t.Errorf("%v, %v; the first commit is %d", a, b, first)
	}
}
