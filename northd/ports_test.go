package northd_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"govn/pkg/ovsdb"
	"govn/proto"
)

// with is a port with more columns.
func with(p map[string]ovsdb.Value, column string, v ovsdb.Value) map[string]ovsdb.Value {
	p[column] = v
	return p
}

func nestedIn(parent string, request int64, p map[string]ovsdb.Value) map[string]ovsdb.Value {
	return with(with(p, "parent_name", ovsdb.NewSet(parent)), "tag_request", ovsdb.NewSet(request))
}

// tags are the tags of ports by name, 0 where there is none.
func (z *zone) tags(t *testing.T) map[string]int64 {
	t.Helper()
	m := map[string]int64{}
	for row := range z.store.Snapshot().Rows(z.columns.LSP.Table) {
		m[row.Str(z.columns.LSP.Name)] = 0
		if v, ok := row.Opt(z.columns.LSP.Tag); ok {
			m[row.Str(z.columns.LSP.Name)] = v.(int64)
		}
	}
	return m
}

// A request of 0 gets the lowest tag that is free in its parent and keeps it;
// others are copied, also of a localnet port.
func TestTags(t *testing.T) {
	z := newZone(t, "")
	ln := with(with(port("ln"), "type", "localnet"), "tag_request", ovsdb.NewSet(int64(100)))
	_, ports := z.addSwitch(t, "sw0", port("vm1"), port("vm2"), ln,
		nestedIn("vm1", 2, port("c2")), nestedIn("vm1", 0, port("c10")), nestedIn("vm1", 0, port("c9")), nestedIn("vm2", 0, port("d1")))
	z.step(t)
	want := map[string]int64{"vm1": 0, "vm2": 0, "ln": 100, "c2": 2, "c9": 1, "c10": 3, "d1": 1}
	if got := z.tags(t); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tags %v, want %v", got, want)
	}
	// The parent changes to where the tag is taken by nobody: it is kept.
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.SetColumn(z.columns.LSP.Table, ports[5], "parent_name", ovsdb.NewSet("vm2"))
		return tx.Err()
	})
	// A tag that got free is the next one given out.
	z.addSwitch(t, "sw1", nestedIn("vm1", 0, port("e")))
	z.step(t)
	want["e"] = 1
	if got := z.tags(t); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tags %v, want %v", got, want)
	}
}

// A parent has 4,095 tags; who got none gets the first that is free.
func TestTagsRunOut(t *testing.T) {
	z := newZone(t, "")
	var ports []map[string]ovsdb.Value
	for n := range 4096 {
		ports = append(ports, nestedIn("vm", 0, port(fmt.Sprintf("c%04d", n))))
	}
	ls, rows := z.addSwitch(t, "sw", ports...)
	z.step(t)
	if got := z.tags(t); got["c4094"] != 4095 || got["c4095"] != 0 {
		t.Errorf("the last ports have tags %d and %d", got["c4094"], got["c4095"])
	}
	z.nb(t, func(tx *ovsdb.Txn) error { tx.DelFromSet(z.columns.LS.Table, ls, "ports", rows[17]); return tx.Err() })
	z.step(t)
	if got := z.tags(t)["c4095"]; got != 18 {
		t.Errorf("the port that waited has tag %d, want 18", got)
	}
}

// Lint names what is not there yet, containers that no VLAN leads to, and what a
// forwarding group cannot reach.
func TestLintFeatures(t *testing.T) {
	z := newZone(t, "")
	ls, _ := z.addSwitch(t, "sw0", port("vm1"), with(port("r"), "type", "vtep"), with(port("ln"), "type", "localnet"),
		with(port("c1"), "parent_name", ovsdb.NewSet("vm1")), nestedIn("vm1", 0, port("c2")))
	z.nb(t, func(tx *ovsdb.Txn) error {
		u := tx.Insert(z.schemas.NB.Table("Forwarding_Group"), ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": "fwd", "vip": "10.0.0.100", "vmac": "50:54:00:00:00:64", "child_port": ovsdb.NewSet("vm1", "vm9")})
		tx.SetColumn(z.columns.LS.Table, ls, "forwarding_groups", ovsdb.NewSet(u))
		return tx.Err()
	})
	z.step(t)
	var got []string
	for _, p := range z.View().Lint().Problems {
		got = append(got, fmt.Sprintf("%s %s: %s", p.Name, p.Column, p.Reason))
	}
	want := []string{
		`fwd child_port: switch "sw0" has no port of this name; nothing is sent to it`,
		"c1 tag: a nested port needs a VLAN; tag_request 0 asks for any",
		"ln options: a localnet port needs network_name",
		`r type: "vtep": ports of this type are not there yet`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems %q,\nwant %q", got, want)
	}
}

// bound is the chassis of a port, "" if there is none.
func (z *zone) bound(t *testing.T, name string) string {
	t.Helper()
	for row := range z.store.Snapshot().Rows(z.columns.PortBinding.Table) {
		if row.Str(z.columns.PortBinding.LogicalPort) != name {
			continue
		}
		if u, ok := row.Opt(z.columns.PortBinding.Chassis); ok {
			return z.store.Snapshot().Row(z.columns.Chassis.Table, u.(ovsdb.UUID)).Str(z.columns.Chassis.Name)
		}
		return ""
	}
	t.Fatalf("no Port_Binding %q", name)
	return ""
}

func (z *zone) hello(t *testing.T, name, hostname string, since int64, ifaces ...string) {
	t.Helper()
	h := &proto.Hello{Name: name, Hostname: hostname, Encaps: []*proto.Encap{{Type: "geneve", Ip: "203.0.113.1"}}}
	h.Encaps[0].Ip = "203.0.113." + strings.TrimPrefix(name, "hv")
	for _, id := range ifaces {
		h.Interfaces = append(h.Interfaces, &proto.Interface{IfaceId: id, Since: since})
	}
	if err := z.registry.Hello(name, h); err != nil {
		t.Fatal(err)
	}
	z.step(t)
}

func (z *zone) expectBound(t *testing.T, want map[string]string) {
	t.Helper()
	z.step(t)
	for name, chassis := range want {
		if got := z.bound(t, name); got != chassis {
			t.Errorf("port %q is bound to %q, want %q", name, got, chassis)
		}
	}
}

// A nested port is bound with its parent, whichever of the two comes first, and
// goes with it. Localnet ports and localports are bound to nothing.
func TestNestedBinding(t *testing.T) {
	z := newZone(t, "")
	z.addSwitch(t, "sw0", port("vm1"), with(port("lp"), "type", "localport"), nestedIn("vm1", 0, port("c1")))
	z.step(t)
	z.hello(t, "hv1", "host1", 1, "vm1", "lp", "c1")
	z.expectBound(t, map[string]string{"vm1": "hv1", "c1": "hv1", "lp": ""})
	_, rows := z.addSwitch(t, "sw1", nestedIn("vm1", 0, port("c2")))
	z.expectBound(t, map[string]string{"c2": "hv1"})
	z.hello(t, "hv2", "host2", 2, "vm1")
	z.expectBound(t, map[string]string{"vm1": "hv2", "c1": "hv2", "c2": "hv2"})
	z.registry.Report("hv2", &proto.Report{InterfacesGone: []string{"vm1"}})
	z.expectBound(t, map[string]string{"vm1": "hv1", "c1": "hv1", "c2": "hv1"})

	set := func(column string, v ovsdb.Value) {
		z.nb(t, func(tx *ovsdb.Txn) error { tx.SetColumn(z.columns.LSP.Table, rows[0], column, v); return tx.Err() })
	}
	set("parent_name", ovsdb.NewSet())
	z.expectBound(t, map[string]string{"c2": ""}) // there is no interface of its own
	set("parent_name", ovsdb.NewSet("vm1"))
	z.expectBound(t, map[string]string{"c2": "hv1"})
	set("type", "localport")
	z.expectBound(t, map[string]string{"c2": ""})
}

// Only the chassis that requested-chassis names may bind the port, by name or by
// hostname, even if another one saw the interface later.
func TestRequestedChassis(t *testing.T) {
	z := newZone(t, "")
	_, rows := z.addSwitch(t, "sw0", with(port("vm1"), "options", ovsdb.MapOf("requested-chassis", "host1,hv2")))
	z.hello(t, "hv2", "host2", 2, "vm1")
	z.expectBound(t, map[string]string{"vm1": ""})
	z.hello(t, "hv1", "host1", 1, "vm1")
	z.expectBound(t, map[string]string{"vm1": "hv1"})
	columns := func() string {
		for row := range z.store.Snapshot().Rows(z.columns.PortBinding.Table) {
			t := z.columns.PortBinding.Table
			name := func(column string) (out []string) {
				for u := range row.Set(t.Column(column)).All() {
					out = append(out, z.store.Snapshot().Row(z.columns.Chassis.Table, u.(ovsdb.UUID)).Str(z.columns.Chassis.Name))
				}
				return out
			}
			return fmt.Sprint(name("requested_chassis"), name("requested_additional_chassis"))
		}
		return ""
	}
	if got := columns(); got != "[hv1] [hv2]" {
		t.Errorf("requested %s", got)
	}
	// The hostname moves to the other one.
	z.hello(t, "hv1", "other", 1, "vm1")
	z.hello(t, "hv2", "host1", 2, "vm1")
	z.expectBound(t, map[string]string{"vm1": "hv2"})
	if got := columns(); got != "[hv2] [hv2]" {
		t.Errorf("requested %s", got)
	}
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.SetColumn(z.columns.LSP.Table, rows[0], "options", ovsdb.MapOf())
		return tx.Err()
	})
	z.step(t)
	if got := columns(); got != "[] []" {
		t.Errorf("requested %s after the option went", got)
	}
}
