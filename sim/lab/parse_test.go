package lab

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseExample(t *testing.T) {
	c, err := Load("../../docs/examples/two-hypervisors.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Control != ControlGovn || len(c.Chassis) != 2 || len(c.Workloads) != 2 {
		t.Fatalf("config = %+v", c)
	}
	if got := c.Workloads[1]; got.Port != "vm2" || got.MTU != 1500 || got.IPs[0].String() != "10.0.0.12/24" {
		t.Errorf("workload = %+v", got)
	}
	if got := c.Chassis[1].MgmtIP.String(); got != "198.51.100.2" {
		t.Errorf("management address = %s", got)
	}
	want := "-- ls-add sw0 -- lsp-add sw0 vm1 -- lsp-set-addresses vm1 50:54:00:00:00:01 10.0.0.11 -- lsp-add sw0 vm2 -- lsp-set-addresses vm2 50:54:00:00:00:02 10.0.0.12"
	if got := strings.Join(c.Topology.nbctlArgs(), " "); got != want {
		t.Errorf("commands = %s", got)
	}
}

// A file with zones, and what it leaves out.
func TestParseZones(t *testing.T) {
	c, err := Load("../../docs/examples/interconnect.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if ic := c.IC; ic == nil || ic.Server != ControlGovn || ic.Join != JoinFabric || ic.MgmtIP.String() != "198.51.100.251" || !slices.Equal(ic.Nbctl, []string{"ts-add ts1"}) {
		t.Errorf("interconnection = %+v", ic)
	}
	var names []string
	for _, z := range c.AllZones() {
		names = append(names, z.Name, z.MgmtIP.String(), string(z.Control), string(z.Agent))
		for _, ch := range c.ChassisOf(z.Name) {
			names = append(names, ch.Name, ch.EncapIP.String())
		}
		for _, w := range c.WorkloadsOf(z.Name) {
			names = append(names, w.Name)
		}
	}
	want := "east 198.51.100.250 govn govn worker_east 203.0.113.1 gw_east 203.0.113.2 vm1 " +
		"west 198.51.100.249 govn govn worker_west 203.0.113.3 gw_west 203.0.113.4 vm2"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("zones:\n got %s\nwant %s", got, want)
	}
	for _, node := range []string{"vm2", "gw_west", "west"} {
		if zone, ok := c.ZoneOf(node); !ok || zone != "west" {
			t.Errorf("zone of %q: %q, %v", node, zone, ok)
		}
	}
	if _, ok := c.ZoneOf("ic"); ok {
		t.Error("the interconnection is in a zone")
	}
	linked := ""
	for i := range c.Chassis {
		if Linked(&c.Chassis[1], &c.Chassis[i]) {
			linked += " " + c.Chassis[i].Name
		}
	}
	if linked != " worker_east gw_east gw_west" {
		t.Errorf("gw_east is linked to%s", linked)
	}
}

// One zone may say another control plane than the file.
func TestParseZoneControl(t *testing.T) {
	c, err := Parse("f", []byte("name: x\ncontrol: stock\nic: {}\nzones:\n  - {name: a, chassis: [{name: hv1}]}\n"+
		"  - {name: b, control: govn, agent: stock, chassis: [{name: hv2}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := []Control{c.Zones[0].Control, c.Zones[0].Agent, c.Zones[1].Control, c.Zones[1].Agent}
	if want := []Control{ControlStock, ControlStock, ControlGovn, ControlStock}; !slices.Equal(got, want) {
		t.Errorf("controls and agents %v, want %v", got, want)
	}
}

// Every mistake is reported with file, line and field.
func TestParseMistakes(t *testing.T) {
	const head = "name: x\nchassis: [{name: hv1}]\n"
	const zones = "name: x\nzones:\n  - {name: a, chassis: [{name: hv1}]}\n"
	for _, tc := range []struct{ text, want string }{
		{"", "f:1: the file is empty"},
		{"name: [", "f:1: "},
		{"- a", "f:1: must be a mapping"},
		{"chassis: [{name: hv1}]", "f:1: name: is missing"},
		{"name: x", "f:1: chassis: is missing"},
		{"name: x\nchassis: []", "f:2: chassis: a lab needs at least one"},
		{"name: X_y\nchassis: [{name: hv1}]", `f:1: name: "X_y" is not a name`},
		{head + "colour: red", "f:3: colour: no such field; there are chassis,"},
		{head + "name: y", "f:3: name: given twice, first in line 1"},
		{head + "control: both", `f:3: control: "both" is neither govn nor stock`},
		{head + "underlay: {subnet: 10.0.0.1}", `f:3: underlay.subnet: "10.0.0.1" is not an address with a prefix`},
		{head + "underlay: {mtu: big}", `f:3: underlay.mtu: "big" is not a number`},
		{head + "underlay: {subnet: 198.51.100.0/24}", "f:3: underlay.subnet: the underlay's 198.51.100.0/24 and"},
		{"name: x\nchassis:\n  - name: hv1\n    encap-ip: 1.2.3", `f:4: chassis[0].encap-ip: "1.2.3" is not an IP address`},
		{"name: x\nchassis:\n  - name: hv1\n    encap-ip: 1.2.3.4", "f:4: chassis[0].encap-ip: 1.2.3.4 is not in the underlay subnet"},
		{"name: x\nchassis:\n  - name: hv1\n  - name: hv2\n    encap-ip: 203.0.113.1", `f:5: chassis[1].encap-ip: 203.0.113.1 is the address of "hv1"`},
		{"name: x\nchassis:\n  - name: hv1\n  - name: hv1", `f:4: chassis[1].name: the name "hv1" is taken`},
		{"name: x\nchassis:\n  - name: central", `f:3: chassis[0].name: the name "central" is taken`},
		{head + "workloads:\n  - {name: a, mac: '0a:00:00:00:00:01'}", "f:4: workloads[0].chassis: is missing"},
		{head + "workloads:\n  - name: a\n    chassis: hv9\n    mac: 0a:00:00:00:00:01", `f:5: workloads[0].chassis: no chassis is named "hv9"`},
		{head + "workloads:\n  - name: a\n    chassis: hv1\n    mac: 0a:00:00:00:00", `f:6: workloads[0].mac: "0a:00:00:00:00" is not a MAC`},
		{head + "workloads:\n  - name: a\n    chassis: hv1\n    mac: 0a:00:00:00:00:01\n    mtu: 1550", "f:7: workloads[0].mtu: 1550 bytes and 58 of Geneve"},
		{head + "workloads:\n  - name: a\n    chassis: hv1\n    mac: 0a:00:00:00:00:01\n    gw: 10.0.0.1", "f:7: workloads[0].gw: 10.0.0.1 is not on a subnet"},
		{head + "topology:\n  switches:\n  - name: s\n    ports:\n    - name: p\n      unknown: maybe", `f:8: topology.switches[0].ports[0].unknown: must be true or false, is "maybe"`},
		{head + "topology:\n  switches:\n  - name: s\n    ports: [{name: p}, {name: p}]", `topology.switches[0].ports[1].name: port "p" is there twice`},
		{head + "topology:\n  nbctl:\n  - ls-add 'x", "f:5: topology.nbctl[0]: a quote is not closed"},
		{head + "topology: {nbctl: ls-add}", `f:3: topology.nbctl: must be a list, is "ls-add"`},
		{head + "zones: [{name: a, chassis: [{name: hv2}]}]", "f:2: chassis: belongs into one of the zones"},
		{head + "ic: {}", "f:3: ic: an interconnection is for zones, and there are none"},
		{"name: x\nzones: []", "f:2: zones: a lab needs at least one"},
		{zones + "  - name: a\n    chassis: [{name: hv2}]", `f:4: zones[1].name: the name "a" is taken by a zone`},
		{zones + "  - name: b\n    chassis: [{name: hv1}]", `f:5: zones[1].chassis[0].name: the name "hv1" is taken by a chassis`},
		{zones + "  - name: b\n    chassis: []", "f:5: zones[1].chassis: a zone needs at least one"},
		{zones + "  - name: ic\n    chassis: [{name: hv2}]\nic: {}", `f:6: ic: the name "ic" is taken by a zone`},
		{zones + "  - name: b\n    control: both\n    chassis: [{name: hv2}]", `f:5: zones[1].control: "both" is neither govn nor stock`},
		{zones + "  - name: b\n    chassis: [{name: hv2}]\n    learns: [10.0.0.0/24]", "f:6: zones[1].learns: there is no interconnection"},
		{zones + "  - name: b\n    chassis: [{name: hv2}]\n    learns: [10.0.0.1/24]\nic: {}", "f:6: zones[1].learns[0]: 10.0.0.1/24 has bits behind its prefix length; 10.0.0.0/24 is meant"},
		{zones + "  - name: b\n    chassis: [{name: hv2}]\n    transit: [{nbctl: [ls-list]}]\nic: {}", "f:6: zones[1].transit[0].switch: is missing"},
		{zones + "  - name: b\n    chassis: [{name: hv2, management: 198.51.100.250}]", `f:5: zones[1].chassis[0].management: 198.51.100.250 is the address of "a"`},
		{zones + "  - name: b\n    chassis: [{name: hv2}]\n    workloads: [{name: w, chassis: hv3, mac: '0a:00:00:00:00:01'}]", `f:6: zones[1].workloads[0].chassis: no chassis is named "hv3"`},
		{zones + "ic: {join: radio}", `f:4: ic.join: "radio" is neither fabric nor ovsdb`},
		{zones + "ic: {server: stock, join: fabric}", "f:4: ic.join: databases of OVN have no service"},
		{zones + "ic: {nbctl: [\"ts-add 'x\"]}", "f:4: ic.nbctl[0]: a quote is not closed"},
	} {
		_, err := Parse("f", []byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q:\n  got  %v\n  want %s", tc.text, err, tc.want)
			continue
		}
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v is no ErrConfig", tc.text, err)
		}
	}
}

// All mistakes come at once, in the order of the file.
func TestParseReportsAll(t *testing.T) {
	_, err := Parse("f", []byte("name: x\ncontrol: a\nchassis:\n  - name: B\n    datapath: c\n"))
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.SplitN(line, ":", 3)[1])
	}
	if !reflect.DeepEqual(lines, []string{"2", "4", "5"}) {
		t.Errorf("lines %v in %v", lines, err)
	}
}

func TestSplitWords(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"  ls-add  sw0 ", []string{"ls-add", "sw0"}},
		{`a "b c" d'e f'g`, []string{"a", "b c", "de fg"}},
		{`a ""`, []string{"a", ""}},
		{`a\ b "c\"d" 'e\f'`, []string{"a b", `c"d`, `e\f`}},
	} {
		got, err := SplitWords(tc.in)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("SplitWords(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
		}
	}
}

// Parse answers any bytes with a config that is complete, or an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte("name: x\nchassis: [{name: hv1}]\n"))
	f.Add([]byte("name: x\nchassis:\n  - &a {name: hv1}\n  - *a\nworkloads: [{name: a, chassis: hv1, mac: '0a:00:00:00:00:01', ip: [10.0.0.1/24]}]"))
	f.Add([]byte("topology: {switches: [{name: s, ports: [{name: p, options: {a: b}}]}], nbctl: ['a b']}"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("name: x\nic: {nbctl: [ts-add ts1]}\nzones:\n  - name: a\n    chassis: [{name: hv1}]\n    workloads: [{name: w, chassis: hv1, mac: '0a:00:00:00:00:01'}]\n    transit: [{switch: ts1, nbctl: [ls-list]}]\n    learns: [10.0.0.0/24]\n"))
	f.Add([]byte("name: x\nzones: []\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			return
		}
		if c.Name == "" || len(c.Chassis) == 0 {
			t.Fatalf("incomplete: %+v", c)
		}
		for _, w := range c.Workloads {
			if c.chassis(w.Chassis) == nil || w.Port == "" {
				t.Fatalf("incomplete workload %+v", w)
			}
			if _, ok := c.ZoneOf(w.Chassis); !ok {
				t.Fatalf("workload %+v is in no zone", w)
			}
		}
		for _, z := range c.AllZones() {
			if len(c.ChassisOf(z.Name)) == 0 || !z.MgmtIP.IsValid() || z.Control == "" {
				t.Fatalf("incomplete zone %+v", z)
			}
		}
	})
}
