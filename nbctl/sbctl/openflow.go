package sbctl

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/openflow"
)

// switchTime bounds what the switch of --ovs takes for one answer.
const switchTime = 10 * time.Second

// bridge is the switch that --ovs asks; the zero value answers nothing.
type bridge struct {
	conn  *openflow.Conn
	stats bool
}

// openSwitch connects to the switch that --ovs asks for, by default br-int on
// this host. What fails is a warning: the logical flows are listed nevertheless.
//
// OVN's chassis puts the first 32 bits of a row's UUID into the cookies of the
// flows that it makes of it. govn's cookies say more; "govn explain" reads them.
func openSwitch(c *ctl.Context) *bridge {
	remote, ok := c.Option("--ovs")
	if v, given := c.Option("--vflows"); given && v != "" {
		remote = v
	}
	if !ok {
		return &bridge{}
	}
	if remote == "" {
		dir := cmp.Or(c.Getenv("OVS_RUNDIR"), "/var/run/openvswitch")
		remote = "unix:" + filepath.Join(dir, "br-int.mgmt")
	}
	ctx, cancel := context.WithTimeout(context.Background(), switchTime)
	defer cancel()
	conn, err := openflow.Dial(ctx, remote, openflow.ConnOptions{ProbeInterval: -1})
	if err != nil {
		c.Warnf("%s: connection failed (%v)", remote, err)
		return &bridge{}
	}
	return &bridge{conn: conn, stats: c.Has("--stats")}
}

func (b *bridge) close() {
	if b.conn != nil {
		b.conn.Close()
	}
}

// dump prints the OpenFlow flows that were made of a row.
func (b *bridge) dump(c *ctl.Context, row *idl.Row) {
	if b.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), switchTime)
	defer cancel()
	cookie := uint64(binary.BigEndian.Uint32(row.UUID[:4]))
	flows, err := b.conn.DumpTable(ctx, tableAll, cookie, ^uint64(0))
	if err != nil {
		c.Warnf("error obtaining flow stats (%v)", err)
		return
	}
	slices.SortFunc(flows, func(x, y openflow.FlowStats) int {
		return cmp.Or(cmp.Compare(x.Table, y.Table), cmp.Compare(y.Priority, x.Priority), slices.Compare(x.Match, y.Match))
	})
	for _, f := range flows {
		if b.stats {
			c.Printf("    %s\n", f)
			continue
		}
		c.Printf("    table=%d %s\n", f.Table, ruleOf(f))
	}
}

const tableAll = 0xff

// ruleOf is match and actions of a flow.
func ruleOf(f openflow.FlowStats) string {
	_, rule, _ := strings.Cut(f.Flow.String(), fmt.Sprintf("table=%d, ", f.Table))
	return rule
}

// printUUID prints the beginning of a row's UUID, where --uuid asks for it.
func printUUID(c *ctl.Context, row *idl.Row) {
	if c.Has("--uuid") {
		c.Printf("uuid=0x%s, ", row.UUID.String()[:8])
	}
}

// listVirtual lists the rows beside logical flows of which a chassis makes flows.
// only is the datapath that was asked for, nil for all.
func listVirtual(c *ctl.Context, only *idl.Row, sw *bridge) {
	list := func(heading string, rows []*idl.Row, print func(*idl.Row)) {
		first := true
		for _, row := range rows {
			dp := row.Ref("datapath")
			if only != nil && dp != only {
				continue
			}
			if first {
				c.Printf("\n%s:\n", heading)
				first = false
			}
			c.Printf("  ")
			printUUID(c, row)
			if only == nil && dp != nil {
				c.Printf("datapath=%s, ", datapathName(dp))
			}
			print(row)
			sw.dump(c, row)
		}
	}
	list("Port Bindings", c.DB.SortedBy("Port_Binding", "logical_port"), func(row *idl.Row) {
		c.Printf("logical_port=%s, tunnel_key=%-5d\n", row.Str("logical_port"), row.Int("tunnel_key"))
	})
	list("MAC Bindings", c.DB.SortedBy("MAC_Binding", "ip"), func(row *idl.Row) {
		c.Printf("logical_port=%s, ip=%s, mac=%s\n", row.Str("logical_port"), row.Str("ip"), row.Str("mac"))
	})
	list("MC Groups", c.DB.SortedBy("Multicast_Group", "name"), func(row *idl.Row) {
		var ports []string
		for _, port := range idl.Sort(row.Refs("ports"), "logical_port") {
			ports = append(ports, port.Str("logical_port"))
		}
		c.Printf("name=%s, tunnel_key=%-5d, ports=(%s)\n", row.Str("name"), row.Int("tunnel_key"), strings.Join(ports, ", "))
	})
	for i, row := range c.DB.SortedBy("Chassis", "name") {
		if i == 0 {
			c.Printf("\nChassis:\n")
		}
		c.Printf("  ")
		printUUID(c, row)
		c.Printf("name=%s\n", row.Str("name"))
		sw.dump(c, row)
	}
	listBalancers(c, only, sw)
}

// balancerDatapaths are the datapaths that have a load balancer.
func balancerDatapaths(row *idl.Row) []*idl.Row {
	out := row.Refs("datapaths")
	if group := row.Ref("datapath_group"); group != nil {
		out = append(out, group.Refs("datapaths")...)
	}
	return out
}

func listBalancers(c *ctl.Context, only *idl.Row, sw *bridge) {
	first := true
	for _, row := range c.DB.SortedBy("Load_Balancer", "name") {
		datapaths := balancerDatapaths(row)
		if only != nil && !slices.Contains(datapaths, only) {
			continue
		}
		if first {
			c.Printf("\nLoad Balancers:\n")
			first = false
		}
		c.Printf("  ")
		printUUID(c, row)
		c.Printf("name=\"%s\", protocol=\"%s\", ", row.Str("name"), row.Str("protocol"))
		if only == nil {
			for _, dp := range datapaths {
				c.Printf("datapath=%s, ", datapathName(dp))
			}
		}
		c.Printf("\n  vips:\n")
		vips := row.Get("vips")
		for i, k := range vips.Keys {
			c.Printf("    %s = %s\n", idl.BareAtom(k), idl.BareAtom(vips.Values[i]))
		}
		c.Printf("\n")
		sw.dump(c, row)
	}
}
