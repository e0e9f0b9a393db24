package lab

import (
	"errors"
	"reflect"
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

// Every mistake is reported with file, line and field.
func TestParseMistakes(t *testing.T) {
	const head = "name: x\nchassis: [{name: hv1}]\n"
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
		}
	})
}
