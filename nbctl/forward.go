package nbctl

import (
	"errors"
	"fmt"
	"net/netip"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
)

// forwardCommands are about forwarding groups of switches.
var forwardCommands = []ctl.Command{
	{Name: "fwd-group-add", Min: 4, Max: ctl.Unlimited, Args: "GROUP SWITCH VIP VMAC PORTS...", Options: "--liveness", Needs: all(needForward, needPorts()), Run: fwdGroupAdd},
	{Name: "fwd-group-del", Min: 1, Max: 1, Args: "GROUP", Options: "--if-exists", Needs: needForward, Run: fwdGroupDel},
	{Name: "fwd-group-list", Max: 1, Args: "[SWITCH]", Needs: needForward, Run: fwdGroupList},
}

func needForward(c *ctl.Context) error {
	c.DB.Need("Logical_Switch", "name", "ports", "forwarding_groups")
	c.DB.Need("Forwarding_Group", "name", "vip", "vmac", "child_port")
	return nil
}

func fwdGroupAdd(c *ctl.Context) error {
	if len(c.Args) <= 5 {
		return errors.New("Usage : ovn-nbctl fwd-group-add group switch vip vmac child_ports...")
	}
	name := c.Args[1]
	for _, g := range c.DB.Rows("Forwarding_Group") {
		if g.Str("name") == name {
			return fmt.Errorf("%s: a forwarding group by this name already exists", name)
		}
	}
	ls, err := lookupSwitch(c, c.Args[2], true)
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(c.Args[3]); err != nil || !a.Is4() {
		return ctl.Refuse(fmt.Errorf("invalid ip address %s", c.Args[3]), c.Args[3], northbound.IPv4)
	}
	if _, ok := ethernet(c.Args[4]); !ok {
		return ctl.Refuse(fmt.Errorf("invalid mac address %s", c.Args[4]), c.Args[4], northbound.MAC)
	}
	for _, port := range c.Args[5:] {
		lsp, err := lookupPort(c, port, false)
		if err != nil {
			return err
		}
		if lsp == nil {
			return fmt.Errorf("%s: logical switch port does not exist", port)
		}
		on, err := switchOf(c, lsp)
		if err != nil {
			return err
		}
		if on != ls {
			return fmt.Errorf("%s: port already exists but in logical switch %s", port, nameOf(on))
		}
	}
	group := c.Txn.Insert("Forwarding_Group").
		Set("name", idl.String(name)).
		Set("vip", idl.String(c.Args[3])).
		Set("vmac", idl.String(c.Args[4])).
		Set("child_port", idl.Strings(c.Args[5:]...))
	if c.Has("--liveness") {
		group.Set("liveness", idl.Bool(true))
	}
	ls.Add("forwarding_groups", idl.Refs(group))
	return nil
}

func fwdGroupDel(c *ctl.Context) error {
	for _, g := range c.DB.Rows("Forwarding_Group") {
		if g.Str("name") != c.Args[1] {
			continue
		}
		for _, ls := range c.DB.Rows("Logical_Switch") {
			if ls.RefersTo("forwarding_groups", g) {
				ls.Remove("forwarding_groups", idl.Refs(g))
			}
		}
		g.Delete()
		return nil
	}
	return nil
}

func fwdGroupList(c *ctl.Context) error {
	switches := c.DB.SortedBy("Logical_Switch", "name")
	if len(c.Args) > 1 {
		ls, err := lookupSwitch(c, c.Args[1], true)
		if err != nil {
			return err
		}
		switches = []*idl.Row{ls}
	}
	c.Printf("%-16.16s%-14.16s%-16.7s%-22.21s%s\n", "FWD_GROUP", "LS", "VIP", "VMAC", "CHILD_PORTS")
	for _, ls := range switches {
		for _, g := range idl.Sort(ls.Refs("forwarding_groups"), "name") {
			c.Printf("%-16.16s%-14.18s%-15.16s%-9.18s     ", g.Str("name"), ls.Str("name"), g.Str("vip"), g.Str("vmac"))
			for _, port := range g.Strs("child_port") {
				c.Printf(" %s", port)
			}
			c.Printf("\n")
		}
	}
	return nil
}
