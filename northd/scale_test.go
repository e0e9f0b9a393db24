package northd_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/ovsdb"
)

// fill makes switches with ports, each with port security, in one transaction a
// switch.
func (z *zone) fill(t testing.TB, switches, ports int) {
	t.Helper()
	for s := range switches {
		_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
			refs := make([]ovsdb.Atom, ports)
			for p := range ports {
				a := fmt.Sprintf("0a:%02x:%02x:%02x:%02x:01 10.%d.%d.%d", s>>8, s&255, p>>8, p&255, s&255, p>>8, p&255)
				refs[p] = tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
					"name": fmt.Sprintf("p%d-%d", s, p), "addresses": ovsdb.NewSet(a), "port_security": ovsdb.NewSet(a)})
			}
			tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": fmt.Sprint("sw", s), "ports": ovsdb.NewSet(refs...)})
			return tx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	z.step(t)
}

// addPort adds a port to a switch as a client does; no round.
func (z *zone) addPort(t testing.TB, ls ovsdb.UUID, i int) ovsdb.UUID {
	t.Helper()
	var u ovsdb.UUID
	_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		a := fmt.Sprintf("0e:00:00:%02x:%02x:%02x 10.9.%d.%d", i>>16&255, i>>8&255, i&255, i>>8&255, i&255)
		u = tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": fmt.Sprint("new", i), "addresses": ovsdb.NewSet(a), "port_security": ovsdb.NewSet(a)})
		tx.AddToSet(z.columns.LS.Table, ls, "ports", u)
		return tx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (z *zone) firstSwitch(t testing.TB) ovsdb.UUID {
	t.Helper()
	for row := range z.store.Snapshot().Rows(z.columns.LS.Table) {
		return row.UUID()
	}
	t.Fatal("no switch")
	return ovsdb.UUID{}
}

// TestQueriesOfOnePort counts what one port costs: the same on a zone of many
// small switches and of one large one (architecture, rule 9 of the compiler).
func TestQueriesOfOnePort(t *testing.T) {
	type cost struct{ add, change, remove int }
	var costs []cost
	for _, size := range [][2]int{{2, 3}, {100, 50}, {1, 30000}} {
		z := newZone(t, "")
		z.fill(t, size[0], size[1])
		ls := z.firstSwitch(t)
		var c cost
		u := z.addPort(t, ls, 1)
		z.step(t)
		c.add = z.last.Executed
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.SetColumn(z.columns.LSP.Table, u, "addresses", ovsdb.NewSet("0e:00:00:00:00:77 10.9.9.9"))
			return tx.Err()
		})
		c.change = z.last.Executed
		z.nb(t, func(tx *ovsdb.Txn) error { tx.DelFromSet(z.columns.LS.Table, ls, "ports", u); return tx.Err() })
		c.remove = z.last.Executed
		t.Logf("%d x %d: %+v queries", size[0], size[1], c)
		costs = append(costs, c)
	}
	if slices.ContainsFunc(costs, func(c cost) bool { return c != costs[0] || c.add == 0 || c.change == 0 }) {
		t.Errorf("the cost of a port depends on the size of the zone: %+v", costs)
	}
}

// TestQueriesOnFullSwitch changes a port of a switch that has more ports than
// there are keys (15 bits, ovn-sb(5)): the others cost nothing, and those
// without a key are named.
func TestQueriesOnFullSwitch(t *testing.T) {
	var costs []int
	for _, ports := range []int{50, 50_000} {
		z := newZone(t, "")
		z.fill(t, 1, ports)
		if got, want := len(z.Program().Engine.Errors()), max(0, ports-abi.MaxPortKey); got != want {
			t.Errorf("%d ports: %d cannot be used, want %d", ports, got, want)
		}
		port := z.store.Snapshot().Lookup(z.columns.LSP.Table, 0, "p0-7")
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.SetColumn(z.columns.LSP.Table, port.UUID(), "addresses", ovsdb.NewSet("0e:00:00:00:00:77 10.9.9.9"))
			return tx.Err()
		})
		costs = append(costs, z.last.Executed)
		if ports <= abi.MaxPortKey {
			continue
		}
		// A key that becomes free goes to the port that waits longest.
		ls := z.firstSwitch(t)
		key := func(name string) int64 {
			row := z.store.Snapshot().Lookup(z.columns.LSP.Table, 0, name)
			if row := z.store.Snapshot().Lookup(z.columns.Allocation.Table, 0, topology.KindPort, ls.String(), row.UUID()); row != nil {
				return row.Int(z.columns.Allocation.Key)
			}
			return 0
		}
		freed := key("p0-7")
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.DelFromSet(z.columns.LS.Table, ls, "ports", port.UUID())
			return tx.Err()
		})
		z.nb(t, func(tx *ovsdb.Txn) error { // one more round: keys rest
			tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "another"})
			return tx.Err()
		})
		if got := key(fmt.Sprintf("p0-%d", abi.MaxPortKey)); got != freed {
			t.Errorf("the first in the queue has the key %d, not the free one, %d", got, freed)
		}
	}
	if costs[0] != costs[1] || costs[0] == 0 {
		t.Errorf("the cost of a port depends on the size of its switch: %v queries", costs)
	}
}

// TestNodesReturn creates and deletes everything: the engine is as small as
// before (rule 7 of the compiler).
func TestNodesReturn(t *testing.T) {
	z := newZone(t, "")
	z.step(t)
	count := func() [2]int {
		st := z.Program().Engine.Stats()
		return [2]int{st.Nodes, st.Edges}
	}
	var before [2]int
	for i := range 3 {
		z.fill(t, 5, 20)
		z.nb(t, func(tx *ovsdb.Txn) error {
			var all []ovsdb.UUID
			for row := range tx.Rows(z.columns.LS.Table) {
				all = append(all, row.UUID())
			}
			for _, u := range all {
				tx.Delete(z.columns.LS.Table, u)
			}
			return tx.Err()
		})
		switch now := count(); {
		case i == 0:
			before = now
		case now != before:
			t.Fatalf("after everything was deleted there are %v nodes and edges, %v before", now, before)
		}
		if n := len(z.fabric.items) + len(z.fabric.bodies); n != 0 {
			t.Fatalf("%d items and bodies are left", n)
		}
	}
}

// BenchmarkAddPort compiles one port more, on zones of different shapes. A
// switch has at most 32,767 ports: a port key on the wire has 15 bits.
func BenchmarkAddPort(b *testing.B) {
	for _, size := range [][2]int{{100, 50}, {1, 32000}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			z := newZone(b, "")
			z.fill(b, size[0], size[1])
			ls := z.firstSwitch(b)
			var took time.Duration
			n := 0
			for b.Loop() {
				z.addPort(b, ls, n)
				z.step(b)
				took += z.last.Took
				n++
			}
			b.ReportMetric(float64(took.Microseconds())/float64(n), "µs/round")
		})
	}
}

// BenchmarkColdStart compiles a zone from scratch.
func BenchmarkColdStart(b *testing.B) {
	for b.Loop() {
		z := newZone(b, "")
		z.fill(b, 500, 50)
		st := z.Program().Engine.Stats()
		b.ReportMetric(float64(st.Nodes), "nodes")
		b.ReportMetric(float64(st.Bytes)/float64(st.Nodes), "B/node")
	}
}
