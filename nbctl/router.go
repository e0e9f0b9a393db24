package nbctl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
)

// routerCommands are about logical routers and their ports.
var routerCommands = []ctl.Command{
	{Name: "lr-add", Max: 1, Args: "[ROUTER]", Options: "--may-exist,--add-duplicate", Needs: needRouters(), Run: lrAdd},
	{Name: "lr-del", Min: 1, Max: 1, Args: "ROUTER", Options: "--if-exists", Needs: needRouters(), Run: lrDel},
	{Name: "lr-list", Needs: needRouters(), Run: lrList},
	{Name: "lrp-add", Min: 4, Max: ctl.Unlimited, Args: "ROUTER PORT MAC NETWORK... [COLUMN[:KEY]=VALUE]...", Options: "--may-exist",
		Needs: needRouterPorts("mac", "networks", "peer"), Run: lrpAdd},
	{Name: "lrp-del", Min: 1, Max: 1, Args: "PORT", Options: "--if-exists", Needs: needRouterPorts(), Run: lrpDel},
	{Name: "lrp-list", Min: 1, Max: 1, Args: "ROUTER", Needs: needRouterPorts(), Run: lrpList},
	{Name: "lrp-set-gateway-chassis", Min: 2, Max: 3, Args: "PORT CHASSIS [PRIORITY]", Options: "--may-exist", Needs: needGateways, Run: lrpGet(lrpSetGateway)},
	{Name: "lrp-del-gateway-chassis", Min: 2, Max: 2, Args: "PORT CHASSIS", Needs: needGateways, Run: lrpGet(lrpDelGateway)},
	{Name: "lrp-get-gateway-chassis", Min: 1, Max: 1, Args: "PORT", Needs: needGateways, Run: lrpGet(lrpGetGateways)},
	{Name: "lrp-set-options", Min: 1, Max: ctl.Unlimited, Args: "PORT KEY=VALUE [KEY=VALUE]...", Needs: needRouterPort("options"), Run: lrpGet(setOptions("options", 2))},
	{Name: "lrp-set-enabled", Min: 2, Max: 2, Args: "PORT STATE", Needs: needRouterPort("enabled"), Run: lrpGet(setEnabled)},
	{Name: "lrp-get-enabled", Min: 1, Max: 1, Args: "PORT", Needs: needRouterPort("enabled"), Run: lrpGet(printEnabled)},
	{Name: "lrp-set-redirect-type", Min: 2, Max: 2, Args: "PORT TYPE", Needs: needRouterPort("options"), Run: lrpGet(lrpSetRedirect)},
	{Name: "lrp-get-redirect-type", Min: 1, Max: 1, Args: "PORT", Needs: needRouterPort("options"), Run: lrpGet(lrpGetRedirect)},
}

func needRouters(more ...string) func(*ctl.Context) error {
	return need("Logical_Router", append([]string{"name"}, more...)...)
}

func needRouterPorts(more ...string) func(*ctl.Context) error {
	return all(needRouters("ports"), need("Logical_Router_Port", append([]string{"name"}, more...)...))
}

// needRouterPort asks for the port that the first argument names.
func needRouterPort(columns ...string) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		c.NeedNamed("Logical_Router_Port", c.Args[1], columns...)
		return nil
	}
}

func needGateways(c *ctl.Context) error {
	c.DB.Need("Logical_Router_Port", "name", "gateway_chassis")
	c.DB.Need("Gateway_Chassis", "name", "chassis_name", "priority")
	return nil
}

// lookupRouter returns a router, nil where it may be missing.
func lookupRouter(c *ctl.Context, s string, must bool) (*idl.Row, error) {
	return c.Named("Logical_Router", s, "router", "logical routers", must)
}

// lookupRouterPort returns a port of a router, nil where it may be missing.
func lookupRouterPort(c *ctl.Context, s string, must bool) (*idl.Row, error) {
	return c.Named("Logical_Router_Port", s, "port", "", must)
}

// routerOf returns the router of a port.
func routerOf(c *ctl.Context, lrp *idl.Row) (*idl.Row, error) {
	if lr := c.Referrer("Logical_Router", "ports", lrp); lr != nil {
		return lr, nil
	}
	return nil, fmt.Errorf("port %s is not part of any logical router", lrp.Str("name"))
}

// gatewaysOf returns the gateway chassis of a router port, the best first.
func gatewaysOf(lrp *idl.Row) []*idl.Row {
	gateways := lrp.Refs("gateway_chassis")
	slices.SortFunc(gateways, func(a, b *idl.Row) int {
		return cmp.Or(cmp.Compare(b.Int("priority"), a.Int("priority")), cmp.Compare(a.Str("chassis_name"), b.Str("chassis_name")))
	})
	return gateways
}

func lrAdd(c *ctl.Context) error { return addNamed(c, "Logical_Router", "router") }

func lrDel(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], !c.IfExists())
	if err == nil && lr != nil {
		lr.Delete()
	}
	return err
}

func lrList(c *ctl.Context) error {
	c.PrintNamed(c.DB.Rows("Logical_Router"))
	return nil
}

func lrpAdd(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	name, mac, networks := c.Args[2], c.Args[3], c.Args[4:]
	var settings []string
	if i := slices.IndexFunc(networks, func(s string) bool { return strings.Contains(s, "=") }); i >= 0 {
		networks, settings = networks[:i], networks[i:]
	}
	if len(networks) == 0 {
		return fmt.Errorf("%s: router port requires specifying a network", name)
	}
	if _, ok := ethernet(mac); !ok {
		return ctl.Refuse(fmt.Errorf("%s: invalid mac address %s", name, mac), mac, northbound.MAC)
	}
	lrp, err := lookupRouterPort(c, name, false)
	if err != nil {
		return err
	}
	if lrp != nil {
		if !c.Has("--may-exist") {
			return fmt.Errorf("%s: a port with this name already exists", name)
		}
		return lrpAgrees(c, lrp, lr, mac, networks, settings)
	}
	for _, n := range networks {
		if _, err := parsePrefix(n); err != nil {
			return ctl.Refuse(fmt.Errorf("%s: invalid network address: %s", name, n), n, northbound.Prefix)
		}
	}
	lrp = c.Txn.Insert("Logical_Router_Port").
		Set("name", idl.String(name)).
		Set("mac", idl.String(mac)).
		Set("networks", idl.Strings(networks...))
	for _, s := range settings {
		if err := c.SetColumn(lrp, s); err != nil {
			return err
		}
	}
	lr.Add("ports", idl.Refs(lrp))
	return nil
}

// sortedNetworks returns networks in one notation and order.
func sortedNetworks(networks []string) (out []string, ok bool) {
	for _, n := range networks {
		p, err := parsePrefix(n)
		if err != nil {
			return nil, false
		}
		out = append(out, p.String())
	}
	slices.Sort(out)
	return out, true
}

// lrpAgrees verifies that a port that is there is as lrp-add would make it.
func lrpAgrees(c *ctl.Context, lrp, lr *idl.Row, mac string, networks, settings []string) error {
	name := lrp.Str("name")
	has, err := routerOf(c, lrp)
	if err != nil {
		return err
	}
	if has != lr {
		return fmt.Errorf("%s: port already exists but in router %s", name, nameOf(has))
	}
	want, _ := ethernet(mac)
	if got, _ := ethernet(lrp.Str("mac")); got != want {
		return fmt.Errorf("%s: port already exists with mac %s", name, lrp.Str("mac"))
	}
	wanted, ok := sortedNetworks(networks)
	if !ok {
		return fmt.Errorf("%s: Invalid networks configured", name)
	}
	there, ok := sortedNetworks(lrp.Strs("networks"))
	if !ok {
		return fmt.Errorf("%s: Existing port has invalid networks configured", name)
	}
	if !slices.Equal(wanted, there) {
		return fmt.Errorf("%s: port already exists with different network", name)
	}
	peer := ""
	for _, s := range settings {
		if p, ok := strings.CutPrefix(s, "peer="); ok {
			peer = p
		}
	}
	if lrp.Str("peer") != peer {
		return fmt.Errorf("%s: port already exists with mismatching peer", name)
	}
	return nil
}

func lrpDel(c *ctl.Context) error {
	lrp, err := lookupRouterPort(c, c.Args[1], !c.IfExists())
	if err != nil || lrp == nil {
		return err
	}
	lr, err := routerOf(c, lrp)
	if err != nil {
		return err
	}
	lr.Remove("ports", idl.Refs(lrp))
	lrp.Delete()
	return nil
}

func lrpList(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err == nil {
		c.PrintNamed(lr.Refs("ports"))
	}
	return err
}

// lrpGet runs f with the port that the first argument names.
func lrpGet(f func(*ctl.Context, *idl.Row) error) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		lrp, err := lookupRouterPort(c, c.Args[1], true)
		if err != nil {
			return err
		}
		return f(c, lrp)
	}
}

func lrpSetGateway(c *ctl.Context, lrp *idl.Row) error {
	priority := int64(0)
	if len(c.Args) > 3 {
		var err error
		if priority, err = parsePriority(c.Args[3]); err != nil {
			return err
		}
	}
	name := lrp.Str("name") + "-" + c.Args[2]
	for _, gc := range c.DB.Rows("Gateway_Chassis") {
		if gc.Str("name") == name {
			gc.Set("priority", idl.Int(priority))
			return nil
		}
	}
	gc := c.Txn.Insert("Gateway_Chassis").
		Set("name", idl.String(name)).
		Set("chassis_name", idl.String(c.Args[2])).
		Set("priority", idl.Int(priority))
	lrp.Add("gateway_chassis", idl.Refs(gc))
	return nil
}

func lrpDelGateway(c *ctl.Context, lrp *idl.Row) error {
	for _, gc := range lrp.Refs("gateway_chassis") {
		if gc.Str("chassis_name") == c.Args[2] {
			lrp.Remove("gateway_chassis", idl.Refs(gc))
			gc.Delete()
			return nil
		}
	}
	return fmt.Errorf("chassis %s is not added to logical port %s", c.Args[2], c.Args[1])
}

func lrpGetGateways(c *ctl.Context, lrp *idl.Row) error {
	for _, gc := range gatewaysOf(lrp) {
		c.Printf("%s %5d\n", gc.Str("name"), gc.Int("priority"))
	}
	return nil
}

func lrpSetRedirect(c *ctl.Context, lrp *idl.Row) error {
	if c.Args[2] != "overlay" && c.Args[2] != "bridged" {
		return fmt.Errorf("Invalid redirect type: %s", c.Args[2])
	}
	lrp.Add("options", idl.StringMap(map[string]string{"redirect-type": c.Args[2]}))
	return nil
}

func lrpGetRedirect(c *ctl.Context, lrp *idl.Row) error {
	kind, ok := lrp.Key("options", "redirect-type")
	c.Printf("%s\n", choose(ok, kind, "overlay"))
	return nil
}
