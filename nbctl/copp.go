package nbctl

import (
	"fmt"
	"slices"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// coppCommands are about control plane protection: meters for what chassis
// send to their controllers.
var coppCommands = []ctl.Command{
	{Name: "copp-add", Min: 3, Max: 3, Args: "NAME PROTO METER", Needs: need("Copp", "name", "meters"), Run: coppAdd},
	{Name: "copp-del", Min: 1, Max: 2, Args: "NAME [PROTO]", Needs: need("Copp", "name", "meters"), Run: coppDel},
	{Name: "copp-list", Min: 1, Max: 1, Args: "NAME", Needs: need("Copp", "name", "meters"), Run: coppList},
	{Name: "ls-copp-add", Min: 2, Max: 2, Args: "NAME SWITCH", Needs: all(need("Copp", "name"), needSwitches()), Run: coppUse(lookupSwitch)},
	{Name: "lr-copp-add", Min: 2, Max: 2, Args: "NAME ROUTER", Needs: all(need("Copp", "name"), need("Logical_Router", "name")), Run: coppUse(lookupRouter)},
}

// protocols are what a policy can limit, in the order of ovn-nb(5).
var protocols = []string{
	"arp", "arp-resolve", "dhcpv4-opts", "dhcpv6-opts", "dns", "event-elb", "icmp4-error", "icmp6-error", "igmp",
	"nd-na", "nd-ns", "nd-ns-resolve", "nd-ra-opts", "tcp-reset", "bfd", "reject", "svc-monitor",
}

func lookupCopp(c *ctl.Context) *idl.Row {
	for _, row := range c.DB.Rows("Copp") {
		if row.Str("name") == c.Args[1] {
			return row
		}
	}
	return nil
}

func checkProtocol(s string) error {
	if !slices.Contains(protocols, s) {
		return fmt.Errorf("Invalid control protocol. Allowed values: %s.", strings.Join(protocols, ", "))
	}
	return nil
}

func coppAdd(c *ctl.Context) error {
	if err := checkProtocol(c.Args[2]); err != nil {
		return err
	}
	copp := lookupCopp(c)
	if copp == nil {
		copp = c.Txn.Insert("Copp").Set("name", idl.String(c.Args[1]))
	}
	copp.Add("meters", idl.StringMap(map[string]string{c.Args[2]: c.Args[3]}))
	return nil
}

func coppDel(c *ctl.Context) error {
	if len(c.Args) > 2 {
		if err := checkProtocol(c.Args[2]); err != nil {
			return err
		}
	}
	copp := lookupCopp(c)
	switch {
	case copp == nil:
	case len(c.Args) > 2:
		copp.Remove("meters", idl.String(c.Args[2]))
	default:
		copp.Delete()
	}
	return nil
}

func coppList(c *ctl.Context) error {
	copp := lookupCopp(c)
	if copp == nil {
		return nil
	}
	d := copp.Get("meters")
	for i, k := range d.Keys {
		c.Printf("%s: %s\n", idl.BareAtom(k), idl.BareAtom(d.Values[i]))
	}
	return nil
}

// coppUse makes a switch or router use a policy.
func coppUse(lookup func(*ctl.Context, string, bool) (*idl.Row, error)) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		row, err := lookup(c, c.Args[2], true)
		if err != nil {
			return err
		}
		copp, err := c.Named("Copp", c.Args[1], "copp", "", true)
		if err == nil {
			row.Set("copp", idl.Refs(copp))
		}
		return err
	}
}
