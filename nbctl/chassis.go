package nbctl

import (
	"fmt"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// chassisGroupCommands are about groups of chassis for high availability.
var chassisGroupCommands = []ctl.Command{
	{Name: "ha-chassis-group-add", Min: 1, Max: 1, Args: "GRP", Needs: need("HA_Chassis_Group"), Run: haGroupAdd},
	{Name: "ha-chassis-group-del", Min: 1, Max: 1, Args: "GRP", Needs: needHA, Run: haGroupDel},
	{Name: "ha-chassis-group-list", Needs: needHA, Run: haGroupList},
	{Name: "ha-chassis-group-add-chassis", Min: 3, Max: 3, Args: "GRP CHASSIS PRIORITY", Needs: needHA, Run: haGroupAddChassis},
	{Name: "ha-chassis-group-set-chassis-prio", Min: 3, Max: 3, Args: "GRP CHASSIS PRIORITY", Needs: needHA, Run: haGroupSetPriority},
	{Name: "ha-chassis-group-remove-chassis", Min: 2, Max: 2, Args: "GRP CHASSIS", Needs: needHA, Run: haGroupRemoveChassis},
}

func needHA(c *ctl.Context) error {
	c.DB.Need("HA_Chassis_Group", "name", "ha_chassis")
	c.DB.Need("HA_Chassis", "chassis_name", "priority")
	return nil
}

func lookupHAGroup(c *ctl.Context) (*idl.Row, error) {
	return c.Named("HA_Chassis_Group", c.Args[1], "ha_chassi_group", "", true)
}

// member returns the chassis of a group with a name, or nil.
func member(group *idl.Row, chassis string) *idl.Row {
	for _, m := range group.Refs("ha_chassis") {
		if m.Str("chassis_name") == chassis {
			return m
		}
	}
	return nil
}

// mustMember returns the chassis that the second argument names.
func mustMember(c *ctl.Context) (group, chassis *idl.Row, err error) {
	if group, err = lookupHAGroup(c); err != nil {
		return nil, nil, err
	}
	if chassis = member(group, c.Args[2]); chassis == nil {
		return nil, nil, fmt.Errorf("%s: ha chassis not found in %s ha chassis group", c.Args[2], c.Args[1])
	}
	return group, chassis, nil
}

func haGroupAdd(c *ctl.Context) error {
	c.Txn.Insert("HA_Chassis_Group").Set("name", idl.String(c.Args[1]))
	return nil
}

func haGroupDel(c *ctl.Context) error {
	group, err := lookupHAGroup(c)
	if err == nil {
		group.Delete()
	}
	return err
}

func haGroupList(c *ctl.Context) error {
	for _, group := range c.DB.SortedBy("HA_Chassis_Group", "name") {
		c.Printf("%s (%s)\n", group.UUID, group.Str("name"))
		for _, m := range group.Refs("ha_chassis") {
			c.Printf("    %s (%s)\n    priority %d\n\n", m.UUID, m.Str("chassis_name"), m.Int("priority"))
		}
		c.Printf("\n")
	}
	return nil
}

func haGroupAddChassis(c *ctl.Context) error {
	group, err := lookupHAGroup(c)
	if err != nil {
		return err
	}
	priority, err := parsePriority(c.Args[3])
	if err != nil {
		return err
	}
	m := member(group, c.Args[2])
	if m == nil {
		m = c.Txn.Insert("HA_Chassis").Set("chassis_name", idl.String(c.Args[2]))
		group.Add("ha_chassis", idl.Refs(m))
	}
	m.Set("priority", idl.Int(priority))
	return nil
}

func haGroupSetPriority(c *ctl.Context) error {
	if _, err := lookupHAGroup(c); err != nil {
		return err
	}
	priority, err := parsePriority(c.Args[3])
	if err != nil {
		return err
	}
	_, m, err := mustMember(c)
	if err == nil {
		m.Set("priority", idl.Int(priority))
	}
	return err
}

func haGroupRemoveChassis(c *ctl.Context) error {
	group, m, err := mustMember(c)
	if err != nil {
		return err
	}
	group.Remove("ha_chassis", idl.Refs(m))
	m.Delete()
	return nil
}
