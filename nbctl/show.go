package nbctl

import (
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// showCommands look at the whole.
var showCommands = []ctl.Command{
	{Name: "show", Max: 1, Args: "[SWITCH | ROUTER]", Needs: needShow, Run: show, Outputs: []string{"json", "yaml", "dot", "mermaid", "svg"}},
	{Name: "sync", Needs: nil, Run: sync},
}

// sync makes --wait wait for changes made earlier.
func sync(c *ctl.Context) error {
	if c.Waits() {
		c.ForceWait()
	} else {
		c.Warnf("\"sync\" command has no effect without --wait")
	}
	return nil
}

func needShow(c *ctl.Context) error {
	c.DB.Need("Logical_Switch", "name", "ports", "external_ids")
	c.DB.Need("Logical_Switch_Port", "name", "type", "options", "parent_name", "tag", "addresses", "external_ids")
	c.DB.Need("Logical_Router", "name", "ports", "nat", "external_ids")
	c.DB.Need("Logical_Router_Port", "name", "mac", "networks", "gateway_chassis", "options", "peer")
	c.DB.Need("Gateway_Chassis", "chassis_name", "priority")
	c.DB.Need("NAT", "external_ip", "external_port_range", "logical_ip", "type")
	return nil
}

// shown are the switches and routers that the arguments name, all without.
func shown(c *ctl.Context) (switches, routers []*idl.Row, err error) {
	if len(c.Args) == 1 {
		return c.DB.SortedBy("Logical_Switch", "name"), c.DB.SortedBy("Logical_Router", "name"), nil
	}
	ls, err := lookupSwitch(c, c.Args[1], false)
	if err != nil {
		return nil, nil, err
	}
	if ls != nil {
		switches = append(switches, ls)
	}
	lr, err := lookupRouter(c, c.Args[1], false)
	if err != nil {
		return switches, nil, err
	}
	if lr != nil {
		routers = append(routers, lr)
	}
	return switches, routers, nil
}

func show(c *ctl.Context) error {
	switches, routers, err := shown(c)
	if err == nil && c.Output() != "" {
		z := zoneOf(switches, routers)
		return c.PrintShown(z, z.graph())
	}
	for _, ls := range switches {
		showSwitch(c, ls)
	}
	for _, lr := range routers {
		showRouter(c, lr)
	}
	return err
}

// aka prints the name that Neutron has for a row.
func aka(c *ctl.Context, row *idl.Row, key string) {
	if s, ok := row.Key("external_ids", key); ok && s != "" {
		c.Printf(" (aka %s)", s)
	}
	c.Printf("\n")
}

func showSwitch(c *ctl.Context, ls *idl.Row) {
	c.Printf("switch %s (%s)", ls.UUID, ls.Str("name"))
	aka(c, ls, "neutron:network_name")
	for _, lsp := range idl.Sort(ls.Refs("ports"), "name") {
		c.Printf("    port %s", lsp.Str("name"))
		aka(c, lsp, "neutron:port_name")
		if s := lsp.Str("type"); s != "" {
			c.Printf("        type: %s\n", s)
		}
		if s := lsp.Str("parent_name"); s != "" {
			c.Printf("        parent: %s\n", s)
		}
		if n, ok := lsp.OptInt("tag"); ok {
			c.Printf("        tag: %d\n", n)
		}
		// "router" alone goes without saying: the router's port has the addresses.
		if a := lsp.Strs("addresses"); len(a) > 1 || len(a) == 1 && a[0] != "router" {
			c.Printf("        addresses: %s\n", quoted(a))
		}
		if s, ok := lsp.Key("options", "router-port"); ok {
			c.Printf("        router-port: %s\n", s)
		}
	}
}

// quoted prints a list with quotes and brackets.
func quoted(ss []string) string { return `["` + strings.Join(ss, `", "`) + `"]` }

func showRouter(c *ctl.Context, lr *idl.Row) {
	c.Printf("router %s (%s)", lr.UUID, lr.Str("name"))
	aka(c, lr, "neutron:router_name")
	for _, lrp := range idl.Sort(lr.Refs("ports"), "name") {
		c.Printf("    port %s\n", lrp.Str("name"))
		if mac := lrp.Str("mac"); mac != "" {
			c.Printf("        mac: \"%s\"\n", mac)
		}
		if networks := lrp.Strs("networks"); len(networks) > 0 {
			c.Printf("        networks: %s\n", quoted(networks))
		}
		if table, ok := lrp.Key("options", "route_table"); ok {
			c.Printf("        route-table: %s\n", table)
		}
		if gateways := gatewaysOf(lrp); len(gateways) > 0 {
			c.Printf("        gateway chassis: [")
			for i, gc := range gateways {
				c.Printf("%s%s", choose(i > 0, " ", ""), gc.Str("chassis_name"))
			}
			c.Printf("]\n")
		}
	}
	for _, nat := range lr.Refs("nat") {
		c.Printf("    nat %s\n", nat.UUID)
		c.Printf("        external ip: \"%s\"\n", nat.Str("external_ip"))
		if s := nat.Str("external_port_range"); s != "" {
			c.Printf("        external port(s): \"%s\"\n", s)
		}
		c.Printf("        logical ip: \"%s\"\n", nat.Str("logical_ip"))
		c.Printf("        type: \"%s\"\n", nat.Str("type"))
	}
}
