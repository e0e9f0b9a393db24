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

// TestGatewayGolden compiles the ports of gateways, what depends on them and what
// leads to them, and compares the printed flows with testdata; -update rewrites
// it. The guards decide on which chassis a flow is.
func TestGatewayGolden(t *testing.T) {
	shape := topology.RouterShape{AlwaysLearn: true}
	keys := map[string]uint32{}
	port := func(name string, key uint32, text string, g topology.Gateway) *topology.RouterPort {
		keys[name] = key
		if g.Redirect != "" {
			keys[g.Redirect] = key + 100
		}
		return &topology.RouterPort{Name: name, Key: key, Datapath: 9, Enabled: true, Shape: shape, Addresses: address(t, text), Gateway: g}
	}
	public := port("r0-public", 1, "00:00:00:00:ff:01 172.16.0.254/24 fd00::254/64 fe80::200:ff:fe00:ff01/64",
		topology.Gateway{Redirect: "cr-r0-public", RedirectKey: 101, Localnet: true})
	overlay := port("r0-overlay", 2, "00:00:00:00:ff:02 172.17.0.254/24 fe80::200:ff:fe00:ff02/64",
		topology.Gateway{Redirect: "cr-r0-overlay", RedirectKey: 102})
	bridged := port("r0-bridged", 3, "00:00:00:00:ff:03 172.18.0.254/24 fe80::200:ff:fe00:ff03/64",
		topology.Gateway{Redirect: "cr-r0-bridged", RedirectKey: 103, Bridged: true, Localnet: true})
	reside := port("r0-reside", 4, "00:00:00:00:ff:04 172.19.0.254/24 fe80::200:ff:fe00:ff04/64",
		topology.Gateway{Reside: "cr-r0-public", ResideDatapath: 9, ResideKey: 101, Localnet: true})
	router := port("r1-public", 5, "00:00:00:00:ff:05 172.20.0.254/24 fe80::200:ff:fe00:ff05/64", topology.Gateway{Chassis: "gw1"})

	var b strings.Builder
	section := func(name string, flows []pipeline.Flow, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		key := func(name string) (uint32, error) {
			if key, ok := keys[name]; ok {
				return key, nil
			}
			return 0, fmt.Errorf("no port %q", name)
		}
		body, err := Compile(flows, key, nil, WithPlaces(func(name string) (uint32, uint32, error) {
			n, err := key(name)
			return 9, n, err
		}))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "-- %s --\n", name)
		for i := range flows {
			fmt.Fprintf(&b, "%s\n", &flows[i])
		}
		b.WriteString("\n" + print(t, body))
	}
	for i, p := range []*topology.RouterPort{public, overlay, bridged, reside, router} {
		flows, err := pipeline.OfRouterPort(p)
		section("router port "+p.Name, flows, err)
		there := &topology.Port{Name: "to-" + p.Name, Type: topology.TypeRouter, Datapath: uint32(20 + i), Key: uint32(200 + i), Enabled: true, FromRouter: true}
		there.Connect(p)
		keys[there.Name] = there.Key
		flows, err = pipeline.OfPort(there)
		section("switch port "+there.Name, flows, err)
		flows, err = pipeline.OfResident(there)
		section("switch port "+there.Name+", resident", flows, err)
	}
	path := filepath.Join("testdata", "gateway.txt")
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
