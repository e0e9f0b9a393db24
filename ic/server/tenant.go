package server

import (
	"maps"
	"strings"

	"govn/pkg/interconnect"
	"govn/pkg/ovsdb"
)

const (
	// ZonesKey is the key of Transit_Switch:other_config that names the zones which
	// may join the switch: names or ids, with commas between.
	ZonesKey = "zones"
	// StrictOption is the key of IC_NB_Global:options that opens transit switches
	// only to the zones that ZonesKey names.
	StrictOption = "govn-strict"
)

// access is who may join a transit switch.
type access struct {
	listed bool            // by ZonesKey
	names  map[string]bool // of zones
	ids    map[string]bool // 32 hexadecimal digits; never a name, which anybody can take
}

// accessOf reads Transit_Switch:other_config.
func accessOf(config ovsdb.Map) access {
	v, listed := config.Get(ZonesKey)
	text, _ := v.(string)
	a := access{listed: listed, names: make(map[string]bool), ids: make(map[string]bool)}
	for _, word := range interconnect.ZoneList(text) {
		if interconnect.IsZoneID(word) {
			a.ids[strings.ToLower(strings.ReplaceAll(word, "-", ""))] = true
		} else {
			a.names[word] = true
		}
	}
	return a
}

// allows tells whether a zone may join. In strict mode a switch without a list is
// open to nobody.
func (a access) allows(strict bool, name, id string) bool {
	if !a.listed {
		return !strict
	}
	return a.names[name] || a.ids[id]
}

// about tells whether the list names a zone.
func (a access) about(name, id string) bool {
	return a.listed && a.allows(false, name, id)
}

func (a access) equal(o access) bool {
	return a.listed == o.listed && maps.Equal(a.names, o.names) && maps.Equal(a.ids, o.ids)
}

// strictOf reads IC_NB_Global.
func (c *columns) strictOf(row *ovsdb.Row) bool {
	return row != nil && row.Map(c.nbGlobal.options).Str(StrictOption) == "true"
}

// strictIn tells whether a state is in strict mode.
func (c *columns) strictIn(sn *ovsdb.Snapshot) bool {
	for row := range sn.Rows(c.nbGlobal.table) {
		return c.strictOf(row)
	}
	return false
}

// mayJoin says why a zone may not join a transit switch; "": it may.
func (c *columns) mayJoin(sn *ovsdb.Snapshot, transit, name, id string) string {
	row := sn.Lookup(c.transit.table, byName, transit)
	if row == nil {
		return "there is no such transit switch"
	}
	a := accessOf(row.Map(c.transit.otherConfig))
	switch {
	case a.allows(c.strictIn(sn), name, id):
		return ""
	case a.listed:
		return "other_config:" + ZonesKey + " of the transit switch does not name the zone"
	}
	return "the transit switch has no other_config:" + ZonesKey + ", and options:" + StrictOption + " is true"
}
