package sbctl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// flowCommands are about logical flows.
var flowCommands = []ctl.Command{
	{Name: "lflow-list", Max: ctl.Unlimited, Args: "[DATAPATH] [LFLOW]...", Options: "--uuid,--ovs?,--stats,--vflows?", Needs: needFlows, Run: lflowList},
	{Name: "dump-flows", Max: ctl.Unlimited, Args: "[DATAPATH] [LFLOW]...", Options: "--uuid,--ovs?,--stats,--vflows?", Needs: needFlows, Run: lflowList},
	{Name: "count-flows", Max: 1, Args: "[DATAPATH]", Needs: needFlows, Run: countFlows},
}

func needFlows(c *ctl.Context) error {
	if c.Has("--vflows") {
		c.DB.Need("Port_Binding", "logical_port", "tunnel_key", "datapath")
		c.DB.Need("MAC_Binding", "logical_port", "ip", "mac", "datapath")
		c.DB.Need("Multicast_Group", "name", "tunnel_key", "ports", "datapath")
		c.DB.Need("Chassis", "name")
		c.DB.Need("Load_Balancer", "name", "protocol", "vips", "datapaths", "datapath_group")
	}
	c.NeedNames("Datapath_Binding")
	c.DB.Need("Logical_Flow", "logical_datapath", "logical_dp_group", "pipeline", "table_id", "priority", "match", "actions", "external_ids")
	c.DB.Need("Logical_DP_Group", "datapaths")
	return nil
}

// flow is a logical flow in one datapath.
type flow struct {
	row      *idl.Row
	datapath *idl.Row
}

// in tells what the flow is listed under.
func (f flow) in(g flow) bool {
	return f.datapath == g.datapath && f.row.Str("pipeline") == g.row.Str("pipeline")
}

// datapathName is the names of a datapath, in quotes.
func datapathName(dp *idl.Row) string {
	name, ok := dp.Key("external_ids", "name")
	name2, ok2 := dp.Key("external_ids", "name2")
	switch {
	case ok && ok2:
		return fmt.Sprintf("\"%s\" aka \"%s\"", name, name2)
	case ok2:
		return fmt.Sprintf("\"%s\"", name2)
	case ok:
		return fmt.Sprintf("\"%s\"", name)
	}
	return ""
}

// flows returns the flows of one datapath, of all if nil, in order.
func flows(c *ctl.Context, only *idl.Row) []flow {
	var out []flow
	add := func(row, dp *idl.Row) {
		if only == nil || dp == only {
			out = append(out, flow{row, dp})
		}
	}
	for _, row := range c.DB.Rows("Logical_Flow") {
		if dp := row.Ref("logical_datapath"); dp != nil {
			add(row, dp)
		}
		if group := row.Ref("logical_dp_group"); group != nil {
			for _, dp := range group.Refs("datapaths") {
				add(row, dp)
			}
		}
	}
	name := func(f flow) string { s, _ := f.datapath.Key("external_ids", "name"); return s }
	slices.SortStableFunc(out, func(a, b flow) int {
		if c := cmp.Or(cmp.Compare(name(a), name(b)), a.datapath.UUID.Compare(b.datapath.UUID)); c != 0 {
			return c
		}
		return cmp.Or(
			cmp.Compare(b.row.Str("pipeline"), a.row.Str("pipeline")), // ingress, then egress
			cmp.Compare(a.row.Int("table_id"), b.row.Int("table_id")),
			cmp.Compare(b.row.Int("priority"), a.row.Int("priority")),
			cmp.Compare(a.row.Str("match"), b.row.Str("match")),
			cmp.Compare(a.row.Str("actions"), b.row.Str("actions")),
		)
	})
	return out
}

// datapath returns the datapath that the first argument names, nil when it is
// none.
func datapath(c *ctl.Context) (*idl.Row, error) {
	if len(c.Args) < 2 {
		return nil, nil
	}
	return c.Record("Datapath_Binding", c.Args[1], false)
}

func stage(row *idl.Row) string { s, _ := row.Key("external_ids", "stage-name"); return s }

func lflowList(c *ctl.Context) error {
	dp, err := datapath(c)
	if err != nil {
		return err
	}
	rest := c.Args[1:]
	if dp != nil {
		rest = c.Args[2:]
	}
	var prefixes []string
	for _, arg := range rest {
		p, err := flowPrefix(arg)
		if err != nil {
			return err
		}
		prefixes = append(prefixes, p)
	}
	sw := openSwitch(c)
	defer sw.close()
	var previous flow
	for _, f := range flows(c, dp) {
		u := f.row.UUID.String()
		if len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(u, p) }) {
			continue
		}
		if previous.row == nil || !f.in(previous) {
			c.Printf("Datapath: %s (%s)  Pipeline: %s\n", datapathName(f.datapath), f.datapath.UUID, f.row.Str("pipeline"))
		}
		previous = f
		c.Printf("  ")
		printUUID(c, f.row)
		c.Printf("table=%-2d(%-19s), priority=%-5d, match=(%s), action=(%s)\n",
			f.row.Int("table_id"), stage(f.row), f.row.Int("priority"), f.row.Str("match"), f.row.Str("actions"))
		sw.dump(c, f.row)
	}
	if c.Has("--vflows") {
		listVirtual(c, dp, sw)
	}
	return nil
}

// flowPrefix reads the beginning of a flow's UUID, with or without "0x", as
// cookies and --uuid show it.
func flowPrefix(s string) (string, error) {
	p := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X"))
	if p == "" || len(p) > 36 || strings.Trim(p, "0123456789abcdef-") != "" {
		return "", fmt.Errorf("%s is not a UUID or the beginning of a UUID", s)
	}
	return p, nil
}

func countFlows(c *ctl.Context) error {
	dp, err := datapath(c)
	if err != nil {
		return err
	}
	var all []flow
	if dp != nil || len(c.Args) == 1 {
		all = flows(c, dp)
	}
	for i := 0; i < len(all); {
		first := i
		f := all[i]
		c.Printf("Datapath: %s (%s)  Pipeline: %s\n", datapathName(f.datapath), f.datapath.UUID, f.row.Str("pipeline"))
		for i < len(all) && all[i].in(f) {
			table := all[i].row.Int("table_id")
			n, name := 0, ""
			for ; i < len(all) && all[i].in(f) && all[i].row.Int("table_id") == table; i++ {
				n, name = n+1, stage(all[i].row)
			}
			c.Printf("  table=%-2d(%-19s) lflows=%d\n", table, name, n)
		}
		c.Printf("Total number of logical flows in the datapath %s (%s) Pipeline: %s = %d\n\n",
			datapathName(f.datapath), f.datapath.UUID, f.row.Str("pipeline"), i-first)
	}
	c.Printf("Total number of logical flows = %d\n", len(all))
	return nil
}
