package nbctl

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
)

// balancerCommands are about load balancers.
var balancerCommands = []ctl.Command{
	{Name: "lb-add", Min: 3, Max: 5, Args: "LB VIP[:PORT] IP[:PORT]... [PROTOCOL] [ADDRESS_FAMILY]",
		Options: "--may-exist,--add-duplicate,--reject,--event,--add-route,--template", Needs: needBalancers, Run: lbAdd},
	{Name: "lb-del", Min: 1, Max: 2, Args: "LB [VIP]", Options: "--if-exists", Needs: needBalancers, Run: lbDel},
	{Name: "lb-list", Max: 1, Args: "[LB]", Needs: needBalancers, Run: lbList},
	{Name: "lr-lb-add", Min: 2, Max: 2, Args: "ROUTER LB", Options: "--may-exist", Needs: needBalancersOf("Logical_Router"), Run: lbUse(lookupRouter)},
	{Name: "lr-lb-del", Min: 1, Max: 2, Args: "ROUTER [LB]", Options: "--if-exists", Needs: needBalancersOf("Logical_Router"), Run: lbUnuse(lookupRouter, "router")},
	{Name: "lr-lb-list", Min: 1, Max: 1, Args: "ROUTER", Needs: needBalancersOf("Logical_Router"), Run: lbListOf(lookupRouter)},
	{Name: "ls-lb-add", Min: 2, Max: 2, Args: "SWITCH LB", Options: "--may-exist", Needs: needBalancersOf("Logical_Switch"), Run: lbUse(lookupSwitch)},
	{Name: "ls-lb-del", Min: 1, Max: 2, Args: "SWITCH [LB]", Options: "--if-exists", Needs: needBalancersOf("Logical_Switch"), Run: lbUnuse(lookupSwitch, "switch")},
	{Name: "ls-lb-list", Min: 1, Max: 1, Args: "SWITCH", Needs: needBalancersOf("Logical_Switch"), Run: lbListOf(lookupSwitch)},
}

func needBalancers(c *ctl.Context) error {
	c.DB.Need("Load_Balancer", "name", "vips", "protocol", "options")
	return nil
}

func needBalancersOf(table string) func(*ctl.Context) error {
	return all(needBalancers, need(table, "name", "load_balancer"))
}

func lookupBalancer(c *ctl.Context, s string, must bool) (*idl.Row, error) {
	return c.Named("Load_Balancer", s, "load balancer", "load balancers", must)
}

// endpoint is an address with a port, 0 for none.
type endpoint struct {
	ip   netip.Addr
	port uint16
}

func (e endpoint) String() string {
	if e.port == 0 {
		return e.ip.String()
	}
	return netip.AddrPortFrom(e.ip, e.port).String()
}

// parseEndpoint reads ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT.
func parseEndpoint(s string) (e endpoint, err error) {
	address, port := s, ""
	if rest, ok := strings.CutPrefix(s, "["); ok {
		if address, port, ok = strings.Cut(rest, "]"); !ok {
			return e, errors.New("a bracket is not closed")
		}
		if port != "" {
			if port, ok = strings.CutPrefix(port, ":"); !ok {
				return e, errors.New("something follows the bracket")
			}
		}
	} else if strings.Count(s, ":") == 1 {
		address, port, _ = strings.Cut(s, ":")
	}
	if e.ip, err = normalAddress(address); err != nil || port == "" {
		return e, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	e.port = uint16(n)
	return e, err
}

// parseVIP reads a virtual address and the addresses behind it, and returns
// both as they are stored.
func parseVIP(vip, ips string) (string, []string, bool, error) {
	v, err := parseEndpoint(vip)
	if err != nil {
		return "", nil, false, ctl.Refuse(fmt.Errorf("%s: should be an IP address (or an IP address and a port number with : as a separator).", vip), vip, northbound.Endpoint)
	}
	var out []string
	for word := range strings.SplitSeq(ips, ",") {
		if word == "" {
			continue
		}
		e, err := parseEndpoint(word)
		switch {
		case v.port != 0 && (err != nil || e.port == 0):
			return "", nil, false, ctl.Refuse(fmt.Errorf("%s: should be an IP address and a port number with : as a separator.", word), word, northbound.Backend(vip))
		case v.port == 0 && (err != nil || e.port != 0):
			return "", nil, false, ctl.Refuse(fmt.Errorf("%s: should be an IP address.", word), word, northbound.Backend(vip))
		case e.ip.Is4() != v.ip.Is4():
			return "", nil, false, fmt.Errorf("%s: IP address family is different from VIP %s.", word, v.ip)
		}
		out = append(out, e.String())
	}
	return v.String(), out, v.port != 0, nil
}

func lbAdd(c *ctl.Context) error {
	if c.Has("--reject") && c.Has("--event") {
		return errors.New("--reject and --event can't specified at the same time")
	}
	name, vip, ips, template := c.Args[1], c.Args[2], c.Args[3], c.Has("--template")
	protocol := c.Arg(4)
	if len(c.Args) > 4 && protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return fmt.Errorf("%s: protocol must be one of \"tcp\", \"udp\",  or \"sctp\".", protocol)
	}
	if template {
		parts := strings.FieldsFunc(vip, func(r rune) bool { return r == ':' })
		switch {
		case len(parts) == 0 || len(parts) > 2:
			return fmt.Errorf("%s: should be a template of the form: '^vip_variable[:^port_variable|:port]'.", vip)
		case len(parts) == 1 && protocol != "":
			return errors.New("Protocol is unnecessary when no port of vip is given.")
		}
	} else {
		v, backends, hasPort, err := parseVIP(vip, ips)
		if err != nil {
			return err
		}
		if !hasPort && protocol != "" {
			return errors.New("Protocol is unnecessary when no port of vip is given.")
		}
		vip, ips = v, joined(backends, ",")
	}
	entry := idl.StringMap(map[string]string{vip: ips})
	if !c.Has("--add-duplicate") {
		lb, err := lookupBalancer(c, name, false)
		if err != nil {
			return err
		}
		if lb != nil {
			if _, there := lb.Key("vips", vip); there && !c.Has("--may-exist") {
				return fmt.Errorf("%s: a load balancer with this vip (%s) already exists", name, vip)
			}
			lb.Add("vips", entry)
			if protocol != "" {
				lb.Set("protocol", idl.String(protocol))
			}
			return nil
		}
	}
	options := map[string]string{}
	for _, o := range [][2]string{{"--reject", "reject"}, {"--event", "event"}, {"--add-route", "add_route"}, {"--template", "template"}} {
		if c.Has(o[0]) {
			options[o[1]] = "true"
		}
	}
	if template {
		options["address-family"] = choose(c.Arg(5) == "" || c.Arg(5) == "ipv4", "ipv4", "ipv6")
	}
	c.Txn.Insert("Load_Balancer").
		Set("name", idl.String(name)).
		Set("vips", entry).
		Set("protocol", idl.String(cmp.Or(protocol, "tcp"))).
		Set("options", idl.StringMap(options))
	return nil
}

func lbDel(c *ctl.Context) error {
	lb, err := lookupBalancer(c, c.Args[1], false)
	if err != nil || lb == nil {
		return err
	}
	if len(c.Args) == 2 {
		lb.Delete()
		return nil
	}
	if _, there := lb.Key("vips", c.Args[2]); !there {
		if c.IfExists() {
			return nil
		}
		return fmt.Errorf("vip %s is not part of the load balancer.", c.Args[2])
	}
	lb.Remove("vips", idl.String(c.Args[2]))
	if lb.Get("vips").Len() == 0 {
		lb.Delete()
	}
	return nil
}

func lbList(c *ctl.Context) error {
	rows := c.DB.Rows("Load_Balancer")
	if len(c.Args) > 1 {
		var some []*idl.Row
		for _, lb := range rows {
			if lb.Str("name") == c.Args[1] || lb.UUID.String() == c.Args[1] {
				some = append(some, lb)
			}
		}
		rows = some
	}
	printBalancers(c, rows)
	return nil
}

// printBalancers prints a line for each virtual address.
func printBalancers(c *ctl.Context, rows []*idl.Row) {
	if len(rows) == 0 {
		return
	}
	width := 0
	for _, lb := range rows {
		for _, k := range lb.Get("vips").Keys {
			width = max(width, len(idl.BareAtom(k)))
		}
	}
	line := func(id, name, protocol, vip, ips string) {
		c.Printf("%-40.36s%-20.16s%-11.7s%-*.*s%s\n", id, name, protocol, width+4, width, vip, ips)
	}
	line("UUID", "LB", "PROTO", "VIP", "IPs")
	for _, lb := range idl.Sort(rows, "name") {
		id, name := lb.UUID.String(), lb.Str("name")
		template, _ := lb.Key("options", "template")
		vips := lb.Get("vips")
		for i, k := range vips.Keys {
			vip, protocol := idl.BareAtom(k), ""
			if e, err := parseEndpoint(vip); template == "true" || err == nil && e.port != 0 {
				protocol = cmp.Or(lb.Str("protocol"), "tcp")
			}
			line(id, name, protocol, vip, idl.BareAtom(vips.Values[i]))
			id, name = "", ""
		}
	}
}

type lookup func(c *ctl.Context, s string, must bool) (*idl.Row, error)

// ownerAndBalancer returns what the two arguments name.
func ownerAndBalancer(c *ctl.Context, find lookup) (owner, lb *idl.Row, err error) {
	if owner, err = find(c, c.Args[1], true); err == nil && len(c.Args) > 2 {
		lb, err = lookupBalancer(c, c.Args[2], true)
	}
	return owner, lb, err
}

func lbUse(find lookup) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		owner, lb, err := ownerAndBalancer(c, find)
		if err != nil {
			return err
		}
		if owner.RefersTo("load_balancer", lb) {
			if c.Has("--may-exist") {
				return nil
			}
			return fmt.Errorf("%s : a load balancer with this UUID already exists", lb.UUID)
		}
		owner.Add("load_balancer", idl.Refs(lb))
		return nil
	}
}

func lbUnuse(find lookup, what string) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		owner, lb, err := ownerAndBalancer(c, find)
		switch {
		case err != nil:
			return err
		case lb == nil:
			owner.Set("load_balancer", idl.Datum{})
		case owner.RefersTo("load_balancer", lb):
			owner.Remove("load_balancer", idl.Refs(lb))
		case !c.IfExists():
			return fmt.Errorf("load balancer %s is not part of any logical %s.", c.Args[2], what)
		}
		return nil
	}
}

func lbListOf(find lookup) func(*ctl.Context) error {
	return func(c *ctl.Context) error {
		owner, err := find(c, c.Args[1], true)
		if err == nil {
			printBalancers(c, owner.Refs("load_balancer"))
		}
		return err
	}
}
