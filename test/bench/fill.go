package main

import (
	"context"
	"fmt"
	"net/netip"
)

// batch is how many ports go into one transaction: few transactions, since stock
// OVN takes seconds for each on a large database.
const batch = 3000

// fill makes switches sw0.. with ports pSWITCH-PORT, each with a MAC and an IP of
// its own and port security for them.
func fill(ctx context.Context, c *client, switches, ports int) error {
	for w := range switches {
		res, _, err := c.transact(ctx, insert("Logical_Switch", "sw", row{"name": fmt.Sprintf("sw%d", w)}))
		if err != nil {
			return fmt.Errorf("switch %d: %w", w, err)
		}
		sw := res[0]["uuid"]
		for from := 0; from < ports; from += batch {
			var ops, members []any
			for p := from; p < min(from+batch, ports); p++ {
				name := fmt.Sprintf("p%d", p)
				ops = append(ops, insert("Logical_Switch_Port", name, portRow(fmt.Sprintf("p%d-%d", w, p), w*ports+p)))
				members = append(members, named(name))
			}
			ops = append(ops, mutate("Logical_Switch", []any{"_uuid", "==", sw}, []any{"ports", "insert", set(members...)}))
			if _, _, err := c.transact(ctx, ops...); err != nil {
				return fmt.Errorf("ports of switch %d: %w", w, err)
			}
		}
	}
	return nil
}

// portRow is a port with addresses made of its number in the whole network.
func portRow(name string, n int) row {
	ip := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	addr := fmt.Sprintf("0a:01:00:%02x:%02x:%02x %v", byte(n>>16), byte(n>>8), byte(n), ip)
	return row{"name": name, "addresses": set(addr), "port_security": set(addr)}
}
