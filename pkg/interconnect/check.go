package interconnect

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"govn/pkg/logical"
	"govn/pkg/northbound"
)

// Name is the name of a zone, a gateway or a transit switch, which becomes the
// name of a logical switch in every zone and part of a line in what is printed.
var Name = northbound.NewType("a name", checkName)

func checkName(s string) *logical.Error {
	fault := func(pos, end int, what string) *logical.Error {
		return &logical.Error{Pos: pos, End: end, Msg: what, Text: s}
	}
	if s == "" {
		return fault(0, 0, "the name is empty")
	}
	if n := len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace)); n > 0 {
		return fault(0, n, "the name begins with a space")
	}
	if n := len(strings.TrimRightFunc(s, unicode.IsSpace)); n < len(s) {
		return fault(n, len(s), "the name ends with a space")
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsPrint(r) || r == utf8.RuneError && n == 1 {
			return fault(i, i+n, "a character that cannot be printed")
		}
		i += n
	}
	return nil
}

// Zones are zones that may join a transit switch: names or ids, with commas or
// blanks between.
var Zones = northbound.NewType("names or ids of zones, with commas between", func(s string) *logical.Error {
	for i, r := range s {
		if r != ',' && !unicode.IsSpace(r) && !unicode.IsPrint(r) {
			return &logical.Error{Pos: i, End: i + utf8.RuneLen(r), Msg: "a character that cannot be printed", Text: s}
		}
	}
	if len(ZoneList(s)) == 0 {
		return &logical.Error{End: len(s), Msg: "no zone is named: nobody may join", Text: s}
	}
	return nil
})

// ZoneList are the zones that a list names.
func ZoneList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// IsZoneID tells whether a word is the id of a zone: 32 hexadecimal digits, with
// hyphens or without.
func IsZoneID(s string) bool {
	id := strings.ToLower(strings.ReplaceAll(s, "-", ""))
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

// place is a column of a table.
type place struct{ table, column string }

// northboundTypes and southboundTypes are what strings in columns have to look
// like.
var (
	northboundTypes = map[place]northbound.Type{
		{"Transit_Switch", "name"}:           Name,
		{"Transit_Switch_Port", "addresses"}: northbound.Addresses,
		{"Transit_Router", "name"}:           Name,
		{"Transit_Router_Port", "mac"}:       northbound.MAC,
		{"Transit_Router_Port", "networks"}:  northbound.Prefix,
		{"Connection", "target"}:             northbound.Target,
	}
	southboundTypes = map[place]northbound.Type{
		{"Availability_Zone", "name"}:          Name,
		{"Gateway", "name"}:                    Name,
		{"Encap", "ip"}:                        northbound.IP,
		{"Datapath_Binding", "transit_switch"}: Name,
		{"Port_Binding", "logical_port"}:       Name,
		{"Port_Binding", "transit_switch"}:     Name,
		{"Port_Binding", "address"}:            northbound.MACAndIPs,
		{"Route", "transit_switch"}:            Name,
		{"Route", "ip_prefix"}:                 northbound.Prefix,
		{"Route", "nexthop"}:                   northbound.IP,
		{"Address_Set", "name"}:                Name,
		{"Connection", "target"}:               northbound.Target,
	}
)

// Column is a column whose strings are checked.
type Column struct{ Database, Table, Name string }

// Columns are those columns, in no order.
func Columns() (out []Column) {
	for database, types := range map[string]map[place]northbound.Type{"OVN_IC_Northbound": northboundTypes, "OVN_IC_Southbound": southboundTypes} {
		for p := range types {
			out = append(out, Column{database, p.table, p.column})
		}
	}
	return out
}

// CheckNorthbound finds what is wrong with the values of a row of
// OVN_IC_Northbound.
func CheckNorthbound(table string, row northbound.Row) []northbound.Fault {
	return check(northboundTypes, table, row)
}

// CheckSouthbound finds what is wrong with the values of a row of
// OVN_IC_Southbound.
func CheckSouthbound(table string, row northbound.Row) []northbound.Fault {
	return check(southboundTypes, table, row)
}

func check(types map[place]northbound.Type, table string, row northbound.Row) (out []northbound.Fault) {
	for _, column := range columns(types, table) {
		for _, text := range row.Strings(column) {
			if text == "" && optional[place{table, column}] {
				continue
			}
			if f := types[place{table, column}].Check(text); f != nil {
				out = append(out, northbound.Fault{Column: column, Error: *f})
			}
		}
	}
	for _, column := range []string{"options", "other_config"} {
		for _, p := range row.Pairs(column) {
			k, known := Find(table, column, p[0])
			switch {
			case known && p[1] == "" && !k.Own: // as if it were not there
			case known:
				if f := k.Type.Check(p[1]); f != nil {
					out = append(out, northbound.Fault{Column: column, Key: p[0], Error: *f})
				}
			case closed[place{table, column}]:
				f := logical.Error{End: len(p[0]), Msg: "no such key is documented", Text: p[0]}
				out = append(out, northbound.Fault{Column: column, Key: p[0], Unknown: true, Error: f})
			}
		}
	}
	return out
}

// optional are columns that may hold the empty string for nothing.
var optional = map[place]bool{
	{"Port_Binding", "address"}:        true, // the port has no router port yet
	{"Transit_Router_Port", "mac"}:     true,
	{"Transit_Switch_Port", "chassis"}: true,
}
