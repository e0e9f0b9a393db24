package northd_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"govn/pkg/ovsdb"
	"govn/proto"
)

// An interface that asks for one of the encapsulations of its chassis is reached by
// that one, at the main chassis of a port as at the additional ones, also after a
// restart of northd.
func TestEncapOfInterfaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	z, err := openZone(path)
	if err != nil {
		t.Fatal(err)
	}
	z.releases = true
	z.addSwitch(t, "sw0", with(port("vm"), "options", ovsdb.MapOf("requested-chassis", "hv1,hv2")))
	z.step(t)
	hello := func(name, encap string) {
		t.Helper()
		h := &proto.Hello{Interfaces: []*proto.Interface{{IfaceId: "vm", Since: 1, EncapIp: encap}}}
		for _, ip := range []string{"10.0.0.", "10.1.0."} {
			h.Encaps = append(h.Encaps, &proto.Encap{Type: "geneve", Ip: ip + name[2:]})
		}
		if err := z.registry.Hello(name, h); err != nil {
			t.Fatal(err)
		}
		z.step(t)
	}
	expect := func(what, encap, additional string, item ...string) {
		t.Helper()
		z.step(t)
		sn, c := z.store.Snapshot(), z.columns
		var row *ovsdb.Row
		for r := range sn.Rows(c.PortBinding.Table) {
			if r.Str(c.PortBinding.LogicalPort) == "vm" {
				row = r
			}
		}
		ips := func(set ovsdb.Set) (out []string) {
			for u := range set.All() {
				out = append(out, sn.Row(c.Encap.Table, u.(ovsdb.UUID)).Str(c.Encap.IP))
			}
			return out
		}
		got := fmt.Sprint(strings.Join(ips(row.Set(c.PortBinding.Encap)), " "), "|", strings.Join(ips(row.Set(c.PortBinding.AdditionalEncap)), " "))
		if want := encap + "|" + additional; got != want {
			t.Errorf("%s: Port_Binding has %s, want %s", what, got, want)
		}
		dp, key := z.keys(t, "vm")
		if b := z.fabric.bindings[[2]uint32{dp, key}]; !slices.Equal(b.Encaps, item) {
			t.Errorf("%s: binding with %v, want %v", what, b.Encaps, item)
		}
	}
	hello("hv1", "")
	expect("nothing asked for", "", "")
	hello("hv1", "10.1.0.1")
	expect("the main chassis", "10.1.0.1", "", "hv1@10.1.0.1")
	hello("hv2", "10.0.0.2")
	expect("both", "10.1.0.1", "10.0.0.2", "hv1@10.1.0.1", "hv2@10.0.0.2")
	z.registry.Report("hv2", &proto.Report{InterfacesPut: []*proto.Interface{{IfaceId: "vm", Since: 1, EncapIp: "10.9.9.9"}}})
	expect("one that the chassis does not have", "10.1.0.1", "", "hv1@10.1.0.1")
	hello("hv2", "10.1.0.2")
	expect("another one", "10.1.0.1", "10.1.0.2", "hv1@10.1.0.1", "hv2@10.1.0.2")
	if err := z.close(); err != nil {
		t.Fatal(err)
	}

	if z, err = openZone(path); err != nil {
		t.Fatal(err)
	}
	z.releases = true
	expect("after a restart", "10.1.0.1", "10.1.0.2", "hv1@10.1.0.1", "hv2@10.1.0.2")
	hello("hv1", "")
	expect("hv1 asks no more", "", "10.1.0.2", "hv2@10.1.0.2")
	hello("hv2", "10.1.0.2")
	z.registry.Report("hv2", &proto.Report{InterfacesGone: []string{"vm"}})
	expect("hv2 is left", "", "")
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
}
