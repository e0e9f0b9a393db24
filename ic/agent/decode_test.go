package agent

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-org/libovsdb/model"

	checked "govn/pkg/ovsdb"
	"govn/schema"
)

// teller makes what a server tells.
type teller struct {
	t      *testing.T
	schema *checked.DatabaseSchema
}

func northboundTeller(t *testing.T) teller {
	db, err := checked.ParseSchema(schema.Northbound().JSON())
	if err != nil {
		t.Fatal(err)
	}
	return teller{t, db}
}

// row is a row of a table with the columns given as name, value.
func (b teller) row(table string, uuid checked.UUID, kind checked.RowKind, columns ...any) checked.RowTold {
	told := checked.RowTold{Table: table, UUID: uuid, Kind: kind}
	for i := 0; i < len(columns); i += 2 {
		c := b.schema.Table(table).Column(columns[i].(string))
		told.Columns = append(told.Columns, checked.ColumnTold{ColumnSchema: c, Value: columns[i+1], Difference: kind == checked.RowChanged && c.Type.Max > 1})
	}
	return told
}

func uuidOf(n int) checked.UUID { return checked.UUID{15: byte(n), 14: byte(n >> 8)} }

func TestDecode(t *testing.T) {
	b := northboundTeller(t)
	d := newDecoder(map[string]model.Model{"Logical_Router": &nbRouter{}, "Logical_Router_Static_Route": &nbRoute{}, "Logical_Router_Port": &nbRouterPort{}})
	policy := "src-ip"
	u := uuidOf(1)
	for _, tt := range []struct {
		name  string
		told  []checked.RowTold
		want  row
		first row // what the first one has made must not change
	}{
		{"new", []checked.RowTold{b.row("Logical_Router_Static_Route", u, checked.RowNew, "ip_prefix", "10.0.0.0/8", "policy", checked.NewSet(policy),
			"external_ids", checked.MapOf("k", "v"), "nexthop", "10.0.0.1")},
			&nbRoute{UUID: u.String(), IPPrefix: "10.0.0.0/8", Policy: &policy, Nexthop: "10.0.0.1", ExternalIDs: map[string]string{"k": "v"}}, nil},
		{"an optional column that is empty, and pairs that go, change and come", []checked.RowTold{
			b.row("Logical_Router_Static_Route", u, checked.RowNew, "policy", checked.NewSet(policy), "external_ids", checked.MapOf("gone", "1", "other", "1", "stays", "1")),
			b.row("Logical_Router_Static_Route", u, checked.RowChanged, "policy", checked.NewSet(), "external_ids", checked.MapOf("gone", "1", "other", "2", "new", "3")),
		}, &nbRoute{UUID: u.String(), ExternalIDs: map[string]string{"other": "2", "stays": "1", "new": "3"}},
			&nbRoute{UUID: u.String(), Policy: &policy, ExternalIDs: map[string]string{"gone": "1", "other": "1", "stays": "1"}}},
		{"elements that go and come", []checked.RowTold{
			b.row("Logical_Router_Port", u, checked.RowNew, "networks", checked.NewSet("b", "a")),
			b.row("Logical_Router_Port", u, checked.RowChanged, "networks", checked.NewSet("a", "c")),
		}, &nbRouterPort{UUID: u.String(), Networks: []string{"b", "c"}}, &nbRouterPort{UUID: u.String(), Networks: []string{"a", "b"}}},
		{"one element", []checked.RowTold{
			b.row("Logical_Router", u, checked.RowNew, "name", "r1", "static_routes", uuidOf(2)),
			b.row("Logical_Router", u, checked.RowChanged, "static_routes", checked.NewSet(uuidOf(2), uuidOf(3))),
		}, &nbRouter{UUID: u.String(), Name: "r1", StaticRoutes: checked.NewSet(uuidOf(3))}, &nbRouter{UUID: u.String(), Name: "r1", StaticRoutes: checked.NewSet(uuidOf(2))}},
		{"gone", []checked.RowTold{b.row("Logical_Router", u, checked.RowNew, "name", "r1"), b.row("Logical_Router", u, checked.RowGone)}, nil, nil},
	} {
		var r, first row
		for i := range tt.told {
			var err error
			if r, err = d.decode(r, &tt.told[i], u.String()); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if i == 0 {
				first = r
			}
		}
		same := cmp.Comparer(checked.Set.Equal)
		if diff := cmp.Diff(tt.want, r, same); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.first, first, same); tt.first != nil && diff != "" {
			t.Errorf("%s: the row before has changed (-want +got)\n%s", tt.name, diff)
		}
	}
}

// A connection that begins anew tells everything: what is gone is gone, and what
// came while there was none is there.
func TestReplicaBeginsAnew(t *testing.T) {
	b := northboundTeller(t)
	woken := 0
	r := &replica{tables: map[string]model.Model{"Logical_Router": &nbRouter{}}, log: slog.New(slog.DiscardHandler), wake: func() { woken++ }}
	named := func(n int, name string) checked.RowTold {
		return b.row("Logical_Router", uuidOf(n), checked.RowNew, "name", name)
	}
	take := func() (list []string) {
		r.take(func(old, now row) {
			text := func(r row) string {
				if r == nil {
					return ""
				}
				return r.(*nbRouter).Name
			}
			list = append(list, text(old)+">"+text(now))
		})
		slices.Sort(list)
		return list
	}
	check := func(want ...string) {
		t.Helper()
		if got := take(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	r.told(checked.RowsTold{First: true, Rows: []checked.RowTold{named(1, "a"), named(2, "b")}})
	check() // not before Follow
	r.begin(nil)
	check(">a", ">b")
	r.told(checked.RowsTold{Rows: []checked.RowTold{b.row("Logical_Router", uuidOf(1), checked.RowChanged, "name", "c"), named(3, "d"), b.row("Logical_Router", uuidOf(3), checked.RowGone)}})
	if woken != 2 {
		t.Errorf("woken %d times, want once for begin and once for a message of three rows", woken)
	}
	check("a>c")
	if n := len(r.lost["Logical_Router"]); n != 0 {
		t.Errorf("%d rows are looked at again each time", n)
	}
	r.end()
	r.told(checked.RowsTold{Rows: []checked.RowTold{named(9, "late")}})
	check()
	if r.rows != nil || r.made != nil {
		t.Error("rows are kept for a connection that has ended")
	}
	r.told(checked.RowsTold{First: true, Rows: []checked.RowTold{named(2, "b"), named(4, "e")}})
	r.begin(nil)
	check(">e", "b>b", "c>")
}

// One route more costs a router with ten thousand what it costs one with a
// hundred: no copy of the column, nor of anything else that grows with it.
func TestOneRouteAmongMany(t *testing.T) {
	few, many := bytesOfOneRoute(t, 100), bytesOfOneRoute(t, 10_000)
	t.Logf("one route more of 100: %d bytes, of 10000: %d", few, many)
	if many > 3*few+4096 { // trees get a little deeper, and maps grow now and then
		t.Errorf("one route more costs a router with 10000 routes %d bytes, with 100 %d", many, few)
	}
}

// bytesOfOneRoute is how much memory an agent takes in hand for one route more.
func bytesOfOneRoute(t *testing.T, n int) uint64 {
	b := northboundTeller(t)
	a, err := newAgent(Options{NB: "unix:nb", SB: "unix:sb", IC: "unix:ic", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a.centre.begun = true
	nb := a.replicas[0]
	route := func(i int) checked.RowTold {
		return b.row("Logical_Router_Static_Route", uuidOf(i), checked.RowNew, "ip_prefix", fmt.Sprintf("10.%d.%d.0/24", i>>8, i&0xff), "nexthop", "10.0.0.1")
	}
	router := uuidOf(0)
	first := checked.RowsTold{First: true}
	var set []checked.Atom
	for i := 1; i <= n; i++ {
		first.Rows = append(first.Rows, route(i))
		set = append(set, uuidOf(i))
	}
	first.Rows = append(first.Rows, b.row("Logical_Router", router, checked.RowNew, "name", "r1", "static_routes", checked.NewSet(set...)))
	nb.told(first)
	a.replicas[1].told(checked.RowsTold{First: true})
	for _, r := range a.replicas {
		r.begin(nil)
	}
	a.step(context.Background())
	one := func(i int) {
		nb.told(checked.RowsTold{Rows: []checked.RowTold{route(i), b.row("Logical_Router", router, checked.RowChanged, "static_routes", checked.NewSet(uuidOf(i)))}})
		a.step(context.Background())
	}
	one(n + 1)
	const times = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range times {
		one(n + 2 + i)
	}
	runtime.ReadMemStats(&after)
	if r := a.in.lr.rows[router.String()]; r == nil || r.StaticRoutes.Len() != n+1+times || a.in.routeAt.holder[uuidOf(n+2).String()] != router.String() {
		t.Fatalf("router %v", r)
	}
	a.w.running.Wait()
	return (after.TotalAlloc - before.TotalAlloc) / times
}
