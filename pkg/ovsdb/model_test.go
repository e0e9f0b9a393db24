package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is the simplest thing that obeys RFC 7047's commit rules on the tables
// Switch (root; name unique; ports strong; main weak), Port (not root; name
// unique; peers weak) and Needy (root; one: weak, at least one).
type model struct {
	switches map[string]*mSwitch // by key
	ports    map[string]*mPort
	needy    map[string]map[string]bool // key -> switches
}

type mSwitch struct {
	name  string
	ports map[string]bool
	main  string
}

type mPort struct {
	name  string
	peers map[string]bool
}

func (m *model) clone() *model {
	c := &model{map[string]*mSwitch{}, map[string]*mPort{}, map[string]map[string]bool{}}
	for k, s := range m.switches {
		c.switches[k] = &mSwitch{s.name, maps.Clone(s.ports), s.main}
	}
	for k, p := range m.ports {
		c.ports[k] = &mPort{p.name, maps.Clone(p.peers)}
	}
	for k, n := range m.needy {
		c.needy[k] = maps.Clone(n)
	}
	return c
}

// settle applies the rules at commit and returns the error string, or "".
func (m *model) settle() string {
	referred := map[string]bool{}
	for _, s := range m.switches {
		for p := range s.ports {
			if m.ports[p] == nil {
				return ErrReferential
			}
			referred[p] = true
		}
	}
	for p := range m.ports {
		if !referred[p] {
			delete(m.ports, p)
		}
	}
	for _, s := range m.switches {
		if m.ports[s.main] == nil {
			s.main = ""
		}
	}
	for _, p := range m.ports {
		maps.DeleteFunc(p.peers, func(k string, _ bool) bool { return m.ports[k] == nil })
	}
	for _, n := range m.needy {
		maps.DeleteFunc(n, func(k string, _ bool) bool { return m.switches[k] == nil })
		if len(n) == 0 {
			return ErrConstraint
		}
	}
	names := map[string]bool{}
	for _, s := range m.switches {
		if names["s"+s.name] {
			return ErrConstraint
		}
		names["s"+s.name] = true
	}
	for _, p := range m.ports {
		if names["p"+p.name] {
			return ErrConstraint
		}
		names["p"+p.name] = true
	}
	return ""
}

func (m *model) String() string {
	var lines []string
	keys := func(s map[string]bool) string { return fmt.Sprint(slices.Sorted(maps.Keys(s))) }
	for k, s := range m.switches {
		lines = append(lines, fmt.Sprintf("switch %s %s ports=%s main=%s", k, s.name, keys(s.ports), s.main))
	}
	for k, p := range m.ports {
		lines = append(lines, fmt.Sprintf("port %s %s peers=%s", k, p.name, keys(p.peers)))
	}
	for k, n := range m.needy {
		lines = append(lines, fmt.Sprintf("needy %s %s", k, keys(n)))
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}

// keyUUID gives each key of the model a UUID, and back.
func keyUUID(k string) UUID { return UUID(hashOf([]byte(k))).asV4() }

type system struct {
	d     *DatabaseSchema
	s     *Store
	names map[UUID]string
}

func (y *system) uuid(k string) UUID {
	u := keyUUID(k)
	y.names[u] = k
	return u
}

// observe reads a snapshot back as a model.
func (y *system) observe(sn *Snapshot) *model {
	m := (&model{}).clone()
	sw, port, needy := y.d.Table("Switch"), y.d.Table("Port"), y.d.Table("Needy")
	keys := func(s Set) map[string]bool {
		all := map[string]bool{}
		for a := range s.All() {
			all[y.names[a.(UUID)]] = true
		}
		return all
	}
	for r := range sn.Rows(sw) {
		main := ""
		if u, ok := r.Ref(sw.Column("main")); ok {
			main = y.names[u]
		}
		m.switches[y.names[r.UUID()]] = &mSwitch{r.Str(sw.Column("name")), keys(r.Set(sw.Column("ports"))), main}
	}
	for r := range sn.Rows(port) {
		m.ports[y.names[r.UUID()]] = &mPort{r.Str(port.Column("name")), keys(r.Set(port.Column("peers")))}
	}
	for r := range sn.Rows(needy) {
		m.needy[y.names[r.UUID()]] = keys(r.Set(needy.Column("one")))
	}
	return m
}

// step does one random operation on both; it returns false if there is nothing
// to do it on.
func (y *system) step(t *rapid.T, tx *Txn, m *model, n int) {
	sw, port, needy := y.d.Table("Switch"), y.d.Table("Port"), y.d.Table("Needy")
	pick := func(keys []string, label string) string {
		if len(keys) == 0 {
			return ""
		}
		return rapid.SampledFrom(keys).Draw(t, label)
	}
	switches, ports := slices.Sorted(maps.Keys(m.switches)), slices.Sorted(maps.Keys(m.ports))
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "name")
	key := fmt.Sprintf("k%d", n)
	s, p := pick(switches, "switch"), pick(ports, "port")
	switch op := rapid.SampledFrom([]string{"switch", "port", "attach", "attach", "detach", "main", "peer", "rename", "renameport", "delete", "deleteport", "needy", "unneedy", "dangle"}).Draw(t, "op"); {
	case op == "switch":
		m.switches[key] = &mSwitch{name, map[string]bool{}, ""}
		tx.Insert(sw, y.uuid(key), map[string]Value{"name": name})
	case op == "port":
		m.ports[key] = &mPort{name, map[string]bool{}}
		tx.Insert(port, y.uuid(key), map[string]Value{"name": name})
		if s != "" {
			m.switches[s].ports[key] = true
			tx.AddToSet(sw, y.uuid(s), "ports", y.uuid(key))
		}
	case op == "needy" && s != "":
		m.needy[key] = map[string]bool{s: true}
		tx.Insert(needy, y.uuid(key), map[string]Value{"one": y.uuid(s)})
	case op == "unneedy" && len(m.needy) > 0:
		k := pick(slices.Sorted(maps.Keys(m.needy)), "needy")
		delete(m.needy, k)
		tx.Delete(needy, y.uuid(k))
	case op == "dangle" && s != "" && rapid.IntRange(0, 5).Draw(t, "rarely") == 0:
		m.switches[s].ports["nobody"] = true
		tx.AddToSet(sw, y.uuid(s), "ports", y.uuid("nobody"))
	case op == "attach" && s != "" && p != "":
		m.switches[s].ports[p] = true
		tx.AddToSet(sw, y.uuid(s), "ports", y.uuid(p))
	case op == "detach" && s != "" && p != "":
		delete(m.switches[s].ports, p)
		tx.DelFromSet(sw, y.uuid(s), "ports", y.uuid(p))
	case op == "main" && s != "" && p != "":
		m.switches[s].main = p
		tx.SetColumn(sw, y.uuid(s), "main", y.uuid(p))
	case op == "peer" && p != "":
		q := pick(ports, "peer")
		m.ports[p].peers[q] = true
		tx.AddToSet(port, y.uuid(p), "peers", y.uuid(q))
	case op == "rename" && s != "":
		m.switches[s].name = name
		tx.SetColumn(sw, y.uuid(s), "name", name)
	case op == "renameport" && p != "":
		m.ports[p].name = name
		tx.SetColumn(port, y.uuid(p), "name", name)
	case op == "delete" && s != "":
		delete(m.switches, s)
		tx.Delete(sw, y.uuid(s))
	case op == "deleteport" && p != "":
		delete(m.ports, p)
		tx.Delete(port, y.uuid(p))
	}
}

// TestModel runs random transactions on the store and on the model: both refuse
// the same ones with the same error, agree on the state, and the changes that
// subscribers see lead from one state to the next. Restarts lose nothing.
func TestModel(t *testing.T) {
	schema := testSchema(t)
	rapid.Check(t, func(t *rapid.T) {
		engine := NewMemoryEngine()
		y := &system{d: schema, names: make(map[UUID]string)}
		open := func() {
			s, err := Open(context.Background(), engine, []Database{{Schema: schema}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			y.s = s
		}
		open()
		defer func() { y.s.Close() }()
		m := (&model{}).clone()
		n := 0
		for range rapid.IntRange(1, 12).Draw(t, "transactions") {
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				if rapid.Bool().Draw(t, "compact") {
					if err := y.s.Compact(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				if err := y.s.Close(); err != nil {
					t.Fatal(err)
				}
				open()
			}
			next := m.clone()
			before, sub := y.s.SubscribeSnapshot()
			_, err := y.s.Update(context.Background(), schema, OwnerNorthd, func(tx *Txn) error {
				for range rapid.IntRange(1, 8).Draw(t, "operations") {
					n++
					y.step(t, tx, next, n)
					sameInTxn(t, y, tx, next)
				}
				return nil
			})
			if want := next.settle(); (want == "") != (err == nil) || want != "" && !errors.Is(err, &Error{Kind: want}) {
				t.Fatalf("error %v, model %q", err, want)
			}
			if err == nil {
				m = next
			}
			after := y.s.Snapshot()
			if got := y.observe(after).String(); got != m.String() {
				t.Fatalf("\nstore %s\nmodel %s", got, m)
			}
			if err := after.dbs[0].check(); err != nil {
				t.Fatal(err)
			}
			replay(t, schema, before, after, sub)
			sub.Close()
		}
	})
}

// sameInTxn compares what a transaction sees of itself with the model.
func sameInTxn(t *rapid.T, y *system, tx *Txn, m *model) {
	sw, port := y.d.Table("Switch"), y.d.Table("Port")
	names := map[string][]string{}
	for k, s := range m.switches {
		names[s.name] = append(names[s.name], k)
	}
	for _, name := range []string{"a", "b", "c"} {
		r := tx.Lookup(sw, 0, name)
		if (r == nil) != (len(names[name]) == 0) || r != nil && !slices.Contains(names[name], y.names[r.UUID()]) {
			t.Fatalf("lookup of %q: %v, model %v", name, r, names[name])
		}
	}
	count := 0
	for r := range tx.Rows(sw) {
		count++
		if s := m.switches[y.names[r.UUID()]]; s == nil || s.name != r.Str(sw.Column("name")) {
			t.Fatalf("row %v, model %v", r, s)
		}
	}
	if count != len(m.switches) || tx.Len(sw) != count || tx.Len(port) != len(m.ports) {
		t.Fatalf("%d rows, %d, model %d", count, tx.Len(sw), len(m.switches))
	}
	for p := range m.ports {
		want := map[string]bool{}
		for k, s := range m.switches {
			if s.ports[p] {
				want[k] = true
			}
		}
		got := map[string]bool{}
		for u := range tx.Referrers(sw.Column("ports"), y.uuid(p)) {
			got[y.names[u]] = true
		}
		if !maps.Equal(got, want) {
			t.Fatalf("referrers of %s: %v, model %v", p, got, want)
		}
	}
}

// replay applies the commits between two snapshots to the first.
func replay(t *rapid.T, d *DatabaseSchema, before, after *Snapshot, sub *Subscription) {
	rows := make(map[UUID]*Row)
	for _, ts := range d.tables {
		for r := range before.Rows(ts) {
			rows[r.UUID()] = r
		}
	}
	if after.Revision() > before.Revision() {
		commits, err := sub.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			for _, ch := range c.Changes {
				if rows[ch.UUID] != ch.Old {
					t.Fatalf("%s: old is %v, not %v", ch.UUID, ch.Old, rows[ch.UUID])
				}
				if ch.Old != nil && ch.New != nil && ch.Old.Equal(ch.New) {
					t.Fatalf("%v did not change", ch.New)
				}
				if rows[ch.UUID] = ch.New; ch.New == nil {
					delete(rows, ch.UUID)
				}
			}
		}
	}
	n := 0
	for _, ts := range d.tables {
		for r := range after.Rows(ts) {
			if n++; rows[r.UUID()] != r {
				t.Fatalf("%v is not what the changes lead to", r)
			}
		}
	}
	if n != len(rows) {
		t.Fatalf("%d rows, the changes lead to %d", n, len(rows))
	}
}
