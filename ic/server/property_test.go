package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"govn/pkg/interconnect"
	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// expected is what a zone is to know by what the databases say, without the hub.
func (b *bed) expected(viewer string, id string) (list []string) {
	c, sn := b.columns, b.store.Snapshot()
	strict := c.strictIn(sn)
	ids := make(map[ovsdb.UUID]string)
	for row := range sn.Rows(c.record.table) {
		u, _ := row.Ref(c.record.zone)
		ids[u] = row.Str(c.record.id)
	}
	names := make(map[ovsdb.UUID]string)
	for row := range sn.Rows(c.zone.table) {
		names[row.UUID()] = row.Str(c.zone.name)
	}
	keys := make(map[string]int64)
	for row := range sn.Rows(c.datapath.table) {
		keys[row.Str(c.datapath.transit)] = row.Int(c.datapath.key)
	}
	open := func(transit, name, id string) bool {
		return keys[transit] != 0 && c.mayJoin(sn, transit, name, id) == ""
	}
	meet := func(zone ovsdb.UUID) bool {
		if !strict || names[zone] == viewer {
			return true
		}
		for transit := range keys {
			if open(transit, viewer, id) && open(transit, names[zone], ids[zone]) {
				return true
			}
		}
		return false
	}
	for row := range sn.Rows(c.zone.table) {
		if meet(row.UUID()) {
			list = append(list, fmt.Sprintf("zone %s %s", names[row.UUID()], ids[row.UUID()]))
		}
	}
	for row := range sn.Rows(c.transit.table) {
		if name := row.Str(c.transit.name); open(name, viewer, id) {
			list = append(list, fmt.Sprintf("switch %s key %d", name, keys[name]))
		}
	}
	for row := range sn.Rows(c.gateway.table) {
		zone, _ := row.Ref(c.gateway.zone)
		var encaps []string
		for u := range row.Set(c.gateway.encaps).All() {
			e := sn.Row(c.encap.table, u.(ovsdb.UUID))
			encaps = append(encaps, e.Str(c.encap.kind)+":"+e.Str(c.encap.ip))
		}
		if meet(zone) {
			list = append(list, fmt.Sprintf("gateway %s %s of %s", row.Str(c.gateway.name), encaps, zone))
		}
	}
	shared := func(transit string, zone ovsdb.UUID) bool {
		return open(transit, viewer, id) && open(transit, names[zone], ids[zone])
	}
	for row := range sn.Rows(c.port.table) {
		zone, _ := row.Ref(c.port.zone)
		if transit := row.Str(c.port.transit); shared(transit, zone) {
			list = append(list, fmt.Sprintf("port %s on %s key %d at %s %s of %s", row.Str(c.port.name), transit, row.Int(c.port.key), row.Str(c.port.gateway), row.Str(c.port.address), zone))
		}
	}
	for row := range sn.Rows(c.route.table) {
		zone, _ := row.Ref(c.route.zone)
		if transit := row.Str(c.route.transit); shared(transit, zone) {
			list = append(list, fmt.Sprintf("route %s,%s,%s,%s %s of %s", transit, row.Str(c.route.routeTable), row.Str(c.route.prefix), row.Str(c.route.nexthop), row.Str(c.route.origin), zone))
		}
	}
	slices.Sort(list)
	return list
}

// TestEveryViewIsTheDatabases: whatever zones publish and OVSDB clients write,
// whoever comes and goes, each zone knows exactly what the databases have for it,
// and the databases have what was published and may be.
func TestEveryViewIsTheDatabases(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBed(t, CentreOptions{Lease: time.Hour, MaxBacklog: rapid.IntRange(1, 20).Draw(t, "backlog")})
		defer b.close()
		var zones []*fake
		for i := range 3 {
			zones = append(zones, newFake(t, i+1))
		}
		defer func() {
			for _, f := range zones {
				f.disconnect()
			}
		}()
		switches := []string{"ts1", "ts2"}
		transit := rapid.SampledFrom(append(switches, "ts3"))
		list := rapid.SampledFrom([]string{"-", "", "zone1,zone2", "zone2 stock", "aa030000000000000000000000000000,renamed1", "zone1,zone3"})
		stock := ovsdb.NewUUID()
		publish := func(f *fake, whole bool) {
			p := &ic.Publish{Whole: whole}
			for range rapid.IntRange(0, 4).Draw(t, "things") {
				n := rapid.IntRange(0, 3).Draw(t, "number")
				gone := !whole && rapid.Bool().Draw(t, "gone")
				switch rapid.IntRange(0, 2).Draw(t, "kind") {
				case 0:
					g := gatewayNamed(fmt.Sprint("gw", n), fmt.Sprint("203.0.113.", rapid.IntRange(1, 3).Draw(t, "ip")))
					if gone {
						p.GoneGateways = append(p.GoneGateways, g.Name)
					} else {
						p.Gateways = append(p.Gateways, g)
					}
				case 1:
					o := portOn(fmt.Sprint("port", n), transit.Draw(t, "switch"))
					if gone {
						p.GonePorts = append(p.GonePorts, o.Name)
					} else {
						p.Ports = append(p.Ports, o)
					}
				case 2:
					r := routeTo(fmt.Sprintf("10.%d.0.0/16", n), transit.Draw(t, "switch"))
					if gone {
						p.GoneRoutes = append(p.GoneRoutes, r.Key)
					} else {
						p.Routes = append(p.Routes, r)
					}
				}
			}
			f.publish(p)
		}
		whole := make(map[*fake]bool)
		check := func() {
			for _, f := range zones {
				if f.conn == nil {
					continue
				}
				var got, want []string
				f.mu.Lock()
				name := f.name
				f.mu.Unlock()
				same := 0
				tick := time.NewTicker(200 * time.Microsecond)
				for limit := time.Now().Add(10 * time.Second); same < 2 && time.Now().Before(limit); <-tick.C {
					f.mu.Lock()
					got = f.lines()
					f.mu.Unlock()
					for i, l := range got {
						got[i] = strings.TrimRight(l, " ")
					}
					want = b.expected(name, fmt.Sprintf("%x", f.id))
					for i, l := range want {
						want[i] = strings.TrimRight(l, " ")
					}
					if same++; !slices.Equal(got, want) {
						same = 0
					}
				}
				tick.Stop()
				if same < 2 {
					t.Fatalf("%s knows\n  %s\nthe databases have\n  %s", name, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
				}
			}
			seen := make(map[string]bool)
			c, sn := b.columns, b.store.Snapshot()
			for row := range sn.Rows(c.datapath.table) {
				if k := fmt.Sprint("switch ", row.Int(c.datapath.key)); seen[k] || row.Int(c.datapath.key) < interconnect.MinTransitKey {
					t.Fatalf("the key of %s is given twice, or too low", k)
				} else {
					seen[k] = true
				}
			}
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			f := rapid.SampledFrom(zones).Draw(t, "zone")
			switch rapid.IntRange(0, 10).Draw(t, "step") {
			case 0, 1, 2:
				if f.conn == nil {
					f.connect(b)
					whole[f] = false
				}
				publish(f, !whole[f] || rapid.IntRange(0, 3).Draw(t, "whole") == 0)
				whole[f] = true
			case 3:
				f.disconnect()
			case 4:
				b.addSwitchIf(transit.Draw(t, "switch"), list.Draw(t, "list"))
			case 5:
				b.delSwitch(transit.Draw(t, "switch"))
			case 6:
				name := transit.Draw(t, "switch")
				if b.store.Snapshot().Lookup(b.columns.transit.table, byName, name) != nil {
					b.configure(name, list.Draw(t, "list"))
				}
			case 7:
				b.strict(rapid.Bool().Draw(t, "strict"))
			case 8: // a zone of OVN
				name, n := transit.Draw(t, "switch"), rapid.IntRange(0, 3).Draw(t, "number")
				b.write(b.columns.sb, func(tx *ovsdb.Txn) {
					c := b.columns
					if tx.Row(c.zone.table, stock) == nil {
						tx.Insert(c.zone.table, stock, map[string]ovsdb.Value{"name": "stock"})
					}
					prefix := fmt.Sprintf("10.%d.0.0/16", n)
					if row := tx.Lookup(c.route.table, byRoute, name, stock, "", prefix, "169.254.100.9"); row != nil {
						tx.Delete(c.route.table, row.UUID())
					} else {
						tx.Insert(c.route.table, ovsdb.UUID{}, map[string]ovsdb.Value{"transit_switch": name, "availability_zone": stock,
							"ip_prefix": prefix, "nexthop": "169.254.100.9", "origin": "static"})
					}
				})
			case 9:
				for _, f := range zones {
					f.disconnect()
				}
				b.restart()
			case 10:
				if f.conn != nil && whole[f] {
					name := rapid.SampledFrom([]string{f.name, "renamed" + f.name[len(f.name)-1:]}).Draw(t, "name")
					f.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: name}}})
					f.mu.Lock()
					f.name = name
					f.mu.Unlock()
					f.knows("zone " + name + " ")
				}
			}
			check()
		}
	})
}

// addSwitchIf is addSwitch where there is none.
func (b *bed) addSwitchIf(name, zones string) {
	if b.store.Snapshot().Lookup(b.columns.transit.table, byName, name) == nil {
		b.addSwitch(name, zones)
	}
}
