package server

import (
	"strings"

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
	zones  map[string]bool // names, and ids as 32 hexadecimal digits
}

// accessOf reads Transit_Switch:other_config.
func accessOf(config ovsdb.Map) access {
	v, listed := config.Get(ZonesKey)
	text, _ := v.(string)
	a := access{listed: listed}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		if a.zones == nil {
			a.zones = make(map[string]bool)
		}
		a.zones[word] = true
		if id := strings.ToLower(strings.ReplaceAll(word, "-", "")); len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" {
			a.zones[id] = true
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
	return name != "" && a.zones[name] || id != "" && a.zones[id]
}

// names tells whether the list is about a zone.
func (a access) names(name, id string) bool {
	return a.listed && a.allows(false, name, id)
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
