package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"govn/pkg/interconnect"
	"govn/proto/ic"
)

// Limits of what a centre may tell.
const (
	maxCentreRows = 1 << 20
	maxText       = 1024 // bytes of a name or an address
	maxPairs      = 64   // of a map
	maxEncaps     = 32   // of a gateway
	lowTransitKey = 0xff0000
)

// Tables by which rows of the centre are kept.
const (
	tableSwitch   = "Transit_Switch"
	tableDatapath = "Datapath_Binding"
	tableZone     = "Availability_Zone"
	tableGateway  = "Gateway"
	tableEncap    = "Encap"
	tablePort     = "Port_Binding"
	tableRoute    = "Route"
)

var (
	errRow  = errors.New("its identity is no UUID")
	errText = errors.New("a name or an address is empty, too long, or no text")
	errKey  = errors.New("the key is out of range")
)

// gather adds a piece of an update to those before it.
func gather(u, piece *ic.Update) error {
	if piece.GetWhole() && count(u) > 0 {
		return fmt.Errorf("%w: everything in the middle of a difference", errCentre)
	}
	u.Whole, u.Revision = u.Whole || piece.GetWhole(), piece.GetRevision()
	u.Zones = append(u.Zones, piece.GetZones()...)
	u.Switches = append(u.Switches, piece.GetSwitches()...)
	u.Gateways = append(u.Gateways, piece.GetGateways()...)
	u.Ports = append(u.Ports, piece.GetPorts()...)
	u.Routes = append(u.Routes, piece.GetRoutes()...)
	u.GoneZones = append(u.GoneZones, piece.GetGoneZones()...)
	u.GoneSwitches = append(u.GoneSwitches, piece.GetGoneSwitches()...)
	u.GoneGateways = append(u.GoneGateways, piece.GetGoneGateways()...)
	u.GonePorts = append(u.GonePorts, piece.GetGonePorts()...)
	u.GoneRoutes = append(u.GoneRoutes, piece.GetGoneRoutes()...)
	if n := count(u); n > 2*maxCentreRows {
		return fmt.Errorf("%w: an update of %d rows", errCentre, n)
	}
	return nil
}

// count is how many rows an update is about.
func count(u *ic.Update) int {
	return len(u.Zones) + len(u.Switches) + len(u.Gateways) + len(u.Ports) + len(u.Routes) +
		len(u.GoneZones) + len(u.GoneSwitches) + len(u.GoneGateways) + len(u.GonePorts) + len(u.GoneRoutes)
}

// read has set called for the rows of an update, and takes away those that are
// gone. A row that cannot be used is as one that is not there, and logged.
func (c *centre) read(u *ic.Update, rows map[rowID]row, set func(rowID, row)) {
	gone := func(table string, list []string) {
		for _, uuid := range list {
			c.drop(rowID{table, uuid}, rows)
		}
	}
	gone(tableRoute, u.GoneRoutes)
	gone(tablePort, u.GonePorts)
	gone(tableGateway, u.GoneGateways)
	gone(tableSwitch, u.GoneSwitches)
	gone(tableZone, u.GoneZones)
	put := func(id rowID, err error, list ...row) {
		c.drop(id, rows)
		if err != nil {
			c.unusable(id, err)
			return
		}
		for _, r := range list {
			set(rowID{tableOf(r), r.id()}, r)
		}
	}
	for _, z := range u.Zones {
		put(rowID{tableZone, z.GetRow()}, checkRow(z.GetRow(), z.GetName()),
			&icZone{UUID: z.GetRow(), Name: z.GetName(), ID: fmt.Sprintf("%x", z.GetZone())})
	}
	for _, s := range u.Switches {
		err := checkRow(s.GetRow(), s.GetName())
		if err == nil && s.GetKey() != 0 && (s.GetKey() < lowTransitKey || s.GetKey() > interconnect.MaxTransitKey) {
			err = fmt.Errorf("%w: %d", errKey, s.GetKey())
		}
		list := []row{&icSwitch{UUID: s.GetRow(), Name: s.GetName()}}
		if s.GetKey() != 0 {
			list = append(list, &icDatapath{UUID: s.GetRow(), TransitSwitch: s.GetName(), TunnelKey: int(s.GetKey())})
		}
		put(rowID{tableSwitch, s.GetRow()}, err, list...)
	}
	for _, g := range u.Gateways {
		list, err := readGateway(g)
		put(rowID{tableGateway, g.GetRow()}, err, list...)
	}
	for _, p := range u.Ports {
		r, err := readPort(p)
		put(rowID{tablePort, p.GetRow()}, err, r)
	}
	for _, t := range u.Routes {
		r, err := readRoute(t)
		put(rowID{tableRoute, t.GetRow()}, err, r)
	}
}

// drop takes a row away, with those that belong to it.
func (c *centre) drop(id rowID, rows map[rowID]row) {
	delete(c.bad, id)
	switch id.table {
	case tableSwitch:
		c.drop(rowID{tableDatapath, id.uuid}, rows)
	case tableGateway:
		if g, ok := rows[id].(*icGateway); ok {
			for _, e := range g.Encaps {
				c.drop(rowID{tableEncap, e}, rows)
			}
		}
	}
	if _, there := rows[id]; there {
		delete(rows, id)
		c.dirty[id] = true
	}
}

// unusable logs a row that is left out, once.
func (c *centre) unusable(id rowID, err error) {
	if len(c.bad) < 1000 {
		c.bad[id] = err.Error()
	}
	c.log.Warn("a row of the centre is left out", "table", id.table, "row", clip(id.uuid), "err", err)
}

// clip is a text that somebody else wrote, for the log.
func clip(s string) string {
	if len(s) > 80 {
		s = s[:80] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

func tableOf(r row) string {
	switch r.(type) {
	case *icSwitch:
		return tableSwitch
	case *icDatapath:
		return tableDatapath
	case *icZone:
		return tableZone
	case *icGateway:
		return tableGateway
	case *icEncap:
		return tableEncap
	case *icPort:
		return tablePort
	}
	return tableRoute
}

// validRow tells whether a text is the UUID of a row.
func validRow(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range s {
		switch i {
		case 8, 13, 18, 23:
			if r != '-' {
				return false
			}
		default:
			if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
				return false
			}
		}
	}
	return true
}

func validText(s string) bool {
	return len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// checkRow checks the identity of a row and its name.
func checkRow(row, name string) error {
	switch {
	case !validRow(row):
		return errRow
	case name == "" || !validText(name):
		return errText
	}
	return nil
}

func checkPairs(m map[string]string) error {
	if len(m) > maxPairs {
		return fmt.Errorf("a map of %d pairs", len(m))
	}
	for k, v := range m {
		if !validText(k) || !validText(v) {
			return errText
		}
	}
	return nil
}

func readGateway(g *ic.Gateway) (list []row, err error) {
	if err := checkRow(g.GetRow(), g.GetName()); err != nil {
		return nil, err
	}
	if !validRow(g.GetZone()) || !validText(g.GetHostname()) {
		return nil, errText
	}
	if len(g.GetEncaps()) > maxEncaps {
		return nil, fmt.Errorf("%d encapsulations", len(g.GetEncaps()))
	}
	r := &icGateway{UUID: g.GetRow(), Name: g.GetName(), AvailabilityZone: g.GetZone(), Hostname: g.GetHostname()}
	for i, e := range g.GetEncaps() {
		if t := e.GetType(); t != "geneve" && t != "vxlan" && t != "stt" {
			return nil, fmt.Errorf("encapsulation of type %q", clip(t))
		}
		if _, err := netip.ParseAddr(e.GetIp()); err != nil {
			return nil, err
		}
		if err := checkPairs(e.GetOptions()); err != nil {
			return nil, err
		}
		one := &icEncap{UUID: fmt.Sprintf("%s#%d", r.UUID, i), Type: e.GetType(), IP: e.GetIp(), Options: e.GetOptions()}
		r.Encaps = append(r.Encaps, one.UUID)
		list = append(list, one)
	}
	return append(list, r), nil
}

func readPort(p *ic.Port) (row, error) {
	r := &icPort{UUID: p.GetRow(), LogicalPort: p.GetName(), TransitSwitch: p.GetSwitch(), AvailabilityZone: p.GetZone(), TunnelKey: int(p.GetKey()),
		Gateway: p.GetGateway(), Address: p.GetAddress(), ExternalIDs: p.GetExternalIds()}
	if err := checkRow(r.UUID, r.LogicalPort); err != nil {
		return r, err
	}
	if !validRow(r.AvailabilityZone) || !validText(r.TransitSwitch) || !validText(r.Gateway) || !validText(r.Address) {
		return r, errText
	}
	if p.GetKey() > maxPortKey {
		return r, fmt.Errorf("%w: %d", errKey, p.GetKey())
	}
	return r, checkPairs(r.ExternalIDs)
}

func readRoute(t *ic.Route) (row, error) {
	k := t.GetKey()
	r := &icRoute{UUID: t.GetRow(), TransitSwitch: k.GetSwitch(), AvailabilityZone: t.GetZone(), RouteTable: k.GetTable(), IPPrefix: k.GetPrefix(),
		Nexthop: k.GetNexthop(), Origin: t.GetOrigin(), ExternalIDs: t.GetExternalIds(), Since: t.GetSince()}
	if err := checkRow(r.UUID, r.TransitSwitch); err != nil {
		return r, err
	}
	if !validRow(r.AvailabilityZone) || !validText(r.RouteTable) || !validText(r.IPPrefix) || !validText(r.Nexthop) || !validText(r.Origin) {
		return r, errText
	}
	return r, checkPairs(r.ExternalIDs)
}
