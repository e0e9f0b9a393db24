package nbctl

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
	"govn/pkg/ovsdb"
)

const (
	discard     = "discard" // the next hop of packets that are dropped
	routeByDst  = "dst-ip"
	routeBySrc  = "src-ip"
	mainTable   = "" // the route table that has no name
	anyRoute    = "any"
	ecmpReply   = "ecmp_symmetric_reply"
	learnedByIC = "ic-learned-route"
)

// routeCommands are about static routes.
var routeCommands = []ctl.Command{
	{Name: "lr-route-add", Min: 3, Max: 4, Args: "ROUTER PREFIX NEXTHOP [PORT]",
		Options: "--may-exist,--ecmp,--ecmp-symmetric-reply,--policy=,--route-table=,--bfd?",
		Needs:   all(needRoutes, need("Logical_Router_Port", "name"), need("BFD", "dst_ip", "logical_port")), Run: lrRouteAdd},
	{Name: "lr-route-del", Min: 1, Max: 4, Args: "ROUTER [PREFIX [NEXTHOP [PORT]]]", Options: "--if-exists,--policy=,--route-table=", Needs: needRoutes, Run: lrRouteDel},
	{Name: "lr-route-list", Min: 1, Max: 1, Args: "ROUTER", Options: "--route-table=", Needs: needRoutes, Run: lrRouteList},
}

func needRoutes(c *ctl.Context) error {
	c.DB.Need("Logical_Router", "name", "static_routes")
	c.DB.Need("BFD")
	c.DB.Need("Logical_Router_Static_Route", "ip_prefix", "nexthop", "output_port", "policy", "route_table", "options", "external_ids", "bfd")
	return nil
}

// routePolicy returns --policy, "" when it was not given.
func routePolicy(c *ctl.Context) (string, error) {
	policy, ok := c.Option("--policy")
	if ok && policy != routeByDst && policy != routeBySrc {
		return "", fmt.Errorf("bad policy: %s", policy)
	}
	return policy, nil
}

// policyOf is a route's policy.
func policyOf(route *idl.Row) string { return cmp.Or(route.Str("policy"), routeByDst) }

// sameNetwork tells whether two texts mean one network.
func sameNetwork(a, b string) bool {
	p, err1 := parsePrefix(a)
	q, err2 := parsePrefix(b)
	return err1 == nil && err2 == nil && p.Masked() == q.Masked()
}

// normalAddress reads an address without prefix length.
func normalAddress(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
	}
	return a, nil
}

// wantedRoute is what lr-route-add is to make.
type wantedRoute struct {
	prefix, nexthop, port, policy, table string
	ecmp, symmetric                      bool
	bfd                                  *idl.Row
}

func parseRoute(c *ctl.Context) (w wantedRoute, err error) {
	if w.policy, err = routePolicy(c); err != nil {
		return w, err
	}
	w.table, _ = c.Option("--route-table")
	prefix, err := parsePrefix(c.Args[2])
	if err != nil {
		return w, ctl.Refuse(fmt.Errorf("bad prefix argument: %s", c.Args[2]), c.Args[2], northbound.Prefix)
	}
	w.prefix = normalPrefix(prefix)
	w.nexthop = c.Args[3]
	if w.nexthop != discard {
		if a, err := normalAddress(w.nexthop); err == nil && a.Is4() == prefix.Addr().Is4() {
			w.nexthop = a.String()
		} else if lrp, err := lookupRouterPort(c, w.nexthop, false); err == nil && lrp != nil {
			// The destinations are on the link of the port.
			w.nexthop, w.port = "", lrp.Str("name")
		} else {
			err := fmt.Errorf("bad %s nexthop argument: %s", choose(prefix.Addr().Is4(), "IPv4", "IPv6"), c.Args[3])
			return w, ctl.Refuse(err, c.Args[3], northbound.Family(prefix.Addr().Is4()))
		}
	}
	if len(c.Args) > 4 {
		if w.nexthop == discard {
			return w, errors.New("outport is not valid for discard routes.")
		}
		lrp, err := lookupRouterPort(c, c.Args[4], true)
		if err != nil {
			return w, err
		}
		w.port = lrp.Str("name")
	}
	w.symmetric = c.Has("--ecmp-symmetric-reply")
	w.ecmp = w.symmetric || c.Has("--ecmp")
	if w.ecmp && w.nexthop == discard {
		return w, errors.New("ecmp is not valid for discard routes.")
	}
	if c.Has("--bfd") {
		w.bfd, err = bfdSession(c, w)
	}
	return w, err
}

// bfdSession returns the session that watches a next hop; it is made when there
// is none and a port is given.
func bfdSession(c *ctl.Context, w wantedRoute) (*idl.Row, error) {
	if w.nexthop == discard {
		return nil, errors.New("bfd dst_ip cannot be discard.")
	}
	if id, _ := c.Option("--bfd"); id != "" {
		if u, err := ovsdb.ParseUUID(id); err == nil {
			if row := c.DB.Row("BFD", u); row != nil {
				return row, nil
			}
		}
		return nil, errors.New("no entry found in the BFD table")
	}
	for _, row := range c.DB.Rows("BFD") {
		if row.Str("dst_ip") == w.nexthop && (w.port == "" || row.Str("logical_port") == w.port) {
			return row, nil
		}
	}
	if w.port == "" {
		return nil, errors.New("insert entry in the BFD table failed")
	}
	return c.Txn.Insert("BFD").Set("dst_ip", idl.String(w.nexthop)).Set("logical_port", idl.String(w.port)), nil
}

func lrRouteAdd(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	w, err := parseRoute(c)
	if err != nil {
		return err
	}
	mayExist := c.Has("--may-exist")
	for _, r := range lr.Refs("static_routes") {
		if policyOf(r) != cmp.Or(w.policy, routeByDst) || r.Str("route_table") != w.table || !sameNetwork(r.Str("ip_prefix"), w.prefix) {
			continue
		}
		switch {
		case !w.ecmp && !mayExist:
			return fmt.Errorf("duplicate prefix: %s (policy: %s). Use option --ecmp to allow this for ECMP routing.", w.prefix, policyOf(r))
		case !w.ecmp:
			w.write(r)
			return nil
		case r.Str("nexthop") == discard:
			return errors.New("discard nexthop for the same ECMP route exists.")
		case r.Str("nexthop") == w.nexthop:
			if mayExist {
				return nil
			}
			return errors.New("duplicate nexthop for the same ECMP route")
		}
	}
	route := c.Txn.Insert("Logical_Router_Static_Route")
	w.write(route)
	if w.symmetric {
		route.Set("options", idl.StringMap(map[string]string{ecmpReply: "true"}))
	}
	if w.table != mainTable {
		route.Set("route_table", idl.String(w.table))
	}
	lr.Add("static_routes", idl.Refs(route))
	return nil
}

// write sets what was given.
func (w wantedRoute) write(route *idl.Row) {
	route.Set("ip_prefix", idl.String(w.prefix)).Set("nexthop", idl.String(w.nexthop))
	if w.port != "" {
		route.Set("output_port", idl.String(w.port))
	}
	if w.policy != "" {
		route.Set("policy", idl.String(w.policy))
	}
	if w.bfd != nil {
		route.Set("bfd", idl.Refs(w.bfd))
	}
}

func lrRouteDel(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	policy, err := routePolicy(c)
	if err != nil {
		return err
	}
	table, inTable := c.Option("--route-table")
	if len(c.Args) == 2 && policy == "" && !inTable {
		lr.Set("static_routes", idl.Datum{})
		return nil
	}
	prefix, nexthop, port := c.Arg(2), c.Arg(3), c.Arg(4)
	if prefix != "" {
		if _, err := parsePrefix(prefix); err != nil {
			return ctl.Refuse(fmt.Errorf("bad prefix argument: %s", prefix), prefix, northbound.Prefix)
		}
	}
	if nexthop != "" && nexthop != discard {
		a, err := normalAddress(nexthop)
		if err != nil {
			return ctl.Refuse(fmt.Errorf("bad nexthop argument: %s", nexthop), nexthop, northbound.IP)
		}
		nexthop = a.String()
	}
	var gone []*idl.Row
	for _, r := range lr.Refs("static_routes") {
		switch {
		case policy != "" && policyOf(r) != policy, r.Str("route_table") != table,
			prefix != "" && !sameNetwork(r.Str("ip_prefix"), prefix),
			nexthop != "" && r.Str("nexthop") != nexthop,
			port != "" && r.Str("output_port") != port:
		default:
			gone = append(gone, r)
		}
	}
	if len(gone) == 0 && !c.IfExists() {
		if p, err := parsePrefix(prefix); err == nil {
			prefix = normalPrefix(p)
		}
		return fmt.Errorf("no matching route: policy '%s', prefix '%s', nexthop '%s', output_port '%s'.",
			cmp.Or(policy, anyRoute), cmp.Or(prefix, anyRoute), cmp.Or(nexthop, anyRoute), cmp.Or(port, anyRoute))
	}
	lr.Remove("static_routes", idl.Refs(gone...))
	dropSessions(c, gone)
	return nil
}

// dropSessions deletes the BFD sessions that only routes which go have used.
func dropSessions(c *ctl.Context, gone []*idl.Row) {
	for _, r := range gone {
		session := r.Ref("bfd")
		if session != nil && !slices.ContainsFunc(c.DB.Rows("Logical_Router_Static_Route"), func(other *idl.Row) bool {
			return !slices.Contains(gone, other) && other.RefersTo("bfd", session)
		}) {
			session.Delete()
		}
	}
}

// listedRoute is a route with its prefix as numbers.
type listedRoute struct {
	row    *idl.Row
	prefix netip.Prefix
}

func (r listedRoute) table() string { return r.row.Str("route_table") }

// compare orders by table, longest prefix, destination before source, address,
// next hop.
func (r listedRoute) compare(o listedRoute) int {
	return cmp.Or(
		strings.Compare(r.table(), o.table()),
		cmp.Compare(o.prefix.Bits(), r.prefix.Bits()),
		strings.Compare(policyOf(r.row), policyOf(o.row)),
		r.prefix.Addr().Compare(o.prefix.Addr()),
		strings.Compare(r.row.Str("nexthop"), o.row.Str("nexthop")),
		strings.Compare(r.row.Str("output_port"), o.row.Str("output_port")),
	)
}

// sibling tells whether two routes share the traffic.
func (r listedRoute) sibling(o listedRoute) bool {
	return r.table() == o.table() && r.prefix == o.prefix && policyOf(r.row) == policyOf(o.row)
}

func lrRouteList(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	only, filtered := c.Option("--route-table")
	var v4, v6 []listedRoute
	for _, row := range lr.Refs("static_routes") {
		if filtered && row.Str("route_table") != only {
			continue
		}
		p, err := parsePrefix(row.Str("ip_prefix"))
		switch {
		case err != nil:
			c.Warnf("router %s (%s) has invalid prefix: %s", lr.UUID, lr.Str("name"), row.Str("ip_prefix"))
		case p.Addr().Is4():
			v4 = append(v4, listedRoute{row, p.Masked()})
		default:
			v6 = append(v6, listedRoute{row, p.Masked()})
		}
	}
	if len(v4) > 0 {
		c.Printf("IPv4 Routes\n")
		printRoutes(c, v4)
	}
	if len(v6) > 0 {
		c.Printf("%sIPv6 Routes\n", choose(len(v4) > 0, "\n", ""))
		printRoutes(c, v6)
	}
	return nil
}

func printRoutes(c *ctl.Context, routes []listedRoute) {
	slices.SortFunc(routes, listedRoute.compare)
	for i, r := range routes {
		if i == 0 || routes[i-1].table() != r.table() {
			c.Printf("%sRoute Table %s:\n", choose(i > 0, "\n", ""), cmp.Or(r.table(), "<main>"))
		}
		c.Printf("%25s %25s %s", normalPrefix(r.prefix), r.row.Str("nexthop"), policyOf(r.row))
		if port := r.row.Str("output_port"); port != "" {
			c.Printf(" %s", port)
		}
		if _, ok := r.row.Key("external_ids", learnedByIC); ok {
			c.Printf(" (learned)")
		}
		if i > 0 && routes[i-1].sibling(r) || i+1 < len(routes) && routes[i+1].sibling(r) {
			c.Printf(" ecmp")
		}
		if v, _ := r.row.Key("options", ecmpReply); v == "true" {
			c.Printf(" ecmp-symmetric-reply")
		}
		if r.row.Get("bfd").Len() > 0 {
			c.Printf(" bfd")
		}
		c.Printf("\n")
	}
}
