package nbctl

import (
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// groupCommands are about port groups.
var groupCommands = []ctl.Command{
	{Name: "pg-add", Min: 1, Max: ctl.Unlimited, Args: "PG [PORTS]...", Needs: all(needPorts(), need("Port_Group")), Run: pgAdd},
	{Name: "pg-set-ports", Min: 2, Max: ctl.Unlimited, Args: "PG PORTS...", Needs: all(needPorts(), need("Port_Group", "name", "ports")), Run: pgSetPorts},
	{Name: "pg-del", Min: 1, Max: 1, Args: "PG", Needs: need("Port_Group", "name"), Run: pgDel},
}

func joined(ss []string, separator string) string { return strings.Join(ss, separator) }

// portRefs returns references to the ports with some names.
func portRefs(c *ctl.Context, names []string) (idl.Datum, error) {
	var ports []*idl.Row
	for _, name := range names {
		lsp, err := lookupPort(c, name, true)
		if err != nil {
			return idl.Datum{}, err
		}
		ports = append(ports, lsp)
	}
	return idl.Refs(ports...), nil
}

func pgAdd(c *ctl.Context) error {
	ports, err := portRefs(c, c.Args[2:])
	if err == nil {
		c.Txn.Insert("Port_Group").Set("name", idl.String(c.Args[1])).Set("ports", ports)
	}
	return err
}

func pgSetPorts(c *ctl.Context) error {
	group, err := lookupGroup(c, c.Args[1], true)
	if err != nil {
		return err
	}
	ports, err := portRefs(c, c.Args[2:])
	if err == nil {
		group.Set("ports", ports)
	}
	return err
}

func pgDel(c *ctl.Context) error {
	group, err := lookupGroup(c, c.Args[1], true)
	if err == nil {
		group.Delete()
	}
	return err
}
