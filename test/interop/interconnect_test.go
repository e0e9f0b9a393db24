package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"govn/ic/server"
	"govn/nbctl/icctl"
	"govn/nbctl/idl"
)

// icRun runs a command line of a program of the interconnection, which has to
// succeed.
func icRun(t *testing.T, remote map[string]string, program, line string) string {
	t.Helper()
	stdout, stderr, status := ours(remote)(t.Context(), program, words(t, line))
	if status != 0 {
		t.Fatalf("%s %s: status %d, %s", program, line, status, stderr)
	}
	return stdout
}

// linked is an interconnection of two zones by one transit switch.
func linked(t *testing.T, remote map[string]string) {
	t.Helper()
	icRun(t, remote, "ic-nb", "ts-add ts1")
	icRun(t, remote, "ic-sb", "create Datapath_Binding transit_switch=ts1 tunnel_key=16711681 -- create Datapath_Binding transit_switch=idle tunnel_key=16711682")
	for _, z := range []struct{ name, key string }{{"east", "1"}, {"west", "2"}} {
		icRun(t, remote, "ic-sb", strings.NewReplacer("ZONE", z.name, "KEY", z.key).Replace(
			`--id=@z create Availability_Zone name=ZONE -- --id=@e create Encap type=geneve ip=10.0.0.KEY gateway_name=gw_ZONE -- `+
				`create Gateway name=gw_ZONE hostname=host_ZONE availability_zone=@z encaps=@e -- `+
				`create Port_Binding logical_port=ts1-ZONE transit_switch=ts1 tunnel_key=KEY availability_zone=@z gateway=gw_ZONE `+
				`address="\"0a:00:00:00:00:0KEY 169.254.100.KEY/24\"" -- `+
				`create Route transit_switch=ts1 availability_zone=@z ip_prefix=192.168.KEY.0/24 nexthop=169.254.100.KEY origin=connected`))
	}
}

// show -o prints and draws the interconnection.
func TestInterconnectOutputs(t *testing.T) {
	servers(t, func(t *testing.T, remote map[string]string) {
		linked(t, remote)
		for _, format := range []string{"json", "yaml"} {
			decode := json.Unmarshal
			if format == "yaml" {
				decode = yaml.Unmarshal
			}
			var world struct {
				Switches []struct {
					Name string
					Key  int `json:"tunnel-key" yaml:"tunnel-key"`
				} `json:"transit-switches" yaml:"transit-switches"`
				Zones []struct {
					Name     string
					Gateways []struct{ Encaps []struct{ IP string } }
					Ports    []struct{ Name, Gateway string }
					Routes   []struct{ Prefix, Nexthop string }
				}
			}
			out := icRun(t, remote, "ic-sb", "show -o "+format)
			if err := decode([]byte(out), &world); err != nil || len(world.Switches) != 2 || world.Switches[1].Key != 16711681 || len(world.Zones) != 2 {
				t.Fatalf("show -o %s: %v\n%s", format, err, out)
			}
			if z := world.Zones[1]; z.Name != "west" || z.Gateways[0].Encaps[0].IP != "10.0.0.2" || z.Ports[0].Gateway != "gw_west" || z.Routes[0].Prefix != "192.168.2.0/24" {
				t.Errorf("show -o %s: %s", format, out)
			}
			var switches []struct{ Name string }
			out = icRun(t, remote, "ic-nb", "-o "+format+" show")
			if err := decode([]byte(out), &switches); err != nil || len(switches) != 1 || switches[0].Name != "ts1" {
				t.Errorf("ic-nbctl show -o %s: %v\n%s", format, err, out)
			}
		}
		for format, phrases := range map[string][]string{
			"svg":     {"<svg ", ">ts1<", ">idle<", ">tunnel key 16711681<", ">east<", ">gw_west<", ">geneve 10.0.0.2<", `class="link"`, `class="zone"`},
			"dot":     {"graph topology {", `label="ts1\ntunnel key 16711681"`, `label="west\nts1-west\n169.254.100.2/24\n1 route"`, " -- "},
			"mermaid": {"flowchart TB", "<b>ts1</b>", ":::zone", ":::gateway", " --- "},
		} {
			out := icRun(t, remote, "ic-sb", "show -o "+format)
			for _, phrase := range phrases {
				if !strings.Contains(out, phrase) {
					t.Errorf("show -o %s has no %q:\n%s", format, phrase, out)
				}
			}
			if one := icRun(t, remote, "ic-sb", "show west -o "+format); strings.Contains(one, "gw_east") || strings.Contains(one, "idle") || !strings.Contains(one, "ts1") {
				t.Errorf("show west -o %s:\n%s", format, one)
			}
			if out := icRun(t, remote, "ic-nb", "show -o "+format); !strings.Contains(out, "ts1") {
				t.Errorf("ic-nbctl show -o %s:\n%s", format, out)
			}
		}
		if out := icRun(t, remote, "ic-sb", "--columns=ip_prefix,nexthop find Route origin=connected ip_prefix=192.168.1.0/24 -o csv"); out != "ip_prefix,nexthop\n\"\"\"192.168.1.0/24\"\"\",\"\"\"169.254.100.1\"\"\"\n" {
			t.Errorf("find -o csv: %q", out)
		}
	})
}

// Values that no zone can use are pointed at.
func TestInterconnectCarets(t *testing.T) {
	remote := govnServer(t)
	linked(t, remote)
	for _, tt := range []struct {
		program, line string
		status        int
		want          string // the messages
	}{
		{"ic-nb", `ts-add "ts2 "`, 0, "warning: Transit_Switch name: this cannot be used\n  ts2 \n     ^ the name ends with a space\n"},
		{"ic-nb", `ts-add ""`, 0, "warning: Transit_Switch name: this cannot be used\n  \n  ^ the name is empty\n"},
		{"ic-nb", `ts-add ts1`, 1, "ts1: a transit switch with this name already exists\n"},
		{"ic-nb", `set IC_NB_Global . options:vxlan_mode=on`, 0, "warning: IC_NB_Global options:vxlan_mode: this cannot be used\n  on\n  ^^ not true or false\n"},
		{"ic-nb", `set-connection ptcp:6645 ppp:1`, 0, "warning: target type \"ppp:1\" is possibly erroneous\n"},
		{"ic-nb", `ts-add ts3`, 0, ""},
		{"ic-sb", `set Encap . ip=1`, 1, "no row \".\" in table Encap\n"},
		{"ic-sb", `--id=@e create Encap type=geneve ip=10.0.0.300 gateway_name=gw -- --id=@z get Availability_Zone west -- create Gateway name=gw availability_zone=@z encaps=@e`, 0,
			"warning: Encap ip: this cannot be used\n  10.0.0.300\n         ^^^ not a number from 0 to 255\n"},
		{"ic-sb", `--id=@z get Availability_Zone west -- create Route transit_switch=ts1 availability_zone=@z ip_prefix=10.1.0.0/40 nexthop=169.254.100.2 origin=static`, 0,
			"warning: Route ip_prefix: this cannot be used\n  10.1.0.0/40\n           ^^ not a prefix length from 0 to 32\n"},
		{"ic-sb", `set Port_Binding ts1-west address="\"0a:00:00:00:00:02 169.254.100.2/24\""`, 0, ""},
	} {
		_, stderr, status := ours(remote)(t.Context(), tt.program, words(t, tt.line))
		got := strings.ReplaceAll(stderr, "govn "+tt.program+"ctl: ", "")
		if i := strings.Index(got, "warning: target"); tt.want != "" && i > 0 && strings.HasPrefix(tt.want, "warning: target") {
			got = got[i:]
		}
		if status != tt.status || !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s %s: status %d\n%s\nwant status %d and\n%s", tt.program, tt.line, status, got, tt.status, tt.want)
		}
	}
}

// icServer runs govn ic server, without zones.
func icServer(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	nb, sb := filepath.Join(dir, "nb"), filepath.Join(dir, "sb")
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{
			Store: "memory", NBListen: []string{"punix:" + nb}, SBListen: []string{"punix:" + sb},
			NoDBRemotes: true, Logger: slog.New(slog.DiscardHandler), Ready: func() { close(ready) },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-ready
	return map[string]string{"ic-nb": "unix:" + nb, "ic-sb": "unix:" + sb}
}

// On the databases of govn ic server, which does things of its own with them, the
// stock programs and ours do and say the same.
func TestInterconnectServer(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("testdata/interconnect.script")
	if err != nil {
		t.Fatal(err)
	}
	s, o := icServer(t), icServer(t)
	runOn(t, []*backend{
		{name: "stock", remote: s, run: stock(s), vars: map[string]string{}},
		{name: "ours", remote: o, run: ours(o), vars: map[string]string{}},
	}, string(script))
}

// lint finds what zones cannot use, and nothing where all is well.
func TestInterconnectLint(t *testing.T) {
	servers(t, func(t *testing.T, remote map[string]string) {
		look := func() (found []string) {
			t.Helper()
			nb, err := icctl.Load(t.Context(), idl.Options{Remotes: remote["ic-nb"], Database: "OVN_IC_Northbound"})
			if err != nil {
				t.Fatal(err)
			}
			sb, err := icctl.Load(t.Context(), idl.Options{Remotes: remote["ic-sb"], Database: "OVN_IC_Southbound"})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range icctl.Lint(nb, sb) {
				found = append(found, fmt.Sprintf("%s %s %s@%d: %s [%d]", f.Table, f.Name, f.Place, f.Position, f.Reason, f.Effect))
			}
			return found
		}
		linked(t, remote)
		icRun(t, remote, "ic-nb", "ts-add idle -- set Transit_Switch ts1 other_config:zones=east,west,0123456789abcdef0123456789abcdef")
		if found := look(); len(found) != 0 {
			t.Fatalf("%q", found)
		}
		icRun(t, remote, "ic-nb", `set Transit_Switch ts1 other_config:zones="northeast, east,eest" other_config:zone=x -- create Transit_Switch name="\" ts\""`)
		icRun(t, remote, "ic-nb", "set IC_NB_Global . options:vxlan_mode=on")
		icRun(t, remote, "ic-sb", "create Datapath_Binding transit_switch=gone tunnel_key=7 -- set Port_Binding ts1-east gateway=gw_west")
		icRun(t, remote, "ic-sb", `set Port_Binding ts1-west gateway=gw9 address="\"0a:00:00:00:00:02 169.254.100.1/24 fd00::1\""`)
		icRun(t, remote, "ic-sb", "--id=@z get Availability_Zone east -- create Route transit_switch=ts1 availability_zone=@z ip_prefix=10.0.0.0/40 nexthop=169.254.100.9 origin=static")
		want := []string{
			`IC_NB_Global  options:vxlan_mode@0: not true or false [2]`,
			`Transit_Switch  ts name@0: the name begins with a space [0]`,
			`Transit_Switch ts1 other_config:zone@-1: no such key is documented [2]`,
			`Transit_Switch ts1 other_config:zones@0: no zone "northeast" has joined [1]`,
			`Transit_Switch ts1 other_config:zones@16: no zone "eest" has joined [1]`,
			`Datapath_Binding gone transit_switch@-1: there is no such transit switch [0]`,
			`Datapath_Binding gone tunnel_key@-1: keys of transit switches begin at 16711681: a zone may give this one to a switch of its own [1]`,
			`Port_Binding ts1-east gateway@-1: it is a gateway of zone "west" [1]`,
			`Port_Binding ts1-west address@18: port "ts1-east" of zone "east" has 169.254.100.1, too [1]`,
			`Port_Binding ts1-west gateway@-1: no zone tells of such a gateway [0]`,
			`Route ts1 ip_prefix@9: not a prefix length from 0 to 32 [0]`,
			`Route ts1 nexthop@-1: no port of zone "east" on the transit switch has it (route to 10.0.0.0/40) [1]`,
			`Route ts1 nexthop@-1: no port of zone "west" on the transit switch has it (route to 192.168.2.0/24) [1]`,
		}
		slices.Sort(want)
		found := look()
		slices.Sort(found)
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
