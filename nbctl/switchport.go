package nbctl

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

const maxTag = 4095

// switchPortCommands are about ports of logical switches.
var switchPortCommands = []ctl.Command{
	{Name: "lsp-add", Min: 2, Max: 4, Args: "SWITCH PORT [PARENT] [TAG]", Options: "--may-exist",
		Needs: needLspAdd, Run: lspAdd},
	{Name: "lsp-del", Min: 1, Max: 1, Args: "PORT", Options: "--if-exists", Needs: all(needSwitches("ports"), needPorts()), Run: lspDel},
	{Name: "lsp-list", Min: 1, Max: 1, Args: "SWITCH", Needs: all(needSwitches("ports"), needPorts()), Run: lspList},
	{Name: "lsp-get-parent", Min: 1, Max: 1, Args: "PORT", Needs: needPort("parent_name"), Run: lspGet(printOptional("parent_name"))},
	{Name: "lsp-get-tag", Min: 1, Max: 1, Args: "PORT", Needs: needPort("tag"), Run: lspGet(printOptional("tag"))},
	{Name: "lsp-set-addresses", Min: 1, Max: ctl.Unlimited, Args: "PORT [ADDRESS]...",
		Needs: all(needSwitches("ports"), needPorts("addresses", "dynamic_addresses")), Run: lspSetAddresses},
	{Name: "lsp-get-addresses", Min: 1, Max: 1, Args: "PORT", Needs: needPort("addresses"), Run: lspGet(printStrings("addresses"))},
	{Name: "lsp-set-port-security", Min: 1, Max: ctl.Unlimited, Args: "PORT [ADDRS]...", Needs: needPort("port_security"), Run: lspSetPortSecurity},
	{Name: "lsp-get-port-security", Min: 1, Max: 1, Args: "PORT", Needs: needPort("port_security"), Run: lspGet(printStrings("port_security"))},
	{Name: "lsp-get-up", Min: 1, Max: 1, Args: "PORT", Needs: needPort("up"), Run: lspGet(func(c *ctl.Context, lsp *idl.Row) error {
		c.Printf("%s\n", choose(lsp.Bool("up"), "up", "down"))
		return nil
	})},
	{Name: "lsp-set-enabled", Min: 2, Max: 2, Args: "PORT STATE", Needs: needPort("enabled"), Run: lspGet(setEnabled)},
	{Name: "lsp-get-enabled", Min: 1, Max: 1, Args: "PORT", Needs: needPort("enabled"), Run: lspGet(printEnabled)},
	{Name: "lsp-set-type", Min: 2, Max: 2, Args: "PORT TYPE", Needs: needPort("type"), Run: lspGet(lspSetType)},
	{Name: "lsp-get-type", Min: 1, Max: 1, Args: "PORT", Needs: needPort("type"), Run: lspGet(func(c *ctl.Context, lsp *idl.Row) error {
		c.Printf("%s\n", lsp.Str("type"))
		return nil
	})},
	{Name: "lsp-set-options", Min: 1, Max: ctl.Unlimited, Args: "PORT KEY=VALUE [KEY=VALUE]...", Needs: needPort("options"), Run: lspGet(setOptions("options", 2))},
	{Name: "lsp-get-options", Min: 1, Max: 1, Args: "PORT", Needs: needPort("options"), Run: lspGet(printMap("options"))},
	{Name: "lsp-set-dhcpv4-options", Min: 1, Max: 2, Args: "PORT [DHCP_OPTIONS_UUID]",
		Needs: all(needPort("dhcpv4_options"), need("DHCP_Options", "cidr")), Run: lspGet(setDHCP("dhcpv4_options", "IPv4"))},
	{Name: "lsp-get-dhcpv4-options", Min: 1, Max: 1, Args: "PORT",
		Needs: all(needPort("dhcpv4_options"), need("DHCP_Options", "cidr")), Run: lspGet(printDHCP("dhcpv4_options"))},
	{Name: "lsp-set-dhcpv6-options", Min: 1, Max: 2, Args: "PORT [DHCP_OPTIONS_UUID]",
		Needs: all(needPort("dhcpv6_options"), need("DHCP_Options", "cidr")), Run: lspGet(setDHCP("dhcpv6_options", "IPv6"))},
	{Name: "lsp-get-dhcpv6-options", Min: 1, Max: 1, Args: "PORT",
		Needs: all(needPort("dhcpv6_options"), need("DHCP_Options", "cidr")), Run: lspGet(printDHCP("dhcpv6_options"))},
	{Name: "lsp-get-ls", Min: 1, Max: 1, Args: "PORT", Needs: all(needSwitches("ports"), needPorts()), Run: lspGet(lspGetSwitch)},
}

func needPorts(more ...string) func(*ctl.Context) error {
	return need("Logical_Switch_Port", append([]string{"name"}, more...)...)
}

// needPort asks for the port that the first argument names.
func needPort(columns ...string) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		c.NeedNamed("Logical_Switch_Port", c.Args[1], columns...)
		return nil
	}
}

// needLspAdd asks for the switch and for a port with the name. Which switch has
// that port matters with --may-exist only.
func needLspAdd(c *ctl.Context) error {
	c.NeedNamed("Logical_Switch_Port", c.Args[2], "parent_name", "tag_request")
	if c.Has("--may-exist") {
		return needSwitches("ports")(c)
	}
	c.NeedNamed("Logical_Switch", c.Args[1])
	return nil
}

// lookupPort returns a port of a switch, nil where it may be missing.
func lookupPort(c *ctl.Context, s string, must bool) (*idl.Row, error) {
	return c.Named("Logical_Switch_Port", s, "port", "", must)
}

// switchOf returns the switch of a port.
func switchOf(c *ctl.Context, lsp *idl.Row) (*idl.Row, error) {
	if ls := c.Referrer("Logical_Switch", "ports", lsp); ls != nil {
		return ls, nil
	}
	return nil, fmt.Errorf("logical port %s is not part of any logical switch", lsp.Str("name"))
}

// nameOf is the name of a switch or router, its UUID when it has none.
func nameOf(row *idl.Row) string {
	if s := row.Str("name"); s != "" {
		return s
	}
	return row.UUID.String()
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func lspAdd(c *ctl.Context) error {
	ls, err := lookupSwitch(c, c.Args[1], true)
	if err != nil {
		return err
	}
	name, parent := c.Args[2], c.Arg(3)
	tag := int64(-1)
	switch len(c.Args) {
	case 4:
		return errors.New("lsp-add with parent must also specify a tag")
	case 5:
		var ok bool
		if tag, ok = scanInt(c.Args[4], 0); !ok || tag < 0 || tag > maxTag {
			return fmt.Errorf("%s: invalid tag (must be in range 0 to %d)", c.Args[4], maxTag)
		}
	}
	lsp, err := lookupPort(c, name, false)
	if err != nil {
		return err
	}
	if lsp != nil {
		if !c.Has("--may-exist") {
			return fmt.Errorf("%s: a port with this name already exists", name)
		}
		return lspAgrees(c, lsp, ls, name, parent, tag)
	}
	lsp = c.Txn.Insert("Logical_Switch_Port").Set("name", idl.String(name))
	if tag >= 0 {
		lsp.Set("parent_name", idl.String(parent)).Set("tag_request", idl.Int(tag))
	}
	ls.Add("ports", idl.Refs(lsp))
	return nil
}

// lspAgrees verifies that a port that is there is as lsp-add would make it.
func lspAgrees(c *ctl.Context, lsp, ls *idl.Row, name, parent string, tag int64) error {
	has, err := switchOf(c, lsp)
	if err != nil {
		return err
	}
	if has != ls {
		return fmt.Errorf("%s: port already exists but in switch %s", name, nameOf(has))
	}
	hasParent, ok := lsp.OptStr("parent_name")
	if parent == "" {
		if ok {
			return fmt.Errorf("%s: port already exists but has parent %s", name, hasParent)
		}
		return nil
	}
	hasTag, tagged := lsp.OptInt("tag_request")
	switch {
	case !ok:
		return fmt.Errorf("%s: port already exists but has no parent", name)
	case hasParent != parent:
		return fmt.Errorf("%s: port already exists with different parent %s", name, hasParent)
	case !tagged:
		return fmt.Errorf("%s: port already exists but has no tag_request", name)
	case hasTag != tag:
		return fmt.Errorf("%s: port already exists with different tag_request %d", name, hasTag)
	}
	return nil
}

func lspDel(c *ctl.Context) error {
	lsp, err := lookupPort(c, c.Args[1], !c.IfExists())
	if err != nil || lsp == nil {
		return err
	}
	ls, err := switchOf(c, lsp)
	if err != nil {
		return err
	}
	ls.Remove("ports", idl.Refs(lsp))
	lsp.Delete()
	return nil
}

func lspList(c *ctl.Context) error {
	ls, err := lookupSwitch(c, c.Args[1], true)
	if err == nil {
		c.PrintNamed(ls.Refs("ports"))
	}
	return err
}

// lspGet runs f with the port that the first argument names.
func lspGet(f func(*ctl.Context, *idl.Row) error) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		lsp, err := lookupPort(c, c.Args[1], true)
		if err != nil {
			return err
		}
		return f(c, lsp)
	}
}

// printOptional prints the value of a column that has one.
func printOptional(column string) func(*ctl.Context, *idl.Row) error {
	return func(c *ctl.Context, row *idl.Row) error {
		if d := row.Get(column); d.Len() > 0 {
			c.Printf("%s\n", d.Bare())
		}
		return nil
	}
}

// printStrings prints the strings of a column in ascending order.
func printStrings(column string) func(*ctl.Context, *idl.Row) error {
	return func(c *ctl.Context, row *idl.Row) error {
		for _, s := range row.Strs(column) {
			c.Printf("%s\n", s)
		}
		return nil
	}
}

// printMap prints a map of strings in ascending order of keys.
func printMap(column string) func(*ctl.Context, *idl.Row) error {
	return func(c *ctl.Context, row *idl.Row) error {
		d := row.Get(column)
		for i, k := range d.Keys {
			c.Printf("%s=%s\n", idl.BareAtom(k), idl.BareAtom(d.Values[i]))
		}
		return nil
	}
}

// pairs reads arguments KEY=VALUE; those without "=" are passed over.
func pairs(args []string) idl.Datum {
	m := map[string]string{}
	for _, arg := range args {
		if k, v, ok := strings.Cut(arg, "="); ok {
			m[k] = v
		}
	}
	return idl.StringMap(m)
}

// setOptions replaces a map by the arguments from i on.
func setOptions(column string, i int) func(*ctl.Context, *idl.Row) error {
	return func(c *ctl.Context, row *idl.Row) error {
		row.Set(column, pairs(c.Args[i:]))
		return nil
	}
}

func setEnabled(c *ctl.Context, row *idl.Row) error {
	switch state := c.Args[2]; {
	case strings.EqualFold(state, "enabled"):
		row.Set("enabled", idl.Bool(true))
	case strings.EqualFold(state, "disabled"):
		row.Set("enabled", idl.Bool(false))
	default:
		return fmt.Errorf("%s: state must be \"enabled\" or \"disabled\"", state)
	}
	return nil
}

func printEnabled(c *ctl.Context, row *idl.Row) error {
	enabled, ok := row.OptBool("enabled")
	c.Printf("%s\n", choose(enabled || !ok, "enabled", "disabled"))
	return nil
}

// portTypes are the types that northd knows.
var portTypes = []string{"", "l2gateway", "localnet", "localport", "router", "vtep", "external", "virtual", "remote"}

func lspSetType(c *ctl.Context, lsp *idl.Row) error {
	if !slices.Contains(portTypes, c.Args[2]) {
		return fmt.Errorf("Logical switch port type '%s' is unrecognized. Not setting type.", c.Args[2])
	}
	lsp.Set("type", idl.String(c.Args[2]))
	return nil
}

func lspSetPortSecurity(c *ctl.Context) error {
	lsp, err := lookupPort(c, c.Args[1], true)
	if err == nil {
		lsp.Set("port_security", idl.Strings(c.Args[2:]...))
	}
	return err
}

func lspGetSwitch(c *ctl.Context, lsp *idl.Row) error {
	ls, err := switchOf(c, lsp)
	if err != nil {
		return err
	}
	c.Printf("%s (%s)\n", ls.UUID, ls.Str("name"))
	return nil
}

// setDHCP sets or clears the DHCP options of a port.
func setDHCP(column, family string) func(*ctl.Context, *idl.Row) error {
	return func(c *ctl.Context, lsp *idl.Row) error {
		if len(c.Args) == 2 {
			lsp.Set(column, idl.Datum{})
			return nil
		}
		options, err := lookupDHCP(c, c.Args[2], true)
		if err != nil {
			return err
		}
		cidr := options.Str("cidr")
		if p, err := parsePrefix(cidr); err != nil || p.Addr().Is4() != (family == "IPv4") {
			return fmt.Errorf("DHCP options cidr '%s' is not %s", cidr, family)
		}
		lsp.Set(column, idl.Refs(options))
		return nil
	}
}

func printDHCP(column string) func(*ctl.Context, *idl.Row) error {
	return func(c *ctl.Context, lsp *idl.Row) error {
		if options := lsp.Ref(column); options != nil {
			c.Printf("%s (%s)\n", options.UUID, options.Str("cidr"))
		}
		return nil
	}
}
