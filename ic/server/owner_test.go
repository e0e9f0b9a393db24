package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
	"govn/pkg/eventually"
	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// serveSB serves OVN_IC_Southbound on tcp with keys, or without, and returns how to
// connect.
func (b *bed) serveSB(t *testing.T, files certs.Files) func(client *certs.Files) *ovsdbPeer {
	t.Helper()
	srv := ovsdb.NewServer(b.store, ovsdb.ServerOptions{Logger: b.opts.Logger, Databases: []string{b.columns.sb.Name}, Authorizer: sbOwner{b.Centre}})
	method := "ptcp:0:127.0.0.1"
	if files != (certs.Files{}) {
		method = "pssl:0:127.0.0.1"
	}
	remotes, err := srv.OpenRemotes(ovsdb.RemotesOptions{Remotes: []string{method}, Keys: files})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- remotes.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	addr := ""
	for line := range strings.Lines(b.log.String()) {
		if _, rest, ok := strings.Cut(line, "remote="+method+" addr="); ok {
			addr = strings.TrimSpace(rest)
		}
	}
	return func(client *certs.Files) *ovsdbPeer {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if client != nil {
			config, err := certs.NewLoader(*client, b.opts.Logger).ClientConfig(addr)
			if err != nil {
				t.Fatal(err)
			}
			conn = tls.Client(conn, config)
		}
		t.Cleanup(func() { conn.Close() })
		return &ovsdbPeer{t, conn, json.NewDecoder(conn)}
	}
}

// ovsdbPeer is an OVSDB client.
type ovsdbPeer struct {
	t    *testing.T
	conn net.Conn
	dec  *json.Decoder
}

// transact returns the result of operations on OVN_IC_Southbound.
func (p *ovsdbPeer) transact(ops string) string {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.conn, `{"method":"transact","params":["OVN_IC_Southbound",%s],"id":1}`, ops); err != nil {
		p.t.Fatal(err)
	}
	var m struct {
		Result json.RawMessage
		Error  json.RawMessage
	}
	if err := p.dec.Decode(&m); err != nil {
		p.t.Fatal(err)
	}
	return string(m.Result)
}

// must is transact of what must succeed.
func (p *ovsdbPeer) must(ops string) string {
	p.t.Helper()
	out := p.transact(ops)
	if strings.Contains(out, `"error"`) {
		p.t.Fatalf("%s: %s", ops, out)
	}
	return out
}

// refused is transact of what must be refused, with words in the reason.
func (p *ovsdbPeer) refused(ops string, words ...string) {
	p.t.Helper()
	out := p.transact(ops)
	for _, word := range append(words, "permission error") {
		if !strings.Contains(out, word) {
			p.t.Errorf("%s\n  %s\n  lacks %q", ops, out, word)
		}
	}
}

func insertZone(name string) string {
	return `{"op":"insert","table":"Availability_Zone","uuid-name":"az","row":{"name":"` + name + `"}}`
}

func insertRoute(az, transit, prefix string) string {
	return `{"op":"insert","table":"Route","row":{"transit_switch":"` + transit + `","availability_zone":` + az + `,"ip_prefix":"` + prefix + `","nexthop":"169.254.100.9","origin":"static"}}`
}

const namedAZ = `["named-uuid","az"]`

// rowOf is a reference to the row of a zone.
func (b *bed) rowOf(name string) string {
	b.t.Helper()
	row := b.store.Snapshot().Lookup(b.columns.zone.table, byName, name)
	if row == nil {
		b.t.Fatalf("no zone %q", name)
	}
	return `["uuid","` + row.UUID().String() + `"]`
}

// TestOwnership: one connection, one zone; others' rows are refused, all or
// nothing.
func TestOwnership(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "-")
	b.addSwitch("ts2", "west,nobody")
	dial := b.serveSB(t, certs.Files{})
	east, rogue, third := dial(nil), dial(nil), dial(nil)
	gateway := `{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"203.0.113.1","gateway_name":"gw1"}},` +
		`{"op":"insert","table":"Gateway","row":{"name":"gw1","availability_zone":` + namedAZ + `,"encaps":["named-uuid","e"]}}`
	east.must(insertZone("east") + "," + gateway + "," + insertRoute(namedAZ, "ts1", "10.1.0.0/16"))
	rogue.must(insertZone("rogue"))
	where := `"where":[["ip_prefix","==","10.1.0.0/16"]]`
	for _, p := range []*ovsdbPeer{rogue, third} {
		p.refused(insertRoute(b.rowOf("east"), "ts1", "10.66.0.0/16"), `table \"Route\"`, "inserted", `zone \"east\"`)
		p.refused(`{"op":"delete","table":"Route",`+where+`}`, `table \"Route\"`, "deleted", `zone \"east\"`)
		p.refused(`{"op":"update","table":"Route",`+where+`,"row":{"nexthop":"169.254.100.66"}}`, `column \"nexthop\"`, `zone \"east\"`)
		p.refused(`{"op":"update","table":"Availability_Zone","where":[["name","==","east"]],"row":{"name":"mine"}}`, `column \"name\"`, `zone \"east\"`)
		p.refused(`{"op":"update","table":"Encap","where":[],"row":{"ip":"203.0.113.66"}}`, `table \"Encap\"`, `column \"ip\"`, `zone \"east\"`)
		p.refused(`{"op":"mutate","table":"Gateway","where":[],"mutations":[["external_ids","insert",["map",[["a","b"]]]]]}`, `table \"Gateway\"`, `zone \"east\"`)
		p.refused(`{"op":"delete","table":"Datapath_Binding","where":[["transit_switch","==","ts1"]]}`, `table \"Datapath_Binding\"`)
	}
	// Taking a row over, also one's own to another zone, and in two steps.
	rogue.refused(`{"op":"update","table":"Route",`+where+`,"row":{"availability_zone":`+b.rowOf("rogue")+`}}`, `column \"availability_zone\"`)
	rogue.must(insertRoute(b.rowOf("rogue"), "ts1", "10.2.0.0/16"))
	rogue.refused(`{"op":"update","table":"Route","where":[["ip_prefix","==","10.2.0.0/16"]],"row":{"availability_zone":`+b.rowOf("east")+`}}`, `zone \"east\"`)
	rogue.refused(insertRoute(b.rowOf("rogue"), "ts1", "10.3.0.0/16")+`,{"op":"delete","table":"Route",`+where+`}`, `zone \"east\"`)
	if rows := b.store.Snapshot().Len(b.columns.route.table); rows != 2 {
		t.Errorf("%d routes, not 2: something of what was refused was applied", rows)
	}
	third.refused(insertZone("two")+","+strings.ReplaceAll(insertZone("three"), `"az"`, `"az3"`), `zone \"three\"`)
	// A switch that does not name the zone.
	rogue.refused(insertRoute(b.rowOf("rogue"), "ts2", "10.2.0.0/16"), `switch \"ts2\"`, ZonesKey)
	// An encapsulation of another zone's gateway.
	var encap string
	for row := range b.store.Snapshot().Rows(b.columns.encap.table) {
		encap = `["uuid","` + row.UUID().String() + `"]`
	}
	rogue.refused(`{"op":"insert","table":"Gateway","row":{"name":"gw66","availability_zone":`+b.rowOf("rogue")+`,"encaps":`+encap+`}}`,
		`table \"Gateway\"`, "geneve 203.0.113.1", `zone \"east\"`)
	// Who may connect.
	connection := `{"op":"insert","table":"Connection","uuid-name":"c","row":{"target":"ptcp:0:127.0.0.1"}},` +
		`{"op":"mutate","table":"IC_SB_Global","where":[],"mutations":[["connections","insert",["set",[["named-uuid","c"]]]]]}`
	rogue.refused(connection, "operator", `zone \"rogue\"`)
	third.refused(connection+","+insertZone("third"), "operator", `zone \"third\"`)
	third.must(connection) // not a zone
	// A second key.
	if out := third.transact(`{"op":"insert","table":"Datapath_Binding","row":{"transit_switch":"ts1","tunnel_key":16711999}}`); !strings.Contains(out, "constraint violation") {
		t.Errorf("a second key: %s", out)
	}
	if _, err := fmt.Fprintf(third.conn, `{"method":"convert","params":["OVN_IC_Southbound",{}],"id":2}`); err != nil {
		t.Fatal(err)
	}
	var converted struct{ Error json.RawMessage }
	if err := third.dec.Decode(&converted); err != nil || !strings.Contains(string(converted.Error), "permission error") {
		t.Errorf("convert: %v, %s", err, converted.Error)
	}
	// A zone that has gone may come back by another connection.
	east.conn.Close()
	eventually.That(t, "end of east", func() bool {
		return !strings.Contains(third.transact(`{"op":"update","table":"Route",`+where+`,"row":{"nexthop":"169.254.100.7"}}`), "permission")
	})
	s, _ := b.Status(t.Context(), nil)
	if len(s.Zones) != 2 || s.Zones[0].Owner != "address 127.0.0.1" || !s.Zones[1].Alive || s.Zones[1].Refused < 5 {
		t.Errorf("status %v", s.Zones)
	}
}

// TestOwnershipGRPC: zones that have joined by gRPC are nobody else's.
func TestOwnershipGRPC(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "-")
	f := newFake(t, 1).connect(b)
	defer f.disconnect()
	f.publish(&ic.Publish{Whole: true, Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1")}})
	rogue := b.serveSB(t, certs.Files{})(nil)
	rogue.refused(`{"op":"delete","table":"Route","where":[]}`, `zone \"zone1\"`, "gRPC")
	// What the operator undoes is done again.
	b.write(b.columns.sb, func(tx *ovsdb.Txn) {
		for row := range tx.Rows(b.columns.route.table) {
			tx.Delete(b.columns.route.table, row.UUID())
		}
		for row := range tx.Rows(b.columns.zone.table) {
			tx.Delete(b.columns.zone.table, row.UUID())
		}
	})
	f.await("the zone again", func() bool { return f.has("route ts1,,10.1.0.0/16") && f.has("zone zone1") })
}

// TestCertificates: with TLS a zone is bound to the name of its certificate.
func TestCertificates(t *testing.T) {
	b := testBed(t, CentreOptions{})
	ca := certstest.NewAuthority(t, "ca")
	dial := b.serveSB(t, ca.Issue("centre"))
	eastKeys, westKeys := ca.Issue("east"), ca.Issue("west")
	east := dial(&eastKeys)
	east.must(insertZone("east"))
	east.conn.Close()
	west := dial(&westKeys)
	west.refused(insertRoute(b.rowOf("east"), "ts1", "10.1.0.0/16"), `certificate of \"east\"`)
	again := dial(&eastKeys)
	again.must(insertRoute(b.rowOf("east"), "ts1", "10.1.0.0/16"))
	keys := `{"op":"insert","table":"SSL","row":{"private_key":"k","certificate":"c","ca_cert":"a"}}`
	again.refused(keys, `table \"SSL\"`, "operator", `zone \"east\"`)
	dial(&eastKeys).refused(keys, "operator", `\"east\" is a zone's certificate`)
	dial(&westKeys).must(keys) // no zone's
	// So it is after a restart, ...
	eventually.That(t, "record", func() bool { return b.store.Snapshot().Len(b.columns.record.table) == 1 })
	again.conn.Close()
	b.restart()
	dial = b.serveSB(t, ca.Issue("centre2"))
	dial(&westKeys).refused(insertRoute(b.rowOf("east"), "ts1", "10.2.0.0/16"), `certificate of \"east\"`)
	// ... and by gRPC.
	f := newFake(t, 1)
	f.name = "east"
	f.connect(b)
	defer f.disconnect()
	f.await("end", func() bool { return f.ended != nil })
	if !strings.Contains(f.ended.Error(), "PermissionDenied") {
		t.Errorf("ended with %v", f.ended)
	}
	// The database of the operator is not a zone's.
	o := nbOwner{b.Centre}
	tx := []ovsdb.RowWrite{{Table: b.columns.transit.table, New: b.store.Snapshot().Lookup(b.columns.transit.table, byName, "ts1")}}
	b.addSwitch("ts1", "-")
	tx[0].New = b.store.Snapshot().Lookup(b.columns.transit.table, byName, "ts1")
	if _, err := o.Authorize(&ovsdb.Client{Name: "east"}, nil, tx); err == nil {
		t.Error("a zone may write Transit_Switch")
	}
	if _, err := o.Authorize(&ovsdb.Client{Name: "operator"}, nil, tx); err != nil {
		t.Error(err)
	}
}
