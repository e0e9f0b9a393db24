package agent

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/incr"
)

// References that one column gets, or loses, are one operation; what depends on
// its place keeps it.
func TestUnited(t *testing.T) {
	give := func(router string, routes ...string) ovsdb.Operation {
		return mutate("Logical_Router", id(router), "static_routes", ovsdb.MutateOperationInsert, refs(routes...))
	}
	take := func(router string, routes ...string) ovsdb.Operation {
		return mutate("Logical_Router", id(router), "static_routes", ovsdb.MutateOperationDelete, refs(routes...))
	}
	row := func(name string) ovsdb.Operation {
		return insert("Logical_Router_Static_Route", name, ovsdb.Row{"ip_prefix": name})
	}
	key := setKey("Logical_Switch", "s", "other_config", "k", "v")
	gone := (&writer{}).withdraw("p")
	got := united([]ovsdb.Operation{row("a"), give("r1", "a"), take("r1", "x"), row("b"), give("r1", "b"), key[0], key[1], give("r2", "c"), take("r1", "y"), gone, give("r1", "b")})
	want := []ovsdb.Operation{row("a"), row("b"), key[0], key[1], gone, give("r1", "a", "b"), take("r1", "x", "y"), give("r2", "c")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A learned route is nothing that a query looks at, and one that becomes the
// zone's own is.
func TestLearnedRoutesAreNotListed(t *testing.T) {
	b := newBed(t)
	b.zone()
	b.run()
	listed := func(ids map[string]string) int {
		b.set(&nbRoute{UUID: "one", IPPrefix: "12.0.0.0/8", Nexthop: "10.0.1.9", ExternalIDs: ids},
			&nbRouter{UUID: "r1", Name: "r1", Ports: []string{"r1-net-uuid", "r1-ts0-uuid"}, StaticRoutes: setOf([]string{"one"})})
		return b.run()
	}
	learned := map[string]string{keyLearned: "theirs"}
	if n := listed(learned); n != 0 {
		t.Errorf("%d queries ran for a learned route", n)
	}
	advertised := func() bool {
		for k := range b.p.icRoutes.All() {
			if k.prefix == "12.0.0.0/8" {
				return true
			}
		}
		return false
	}
	if listed(nil); !advertised() {
		t.Error("an own route is not advertised")
	}
	if listed(learned); advertised() {
		t.Error("a learned route is advertised")
	}
}

// An element that two rows have is the second one's when the first one loses it, in
// whatever order they got it.
func TestHolders(t *testing.T) {
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		h := newHolders(incr.New(incr.Options{}), "test")
		for _, row := range order {
			h.set(row, nil, []string{"x", "y"})
		}
		h.set("a", nil, []string{"x"}) // again
		if h.holder["x"] != "a" || !slices.Equal(h.all("x"), []string{"a", "b"}) {
			t.Errorf("%v: %q first, all %q", order, h.holder["x"], h.all("x"))
		}
		h.set("a", []string{"x"}, nil)
		h.set("b", []string{"y"}, nil)
		if h.holder["x"] != "b" || h.holder["y"] != "a" || len(h.others) != 0 {
			t.Errorf("%v: x is of %q, y of %q, others %v", order, h.holder["x"], h.holder["y"], h.others)
		}
		h.set("b", []string{"x", "y"}, nil)
		if h.set("a", []string{"y"}, nil); len(h.holder)+len(h.others) != 0 {
			t.Errorf("%v: %v, %v stay", order, h.holder, h.others)
		}
	}
}
