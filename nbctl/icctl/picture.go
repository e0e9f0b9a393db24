package icctl

import (
	"fmt"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/diagram"
	"govn/nbctl/idl"
)

// The types are what show -o json and -o yaml of govn ic-sbctl print.
type (
	shownWorld struct {
		Switches []shownTransit `json:"transit-switches" yaml:"transit-switches"`
		Zones    []shownZone    `json:"zones" yaml:"zones"`
	}
	// shownTransit is a transit switch. Key is 0 where no zone has given it one
	// and only ports name it.
	shownTransit struct {
		Name string `json:"name" yaml:"name"`
		Key  int64  `json:"tunnel-key,omitempty" yaml:"tunnel-key,omitempty"`
	}
	shownZone struct {
		UUID     string         `json:"uuid" yaml:"uuid"`
		Name     string         `json:"name" yaml:"name"`
		Gateways []shownGateway `json:"gateways" yaml:"gateways"`
		Ports    []shownPort    `json:"ports" yaml:"ports"`
		Routes   []shownRoute   `json:"routes" yaml:"routes"`
	}
	shownGateway struct {
		Name     string       `json:"name" yaml:"name"`
		Hostname string       `json:"hostname,omitempty" yaml:"hostname,omitempty"`
		Encaps   []shownEncap `json:"encaps" yaml:"encaps"`
	}
	shownEncap struct {
		Type string `json:"type" yaml:"type"`
		IP   string `json:"ip" yaml:"ip"`
	}
	shownPort struct {
		Name    string `json:"name" yaml:"name"`
		Switch  string `json:"transit-switch" yaml:"transit-switch"`
		Gateway string `json:"gateway,omitempty" yaml:"gateway,omitempty"`
		Address string `json:"address,omitempty" yaml:"address,omitempty"`
		Key     int64  `json:"tunnel-key" yaml:"tunnel-key"`
	}
	shownRoute struct {
		Switch  string `json:"transit-switch" yaml:"transit-switch"`
		Table   string `json:"route-table,omitempty" yaml:"route-table,omitempty"`
		Prefix  string `json:"prefix" yaml:"prefix"`
		Nexthop string `json:"nexthop" yaml:"nexthop"`
		Origin  string `json:"origin" yaml:"origin"`
	}
)

// worldOf is what the database says of zones and of the transit switches that
// they have ports on, of all if all zones are shown.
func worldOf(c *ctl.Context, zones []*idl.Row) *shownWorld {
	w := &shownWorld{Switches: []shownTransit{}, Zones: []shownZone{}}
	used := map[string]bool{}
	of := func(table, by string, zone *idl.Row) (out []*idl.Row) {
		for _, row := range c.DB.SortedBy(table, by) {
			if row.Ref("availability_zone") == zone {
				out = append(out, row)
			}
		}
		return out
	}
	for _, zone := range zones {
		z := shownZone{UUID: zone.UUID.String(), Name: zone.Str("name"), Gateways: []shownGateway{}, Ports: []shownPort{}, Routes: []shownRoute{}}
		for _, gw := range of("Gateway", "name", zone) {
			g := shownGateway{Name: gw.Str("name"), Hostname: gw.Str("hostname"), Encaps: []shownEncap{}}
			for _, encap := range idl.Sort(gw.Refs("encaps"), "ip") {
				g.Encaps = append(g.Encaps, shownEncap{encap.Str("type"), encap.Str("ip")})
			}
			z.Gateways = append(z.Gateways, g)
		}
		for _, port := range of("Port_Binding", "logical_port", zone) {
			used[port.Str("transit_switch")] = true
			z.Ports = append(z.Ports, shownPort{
				port.Str("logical_port"), port.Str("transit_switch"), port.Str("gateway"), port.Str("address"), port.Int("tunnel_key"),
			})
		}
		for _, r := range of("Route", "ip_prefix", zone) {
			z.Routes = append(z.Routes, shownRoute{r.Str("transit_switch"), r.Str("route_table"), r.Str("ip_prefix"), r.Str("nexthop"), r.Str("origin")})
		}
		w.Zones = append(w.Zones, z)
	}
	for _, dp := range c.DB.SortedBy("Datapath_Binding", "transit_switch") {
		name := dp.Str("transit_switch")
		if used[name] || len(c.Args) == 1 {
			w.Switches = append(w.Switches, shownTransit{name, dp.Int("tunnel_key")})
			delete(used, name)
		}
	}
	for name := range sortedKeys(used) {
		w.Switches = append(w.Switches, shownTransit{Name: name})
	}
	return w
}

// graph is the world as it is drawn: the transit switches at the top, below them
// the zones that have ports there, below each zone its gateways.
func (w *shownWorld) graph() *diagram.Graph {
	g := &diagram.Graph{}
	for _, s := range w.Switches {
		n := diagram.Node{ID: "switch " + s.Name, Name: s.Name, Kind: diagram.Transit, Notes: []string{"no tunnel key"}}
		if s.Key != 0 {
			n.Notes = []string{fmt.Sprintf("tunnel key %d", s.Key)}
		}
		g.Nodes = append(g.Nodes, n)
	}
	for _, z := range w.Zones {
		zone := diagram.Node{ID: "zone " + z.Name, Name: z.Name, Kind: diagram.Zone}
		ports := map[string]int{} // by gateway
		there := map[string]bool{}
		for _, gw := range z.Gateways {
			there[gw.Name] = true
		}
		for _, p := range z.Ports {
			ports[p.Gateway]++
			zone.Notes = append(zone.Notes, p.Name)
			switch {
			case p.Gateway == "":
				zone.Notes = append(zone.Notes, "on no gateway")
			case !there[p.Gateway]:
				zone.Notes = append(zone.Notes, "on unknown "+p.Gateway)
			}
			label := ""
			if _, networks, ok := strings.Cut(p.Address, " "); ok {
				zone.Notes = append(zone.Notes, strings.Fields(networks)...)
				label = networks
			}
			g.Links = append(g.Links, diagram.Link{From: "switch " + p.Switch, To: zone.ID, Label: label})
		}
		if len(z.Routes) > 0 {
			zone.Notes = append(zone.Notes, diagram.Count(len(z.Routes), "route"))
		}
		g.Nodes = append(g.Nodes, zone)
		for _, gw := range z.Gateways {
			n := diagram.Node{ID: "gateway " + gw.Name, Name: gw.Name, Kind: diagram.Gateway}
			if gw.Hostname != "" && gw.Hostname != gw.Name {
				n.Notes = append(n.Notes, gw.Hostname)
			}
			for _, e := range gw.Encaps {
				n.Notes = append(n.Notes, e.Type+" "+e.IP)
			}
			n.Notes = append(n.Notes, diagram.Count(ports[gw.Name], "port"))
			g.Nodes = append(g.Nodes, n)
			g.Links = append(g.Links, diagram.Link{From: zone.ID, To: n.ID})
		}
	}
	return g
}
