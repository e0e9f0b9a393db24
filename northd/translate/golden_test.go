package translate

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/pkg/openflow"
	"govn/proto"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func address(t *testing.T, s string) topology.Addresses {
	t.Helper()
	a, err := topology.ParseAddresses(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestGolden compiles a switch and three ports and compares the printed flows
// with testdata; -update rewrites it.
func TestGolden(t *testing.T) {
	vm1 := &topology.Port{Name: "vm1", Datapath: 1, Key: 1, Enabled: true,
		Addresses:    []topology.Addresses{address(t, "50:54:00:00:00:01 10.0.0.11 fd00::11")},
		PortSecurity: []topology.PortSecurity{{Addresses: address(t, "50:54:00:00:00:01 10.0.0.11/24 fd00::11")}}}
	anyone := &topology.Port{Name: "anyone", Datapath: 1, Key: 2, Enabled: true, Unknown: true}
	off := &topology.Port{Name: "off", Datapath: 1, Key: 3,
		Addresses: []topology.Addresses{address(t, "50:54:00:00:00:03 10.0.0.13")}}
	var b strings.Builder
	section := func(name string, flows []pipeline.Flow, err error, p *topology.Port) {
		if err != nil {
			t.Fatal(err)
		}
		var keys PortKeys
		var extra []Extra
		if p != nil {
			keys = func(name string) (uint32, error) {
				if key, ok := p.PortKey(name); ok {
					return key, nil
				}
				return 0, fmt.Errorf("no port %q", name)
			}
			extra = PortSecurity(p)
		}
		if !strings.Contains(name, "resident") {
			extra = nil
		}
		body, err := Compile(flows, keys, extra)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "-- %s --\n", name)
		for i := range flows {
			fmt.Fprintf(&b, "%s\n", &flows[i])
		}
		b.WriteString("\n")
		b.WriteString(print(t, body))
	}
	for _, unknown := range []bool{false, true} {
		flows, err := pipeline.OfSwitch(&topology.Switch{HasUnknown: unknown})
		section(fmt.Sprintf("switch, unknown %t", unknown), flows, err, nil)
	}
	flows, err := pipeline.OfSwitch(&topology.Switch{HasUnknown: true, Passthru: true})
	section("switch, unknown true, vlan-passthru", flows, err, nil)
	ln := &topology.Port{Name: "ln", Type: topology.TypeLocalnet, Datapath: 1, Key: 4, Enabled: true, Unknown: true, LearnFDB: true}
	quiet := &topology.Port{Name: "quiet", Type: topology.TypeLocalnet, Datapath: 1, Key: 5, Enabled: true, Unknown: true}
	lp := &topology.Port{Name: "lp", Type: topology.TypeLocalport, Datapath: 1, Key: 6, Enabled: true,
		Addresses: []topology.Addresses{address(t, "50:54:00:00:00:06 10.0.0.16")}}
	trunk := &topology.Port{Name: "trunk", Datapath: 1, Key: 7, Enabled: true, Passthru: true,
		Addresses: []topology.Addresses{address(t, "50:54:00:00:00:07 10.0.0.17 fd00::17")}}
	virtual := func(name, ip string, key uint32) *topology.Port {
		return &topology.Port{Name: name, Type: topology.TypeVirtual, Datapath: 1, Key: key, Enabled: true,
			Addresses: []topology.Addresses{address(t, "50:54:00:00:00:50 "+ip)},
			Virtual:   &topology.Virtual{IP: netip.MustParseAddr(ip), Parents: []topology.VirtualParent{{Name: "vm1", Key: 1}, {Name: "vm2", Key: 9}}}}
	}
	gw := &topology.Port{Name: "gw", Type: topology.TypeL2Gateway, Datapath: 1, Key: 8, Enabled: true, Unknown: true}
	for _, p := range []*topology.Port{vm1, anyone, off, ln, quiet, lp, trunk, gw, virtual("vip", "10.0.0.50", 10), virtual("vip6", "fd00::50", 11)} {
		flows, err := pipeline.OfPort(p)
		section("port "+p.Name, flows, err, p)
		flows, err = pipeline.OfResident(p)
		section("port "+p.Name+", resident", flows, err, p)
	}
	path := filepath.Join("testdata", "l2.txt")
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

// print is the flows of a body in the syntax of ovs-ofctl, with the stage and the
// guards, and without cookies.
func print(t *testing.T, body *Body) string {
	t.Helper()
	var m proto.Body
	if err := gproto.Unmarshal(body.Bytes, &m); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range m.Flows {
		s, err := pipeline.StageByID(f.Stage)
		if err != nil {
			t.Fatal(err)
		}
		text := (&openflow.Flow{Table: uint8(f.Table), Priority: uint16(f.Priority), Match: f.Match, Actions: f.Actions}).String()
		text = strings.TrimPrefix(strings.TrimSpace(text), "cookie=0x0, ")
		for _, g := range f.Guard {
			text += fmt.Sprintf(" # %sresident(%d/%d)", map[bool]string{true: "not "}[g.Negated], g.Datapath, g.Port)
		}
		fmt.Fprintf(&b, "%-22s %s\n", s.Name, text)
	}
	return b.String()
}

// TestSameBytes compiles the same flows twice.
func TestSameBytes(t *testing.T) {
	p := &topology.Port{Name: "vm1", Key: 7, Enabled: true, Addresses: []topology.Addresses{address(t, "50:54:00:00:00:01 10.0.0.11")}}
	keys := PortKeys(func(string) (uint32, error) { return p.Key, nil })
	var hashes [][16]byte
	for range 2 {
		flows, err := pipeline.OfPort(p)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Compile(flows, keys, nil)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, b.Hash)
	}
	if hashes[0] != hashes[1] {
		t.Error("two compiles of one port differ")
	}
}
