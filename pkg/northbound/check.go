package northbound

import (
	"strings"

	"govn/pkg/logical"
)

// Row is a row of the northbound database.
type Row interface {
	// Strings are the strings in a column, in ascending order; none if there is
	// no such column, or if it holds something else.
	Strings(column string) []string
	// Pairs are the pairs of a column that is a map of strings, in ascending
	// order of keys.
	Pairs(column string) [][2]string
}

// Fault is what is wrong with a value of a row.
type Fault struct {
	Column string
	Key    string // of the map, "" for a set or if the key itself is wrong
	// Unknown says that nobody documents the key.
	Unknown bool
	logical.Error
}

// Place is COLUMN or COLUMN:KEY.
func (f *Fault) Place() string {
	if f.Key == "" {
		return f.Column
	}
	return f.Column + ":" + f.Key
}

// columnTypes are the types of the elements of sets of strings.
var columnTypes = map[[2]string]Type{
	{"Logical_Switch_Port", "addresses"}:     Addresses,
	{"Logical_Switch_Port", "port_security"}: MACAndIPs,
	{"Logical_Switch_Port", "type"}: oneOf("", "router", "switch", "localnet", "localport", "l2gateway", "vtep", "external", "virtual",
		"remote"),
	{"Logical_Router_Port", "mac"}:               MAC,
	{"Logical_Router_Port", "networks"}:          Prefix,
	{"Logical_Router_Port", "ipv6_prefix"}:       Prefix,
	{"Logical_Router_Static_Route", "ip_prefix"}: Prefix,
	{"Logical_Router_Static_Route", "nexthop"}:   {"an IP address or discard", checkNextHop},
	{"Logical_Router_Policy", "match"}:           Match,
	{"Logical_Router_Policy", "nexthop"}:         IP,
	{"Logical_Router_Policy", "nexthops"}:        IP,
	{"NAT", "external_ip"}:                       IP,
	{"NAT", "external_mac"}:                      MAC,
	{"NAT", "logical_ip"}:                        Prefix,
	{"NAT", "external_port_range"}:               Ports,
	{"Load_Balancer_Health_Check", "vip"}:        Endpoint,
	{"ACL", "match"}:                             Match,
	{"QoS", "match"}:                             Match,
	{"DHCP_Options", "cidr"}:                     Prefix,
	{"Static_MAC_Binding", "ip"}:                 IP,
	{"Static_MAC_Binding", "mac"}:                MAC,
	{"BFD", "dst_ip"}:                            IP,
	{"Mirror", "sink"}:                           IP,
	{"Forwarding_Group", "vip"}:                  IPv4,
	{"Forwarding_Group", "vmac"}:                 MAC,
	{"Address_Set", "addresses"}:                 either(MAC, Prefix),
	{"Connection", "target"}:                     Target,
}

// columnsOf are the columns with types, by table, in order.
var columnsOf, mapsOf = func() (sets, maps map[string][]string) {
	sets, maps = map[string][]string{}, map[string][]string{}
	for c := range columnTypes {
		sets[c[0]] = insert(sets[c[0]], c[1])
	}
	for _, k := range keys {
		if !strings.HasSuffix(k.Column, "external_ids") {
			maps[k.Table] = insert(maps[k.Table], k.Column)
		}
	}
	return sets, maps
}()

// insert adds a word to an ascending list without repetitions.
func insert(list []string, word string) []string {
	i := 0
	for i < len(list) && list[i] < word {
		i++
	}
	if i < len(list) && list[i] == word {
		return list
	}
	return append(list[:i:i], append([]string{word}, list[i:]...)...)
}

// Check finds what is wrong with the values of a row of a table.
func Check(table string, row Row) []Fault {
	var out []Fault
	for _, column := range columnsOf[table] {
		t := columnTypes[[2]string{table, column}]
		if t.Name == Match.Name && len(row.Strings(column)) == 1 && strings.Contains(row.Strings(column)[0], "^") {
			continue // a template: each chassis has its own text
		}
		if table == "BFD" && len(row.Strings(column)) == 1 && row.Strings(column)[0] == "" {
			continue
		}
		for _, text := range row.Strings(column) {
			out = add(out, column, "", t.Check(text))
		}
	}
	for _, column := range mapsOf[table] {
		for _, p := range row.Pairs(column) {
			k, known := Find(table, column, p[0])
			switch {
			case known && p[1] == "": // as if it were not there
			case known:
				out = add(out, column, p[0], k.Type.Check(p[1]))
			case !Open(table, column) && !strings.HasPrefix(p[0], "vif-plug:"):
				f := whole(p[0], "no key %q is documented", p[0])
				out = append(out, Fault{Column: column, Key: p[0], Unknown: true, Error: *f})
			}
		}
	}
	switch table {
	case "Load_Balancer":
		out = append(out, checkBalancer(row)...)
	case "DNS":
		out = append(out, checkRecords(row)...)
	}
	return out
}

func add(out []Fault, column, key string, f faultAt) []Fault {
	if f == nil {
		return out
	}
	return append(out, Fault{Column: column, Key: key, Error: *f})
}

// checkBalancer checks virtual IPs and what is behind them. Those of templates
// are names of variables.
func checkBalancer(row Row) (out []Fault) {
	for _, p := range row.Pairs("options") {
		if p == [2]string{"template", "true"} {
			return nil
		}
	}
	for _, p := range row.Pairs("vips") {
		_, _, f := checkEndpoint(p[0])
		out = add(out, "vips", "", f)
		out = add(out, "vips", p[0], checkBackends(p[0], p[1]))
	}
	for _, p := range row.Pairs("ip_port_mappings") {
		out = add(out, "ip_port_mappings", "", checkIP(strings.Trim(p[0], "[]"), 0))
		out = add(out, "ip_port_mappings", p[0], checkMapping(p[1]))
	}
	return out
}

// checkRecords checks the addresses of names; names of addresses have names.
func checkRecords(row Row) (out []Fault) {
	list := listOf(IP, " ,")
	for _, p := range row.Pairs("records") {
		if !strings.HasSuffix(p[0], ".arpa") {
			out = add(out, "records", p[0], list.Check(p[1]))
		}
	}
	return out
}
