package nbctl

import (
	"fmt"
	"slices"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
)

// macBindingCommands are about static MAC bindings of router ports.
var macBindingCommands = []ctl.Command{
	{Name: "static-mac-binding-add", Min: 3, Max: 3, Args: "LOGICAL_PORT IP MAC", Options: "--may-exist", Needs: needMACBindings, Run: macBindingAdd},
	{Name: "static-mac-binding-del", Min: 2, Max: 2, Args: "LOGICAL_PORT IP", Options: "--if-exists", Needs: needMACBindings, Run: macBindingDel},
	{Name: "static-mac-binding-list", Needs: needMACBindings, Run: macBindingList},
}

func needMACBindings(c *ctl.Context) error {
	c.DB.Need("Logical_Router_Port", "name")
	c.DB.Need("Static_MAC_Binding", "logical_port", "ip", "mac")
	return nil
}

// macBinding returns the binding of a port and an address, nil when there is
// none, and the address as it is stored.
func macBinding(c *ctl.Context) (row *idl.Row, ip string, err error) {
	if _, err := lookupRouterPort(c, c.Args[1], true); err != nil {
		return nil, "", err
	}
	a, err := normalAddress(c.Args[2])
	if err != nil {
		return nil, "", ctl.Refuse(fmt.Errorf("%s: Not a valid IPv4 or IPv6 address.", c.Args[2]), c.Args[2], northbound.IP)
	}
	for _, row := range c.DB.Rows("Static_MAC_Binding") {
		if row.Str("logical_port") == c.Args[1] && row.Str("ip") == a.String() {
			return row, a.String(), nil
		}
	}
	return nil, a.String(), nil
}

func macBindingAdd(c *ctl.Context) error {
	row, ip, err := macBinding(c)
	if err != nil {
		return err
	}
	mac := c.Args[3]
	if _, ok := ethernet(mac); !ok {
		return ctl.Refuse(fmt.Errorf("invalid mac address %s.", mac), mac, northbound.MAC)
	}
	if row != nil {
		if !c.Has("--may-exist") {
			return fmt.Errorf("%s, %s: a Static_MAC_Binding with this logical_port and ip already exists", c.Args[1], ip)
		}
		row.Set("mac", idl.String(mac))
		return nil
	}
	c.Txn.Insert("Static_MAC_Binding").
		Set("logical_port", idl.String(c.Args[1])).
		Set("ip", idl.String(ip)).
		Set("mac", idl.String(mac))
	return nil
}

func macBindingDel(c *ctl.Context) error {
	row, ip, err := macBinding(c)
	switch {
	case err != nil:
		return err
	case row != nil:
		row.Delete()
	case !c.IfExists():
		return fmt.Errorf("no matching Static_MAC_Binding with port %s and ip %s", c.Args[1], ip)
	}
	return nil
}

func macBindingList(c *ctl.Context) error {
	var lines []string
	for _, row := range c.DB.Rows("Static_MAC_Binding") {
		lines = append(lines, fmt.Sprintf("%-25s%-25s%s\n", row.Str("logical_port"), row.Str("ip"), row.Str("mac")))
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	c.Printf("%-25s%-25s%s\n%s", "LOGICAL_PORT", "IP", "MAC", joined(lines, ""))
	return nil
}
