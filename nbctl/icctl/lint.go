package icctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"govn/nbctl/idl"
	"govn/pkg/abi"
	"govn/pkg/interconnect"
	"govn/pkg/northbound"
	"govn/pkg/ovsdb"
)

// Finding is something in the databases that zones cannot use as it is.
type Finding struct {
	Database, Table, Name, UUID string
	Place                       string // COLUMN or COLUMN:KEY
	Value                       string // of the column
	Position                    int    // of what is wrong in Value; -1: all of it
	Reason                      string
	Effect                      Effect
}

// Effect is what a finding does.
type Effect int

// Effects.
const (
	LeftOut   Effect = iota // zones do without the object
	Ambiguous               // what happens may not be what was meant
	Ignored                 // the value means nothing
)

// Load reads all of a database that the findings are about.
func Load(ctx context.Context, o idl.Options) (*idl.DB, error) {
	conn, err := idl.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	db := idl.NewDB(conn)
	for _, table := range db.TableNames() {
		for _, c := range db.Schema.Tables[table].Columns {
			db.Need(table, c.Name)
		}
	}
	if err := db.Load(ctx, false); err != nil {
		return nil, err
	}
	db.Begin()
	return db, nil
}

// lint is a look at both databases.
type lint struct {
	nb, sb             *idl.DB
	switches, gateways map[string]*idl.Row // by name
	findings           []Finding
}

// Lint finds what zones cannot use in the two databases.
func Lint(nb, sb *idl.DB) []Finding {
	l := &lint{nb: nb, sb: sb, switches: byName(nb, "Transit_Switch"), gateways: byName(sb, "Gateway")}
	l.values(nb, interconnect.CheckNorthbound)
	l.values(sb, interconnect.CheckSouthbound)
	l.tenants()
	l.keys()
	l.ports()
	l.routes()
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Database, b.Database), strings.Compare(a.Table, b.Table), strings.Compare(a.Name, b.Name),
			strings.Compare(a.UUID, b.UUID), strings.Compare(a.Place, b.Place))
	})
	return l.findings
}

// nameColumns are the columns by which people know rows.
var nameColumns = []string{"name", "logical_port", "transit_switch", "target", "ip"}

func nameOf(row *idl.Row) string {
	for _, column := range nameColumns {
		if row.Table.Schema.Find(column) != nil {
			return row.Str(column)
		}
	}
	return ""
}

// add notes a finding about a column; position is -1 for all of its value.
func (l *lint) add(db *idl.DB, row *idl.Row, place, value string, position int, effect Effect, format string, args ...any) {
	l.findings = append(l.findings, Finding{db.Schema.Name, row.Table.Schema.Name, nameOf(row), row.UUID.String(), place, value, position, fmt.Sprintf(format, args...), effect})
}

// values looks at each value by itself.
func (l *lint) values(db *idl.DB, check func(string, northbound.Row) []northbound.Fault) {
	for _, table := range db.TableNames() {
		for _, row := range db.Rows(table) {
			for _, f := range check(table, stored{row}) {
				effect, position := LeftOut, f.Pos
				if f.Key != "" {
					effect = Ignored
				}
				if f.Unknown {
					position = -1
				}
				l.add(db, row, f.Place(), f.Text, position, effect, "%s", f.Msg)
			}
		}
	}
}

// tenants looks for zones that may join, and that nobody knows.
func (l *lint) tenants() {
	known := map[string]bool{}
	for _, zone := range l.sb.Rows("Availability_Zone") {
		known[zone.Str("name")] = true
	}
	for _, ts := range l.nb.Rows("Transit_Switch") {
		list, _ := ts.Key("other_config", "zones")
		end := 0
		for _, zone := range interconnect.ZoneList(list) {
			at := end + strings.Index(list[end:], zone)
			end = at + len(zone)
			if !known[zone] && !interconnect.IsZoneID(zone) {
				l.add(l.nb, ts, "other_config:zones", list, at, Ambiguous, "no zone %q has joined", zone)
			}
		}
	}
}

// keys looks at the keys of transit switches.
func (l *lint) keys() {
	first := map[int64]string{}
	for _, dp := range l.sb.SortedBy("Datapath_Binding", "transit_switch") {
		key, name := dp.Int("tunnel_key"), dp.Str("transit_switch")
		if other, twice := first[key]; twice {
			l.add(l.sb, dp, "tunnel_key", fmt.Sprint(key), -1, Ambiguous, "transit switch %q has that key, too", other)
		} else {
			first[key] = name
		}
		if key < abi.MinDatapathKeyGlobal {
			l.add(l.sb, dp, "tunnel_key", fmt.Sprint(key), -1, Ambiguous, "keys of transit switches begin at %d: a zone may give this one to a switch of its own", abi.MinDatapathKeyGlobal)
		}
		if l.switches[name] == nil && dp.Str("type") != "transit-router" {
			l.add(l.sb, dp, "transit_switch", name, -1, LeftOut, "there is no such transit switch")
		}
	}
}

// byName are the rows of a table.
func byName(db *idl.DB, table string) map[string]*idl.Row {
	out := map[string]*idl.Row{}
	for _, row := range db.Rows(table) {
		out[row.Str("name")] = row
	}
	return out
}

// ports looks at what ports are on, and for addresses that two of a switch have.
func (l *lint) ports() {
	first := map[[2]string]*idl.Row{} // by transit switch and address
	for _, port := range l.sb.SortedBy("Port_Binding", "logical_port") {
		ts, gateway := port.Str("transit_switch"), port.Str("gateway")
		if ts != "" && l.switches[ts] == nil && port.Str("type") != "transit-router-port" {
			l.add(l.sb, port, "transit_switch", ts, -1, LeftOut, "there is no such transit switch")
		}
		switch gw := l.gateways[gateway]; {
		case gateway == "":
		case gw == nil:
			l.add(l.sb, port, "gateway", gateway, -1, LeftOut, "no zone tells of such a gateway")
		case gw.Ref("availability_zone") != port.Ref("availability_zone"):
			l.add(l.sb, port, "gateway", gateway, -1, Ambiguous, "it is a gateway of zone %q", zoneOf(gw))
		}
		text := port.Str("address")
		for _, word := range strings.Fields(text) {
			address, _, _ := strings.Cut(word, "/")
			key := [2]string{ts, strings.ToLower(address)}
			if other := first[key]; other == nil {
				first[key] = port
			} else if other != port {
				l.add(l.sb, port, "address", text, strings.Index(text, word), Ambiguous, "port %q of zone %q has %s, too", other.Str("logical_port"), zoneOf(other), address)
			}
		}
	}
}

func zoneOf(row *idl.Row) string {
	if zone := row.Ref("availability_zone"); zone != nil {
		return zone.Str("name")
	}
	return ""
}

// routes looks whether a port of the zone has the next hop.
func (l *lint) routes() {
	has := map[[3]string]bool{} // by zone, transit switch and address
	for _, port := range l.sb.Rows("Port_Binding") {
		for _, word := range strings.Fields(port.Str("address")) {
			address, _, _ := strings.Cut(word, "/")
			has[[3]string{zoneOf(port), port.Str("transit_switch"), address}] = true
		}
	}
	for _, r := range l.sb.Rows("Route") {
		hop := r.Str("nexthop")
		if northbound.IP.Check(hop) == nil && !has[[3]string{zoneOf(r), r.Str("transit_switch"), hop}] {
			l.add(l.sb, r, "nexthop", hop, -1, Ambiguous, "no port of zone %q on the transit switch has it (route to %s)", zoneOf(r), r.Str("ip_prefix"))
		}
	}
}

// stored shows a row to the checks.
type stored struct{ row *idl.Row }

func (s stored) datum(name string) idl.Datum {
	if c := s.row.Table.Schema.Find(name); c != nil && c.Type.Key.Type == ovsdb.TypeString {
		return s.row.Get(name)
	}
	return idl.Datum{}
}

// Strings implements northbound.Row.
func (s stored) Strings(column string) (out []string) {
	for _, k := range s.datum(column).Keys {
		out = append(out, idl.BareAtom(k))
	}
	return out
}

// Pairs implements northbound.Row.
func (s stored) Pairs(column string) (out [][2]string) {
	d := s.datum(column)
	for i, k := range d.Keys {
		if i < len(d.Values) {
			out = append(out, [2]string{idl.BareAtom(k), idl.BareAtom(d.Values[i])})
		}
	}
	return out
}
