package nbctl

import (
	"fmt"
	"strings"

	"govn/nbctl/diagram"
	"govn/nbctl/idl"
)

// The types are what show -o json and -o yaml print.
type (
	shownZone struct {
		Switches []shownSwitch `json:"switches" yaml:"switches"`
		Routers  []shownRouter `json:"routers" yaml:"routers"`
	}
	shownSwitch struct {
		UUID  string      `json:"uuid" yaml:"uuid"`
		Name  string      `json:"name" yaml:"name"`
		Aka   string      `json:"aka,omitempty" yaml:"aka,omitempty"`
		Ports []shownPort `json:"ports" yaml:"ports"`
	}
	shownPort struct {
		Name       string   `json:"name" yaml:"name"`
		Aka        string   `json:"aka,omitempty" yaml:"aka,omitempty"`
		Type       string   `json:"type,omitempty" yaml:"type,omitempty"`
		Parent     string   `json:"parent,omitempty" yaml:"parent,omitempty"`
		Tag        *int64   `json:"tag,omitempty" yaml:"tag,omitempty"`
		Addresses  []string `json:"addresses,omitempty" yaml:"addresses,omitempty"`
		RouterPort string   `json:"router-port,omitempty" yaml:"router-port,omitempty"`
		Network    string   `json:"network,omitempty" yaml:"network,omitempty"` // of localnet and l2gateway ports
		Peer       string   `json:"peer,omitempty" yaml:"peer,omitempty"`
	}
	shownRouter struct {
		UUID  string            `json:"uuid" yaml:"uuid"`
		Name  string            `json:"name" yaml:"name"`
		Aka   string            `json:"aka,omitempty" yaml:"aka,omitempty"`
		Ports []shownRouterPort `json:"ports" yaml:"ports"`
		NAT   []shownNAT        `json:"nat,omitempty" yaml:"nat,omitempty"`
	}
	shownRouterPort struct {
		Name       string   `json:"name" yaml:"name"`
		MAC        string   `json:"mac" yaml:"mac"`
		Networks   []string `json:"networks" yaml:"networks"`
		RouteTable string   `json:"route-table,omitempty" yaml:"route-table,omitempty"`
		Gateways   []string `json:"gateway-chassis,omitempty" yaml:"gateway-chassis,omitempty"` // best first
		Peer       string   `json:"peer,omitempty" yaml:"peer,omitempty"`
	}
	shownNAT struct {
		Type     string `json:"type" yaml:"type"`
		External string `json:"external-ip" yaml:"external-ip"`
		Ports    string `json:"external-ports,omitempty" yaml:"external-ports,omitempty"`
		Logical  string `json:"logical-ip" yaml:"logical-ip"`
	}
)

// zoneOf is what show prints of switches and routers, in the order of names.
func zoneOf(switches, routers []*idl.Row) *shownZone {
	z := &shownZone{Switches: []shownSwitch{}, Routers: []shownRouter{}}
	key := func(row *idl.Row, column, key string) string { s, _ := row.Key(column, key); return s }
	for _, ls := range switches {
		s := shownSwitch{UUID: ls.UUID.String(), Name: ls.Str("name"), Aka: key(ls, "external_ids", "neutron:network_name"), Ports: []shownPort{}}
		for _, lsp := range idl.Sort(ls.Refs("ports"), "name") {
			p := shownPort{
				Name: lsp.Str("name"), Aka: key(lsp, "external_ids", "neutron:port_name"), Type: lsp.Str("type"), Parent: lsp.Str("parent_name"),
				Addresses: lsp.Strs("addresses"), RouterPort: key(lsp, "options", "router-port"), Network: key(lsp, "options", "network_name"),
				Peer: key(lsp, "options", "peer"),
			}
			if n, ok := lsp.OptInt("tag"); ok {
				p.Tag = &n
			}
			s.Ports = append(s.Ports, p)
		}
		z.Switches = append(z.Switches, s)
	}
	for _, lr := range routers {
		r := shownRouter{UUID: lr.UUID.String(), Name: lr.Str("name"), Aka: key(lr, "external_ids", "neutron:router_name"), Ports: []shownRouterPort{}}
		for _, lrp := range idl.Sort(lr.Refs("ports"), "name") {
			p := shownRouterPort{Name: lrp.Str("name"), MAC: lrp.Str("mac"), Networks: lrp.Strs("networks"), RouteTable: key(lrp, "options", "route_table"), Peer: lrp.Str("peer")}
			for _, gc := range gatewaysOf(lrp) {
				p.Gateways = append(p.Gateways, gc.Str("chassis_name"))
			}
			r.Ports = append(r.Ports, p)
		}
		for _, nat := range lr.Refs("nat") {
			r.NAT = append(r.NAT, shownNAT{nat.Str("type"), nat.Str("external_ip"), nat.Str("external_port_range"), nat.Str("logical_ip")})
		}
		z.Routers = append(z.Routers, r)
	}
	return z
}

// graph is the zone as it is drawn.
func (z *shownZone) graph() *diagram.Graph {
	g := &diagram.Graph{}
	routerOf, networksOf := map[string]string{}, map[string][]string{} // by router port
	for _, r := range z.Routers {
		n := diagram.Node{ID: r.UUID, Name: display(r.Name, r.Aka, r.UUID), Kind: diagram.Router}
		for _, p := range r.Ports {
			routerOf[p.Name], networksOf[p.Name] = r.UUID, p.Networks
			if len(p.Gateways) > 0 {
				n.Notes = append(n.Notes, "gateway "+strings.Join(p.Gateways, ", "))
			}
		}
		if len(r.NAT) > 0 {
			n.Notes = append(n.Notes, diagram.Count(len(r.NAT), "NAT rule"))
		}
		g.Nodes = append(g.Nodes, n)
		for _, p := range r.Ports {
			if p.Peer != "" {
				g.Links = append(g.Links, diagram.Link{From: r.UUID, To: "peer " + p.Peer, Label: strings.Join(p.Networks, " ")})
			}
		}
	}
	for i, l := range g.Links {
		g.Links[i].To = routerOf[strings.TrimPrefix(l.To, "peer ")]
	}
	outside := map[string]bool{}
	switchOf := map[string]string{} // by port
	for _, s := range z.Switches {
		for _, p := range s.Ports {
			switchOf[p.Name] = s.UUID
		}
	}
	for _, s := range z.Switches {
		n := diagram.Node{ID: s.UUID, Name: display(s.Name, s.Aka, s.UUID), Kind: diagram.Switch}
		var networks []string
		ports, remote := 0, 0
		for _, p := range s.Ports {
			switch {
			case p.RouterPort != "":
				networks = append(networks, networksOf[p.RouterPort]...)
				g.Links = append(g.Links, diagram.Link{From: s.UUID, To: routerOf[p.RouterPort], Label: strings.Join(networksOf[p.RouterPort], " ")})
			case p.Peer != "":
				g.Links = append(g.Links, diagram.Link{From: s.UUID, To: switchOf[p.Peer]})
			case p.Network != "":
				id := "network " + p.Network
				if !outside[id] {
					outside[id] = true
					g.Nodes = append(g.Nodes, diagram.Node{ID: id, Name: p.Network, Kind: diagram.Provider})
				}
				label := ""
				if p.Tag != nil {
					label = fmt.Sprintf("VLAN %d", *p.Tag)
					n.Notes = append(n.Notes, label)
				}
				g.Links = append(g.Links, diagram.Link{From: id, To: s.UUID, Label: label})
			case p.Type == "remote":
				remote++
			default:
				ports++
			}
		}
		if len(networks) > 2 {
			networks = append(networks[:2:2], fmt.Sprintf("and %d more", len(networks)-2))
		}
		n.Notes = append(append(n.Notes, networks...), diagram.Count(ports, "port"))
		if remote > 0 {
			n.Notes = append(n.Notes, diagram.Count(remote, "port")+" of other zones")
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g
}

// display is what people call a switch or router.
func display(name, aka, uuid string) string {
	switch {
	case aka != "":
		return aka
	case name != "":
		return name
	}
	return uuid
}
