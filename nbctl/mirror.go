package nbctl

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
)

// mirrorCommands are about mirrors, which copy the packets of ports.
var mirrorCommands = []ctl.Command{
	{Name: "mirror-add", Min: 5, Max: 5, Args: "NAME TYPE INDEX FILTER IP", Options: "--may-exist", Needs: needMirrors, Run: mirrorAdd},
	{Name: "mirror-del", Max: 1, Args: "[NAME]", Needs: needMirrors, Run: mirrorDel},
	{Name: "mirror-list", Needs: needMirrors, Run: mirrorList},
	{Name: "lsp-attach-mirror", Min: 2, Max: 2, Args: "PORT MIRROR", Options: "--may-exist", Needs: all(needPorts("mirror_rules"), needMirrors), Run: lspAttachMirror},
	{Name: "lsp-detach-mirror", Min: 2, Max: 2, Args: "PORT MIRROR", Needs: all(needPorts("mirror_rules"), needMirrors), Run: lspDetachMirror},
}

func needMirrors(c *ctl.Context) error {
	c.DB.Need("Mirror", "name", "type", "index", "filter", "sink")
	return nil
}

func mirrorAdd(c *ctl.Context) error {
	name, kind := c.Args[1], c.Args[2]
	for _, m := range c.DB.Rows("Mirror") {
		if m.Str("name") == name {
			return fmt.Errorf("Mirror with %s name already exists.", name)
		}
	}
	if kind != "gre" && kind != "erspan" {
		return fmt.Errorf("%s: type must be \"gre\" or \"erspan\"", kind)
	}
	index, err := strconv.ParseInt(c.Args[3], 10, 64)
	if err != nil {
		return errors.New("Invalid Index")
	}
	filter, err := parseDirection(c.Args[4], "selection")
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(c.Args[5]); err != nil {
		return ctl.Refuse(fmt.Errorf("Invalid sink ip: %s", c.Args[5]), c.Args[5], northbound.IP)
	}
	c.Txn.Insert("Mirror").
		Set("name", idl.String(name)).
		Set("type", idl.String(kind)).
		Set("index", idl.Int(index)).
		Set("filter", idl.String(filter)).
		Set("sink", idl.String(c.Args[5]))
	return nil
}

// deleteNamed deletes the rows of a table, or those with the name that the
// first argument gives.
func deleteNamed(c *ctl.Context, table string) error {
	for _, row := range c.DB.Rows(table) {
		if len(c.Args) == 1 || row.Str("name") == c.Args[1] {
			row.Delete()
		}
	}
	return nil
}

func mirrorDel(c *ctl.Context) error { return deleteNamed(c, "Mirror") }

func mirrorList(c *ctl.Context) error {
	for _, m := range c.DB.SortedBy("Mirror", "name") {
		c.Printf("%s:\n", m.Str("name"))
		c.Printf("  Type     :  %s\n", m.Str("type"))
		c.Printf("  Sink     :  %s\n", m.Str("sink"))
		c.Printf("  Filter   :  %s\n", m.Str("filter"))
		c.Printf("  Index/Key:  %d\n\n", m.Int("index"))
	}
	return nil
}

// portAndMirror returns what the two arguments name.
func portAndMirror(c *ctl.Context) (lsp, mirror *idl.Row, err error) {
	if lsp, err = lookupPort(c, c.Args[1], true); err == nil {
		mirror, err = c.Named("Mirror", c.Args[2], "mirror", "", true)
	}
	return lsp, mirror, err
}

func lspAttachMirror(c *ctl.Context) error {
	lsp, mirror, err := portAndMirror(c)
	if err != nil {
		return err
	}
	if lsp.RefersTo("mirror_rules", mirror) {
		if c.Has("--may-exist") {
			return nil
		}
		return fmt.Errorf("mirror %s is already attached to the logical port %s.", c.Args[2], c.Args[1])
	}
	lsp.Add("mirror_rules", idl.Refs(mirror))
	return nil
}

func lspDetachMirror(c *ctl.Context) error {
	lsp, mirror, err := portAndMirror(c)
	if err == nil {
		lsp.Remove("mirror_rules", idl.Refs(mirror))
	}
	return err
}
