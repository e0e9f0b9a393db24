package interconnect

import (
	"maps"
	"slices"

	"govn/pkg/northbound"
)

// Keys are the keys of maps that are known.
func Keys() []northbound.Key { return slices.Clone(keys) }

// Find returns a key.
func Find(table, column, name string) (northbound.Key, bool) {
	i := slices.IndexFunc(keys, func(k northbound.Key) bool { return k.Table == table && k.Column == column && k.Name == name })
	if i < 0 {
		return northbound.Key{}, false
	}
	return keys[i], true
}

// closed are the maps in which keys that are not known mean nothing.
var closed = map[place]bool{
	{"IC_NB_Global", "options"}:        true,
	{"Transit_Switch", "other_config"}: true,
	{"IC_SB_Global", "options"}:        true,
}

var keys = []northbound.Key{
	// Who may join, as govn's server has it.
	{Table: "IC_NB_Global", Column: "options", Name: "govn-strict", Type: northbound.Bool, Own: true},
	{Table: "Transit_Switch", Column: "other_config", Name: "zones", Type: Zones, Own: true},
	// Of versions of OVN after 23.03.
	{Table: "IC_NB_Global", Column: "options", Name: "vxlan_mode", Type: northbound.Bool},
	{Table: "IC_NB_Global", Column: "options", Name: "ic_probe_interval", Type: northbound.Uint32},
}

// columns are the columns of a table that have types, in order.
func columns(types map[place]northbound.Type, table string) (out []string) {
	for p := range maps.Keys(types) {
		if p.table == table {
			out = append(out, p.column)
		}
	}
	slices.Sort(out)
	return out
}
