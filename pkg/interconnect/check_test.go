package interconnect

import (
	"strings"
	"testing"

	"govn/pkg/northbound"
)

// row is a row of one column.
type row struct {
	column string
	values []string
	pairs  [][2]string
}

func (r row) Strings(column string) []string {
	if column == r.column {
		return r.values
	}
	return nil
}

func (r row) Pairs(column string) [][2]string {
	if column == r.column {
		return r.pairs
	}
	return nil
}

// A fault says where it is; what zones write is none.
func TestCheck(t *testing.T) {
	nb, sb := CheckNorthbound, CheckSouthbound
	for _, tt := range []struct {
		check         func(string, northbound.Row) []northbound.Fault
		table, column string
		value, want   string // the value, and what is drawn; "": nothing
	}{
		{nb, "Transit_Switch", "name", "ts1", ""},
		{nb, "Transit_Switch", "name", "zürich – east", ""},
		{nb, "Transit_Switch", "name", "", "\n^ the name is empty"},
		{nb, "Transit_Switch", "name", "ts1 ", "ts1 \n   ^ the name ends with a space"},
		{nb, "Transit_Switch", "name", "  ts1", "  ts1\n^^ the name begins with a space"},
		{nb, "Transit_Switch", "name", "ts\x011", "a character that cannot be printed"},
		{nb, "Transit_Switch", "name", "ts\xff1", "a character that cannot be printed"},
		{nb, "Connection", "target", "ptcp:6645", ""},
		{nb, "Connection", "target", "p:6645", "p:6645\n^ not tcp, ssl"},
		{nb, "Transit_Switch", "external_ids", "anything", ""},
		{sb, "Encap", "ip", "10.0.0.300", "10.0.0.300\n       ^^^ not a number from 0 to 255"},
		{sb, "Encap", "ip", "fd00::1", ""},
		{sb, "Route", "ip_prefix", "10.0.0.0/33", "10.0.0.0/33\n         ^^ not a prefix length"},
		{sb, "Route", "ip_prefix", "fd00::/64", ""},
		{sb, "Route", "nexthop", "ts1", "ts1\n^^^ not an IP address"},
		{sb, "Port_Binding", "address", "00:00:00:00:00:01 10.0.0.1/24 fd00::1/64", ""},
		{sb, "Port_Binding", "address", "", ""},
		{sb, "Port_Binding", "address", "10.0.0.1", "10.0.0.1\n^"},
		{sb, "Availability_Zone", "name", "", "\n^ the name is empty"},
		{nb, "Availability_Zone", "name", "", ""}, // of the other database
	} {
		var got []string
		for _, f := range tt.check(tt.table, row{column: tt.column, values: []string{tt.value}}) {
			got = append(got, f.Caret())
		}
		if s := strings.Join(got, "\n"); (tt.want == "") != (s == "") || !strings.Contains(s, tt.want) {
			t.Errorf("%s %s=%q:\n%s\nwant\n%s", tt.table, tt.column, tt.value, s, tt.want)
		}
	}
}

// Keys that mean nothing are unknown where nobody may invent some.
func TestCheckKeys(t *testing.T) {
	for _, tt := range []struct {
		table, column, key, value string
		unknown                   bool
		want                      string
	}{
		{"IC_NB_Global", "options", "vxlan_mode", "true", false, ""},
		{"IC_NB_Global", "options", "vxlan_mode", "", false, ""},
		{"IC_NB_Global", "options", "vxlan_mode", "on", false, "on\n^^ not true or false"},
		{"IC_NB_Global", "options", "vxlanmode", "true", true, "vxlanmode\n^^^^^^^^^ no such key"},
		{"IC_NB_Global", "external_ids", "mine", "x", false, ""},
		{"Transit_Switch", "other_config", "zones", "east, west", false, ""},
		{"Transit_Switch", "other_config", "zones", " ,", false, " ,\n^^ no zone is named"},
		{"Transit_Switch", "other_config", "zones", "a,\x01", false, "a,\x01\n  ^ a character"},
		{"Transit_Switch", "other_config", "mine", "x", true, "mine\n^^^^ no such key"},
	} {
		faults := CheckNorthbound(tt.table, row{column: tt.column, pairs: [][2]string{{tt.key, tt.value}}})
		if tt.want == "" {
			if len(faults) != 0 {
				t.Errorf("%s %s:%s=%s: %v", tt.table, tt.column, tt.key, tt.value, faults)
			}
			continue
		}
		if len(faults) != 1 || faults[0].Unknown != tt.unknown || !strings.HasPrefix(faults[0].Caret(), tt.want) || faults[0].Place() != tt.column+":"+tt.key {
			t.Errorf("%s %s:%s=%s: %+v", tt.table, tt.column, tt.key, tt.value, faults)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"ts1", "", " ", "a b", "\x00", "\xff\xfe", "é "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if e := Name.Check(s); e != nil && (e.Pos < 0 || e.End < e.Pos || e.End > len(s) || e.Caret() == "") {
			t.Errorf("%q: %+v", s, e)
		}
	})
}
