package icctl

import (
	"slices"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/interconnect"
	"govn/pkg/ovsdb"
)

// Southbound returns the command line govn ic-sbctl.
func Southbound() *ctl.Program {
	return &ctl.Program{
		Name:      "govn ic-sbctl",
		Summary:   "look at and change what zones tell each other",
		Database:  "OVN_IC_Southbound",
		DBEnv:     "OVN_IC_SB_DB",
		Socket:    "ovn_ic_sb_db.sock",
		Singleton: "IC_SB_Global",
		Plain:     true,
		Check:     interconnect.CheckSouthbound,
		Commands:  slices.Concat(zoneCommands, ctl.RemoteCommands("IC_SB_Global", false)),
		Identities: map[string][]ctl.Identity{
			"Availability_Zone": {{Column: "name"}},
			"Datapath_Binding":  {{Column: "transit_switch"}},
			"Gateway":           {{Column: "name"}},
			"IC_SB_Global":      {{}},
			"Port_Binding":      {{Column: "logical_port"}},
			"SSL":               {{}},
		},
		Objects: map[string]string{"ZONE": "Availability_Zone"},
	}
}

// zoneCommands are about what zones have told.
var zoneCommands = []ctl.Command{
	{Name: "show", Max: 1, Args: "[ZONE]", Needs: needShow, Run: show, Outputs: outputs},
}

func needShow(c *ctl.Context) error {
	c.DB.Need("Availability_Zone", "name")
	c.DB.Need("Gateway", "name", "availability_zone", "hostname", "encaps")
	c.DB.Need("Encap", "type", "ip")
	c.DB.Need("Port_Binding", "logical_port", "transit_switch", "availability_zone", "gateway", "address", "tunnel_key")
	if c.Output() != "" {
		c.DB.Need("Datapath_Binding", "transit_switch", "tunnel_key")
		c.DB.Need("Route", "transit_switch", "availability_zone", "route_table", "ip_prefix", "nexthop", "origin")
	}
	return nil
}

// shownZones are the zones that the argument names, all without one.
func shownZones(c *ctl.Context) []*idl.Row {
	zones := c.DB.SortedBy("Availability_Zone", "name")
	if len(c.Args) == 1 {
		return zones
	}
	u, err := ovsdb.ParseUUID(c.Args[1])
	return slices.DeleteFunc(zones, func(z *idl.Row) bool { return z.Str("name") != c.Args[1] && (err != nil || z.UUID != u) })
}

func show(c *ctl.Context) error {
	zones := shownZones(c)
	if c.Output() != "" {
		w := worldOf(c, zones)
		return c.PrintShown(w, w.graph())
	}
	gateways, ports := c.DB.SortedBy("Gateway", "name"), c.DB.SortedBy("Port_Binding", "logical_port")
	for _, zone := range zones {
		c.Printf("availability-zone %s\n", zone.Str("name"))
		for _, gw := range gateways {
			if gw.Ref("availability_zone") != zone {
				continue
			}
			c.Printf("    gateway %s\n", gw.Str("name"))
			if hostname := gw.Str("hostname"); hostname != "" {
				c.Printf("        hostname: %s\n", hostname)
			}
			for _, encap := range gw.Refs("encaps") {
				c.Printf("        type: %s\n            ip: %s\n", encap.Str("type"), encap.Str("ip"))
			}
			for _, port := range ports {
				if port.Str("gateway") == gw.Str("name") {
					c.Printf("        port %s\n            transit switch: %s\n            address: [\"%s\"]\n",
						port.Str("logical_port"), port.Str("transit_switch"), port.Str("address"))
				}
			}
		}
	}
	return nil
}
