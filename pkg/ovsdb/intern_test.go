package ovsdb

import (
	"strings"
	"testing"
	"unsafe"
)

// TestEqualStringsAreOne: equal strings of different rows share their memory,
// as they come from clients and as they are loaded.
func TestEqualStringsAreOne(t *testing.T) {
	d, e := testSchema(t), NewMemoryEngine()
	s := openTest(t, e, d)
	c := dial(t, serve(t, s, ServerOptions{}))
	for range 2 {
		c.result("transact", `["Test",{"op":"insert","table":"Flow","row":{"match":"ip4.dst == 10.0.0.1"}}]`)
	}
	one := func(s *Store) {
		t.Helper()
		seen := map[*byte]bool{}
		for r := range s.Snapshot().Rows(d.Table("Flow")) {
			seen[unsafe.StringData(r.Str(d.Table("Flow").Column("match")))] = true
		}
		if len(seen) != 1 {
			t.Errorf("%d copies", len(seen))
		}
	}
	one(s)
	one(openTest(t, e, d))
}

func TestInterner(t *testing.T) {
	in := newInterner(2)
	long := strings.Repeat("x", 200)
	for _, s := range []string{"a", "", "b", "c", "a", long, "b", "a"} {
		if got := in.atom(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	var none *interner
	if none.atom("a") != "a" {
		t.Error("nil")
	}
}
