package nbctl

import (
	"cmp"
	"slices"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// lookupRouter returns a router, nil where it may be missing.
func lookupRouter(c *ctl.Context, s string, must bool) (*idl.Row, error) {
	return c.Named("Logical_Router", s, "router", "logical routers", must)
}

// gatewaysOf returns the gateway chassis of a router port, the best first.
func gatewaysOf(lrp *idl.Row) []*idl.Row {
	gateways := lrp.Refs("gateway_chassis")
	slices.SortFunc(gateways, func(a, b *idl.Row) int {
		return cmp.Or(cmp.Compare(b.Int("priority"), a.Int("priority")), cmp.Compare(a.Str("chassis_name"), b.Str("chassis_name")))
	})
	return gateways
}
