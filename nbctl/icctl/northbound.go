package icctl

import (
	"fmt"
	"slices"

	"govn/nbctl/ctl"
	"govn/nbctl/diagram"
	"govn/nbctl/idl"
	"govn/pkg/interconnect"
)

// outputs are the formats of show -o.
var outputs = []string{"json", "yaml", "dot", "mermaid", "svg"}

// Northbound returns the command line govn ic-nbctl.
func Northbound() *ctl.Program {
	return &ctl.Program{
		Name:      "govn ic-nbctl",
		Summary:   "look at and change the transit switches that link zones",
		Database:  "OVN_IC_Northbound",
		DBEnv:     "OVN_IC_NB_DB",
		Socket:    "ovn_ic_nb_db.sock",
		Singleton: "IC_NB_Global",
		Plain:     true,
		Check:     interconnect.CheckNorthbound,
		Commands:  slices.Concat(switchCommands, ctl.RemoteCommands("IC_NB_Global", false)),
		Identities: map[string][]ctl.Identity{
			"IC_NB_Global":   {{}},
			"SSL":            {{}},
			"Transit_Switch": {{Column: "name"}},
		},
		Objects: map[string]string{"SWITCH": "Transit_Switch"},
	}
}

// switchCommands are about transit switches.
var switchCommands = []ctl.Command{
	{Name: "show", Needs: needSwitches("other_config"), Run: showSwitches, Outputs: outputs},
	{Name: "ts-add", Min: 1, Max: 1, Args: "SWITCH", Options: "--may-exist", Needs: needSwitches(), Run: tsAdd},
	{Name: "ts-del", Min: 1, Max: 1, Args: "SWITCH", Options: "--if-exists", Needs: needSwitch, Run: tsDel},
	{Name: "ts-list", Needs: needSwitches(), Run: tsList},
}

func needSwitches(more ...string) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		c.DB.Need("Transit_Switch", append([]string{"name"}, more...)...)
		return nil
	}
}

func needSwitch(c *ctl.Context) error {
	c.NeedNamed("Transit_Switch", c.Args[1])
	return nil
}

func tsAdd(c *ctl.Context) error {
	name := c.Args[1]
	for _, row := range c.DB.Rows("Transit_Switch") {
		if row.Str("name") != name {
			continue
		}
		if c.Has("--may-exist") {
			return nil
		}
		return fmt.Errorf("%s: a transit switch with this name already exists", name)
	}
	c.Txn.Insert("Transit_Switch").Set("name", idl.String(name))
	return nil
}

func tsDel(c *ctl.Context) error {
	row, err := c.Named("Transit_Switch", c.Args[1], "switch", "", !c.IfExists())
	if err == nil && row != nil {
		row.Delete()
	}
	return err
}

func tsList(c *ctl.Context) error {
	c.PrintNamed(c.DB.Rows("Transit_Switch"))
	return nil
}

// shownSwitch is what show -o json and -o yaml print of a transit switch.
type shownSwitch struct {
	UUID  string            `json:"uuid" yaml:"uuid"`
	Name  string            `json:"name" yaml:"name"`
	Other map[string]string `json:"other-config,omitempty" yaml:"other-config,omitempty"`
}

func showSwitches(c *ctl.Context) error {
	rows := c.DB.SortedBy("Transit_Switch", "name")
	if c.Output() == "" {
		for _, row := range rows {
			c.Printf("Transit_Switch %s\n", formatted(row, "name"))
		}
		return nil
	}
	shown, g := []shownSwitch{}, &diagram.Graph{}
	for _, row := range rows {
		s := shownSwitch{UUID: row.UUID.String(), Name: row.Str("name"), Other: pairs(row, "other_config")}
		shown = append(shown, s)
		n := diagram.Node{ID: s.UUID, Name: s.Name, Kind: diagram.Transit}
		for k, v := range sorted(s.Other) {
			n.Notes = append(n.Notes, k+"="+v)
		}
		g.Nodes = append(g.Nodes, n)
	}
	return c.PrintShown(shown, g)
}
