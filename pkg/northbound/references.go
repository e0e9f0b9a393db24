package northbound

import (
	"regexp"
	"strings"
)

// Reference is the name of another row in a value.
type Reference struct {
	Column, Key string
	Name        string
	Tables      []string // any of which has a row of that name
	Text        string   // the value
	Pos         int      // of the name in it, in bytes
}

// Place is COLUMN or COLUMN:KEY.
func (r *Reference) Place() string { return (&Fault{Column: r.Column, Key: r.Key}).Place() }

// namedIn are the columns that hold names of rows.
var namedIn = map[[2]string][]string{
	{"Logical_Switch_Port", "parent_name"}:         {"Logical_Switch_Port"},
	{"Logical_Router_Static_Route", "output_port"}: {"Logical_Router_Port"},
	{"NAT", "logical_port"}:                        {"Logical_Switch_Port"},
	{"Static_MAC_Binding", "logical_port"}:         {"Logical_Router_Port"},
	{"BFD", "logical_port"}:                        {"Logical_Router_Port"},
	{"ACL", "meter"}:                               {"Meter"},
}

// namedByKey are the keys of maps that hold names of rows, with commas between
// them.
var namedByKey = map[[3]string][]string{
	{"Logical_Switch_Port", "options", "router-port"}:     {"Logical_Router_Port"},
	{"Logical_Switch_Port", "options", "virtual-parents"}: {"Logical_Switch_Port"},
}

// setPattern is a name of an address set or of a port group in a match.
var setPattern = regexp.MustCompile(`[$@][A-Za-z_.][A-Za-z0-9_.]*`)

// stringPattern is a string in a match.
var stringPattern = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// References are the names of other rows that a row of a table has.
func References(table string, row Row) (out []Reference) {
	for c, tables := range namedIn {
		if c[0] != table {
			continue
		}
		for _, name := range row.Strings(c[1]) {
			if name != "" {
				out = append(out, Reference{Column: c[1], Name: name, Tables: tables, Text: name})
			}
		}
	}
	for k, tables := range namedByKey {
		if k[0] != table {
			continue
		}
		for _, p := range row.Pairs(k[1]) {
			if p[0] != k[2] {
				continue
			}
			for pos, name := range fields(p[1], ", ") {
				out = append(out, Reference{Column: k[1], Key: p[0], Name: name, Tables: tables, Text: p[1], Pos: pos})
			}
		}
	}
	switch table {
	case "Copp":
		for _, p := range row.Pairs("meters") {
			out = append(out, Reference{Column: "meters", Key: p[0], Name: p[1], Tables: []string{"Meter"}, Text: p[1]})
		}
	case "Load_Balancer":
		for _, p := range row.Pairs("ip_port_mappings") {
			if name, _, ok := strings.Cut(p[1], ":"); ok {
				out = append(out, Reference{Column: "ip_port_mappings", Key: p[0], Name: name, Tables: []string{"Logical_Switch_Port"}, Text: p[1]})
			}
		}
	case "ACL", "QoS", "Logical_Router_Policy":
		for _, match := range row.Strings("match") {
			out = append(out, setsIn(match)...)
		}
	}
	return out
}

// setsIn are the address sets and port groups that a match names.
func setsIn(match string) (out []Reference) {
	plain := stringPattern.ReplaceAllStringFunc(match, func(s string) string { return strings.Repeat(" ", len(s)) })
	for _, at := range setPattern.FindAllStringIndex(plain, -1) {
		name := match[at[0]+1 : at[1]]
		tables := []string{"Port_Group"}
		if match[at[0]] == '$' {
			tables = []string{"Address_Set"}
			// northd makes two sets of each port group.
			if group, ok := strings.CutSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_ip4"), "_ip6"), ""); ok && group != name {
				tables, name = []string{"Port_Group"}, group
			}
		}
		out = append(out, Reference{Column: "match", Name: name, Tables: tables, Text: match, Pos: at[0]})
	}
	return out
}
