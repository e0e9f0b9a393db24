package server

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"govn/pkg/eventually"
	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// TestTenants: a switch that names zones is told to those only, and their rows on
// it to nobody else; the list may change at any time.
func TestTenants(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("open", "-")
	b.addSwitch("closed", "zone1, AA020000-0000-0000-0000-000000000000")
	zones := []*fake{newFake(t, 1), newFake(t, 2), newFake(t, 3)}
	for _, f := range zones {
		defer f.connect(b).disconnect()
	}
	publish := func(f *fake, port string) []*ic.Refusal {
		return f.publish(&ic.Publish{Whole: true, Ports: []*ic.Port{portOn(port, "closed"), portOn(port+"-open", "open")},
			Routes: []*ic.Route{routeTo("10.0."+port[1:]+".0/24", "closed")}})
	}
	for i, f := range zones {
		refused := publish(f, "p"+string(rune('1'+i)))
		if want := i / 2 * 2; len(refused) != want {
			t.Errorf("%s: refused %v", f.name, refused)
		}
	}
	first, second, third := zones[0], zones[1], zones[2]
	first.knows("port p2 on closed")
	second.knows("route closed,,10.0.1.0/24")
	for _, f := range zones {
		f.knows("port p3-open")
	}
	third.forgets("switch closed")
	third.forgets("port p1 on")
	// The list gets longer, ...
	b.configure("closed", "zone1,zone2,zone3")
	third.knows("port p1 on closed")
	third.knows("route closed,,10.0.2.0/24")
	first.knows("port p3 on closed")
	third.await("no refusals", func() bool { return len(third.published.Refusals) == 0 })
	// ... and shorter: what the zone had there goes.
	b.configure("closed", "zone1,zone3")
	first.forgets("port p2 on closed")
	third.forgets("route closed,,10.0.2.0/24")
	second.forgets("switch closed")
	second.forgets("port p1 on closed")
	second.await("refusals", func() bool { return len(second.published.Refusals) == 2 })
	// Names follow the zone.
	third.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: "other"}}})
	third.forgets("switch closed")
	first.forgets("port p3 on closed")
	b.configure("closed", "")
	first.forgets("switch closed")
	// In strict mode a switch without a list is closed.
	b.strict(true)
	for _, f := range zones {
		f.forgets("switch")
		f.forgets("port")
	}
	first.await("only itself", func() bool { return len(first.view) == 1 && first.has("zone zone1") })
	b.configure("open", "zone1,zone2")
	first.knows("port p2-open on open")
	first.knows("zone zone2")
	b.strict(false)
	third.knows("zone zone1")
}

// TestRename: the zone keeps its row, and nobody sees anything of it go.
func TestRename(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "-")
	east, west := newFake(t, 1).connect(b), newFake(t, 2).connect(b)
	defer west.disconnect()
	east.publish(&ic.Publish{Whole: true, Gateways: []*ic.Gateway{gatewayNamed("gw1", "203.0.113.1")}, Ports: []*ic.Port{portOn("p1", "ts1")},
		Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1")}})
	west.knows("route ts1")
	west.knows("zone zone2")
	items, row := west.items, east.welcome.Row
	east.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: "orient"}}})
	west.knows("zone orient aa01")
	if n := west.items - items; n != 1 {
		t.Errorf("%d items were told", n)
	}
	east.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: "zone2"}}})
	east.await("refusal", func() bool {
		return len(east.published.GetRefusals()) == 1 && east.published.Refusals[0].Kind == "zone" && east.published.Refusals[0].Name == "zone2"
	})
	east.disconnect()
	east.name = "levant" // renamed while it was away
	east.connect(b)
	west.knows("zone levant aa01")
	if east.knows("port p1"); east.welcome.Row != row {
		t.Errorf("row %s, was %s", east.welcome.Row, row)
	}
	west.mu.Lock()
	if !west.has("route ts1") || !west.has("gateway gw1") {
		t.Errorf("west knows\n%s", strings.Join(west.lines(), "\n"))
	}
	west.mu.Unlock()
	defer east.disconnect()
	// A name that another zone has.
	third := newFake(t, 3)
	third.name = "zone2"
	third.connect(b)
	defer third.disconnect()
	third.await("end", func() bool { return third.ended != nil })
	if status.Code(third.ended) != codes.AlreadyExists {
		t.Errorf("ended with %v", third.ended)
	}
	// Another stream of a zone from the same place replaces the first one.
	twin := newFake(t, 2).connect(b)
	defer twin.disconnect()
	twin.knows("zone levant")
	west.await("end", func() bool { return west.ended != nil })
	if status.Code(west.ended) != codes.Aborted {
		t.Errorf("ended with %v", west.ended)
	}
}

// TestStatusOfTenants: who asks with the certificate of a zone is told what the zone
// may know, others, as the operator, everything.
func TestStatusOfTenants(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.strict(true)
	b.addSwitch("ts1", "zone1,zone2")
	b.addSwitch("ts2", "zone2,zone3")
	for n := range 4 {
		f := newFake(t, n).connect(b)
		defer f.disconnect()
		p := &ic.Publish{Whole: true}
		for _, transit := range []string{"ts1", "ts2"} {
			p.Routes = append(p.Routes, routeTo("10.0.0.0/8", transit))
			p.Ports = append(p.Ports, portOn(fmt.Sprint("p", n, transit), transit))
		}
		f.publish(p)
		f.knows("zone " + f.name)
		b.zones.mu.Lock()
		b.zones.byID[fmt.Sprintf("%x", f.id)].cert = "cert" + f.name[4:]
		b.zones.mu.Unlock()
	}
	eventually.That(t, "conflicts", func() bool { return b.metric("govn_ic_conflicts") == 2 })
	for cert, want := range map[string]string{
		"cert0": "zone0", "cert1": "zone1 zone2 ts1 ts1:zone1/zone2", "cert2": "zone1 zone2 zone3 ts1 ts2 ts1:zone1/zone2 ts2:zone2/zone3",
		"cert3": "zone2 zone3 ts2 ts2:zone2/zone3", "operator": "zone0 zone1 zone2 zone3 ts1 ts2 ts1:zone1/zone2 ts2:zone2/zone3",
		"": "zone0 zone1 zone2 zone3 ts1 ts2 ts1:zone1/zone2 ts2:zone2/zone3",
	} {
		info := credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: cert}}}}}
		s, err := b.Status(peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{}, AuthInfo: info}), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, z := range s.Zones {
			got = append(got, z.Name)
		}
		for _, transit := range s.Switches {
			got = append(got, transit.Name)
		}
		for _, f := range s.Conflicts {
			got = append(got, f.Switch+":"+f.Zone+"/"+f.OtherZone)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%q is told of %s, want %s", cert, text, want)
		}
	}
}

// TestNameLikeAnID: who takes another zone's id for a name is not that zone.
func TestNameLikeAnID(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "aa010000-0000-0000-0000-000000000000, AA030000000000000000000000000000")
	east, rogue := newFake(t, 1).connect(b), newFake(t, 2)
	defer east.disconnect()
	rogue.name = "aa010000000000000000000000000000"
	rogue.connect(b)
	defer rogue.disconnect()
	east.knows("switch ts1")
	if refused := rogue.publish(&ic.Publish{Whole: true, Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1")}}); len(refused) != 1 {
		t.Errorf("refused %v", refused)
	}
	rogue.knows("zone " + rogue.name)
	rogue.forgets("switch")
	rogue.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: "aa030000-0000-0000-0000-000000000000"}}})
	rogue.knows("zone aa030000-")
	rogue.forgets("switch")
	s, err := b.Status(t.Context(), nil)
	if err != nil || strings.Join(s.Switches[0].Allowed, " ") != "aa030000000000000000000000000000 zone1" {
		t.Errorf("%v, %v", s, err)
	}
}

// TestDeletedZone: what the operator deletes of a zone that has gone, row by row or
// at once, nobody is left with.
func TestDeletedZone(t *testing.T) {
	for _, list := range []string{"-", "zone1,zone2", "aa010000000000000000000000000000,zone2"} {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprint(list, strict), func(t *testing.T) {
				b := testBed(t, CentreOptions{})
				b.strict(strict)
				b.addSwitch("ts1", list)
				b.addSwitch("ts2", "zone1,zone2")
				east, west := newFake(t, 1).connect(b), newFake(t, 2).connect(b)
				defer west.disconnect()
				east.publish(&ic.Publish{Whole: true, Gateways: []*ic.Gateway{gatewayNamed("gw1", "203.0.113.1")},
					Ports: []*ic.Port{portOn("p1", "ts1"), portOn("p2", "ts2")}, Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1"), routeTo("10.1.0.0/16", "ts2")}})
				west.knows("route ts2,,10.1.0.0/16")
				west.knows("gateway gw1")
				east.disconnect()
				eventually.That(t, "end of the stream", func() bool { return b.metric("govn_ic_zones_alive") == 1 })
				b.write(b.columns.sb, func(tx *ovsdb.Txn) {
					c := b.columns
					row := tx.Lookup(c.zone.table, byName, "zone1").UUID()
					for _, col := range []*ovsdb.ColumnSchema{c.route.zone, c.port.zone, c.gateway.zone} {
						table := map[*ovsdb.ColumnSchema]*ovsdb.TableSchema{c.route.zone: c.route.table, c.port.zone: c.port.table, c.gateway.zone: c.gateway.table}[col]
						for _, u := range slices.Collect(tx.Referrers(col, row)) {
							tx.Delete(table, u)
						}
					}
					tx.Delete(c.zone.table, row)
				})
				for _, what := range []string{"zone zone1", "route", "port", "gateway"} {
					west.forgets(what)
				}
				if n := b.store.Snapshot().Len(b.columns.record.table); n != 1 {
					eventually.That(t, "end of the record", func() bool { return b.store.Snapshot().Len(b.columns.record.table) == 1 })
				}
			})
		}
	}
}

// TestRefusedName: a zone that comes with another one's name keeps its lease.
func TestRefusedName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, CentreOptions{Lease: 15 * time.Second})
		defer b.close()
		b.addSwitch("ts1", "-")
		east, west := newFake(t, 1).connect(b), newFake(t, 2).connect(b)
		defer west.disconnect()
		east.publish(&ic.Publish{Whole: true, Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1")}})
		west.knows("route ts1,,10.1.0.0/16")
		twin := newFake(t, 1)
		for range 20 {
			time.Sleep(time.Second)
			beat(east, 1)
			beat(west, 1)
		}
		twin.name = "zone2"
		twin.connect(b)
		twin.await("end", func() bool { return twin.ended != nil })
		if status.Code(twin.ended) != codes.AlreadyExists {
			t.Errorf("ended with %v", twin.ended)
		}
		twin.disconnect()
		synctest.Wait()
		if west.mu.Lock(); !west.has("route ts1,,10.1.0.0/16") || east.ended != nil {
			t.Errorf("east ended with %v; west knows\n%s", east.ended, strings.Join(west.lines(), "\n"))
		}
		west.mu.Unlock()
		east.disconnect()
		if n := len(b.zones.zones); n != 2 {
			t.Errorf("%d zones are known", n)
		}
	})
}
