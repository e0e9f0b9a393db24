package translate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"govn/northd/pipeline"
	"govn/northd/topology"
)

// TestRouterGolden compiles routers, their ports and what they are connected to,
// and compares the printed flows with testdata; -update rewrites it.
func TestRouterGolden(t *testing.T) {
	distributed := topology.RouterShape{AlwaysLearn: true}
	port := func(name string, key uint32, text string) *topology.RouterPort {
		return &topology.RouterPort{Name: name, Key: key, Datapath: 9, Enabled: true, Shape: distributed, Addresses: address(t, text)}
	}
	web := port("r1-web", 1, "00:00:00:00:01:01 10.0.1.1/24 fd01::1/64 fe80::200:ff:fe00:101/64")
	db := port("r1-db", 2, "00:00:00:00:01:02 10.0.2.1/24 10.0.3.1/24 fe80::200:ff:fe00:102/64")
	db.GatewayMTU, db.Options = 1400, map[string]string{"gateway_mtu_bypass": "tcp || udp.dst == 53"}
	off := port("r1-off", 3, "00:00:00:00:01:03 10.0.4.1/24 fe80::200:ff:fe00:103/64")
	off.Enabled = false
	peer := port("r2-r1", 1, "00:00:00:00:02:01 169.254.0.2/30 fe80::200:ff:fe00:201/64")
	link := port("r1-r2", 4, "00:00:00:00:01:04 169.254.0.1/30 fe80::200:ff:fe00:104/64")
	toWeb := &topology.Port{Name: "web-r1", Type: topology.TypeRouter, Datapath: 1, Key: 5, Enabled: true, FromRouter: true}
	toWeb.Connect(web)
	other := port("r3-web", 1, "00:00:00:00:03:01 10.0.1.3/24 fe80::200:ff:fe00:301/64")
	toOther := &topology.Port{Name: "web-r3", Type: topology.TypeRouter, Datapath: 1, Key: 6, Enabled: true, FromRouter: true}
	toOther.Connect(other)
	vm := &topology.Port{Name: "vm1", Datapath: 1, Key: 7, Enabled: true,
		Addresses: []topology.Addresses{address(t, "50:54:00:00:00:01 10.0.1.11 10.9.9.9 fd01::11")}}
	stopped := &topology.Port{Name: "vm2", Datapath: 1, Key: 8, Addresses: []topology.Addresses{address(t, "50:54:00:00:00:02 10.0.1.12")}}

	keys := PortKeys(func(name string) (uint32, error) {
		for _, p := range []*topology.RouterPort{web, db, off, link} {
			if p.Name == name {
				return p.Key, nil
			}
		}
		for _, p := range []*topology.Port{toWeb, toOther} {
			if p.Name == name {
				return p.Key, nil
			}
		}
		return 0, fmt.Errorf("no port %q", name)
	})
	var b strings.Builder
	section := func(name string, flows []pipeline.Flow, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		body, err := Compile(flows, keys, nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "-- %s --\n", name)
		for i := range flows {
			fmt.Fprintf(&b, "%s\n", &flows[i])
		}
		b.WriteString("\n" + print(t, body))
	}
	flows, err := pipeline.OfRouter(distributed)
	section("router", flows, err)
	for _, p := range []*topology.RouterPort{web, db, off} {
		flows, err = pipeline.OfRouterPort(p)
		section("router port "+p.Name, flows, err)
	}
	flows, err = pipeline.OfRouterPair(web, db)
	section("from r1-web to r1-db, which has an MTU", flows, err)
	flows, err = pipeline.OfRouterPeer(link.Attachment(false), peer)
	section("router port r1-r2, with r2-r1 at the other end", flows, err)
	for _, p := range []*topology.Port{vm, stopped, toOther} {
		flows, err = pipeline.OfRouterNeighbour(web.Attachment(false), p)
		section("port "+p.Name+" on the switch of r1-web", flows, err)
	}
	flows, err = pipeline.OfRouterNeighbour(web.Attachment(true), toOther)
	section("port web-r3 on the switch of r1-web, dynamic_neigh_routers", flows, err)
	flows, err = pipeline.OfPort(toWeb)
	section("switch port web-r1", flows, err)
	flows, err = pipeline.OfResident(toWeb)
	section("switch port web-r1, resident", flows, err)

	for _, text := range []string{"169.254.239.254 169.254.239.2", "0a:58:a9:fe:01:01 169.254.0.0/24 fd7b::/64"} {
		proxy := *toWeb
		if proxy.Proxy, err = topology.ParseProxy(text); err != nil {
			t.Fatal(err)
		}
		flows, err = pipeline.OfPort(&proxy)
		section("switch port web-r1, arp_proxy="+text, flows, err)
	}
	path := filepath.Join("testdata", "router.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the flows differ from %s; got:\n%s", path, b.String())
	}
}
