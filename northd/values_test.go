package northd_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// insertAsClient adds a row as a client does.
func (z *zone) insertAsClient(table string, values map[string]ovsdb.Value) (u ovsdb.UUID, err error) {
	_, err = z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		u = tx.Insert(z.schemas.NB.Tables[table], ovsdb.UUID{}, values)
		return tx.Err()
	})
	return u, err
}

// What no table of the compile says is listed, with its place: keys that nobody
// knows, values that are of a wrong type or out of range, names that lead
// nowhere, and what is stored and not compiled.
func TestLintValues(t *testing.T) {
	z := newZone(t, "")
	ls, _ := z.addSwitch(t, "sw0", map[string]ovsdb.Value{"name": "vm1", "options": ovsdb.StringMap(map[string]string{
		"requested-tnl-key": "40000", "qos_max_rate": "1000", "hostnam": "x", "vif-plug:representor:pf-mac": "x",
	})})
	z.setConfig(t, ls, "mcast_table_size", "99999", "vlan-passthru", "yes", "mcast_snoop", "false") // the last asks for nothing
	for _, row := range []struct {
		table  string
		values map[string]ovsdb.Value
	}{
		{"Static_MAC_Binding", map[string]ovsdb.Value{"logical_port": "nowhere", "ip": "10.0.0.1", "mac": "50:54:00:00:00:01"}},
		{"Load_Balancer", map[string]ovsdb.Value{"name": "lb", "vips": ovsdb.StringMap(map[string]string{"10.0.0.1:80": "10.0.0.2"}),
			"options": ovsdb.StringMap(map[string]string{"affinity_timeout": "70000"})}},
		{"DHCP_Options", map[string]ovsdb.Value{"cidr": "10.0.0.0/24", "options": ovsdb.StringMap(map[string]string{"router": "10.0.0.256"})}},
		{"Copp", map[string]ovsdb.Value{"name": "copp", "meters": ovsdb.StringMap(map[string]string{"arp": "none"})}},
	} {
		if _, err := z.insertAsClient(row.table, row.values); err != nil {
			t.Fatal(err)
		}
	}
	z.step(t)
	var got []string
	for _, p := range z.View().Lint().Problems {
		at := "-"
		if p.Position != nil {
			at = fmt.Sprint(*p.Position)
		}
		got = append(got, fmt.Sprintf("%s %s %q %s: %s [%s]", p.Table, p.Column, p.Value, at, p.Reason, p.Effect))
	}
	not := func(table, why string) string {
		return table + ` "" -: configured but not compiled by this version: ` + why + " [" + control.NotCompiled + "]"
	}
	want := []string{
		not("Copp ", "packets to the controller have the limits of the chassis"),
		`Copp meters:arp "none" 0: there is no Meter "none" [ambiguous]`,
		not("DHCP_Options ", "DHCP requests are not answered"),
		`DHCP_Options options:router "10.0.0.256" 7: not a number from 0 to 255 [ignored]`,
		not("Load_Balancer ", "connections are not balanced"),
		`Load_Balancer options:affinity_timeout "70000" 0: out of range: not an integer from 0 to 65535 [ignored]`,
		`Load_Balancer vips:10.0.0.1:80 "10.0.0.2" 8: a port is missing [ignored]`,
		`Logical_Switch other_config:mcast_table_size "99999" 0: out of range: not an integer from 1 to 32766 [ignored]`,
		`Logical_Switch other_config:mcast_table_size "99999" -: configured but not compiled by this version: multicast is flooded [not compiled]`,
		`Logical_Switch other_config:vlan-passthru "yes" 0: not true or false [ignored]`,
		`Logical_Switch_Port options:hostnam "hostnam" -: no key "hostnam" is documented [ignored]`,
		`Logical_Switch_Port options:qos_max_rate "1000" -: configured but not compiled by this version: the port is one without it [not compiled]`,
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("missing: %s", w)
		}
	}
	for _, g := range got {
		// The compile says by itself what it does without.
		if !slices.Contains(want, g) && !strings.Contains(g, "requested-tnl-key") && !strings.Contains(g, "Static_MAC_Binding") {
			t.Errorf("too much: %s", g)
		}
	}
}

// Strict mode refuses the same in the transaction, of what the transaction
// writes.
func TestStrictValues(t *testing.T) {
	z := newZone(t, "")
	ls, _ := z.addSwitch(t, "sw0")
	z.setConfig(t, ls, "vlan-passthru", "yes") // before the zone is strict
	z.nb(t, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(z.columns.NBGlobal.Table) {
			tx.PutInMap(z.columns.NBGlobal.Table, row.UUID(), "options", topology.StrictOption, "true")
		}
		return tx.Err()
	})
	put := func(column, key, value string) error {
		_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
			tx.PutInMap(z.columns.LS.Table, ls, column, key, value)
			return tx.Err()
		})
		return err
	}
	for _, tt := range []struct{ column, key, value, want string }{
		{"other_config", "mcast_table_size", "0", `Logical_Switch "sw0", other_config:mcast_table_size: "0", at position 0: out of range`},
		{"other_config", "subnets", "x", `no key "subnets" is documented`},
		{"other_config", "mcast_snoop", "true", "not compiled by this version"},
		{"other_config", "vlan-passthru", "on", "not true or false"},
		{"other_config", "requested-tnl-key", "7", ""}, // what was wrong before does not matter
		{"external_ids", "anything", "goes", ""},
		{"other_config", "vlan-passthru", "true", ""},
	} {
		err := put(tt.column, tt.key, tt.value)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), topology.StrictOption)) {
			t.Errorf("%s:%s=%s: %v, want %q", tt.column, tt.key, tt.value, err, tt.want)
		}
	}
	for table, want := range map[string]struct {
		values map[string]ovsdb.Value
		detail string
	}{
		"Load_Balancer":      {map[string]ovsdb.Value{"name": "lb"}, "connections are not balanced"},
		"Static_MAC_Binding": {map[string]ovsdb.Value{"logical_port": "no", "ip": "10.0.0.1", "mac": "50:54:00:00:00:01"}, `there is no Logical_Router_Port "no"`},
	} {
		if _, err := z.insertAsClient(table, want.values); err == nil || !strings.Contains(err.Error(), want.detail) {
			t.Errorf("%s: %v, want %q", table, err, want.detail)
		}
	}
}
