package nbctl

import (
	"fmt"
	"regexp"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
	"govn/pkg/ovsdb"
)

// dhcpCommands are about DHCP options, which have no names.
var dhcpCommands = []ctl.Command{
	{Name: "dhcp-options-create", Min: 1, Max: ctl.Unlimited, Args: "CIDR [EXTERNAL_IDS]", Needs: need("DHCP_Options"), Run: dhcpCreate},
	{Name: "dhcp-options-del", Min: 1, Max: 1, Args: "DHCP_OPTIONS_UUID", Needs: need("DHCP_Options"), Run: dhcpDel},
	{Name: "dhcp-options-list", Needs: need("DHCP_Options", "cidr"), Run: dhcpList},
	{Name: "dhcp-options-set-options", Min: 1, Max: ctl.Unlimited, Args: "DHCP_OPTIONS_UUID KEY=VALUE [KEY=VALUE]...", Needs: need("DHCP_Options", "options"), Run: dhcpSetOptions},
	{Name: "dhcp-options-get-options", Min: 1, Max: 1, Args: "DHCP_OPTIONS_UUID", Needs: need("DHCP_Options", "options"), Run: dhcpGetOptions},
}

func lookupDHCP(c *ctl.Context, s string, must bool) (*idl.Row, error) {
	u, err := ovsdb.ParseUUID(s)
	if err == nil {
		if row := c.DB.Row("DHCP_Options", u); row != nil {
			return row, nil
		}
	}
	if must {
		return nil, fmt.Errorf("%s: dhcp options UUID not found", s)
	}
	return nil, nil
}

// leadingZeros are those of numbers in an IPv4 address, which the stock program
// accepts here.
var leadingZeros = regexp.MustCompile(`(^|\.)0+(\d)`)

func dhcpCreate(c *ctl.Context) error {
	if _, err := parsePrefix(leadingZeros.ReplaceAllString(c.Args[1], "$1$2")); err != nil {
		return ctl.Refuse(fmt.Errorf("Invalid cidr format '%s'", c.Args[1]), c.Args[1], northbound.Prefix)
	}
	c.Txn.Insert("DHCP_Options").Set("cidr", idl.String(c.Args[1])).Set("external_ids", pairs(c.Args[2:]))
	return nil
}

func dhcpDel(c *ctl.Context) error {
	row, err := lookupDHCP(c, c.Args[1], true)
	if err == nil && row != nil {
		row.Delete()
	}
	return err
}

func dhcpList(c *ctl.Context) error {
	for _, row := range c.DB.SortedBy("DHCP_Options", "cidr") {
		c.Printf("%s\n", row.UUID)
	}
	return nil
}

func dhcpSetOptions(c *ctl.Context) error {
	row, err := lookupDHCP(c, c.Args[1], true)
	if err != nil {
		return err
	}
	return setOptions("options", 2)(c, row)
}

func dhcpGetOptions(c *ctl.Context) error {
	row, err := lookupDHCP(c, c.Args[1], true)
	if err != nil {
		return err
	}
	return printMap("options")(c, row)
}
