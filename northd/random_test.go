package northd_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto"
)

var (
	changes = flag.Int("changes", 150, "random northbound changes of TestIncrementalEqualsFull")
	seed    = flag.Uint64("seed", 1, "seed of the random changes")
)

// world makes random changes and counts what it hit.
type world struct {
	*zone
	t       testing.TB
	r       *rand.Rand
	next    int
	hits    map[string]int
	deletes int
	total   int
}

// TestIncrementalEqualsFull makes random changes and compares after each what
// the running compiler came to with what a new process makes of the same
// database (invariants 1 and 2).
func TestIncrementalEqualsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	w := &world{zone: newZone(t, path), t: t, r: rand.New(rand.NewPCG(*seed, 2)), hits: make(map[string]int)}
	for i := range *changes {
		what := w.change()
		got, want := w.dump(), w.full(t, path)
		if got != want {
			t.Fatalf("after change %d (%s):\n%s", i, what, difference(got, want))
		}
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(w.hits)) {
		lines = append(lines, fmt.Sprintf("%-40s %d", k, w.hits[k]))
	}
	t.Logf("%d changes, %d of them deletions; hits by column:\n%s", w.total, w.deletes, strings.Join(lines, "\n"))
	if *changes >= 2000 {
		for k, n := range w.hits {
			if n < 20 {
				t.Errorf("%s was hit only %d times", k, n)
			}
		}
		if w.deletes*3 < w.total {
			t.Errorf("only %d of %d changes were deletions", w.deletes, w.total)
		}
	}
}

// TestMutantsAreNoticed breaks the compiler in small ways: the comparison of
// TestIncrementalEqualsFull must see each of them.
func TestMutantsAreNoticed(t *testing.T) {
	for name, fault := range map[string]func(*topology.Columns) topology.Fault{
		"a read of addresses is not recorded": func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LSP.Addresses} },
		"a read of enabled is not recorded":   func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LSP.Enabled} },
		"a read of a name is not recorded":    func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LS.Name} },
		"a port that leaves is not noticed":   func(c *topology.Columns) topology.Fault { return topology.Fault{SkipLeave: c.LS.Ports} },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "zone.db")
			w := &world{zone: newZone(t, path), t: t, r: rand.New(rand.NewPCG(*seed, 2)), hits: make(map[string]int)}
			w.Program().Reader.Inject(fault(w.columns))
			for i := range 400 {
				w.change()
				if i%4 == 0 && w.dump() != w.full(t, path) {
					return
				}
			}
			t.Error("nobody noticed in 400 changes")
		})
	}
}

func (w *world) hit(columns ...string) {
	for _, c := range columns {
		w.hits[c]++
	}
}

func (w *world) switches() []*ovsdb.Row {
	return slices.SortedFunc(w.store.Snapshot().Rows(w.columns.LS.Table), byUUID)
}

func (w *world) ports() []*ovsdb.Row {
	return slices.SortedFunc(w.store.Snapshot().Rows(w.columns.LSP.Table), byUUID)
}

func byUUID(a, b *ovsdb.Row) int { return strings.Compare(a.UUID().String(), b.UUID().String()) }

func pickRow(r *rand.Rand, rows []*ovsdb.Row) *ovsdb.Row {
	if len(rows) == 0 {
		return nil
	}
	return rows[r.IntN(len(rows))]
}

// uuid is reproducible, so that a failure is.
func (w *world) uuid() ovsdb.UUID {
	var u ovsdb.UUID
	for i := range u {
		u[i] = byte(w.r.Uint32())
	}
	return u
}

func (w *world) mac() string { return fmt.Sprintf("50:54:00:00:00:%02x", w.r.IntN(24)) }
func (w *world) ip4() string { return fmt.Sprintf("10.0.0.%d", w.r.IntN(24)) }
func (w *world) ip6() string { return fmt.Sprintf("fd00::%x", w.r.IntN(24)) }

func (w *world) address() ovsdb.Atom {
	switch w.r.IntN(10) {
	case 0:
		return "unknown"
	case 1:
		return w.mac()
	case 2:
		return w.mac() + " " + w.ip4() + " " + w.ip6()
	case 3:
		return w.mac() + " " + w.ip6()
	case 4:
		return w.mac() + " 10.0.0.999" // cannot be used
	}
	return w.mac() + " " + w.ip4()
}

func (w *world) addresses() ovsdb.Set {
	s := ovsdb.NewSet()
	for range w.r.IntN(3) {
		s = s.With(w.address())
	}
	return s
}

func (w *world) security() ovsdb.Set {
	s := ovsdb.NewSet()
	for range w.r.IntN(3) {
		s = s.With([]ovsdb.Atom{w.mac(), w.mac() + " " + w.ip4() + "/24", w.mac() + " " + w.ip4(), w.mac() + " " + w.ip6(),
			w.mac() + " 10.0.0.0/24 fd00::/64", "nonsense"}[w.r.IntN(6)])
	}
	return s
}

func (w *world) options() ovsdb.Map {
	return ovsdb.MapOf("requested-chassis", fmt.Sprint("hv", w.r.IntN(3)), "k", fmt.Sprint(w.r.IntN(5)))
}

// change makes one random change and runs a round. A third are deletions.
func (w *world) change() string {
	w.total++
	if w.r.IntN(5) < 2 {
		if what := w.remove(); what != "" {
			w.deletes++
			return what
		}
	}
	return w.edit()
}

func (w *world) remove() string {
	lsp, ls := &w.columns.LSP, &w.columns.LS
	switch w.r.IntN(12) {
	case 0:
		if s := pickRow(w.r, w.switches()); s != nil {
			w.hit("Logical_Switch:delete", "Logical_Switch.ports")
			w.nb(w.t, func(tx *ovsdb.Txn) error { tx.Delete(ls.Table, s.UUID()); return tx.Err() })
			return "delete switch " + s.Str(ls.Name)
		}
	case 1:
		var learned []*ovsdb.Row
		for row := range w.store.Snapshot().Rows(w.columns.FDB.Table) {
			learned = append(learned, row)
		}
		slices.SortFunc(learned, byUUID)
		if f := pickRow(w.r, learned); f != nil {
			w.hit("FDB:delete")
			w.sb(func(tx *ovsdb.Txn) error { tx.Delete(w.columns.FDB.Table, f.UUID()); return tx.Err() })
			return "delete learned address"
		}
	case 2:
		name := fmt.Sprint("hv", w.r.IntN(3))
		w.hit("Port_Binding.chassis")
		w.registry.Report(name, &proto.Report{InterfacesGone: w.portNames()})
		w.step(w.t)
		return "all interfaces of " + name + " are gone"
	case 3:
		if p := pickRow(w.r, w.ports()); p != nil {
			cols := []string{"addresses", "port_security", "options", "external_ids", "enabled", "parent_name", "tag"}
			col := cols[w.r.IntN(len(cols))]
			w.hit("Logical_Switch_Port." + col)
			w.nb(w.t, func(tx *ovsdb.Txn) error {
				var v ovsdb.Value = ovsdb.NewSet()
				if col == "options" || col == "external_ids" {
					v = ovsdb.MapOf()
				}
				tx.SetColumn(lsp.Table, p.UUID(), col, v)
				return tx.Err()
			})
			return "clear " + col + " of port " + p.Str(lsp.Name)
		}
	default:
		if s := pickRow(w.r, w.switches()); s != nil {
			for p := range s.Set(ls.Ports).All() {
				w.hit("Logical_Switch_Port:delete", "Logical_Switch.ports")
				w.nb(w.t, func(tx *ovsdb.Txn) error { tx.DelFromSet(ls.Table, s.UUID(), "ports", p); return tx.Err() })
				return fmt.Sprint("delete port ", p)
			}
		}
	}
	return ""
}

func (w *world) sb(fn func(*ovsdb.Txn) error) {
	w.t.Helper()
	if _, err := w.store.Update(w.ctx, w.schemas.SB, ovsdb.OwnerChassis, fn); err != nil {
		w.t.Fatal(err)
	}
	w.step(w.t)
}

func (w *world) portNames() []string {
	var names []string
	for _, p := range w.ports() {
		names = append(names, p.Str(w.columns.LSP.Name))
	}
	return names
}

func (w *world) edit() string {
	lsp, ls := &w.columns.LSP, &w.columns.LS
	s, p := pickRow(w.r, w.switches()), pickRow(w.r, w.ports())
	if s == nil || len(w.switches()) < 4 && w.r.IntN(8) == 0 {
		w.next++
		name := fmt.Sprint("sw", w.next)
		w.hit("Logical_Switch:insert", "Logical_Switch.name")
		u := w.uuid()
		w.nb(w.t, func(tx *ovsdb.Txn) error {
			tx.Insert(ls.Table, u, map[string]ovsdb.Value{"name": name})
			return tx.Err()
		})
		return "add switch " + name
	}
	set := func(col string, v ovsdb.Value) string {
		w.hit("Logical_Switch_Port." + col)
		w.nb(w.t, func(tx *ovsdb.Txn) error { tx.SetColumn(lsp.Table, p.UUID(), col, v); return tx.Err() })
		return fmt.Sprintf("set %s of %s to %s", col, p.Str(lsp.Name), valueText(v))
	}
	kind := w.r.IntN(15)
	if p == nil {
		kind = 0
	}
	switch kind {
	case 1:
		return set("addresses", w.addresses())
	case 2:
		return set("port_security", w.security())
	case 3:
		return set("enabled", ovsdb.NewSet(w.r.IntN(2) == 0))
	case 4:
		return set("type", []string{"", "", "router", "strange"}[w.r.IntN(4)])
	case 5:
		w.next++
		return set("name", fmt.Sprint("renamed", w.next))
	case 6:
		return set("options", w.options())
	case 7:
		return set("external_ids", ovsdb.MapOf("neutron:port_name", fmt.Sprint("n", w.r.IntN(5))))
	case 8:
		return set("tag", ovsdb.NewSet(int64(1+w.r.IntN(100))))
	case 9:
		return set("parent_name", ovsdb.NewSet(fmt.Sprint("parent", w.r.IntN(3))))
	case 10:
		w.hit("Logical_Switch.name")
		name := fmt.Sprint("switch", w.r.IntN(10))
		w.nb(w.t, func(tx *ovsdb.Txn) error { tx.SetColumn(ls.Table, s.UUID(), "name", name); return tx.Err() })
		return "rename switch to " + name
	case 11:
		return w.chassisSays()
	case 12:
		w.hit("FDB:insert", "FDB.mac", "FDB.dp_key", "FDB.port_key")
		w.registry.Report("hv0", &proto.Report{FdbPut: []*proto.FdbEntry{{Datapath: uint32(1 + w.r.IntN(3)),
			Mac: uint64(w.r.IntN(8)), Port: uint32(1 + w.r.IntN(5))}}})
		w.step(w.t)
		return "learn an address"
	case 13:
		to := pickRow(w.r, w.switches())
		w.hit("Logical_Switch.ports")
		w.nb(w.t, func(tx *ovsdb.Txn) error { // perhaps into a second switch
			if w.r.IntN(3) > 0 {
				for u := range tx.Referrers(ls.Ports, p.UUID()) {
					tx.DelFromSet(ls.Table, u, "ports", p.UUID())
					break
				}
			}
			tx.AddToSet(ls.Table, to.UUID(), "ports", p.UUID())
			return tx.Err()
		})
		return "move a port"
	}
	return w.addPorts(s)
}

// addPorts adds up to six ports in one transaction: fewer changes add than
// delete, and the zone should not stay empty.
func (w *world) addPorts(s *ovsdb.Row) string {
	lsp, ls := &w.columns.LSP, &w.columns.LS
	w.hit("Logical_Switch_Port:insert", "Logical_Switch.ports", "Logical_Switch_Port.name")
	n := 1 + w.r.IntN(6)
	w.nb(w.t, func(tx *ovsdb.Txn) error {
		for range n {
			w.next++
			u := w.uuid()
			tx.Insert(lsp.Table, u, map[string]ovsdb.Value{"name": fmt.Sprint("vm", w.next), "addresses": w.addresses(), "port_security": w.security()})
			tx.AddToSet(ls.Table, s.UUID(), "ports", u)
		}
		return tx.Err()
	})
	return fmt.Sprint("add ", n, " ports")
}

// chassisSays lets a chassis register, claim a port, or acknowledge.
func (w *world) chassisSays() string {
	n := w.r.IntN(3)
	name := fmt.Sprint("hv", n)
	w.hit("Chassis.hostname", "Chassis.encaps", "Encap.ip", "Port_Binding.chassis", "Port_Binding.up")
	h := &proto.Hello{Name: name, Hostname: fmt.Sprint("host", w.r.IntN(4)),
		Encaps: []*proto.Encap{{Type: "geneve", Ip: fmt.Sprintf("172.31.%d.%d", n, 1+w.r.IntN(3)), Options: map[string]string{"csum": "true"}}}}
	for _, p := range w.portNames() {
		if w.r.IntN(3) == 0 {
			h.Interfaces = append(h.Interfaces, &proto.Interface{IfaceId: p, Since: int64(w.total)})
		}
	}
	if err := w.registry.Hello(name, h); err != nil {
		w.t.Fatal(err)
	}
	w.step(w.t)
	if err := w.progress.Applied(name, w.last.Revision, w.at()); err != nil {
		w.t.Fatal(err)
	}
	w.step(w.t)
	return name + " says hello"
}
