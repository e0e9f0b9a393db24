package nbctl

import (
	"errors"
	"fmt"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// switchCommands are about logical switches.
var switchCommands = []ctl.Command{
	{Name: "ls-add", Max: 1, Args: "[SWITCH]", Options: "--may-exist,--add-duplicate", Needs: needSwitches(), Run: lsAdd},
	{Name: "ls-del", Min: 1, Max: 1, Args: "SWITCH", Options: "--if-exists", Needs: needSwitch, Run: lsDel},
	{Name: "ls-list", Needs: needSwitches(), Run: lsList},
}

// need returns a function that asks for columns of a table.
func need(table string, columns ...string) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		c.DB.Need(table, columns...)
		return nil
	}
}

// all joins functions that ask.
func all(needs ...func(*ctl.Context) error) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		for _, n := range needs {
			if err := n(c); err != nil {
				return err
			}
		}
		return nil
	}
}

func needSwitches(more ...string) func(*ctl.Context) error {
	return need("Logical_Switch", append([]string{"name"}, more...)...)
}

// needSwitch asks for the switch that the first argument names.
func needSwitch(c *ctl.Context) error {
	c.NeedNamed("Logical_Switch", c.Args[1])
	return nil
}

// lookupSwitch returns a switch, nil where it may be missing.
func lookupSwitch(c *ctl.Context, s string, must bool) (*idl.Row, error) {
	return c.Named("Logical_Switch", s, "switch", "logical switches", must)
}

// addNamed is ls-add and lr-add.
func addNamed(c *ctl.Context, table, what string) error {
	name := c.Arg(1)
	mayExist, duplicate := c.Has("--may-exist"), c.Has("--add-duplicate")
	if mayExist && duplicate {
		return errors.New("--may-exist and --add-duplicate may not be used together")
	}
	if len(c.Args) > 1 {
		if !duplicate {
			for _, row := range c.DB.Rows(table) {
				if row.Str("name") != name {
					continue
				}
				if mayExist {
					return nil
				}
				return fmt.Errorf("%s: a %s with this name already exists", name, what)
			}
		}
	} else if mayExist {
		return errors.New("--may-exist requires specifying a name")
	} else if duplicate {
		return errors.New("--add-duplicate requires specifying a name")
	}
	row := c.Txn.Insert(table)
	if name != "" {
		row.Set("name", idl.String(name))
	}
	return nil
}

func lsAdd(c *ctl.Context) error { return addNamed(c, "Logical_Switch", "switch") }

func lsDel(c *ctl.Context) error {
	ls, err := lookupSwitch(c, c.Args[1], !c.IfExists())
	if err == nil && ls != nil {
		ls.Delete()
	}
	return err
}

func lsList(c *ctl.Context) error {
	c.PrintNamed(c.DB.Rows("Logical_Switch"))
	return nil
}
