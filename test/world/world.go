package world

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"govn/northd/southbound"
	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// World makes random changes of a zone and counts what it hit.
type World struct {
	Store    *ovsdb.Store
	Schemas  topology.Schemas
	Columns  *topology.Columns
	Registry *southbound.Registry
	// Acked tells the zone that a chassis has all that it was sent. Set, the
	// world plays chassis hv0 to hv2 as well; nil, real ones are there.
	Acked func(chassis string) error
	// Step waits until the zone has taken in what was committed.
	Step func() error

	// Focus says what changes are about; it may be changed between them.
	Focus Focus

	Hits      map[string]int // changes by column, "T:insert" and "T:delete" for rows
	Deletions int
	Total     int

	ctx  context.Context
	r    *rand.Rand
	next int
	err  error
}

// Focus is what changes are about.
type Focus uint8

const (
	Everything Focus = iota
	Switches         // switches, their ports and chassis
	Routers          // mostly routers and what routers have
)

// Seed makes the changes reproducible; before the first one.
func (w *World) Seed(seed uint64) {
	w.r = rand.New(rand.NewPCG(seed, 2))
	w.Hits = make(map[string]int)
	w.ctx = context.Background()
}

// Report is the counts as text.
func (w *World) Report() string {
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(w.Hits)) {
		lines = append(lines, fmt.Sprintf("%-40s %d", k, w.Hits[k]))
	}
	return fmt.Sprintf("%d changes, %d of them deletions; hits by column:\n%s", w.Total, w.Deletions, strings.Join(lines, "\n"))
}

func (w *World) fail(err error) {
	if w.err == nil && err != nil {
		w.err = err
	}
}

func (w *World) update(db *ovsdb.DatabaseSchema, who ovsdb.Owner, fn func(*ovsdb.Txn) error) {
	if w.err != nil {
		return
	}
	_, err := w.Store.Update(w.ctx, db, who, fn)
	w.fail(err)
	w.step()
}

func (w *World) step() {
	if w.err == nil {
		w.fail(w.Step())
	}
}

func (w *World) nb(fn func(*ovsdb.Txn) error) { w.update(w.Schemas.NB, ovsdb.OwnerClient, fn) }

func (w *World) hit(columns ...string) {
	for _, c := range columns {
		w.Hits[c]++
	}
}

func (w *World) switches() []*ovsdb.Row {
	return slices.SortedFunc(w.Store.Snapshot().Rows(w.Columns.LS.Table), byUUID)
}

func (w *World) ports() []*ovsdb.Row {
	return slices.SortedFunc(w.Store.Snapshot().Rows(w.Columns.LSP.Table), byUUID)
}

func byUUID(a, b *ovsdb.Row) int { return strings.Compare(a.UUID().String(), b.UUID().String()) }

func pickRow(r *rand.Rand, rows []*ovsdb.Row) *ovsdb.Row {
	if len(rows) == 0 {
		return nil
	}
	return rows[r.IntN(len(rows))]
}

// uuid is reproducible, so that a failure is.
func (w *World) uuid() ovsdb.UUID {
	var u ovsdb.UUID
	for i := range u {
		u[i] = byte(w.r.Uint32())
	}
	return u
}

func (w *World) mac() string { return fmt.Sprintf("50:54:00:00:00:%02x", w.r.IntN(24)) }
func (w *World) ip4() string { return fmt.Sprintf("10.0.0.%d", w.r.IntN(24)) }
func (w *World) ip6() string { return fmt.Sprintf("fd00::%x", w.r.IntN(24)) }

func (w *World) address() ovsdb.Atom {
	if w.r.IntN(3) == 0 {
		return w.dynamic()
	}
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

func (w *World) addresses() ovsdb.Set {
	s := ovsdb.NewSet()
	for range w.r.IntN(3) {
		s = s.With(w.address())
	}
	return s
}

func (w *World) security() ovsdb.Set {
	s := ovsdb.NewSet()
	for range w.r.IntN(3) {
		s = s.With([]ovsdb.Atom{w.mac(), w.mac() + " " + w.ip4() + "/24", w.mac() + " " + w.ip4(), w.mac() + " " + w.ip6(),
			w.mac() + " 10.0.0.0/24 fd00::/64", "nonsense"}[w.r.IntN(6)])
	}
	return s
}

func (w *World) options() ovsdb.Map {
	switch w.r.IntN(3) {
	case 0:
		return ovsdb.MapOf("requested-chassis", fmt.Sprint("hv", w.r.IntN(3)), "k", fmt.Sprint(w.r.IntN(5)))
	case 1:
		return ovsdb.MapOf("requested-chassis", fmt.Sprintf("host%d,hv%d", w.r.IntN(4), w.r.IntN(3)))
	}
	return w.providerOptions()
}

// Change makes one random change and steps. More than a third are deletions.
// It says what it did.
func (w *World) Change() (what string, err error) {
	what = w.change()
	return what, w.err
}

func (w *World) change() string {
	w.Total++
	if w.r.IntN(5) < 2 {
		for range 4 { // there may be nothing of that kind to delete
			if what := w.remove(); what != "" {
				w.Deletions++
				return what
			}
		}
	}
	return w.edit()
}

func (w *World) remove() string {
	lsp, ls := &w.Columns.LSP, &w.Columns.LS
	kind := w.r.IntN(16)
	if w.Focus == Switches {
		kind = w.r.IntN(13)
	}
	switch kind {
	case 13, 14, 15:
		return w.unrouting()
	case 0:
		if s := pickRow(w.r, w.switches()); s != nil {
			w.hit("Logical_Switch:delete", "Logical_Switch.ports")
			w.nb(func(tx *ovsdb.Txn) error { tx.Delete(ls.Table, s.UUID()); return tx.Err() })
			return "delete switch " + s.Str(ls.Name)
		}
	case 1, 12:
		var learned []*ovsdb.Row
		for row := range w.Store.Snapshot().Rows(w.Columns.FDB.Table) {
			learned = append(learned, row)
		}
		slices.SortFunc(learned, byUUID)
		if f := pickRow(w.r, learned); f != nil {
			w.hit("FDB:delete")
			w.sb(func(tx *ovsdb.Txn) error { tx.Delete(w.Columns.FDB.Table, f.UUID()); return tx.Err() })
			return "delete learned address"
		}
	case 2:
		if w.Acked == nil {
			return ""
		}
		name := fmt.Sprint("hv", w.r.IntN(3))
		w.hit("Port_Binding.chassis")
		w.Registry.Report(name, &proto.Report{InterfacesGone: w.PortNames()})
		w.step()
		return "all interfaces of " + name + " are gone"
	case 3:
		if p := pickRow(w.r, w.ports()); p != nil {
			cols := []string{"addresses", "port_security", "options", "external_ids", "enabled", "parent_name", "tag", "tag_request"}
			col := cols[w.r.IntN(len(cols))]
			w.hit("Logical_Switch_Port." + col)
			w.nb(func(tx *ovsdb.Txn) error {
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
				w.nb(func(tx *ovsdb.Txn) error { tx.DelFromSet(ls.Table, s.UUID(), "ports", p); return tx.Err() })
				return fmt.Sprint("delete port ", p)
			}
		}
	}
	return ""
}

func (w *World) sb(fn func(*ovsdb.Txn) error) { w.update(w.Schemas.SB, ovsdb.OwnerChassis, fn) }

// PortNames are the names of all ports.
func (w *World) PortNames() []string {
	var names []string
	for _, p := range w.ports() {
		names = append(names, p.Str(w.Columns.LSP.Name))
	}
	return names
}

// routed changes something about routers, as often as the focus says; "" if not.
func (w *World) routed(s *ovsdb.Row) string {
	switch {
	case w.Focus == Switches, w.Focus == Everything && w.r.IntN(2) == 0, w.r.IntN(10) == 0:
		return ""
	}
	switch w.r.IntN(12) {
	case 0:
		return w.neighbours()
	case 1:
		return w.sessions()
	case 2, 3, 4, 5:
		return w.routes()
	case 6, 7, 8:
		return w.gatewaying()
	}
	return w.routing(s)
}

// rarest is the one of the columns of a table that was hit least.
func (w *World) rarest(table string, columns ...string) string {
	slices.Sort(columns)
	return slices.MinFunc(columns, func(a, b string) int { return w.Hits[table+"."+a] - w.Hits[table+"."+b] })
}

func (w *World) edit() string {
	lsp, ls := &w.Columns.LSP, &w.Columns.LS
	s, p := pickRow(w.r, w.switches()), pickRow(w.r, w.ports())
	if s == nil || len(w.switches()) < 4 && w.r.IntN(8) == 0 {
		w.next++
		name := fmt.Sprint("sw", w.next)
		w.hit("Logical_Switch:insert", "Logical_Switch.name")
		u := w.uuid()
		w.nb(func(tx *ovsdb.Txn) error {
			tx.Insert(ls.Table, u, map[string]ovsdb.Value{"name": name})
			return tx.Err()
		})
		return "add switch " + name
	}
	if w.r.IntN(12) == 0 {
		return w.forwarding(s)
	}
	if what := w.routed(s); what != "" {
		return what
	}
	if w.r.IntN(6) == 0 && p != nil {
		if what := w.provider(s, p); what != "" {
			return what
		}
	}
	if w.r.IntN(3) == 0 {
		if what := w.addressing(s, p); what != "" {
			return what
		}
	}
	set := func(col string, v ovsdb.Value) string {
		w.hit("Logical_Switch_Port." + col)
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(lsp.Table, p.UUID(), col, v); return tx.Err() })
		return fmt.Sprintf("set %s of %s to %s", col, p.Str(lsp.Name), v)
	}
	kind := w.r.IntN(17)
	if p == nil || kind == 11 && w.Acked == nil {
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
		return set("type", []string{"", "", "localnet", "localport", "router", "switch", "l2gateway", "virtual", "external", "strange"}[w.r.IntN(10)])
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
		return set("parent_name", ovsdb.NewSet(pickRow(w.r, w.ports()).Str(lsp.Name)))
	case 10:
		w.hit("Logical_Switch.name")
		name := fmt.Sprint("switch", w.r.IntN(10))
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(ls.Table, s.UUID(), "name", name); return tx.Err() })
		return "rename switch to " + name
	case 11:
		return w.chassisSays()
	case 15:
		return set("tag_request", ovsdb.NewSet(int64(w.r.IntN(3))))
	case 16:
		w.hit("Logical_Switch.other_config")
		pass := fmt.Sprint(w.r.IntN(2) == 0)
		w.nb(func(tx *ovsdb.Txn) error {
			tx.PutInMap(ls.Table, s.UUID(), "other_config", "vlan-passthru", pass)
			return tx.Err()
		})
		return "set vlan-passthru to " + pass
	case 12:
		return w.learn()
	case 13:
		to := pickRow(w.r, w.switches())
		w.hit("Logical_Switch.ports")
		w.nb(func(tx *ovsdb.Txn) error { // perhaps into a second switch
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
func (w *World) addPorts(s *ovsdb.Row) string {
	lsp, ls := &w.Columns.LSP, &w.Columns.LS
	w.hit("Logical_Switch_Port:insert", "Logical_Switch.ports", "Logical_Switch_Port.name")
	n := 1 + w.r.IntN(6)
	w.nb(func(tx *ovsdb.Txn) error {
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
func (w *World) chassisSays() string {
	n := w.r.IntN(3)
	name := fmt.Sprint("hv", n)
	w.hit("Chassis.hostname", "Chassis.encaps", "Encap.ip", "Port_Binding.chassis", "Port_Binding.up")
	h := &proto.Hello{Name: name, Hostname: fmt.Sprint("host", w.r.IntN(4)),
		Encaps: []*proto.Encap{{Type: "geneve", Ip: fmt.Sprintf("172.31.%d.%d", n, 1+w.r.IntN(3)), Options: map[string]string{"csum": "true"}}}}
	for _, p := range w.PortNames() {
		if w.r.IntN(3) == 0 {
			h.Interfaces = append(h.Interfaces, &proto.Interface{IfaceId: p, Since: int64(w.Total)})
		}
	}
	w.fail(w.Registry.Hello(name, h))
	w.step()
	w.fail(w.Acked(name))
	w.step()
	return name + " says hello"
}
