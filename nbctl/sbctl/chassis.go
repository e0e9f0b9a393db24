package sbctl

import (
	"fmt"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// chassisCommands are about chassis and what is bound to them.
var chassisCommands = []ctl.Command{
	{Name: "show", Needs: needShow, Run: show},
	{Name: "chassis-add", Min: 3, Max: 3, Args: "CHASSIS ENCAP-TYPE ENCAP-IP", Options: "--may-exist", Needs: needChassis, Run: chassisAdd},
	{Name: "chassis-del", Min: 1, Max: 1, Args: "CHASSIS", Options: "--if-exists", Needs: needChassis, Run: chassisDel},
	{Name: "lsp-bind", Min: 2, Max: 2, Args: "PORT CHASSIS", Options: "--may-exist", Needs: needBinding, Run: lspBind},
	{Name: "lsp-unbind", Min: 1, Max: 1, Args: "PORT", Options: "--if-exists", Needs: needBinding, Run: lspUnbind},
	{Name: "ip-multicast-flush", Max: 1, Args: "[SWITCH]", Needs: needMulticast, Run: flushMulticast},
}

func needChassis(c *ctl.Context) error {
	c.DB.Need("Chassis", "name", "encaps")
	c.DB.Need("Chassis_Private", "name")
	c.DB.Need("Encap")
	return nil
}

func needBinding(c *ctl.Context) error {
	c.DB.Need("Chassis", "name")
	c.DB.Need("Port_Binding", "logical_port", "chassis")
	return nil
}

func needShow(c *ctl.Context) error {
	c.DB.Need("Chassis", "name", "hostname", "encaps")
	c.DB.Need("Encap", "type", "ip", "options")
	c.DB.Need("Port_Binding", "logical_port", "chassis")
	return nil
}

// find returns the row of a table with that name in a column, or nil.
func find(c *ctl.Context, table, column, name string) *idl.Row {
	for _, row := range c.DB.Rows(table) {
		if row.Str(column) == name {
			return row
		}
	}
	return nil
}

func show(c *ctl.Context) error {
	ports := map[idl.UUID][]*idl.Row{}
	for _, port := range c.DB.SortedBy("Port_Binding", "logical_port") {
		for _, k := range port.Get("chassis").Keys {
			if u, ok := k.(idl.UUID); ok {
				ports[u] = append(ports[u], port)
			}
		}
	}
	for _, chassis := range c.DB.SortedBy("Chassis", "name") {
		c.Printf("Chassis %s\n", formatted(chassis, "name"))
		if chassis.Str("hostname") != "" {
			c.Printf("    hostname: %s\n", formatted(chassis, "hostname"))
		}
		for _, encap := range idl.Sort(chassis.Refs("encaps"), "type") {
			c.Printf("    Encap %s\n        ip: %s\n", formatted(encap, "type"), formatted(encap, "ip"))
			if encap.Get("options").Len() > 0 {
				c.Printf("        options: %s\n", formatted(encap, "options"))
			}
		}
		for _, port := range ports[chassis.UUID] {
			c.Printf("    Port_Binding %s\n", formatted(port, "logical_port"))
		}
	}
	return nil
}

// formatted prints a column as the generic commands do.
func formatted(row *idl.Row, name string) string {
	return row.Get(name).Format(&row.Table.Schema.Column(name).Type)
}

func chassisAdd(c *ctl.Context) error {
	name, types, ip := c.Args[1], c.Args[2], c.Args[3]
	if find(c, "Chassis", "name", name) != nil {
		if c.Has("--may-exist") {
			return nil
		}
		return fmt.Errorf("cannot create a chassis named %s because a chassis named %s already exists", name, name)
	}
	var encaps []*idl.Row
	seen := map[string]bool{}
	for kind := range strings.SplitSeq(types, ",") {
		if kind == "" || seen[kind] {
			continue
		}
		seen[kind] = true
		encaps = append(encaps, c.Txn.Insert("Encap").
			Set("type", idl.String(kind)).
			Set("ip", idl.String(ip)).
			Set("options", idl.StringMap(map[string]string{"csum": "true"})).
			Set("chassis_name", idl.String(name)))
	}
	c.Txn.Insert("Chassis").Set("name", idl.String(name)).Set("encaps", idl.Refs(encaps...))
	return nil
}

func chassisDel(c *ctl.Context) error {
	chassis := find(c, "Chassis", "name", c.Args[1])
	if chassis == nil {
		if c.IfExists() {
			return nil
		}
		return fmt.Errorf("no chassis named %s", c.Args[1])
	}
	for _, encap := range chassis.Refs("encaps") {
		encap.Delete()
	}
	chassis.Delete()
	if private := find(c, "Chassis_Private", "name", c.Args[1]); private != nil {
		private.Delete()
	}
	return nil
}

func lspBind(c *ctl.Context) error {
	port, chassis := find(c, "Port_Binding", "logical_port", c.Args[1]), find(c, "Chassis", "name", c.Args[2])
	switch {
	case port == nil:
		return fmt.Errorf("no port named %s", c.Args[1])
	case chassis == nil:
		return fmt.Errorf("no chassis named %s", c.Args[2])
	}
	if bound := port.Ref("chassis"); bound != nil {
		if c.Has("--may-exist") && bound == chassis {
			return nil
		}
		return fmt.Errorf("lport (%s) has already been binded to chassis (%s)", c.Args[1], bound.Str("name"))
	}
	port.Set("chassis", idl.Refs(chassis)).Set("up", idl.Bool(true))
	return nil
}

func lspUnbind(c *ctl.Context) error {
	port := find(c, "Port_Binding", "logical_port", c.Args[1])
	if port == nil {
		if c.IfExists() {
			return nil
		}
		return fmt.Errorf("no port named %s", c.Args[1])
	}
	port.Set("chassis", idl.Datum{}).Set("up", idl.Datum{})
	return nil
}

func needMulticast(c *ctl.Context) error {
	c.NeedNames("Datapath_Binding")
	c.DB.Need("IP_Multicast", "datapath", "seq_no")
	return nil
}

// flushMulticast makes chassis forget the groups that they learned, of one
// switch or of all: they do so when seq_no changes.
func flushMulticast(c *ctl.Context) error {
	var only *idl.Row
	if len(c.Args) > 1 {
		var err error
		if only, err = datapath(c); err != nil {
			return err
		}
		if only == nil {
			return fmt.Errorf("%s is not a valid datapath", c.Args[1])
		}
	}
	for _, row := range c.DB.Rows("IP_Multicast") {
		if only == nil || row.Ref("datapath") == only {
			row.Set("seq_no", idl.Int(row.Int("seq_no")+1))
		}
	}
	return nil
}
