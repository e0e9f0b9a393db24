package schema

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-org/libovsdb/ovsdb"
)

// changed lists what differs between OVN 23.03 (northbound 7.0.0, southbound
// 20.27.0, of the interconnect 1.0.0 and 1.1.1) and what is declared. But for STT tunnels, every value that 23.03
// allows is allowed here too, so its programs can write what they write.
var changed = map[string]map[string]string{
	"northbound": {
		// Rules of a tier that leave the decision to the next one.
		"ACL.action": "string{allow/allow-related/allow-stateless/drop/reject} -> string{allow/allow-related/allow-stateless/drop/reject/pass}",
		// IPv6 addresses can be hashed by name.
		"Load_Balancer.selection_fields": "string{eth_src/eth_dst/ip_src/ip_dst/tp_src/tp_dst} x0..* -> string{eth_src/eth_dst/ip_src/ip_dst/ipv6_src/ipv6_dst/tp_src/tp_dst} x0..*",
		// Policies are in chains.
		"Logical_Router_Policy.action": "string{allow/drop/reroute} -> string{allow/drop/reroute/jump}",
		// Unnumbered router ports have link-local addresses only.
		"Logical_Router_Port.networks": "string x1..* -> string x0..*",
		// One mirror for both directions.
		"Mirror.filter": "string{from-lport/to-lport} -> string{from-lport/to-lport/both}",
		// Mirrors to a local interface or to a logical port.
		"Mirror.type": "string{gre/erspan} -> string{gre/erspan/local/lport}",
		// Packet marks, which are 32 bits wide.
		"QoS.action": "map<string{dscp},integer[0..63]> -> map<string{dscp/mark},integer[0..4294967295]>",
	},
	"southbound": {
		// The domain search list is an option of DHCPv6 too.
		"DHCPv6_Options.type": "string{ipv6/str/mac} -> string{ipv6/str/mac/domain}",
		// Support for STT has ended.
		"Encap.type": "string{geneve/stt/vxlan} -> string{geneve/vxlan}",
		// Pipelines have grown.
		"Logical_Flow.table_id": "integer[0..32] -> integer[0..34]",
		// As in the northbound database.
		"Mirror.filter": "string{from-lport/to-lport} -> string{from-lport/to-lport/both}",
		"Mirror.type":   "string{gre/erspan} -> string{gre/erspan/local/lport}",
		// Hosts are probed by ping.
		"Service_Monitor.protocol": "string{tcp/udp}? -> string{tcp/udp/icmp}?",
	},
	"ic-northbound": {},
	"ic-southbound": {
		// A transit router may have the key of a transit switch.
		"Datapath_Binding": "table Datapath_Binding root index=tunnel_key -> table Datapath_Binding root index=nb_ic_uuid+tunnel_key",
		// Support for STT has ended.
		"Encap.type": "string{geneve/stt/vxlan} -> string{geneve/vxlan}",
		// Routes to load balancers and of dynamic routing are advertised, too.
		"Route.origin": "string{connected/static} -> string{connected/static/loadbalancer/connected-dynamic}",
	},
}

// What OVN 23.03 knows is there, with the same type unless it has changed since.
func TestAgainstStock(t *testing.T) {
	for name, tt := range map[string]struct {
		file string
		ours *Database
	}{
		"northbound":    {"/usr/share/ovn/ovn-nb.ovsschema", Northbound()},
		"southbound":    {"/usr/share/ovn/ovn-sb.ovsschema", Southbound()},
		"ic-northbound": {"/usr/share/ovn/ovn-ic-nb.ovsschema", ICNorthbound()},
		"ic-southbound": {"/usr/share/ovn/ovn-ic-sb.ovsschema", ICSouthbound()},
	} {
		b, err := os.ReadFile(tt.file)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		stock := parse(t, b)
		if stock.Name != tt.ours.Name {
			t.Errorf("%s: %q, stock has %q", name, tt.ours.Name, stock.Name)
		}
		for _, st := range stock.Tables {
			ot := tt.ours.Table(st.Name)
			if ot == nil {
				got[st.Name] = "gone"
				continue
			}
			if st.String() != ot.String() {
				got[st.Name] = fmt.Sprintf("%s -> %s", st, ot)
			}
			for _, sc := range st.Columns {
				id := st.Name + "." + sc.Name
				oc := ot.Column(sc.Name)
				switch {
				case oc == nil:
					got[id] = "gone"
				case oc.String() != sc.String():
					got[id] = fmt.Sprintf("%s -> %s", sc, oc)
				}
			}
		}
		if diff := cmp.Diff(changed[name], got); diff != "" {
			t.Errorf("%s (-known +found):\n%s", name, diff)
		}
	}
}

// What is declared of Open_vSwitch is exactly what Open vSwitch 3.1 has.
func TestAgainstOpenVSwitch(t *testing.T) {
	b, err := os.ReadFile("/usr/share/openvswitch/vswitch.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	stock := parse(t, b)
	for _, ours := range OpenVSwitch().Tables {
		st := stock.Table(ours.Name)
		if st == nil || st.String() != ours.String() {
			t.Errorf("%q, stock has %q", ours, st)
			continue
		}
		for _, c := range ours.Columns {
			if sc := st.Column(c.Name); sc == nil || sc.String() != c.String() {
				t.Errorf("%s.%s is %q, stock has %q", ours.Name, c.Name, c, sc)
			}
		}
	}
}

func serverSchema(t *testing.T, d *Database) ovsdb.DatabaseSchema {
	t.Helper()
	var s ovsdb.DatabaseSchema
	if err := json.Unmarshal(d.JSON(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
