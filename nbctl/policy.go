package nbctl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
	"govn/pkg/ovsdb"
)

// policyCommands are about routing policies.
var policyCommands = []ctl.Command{
	{Name: "lr-policy-add", Min: 4, Max: ctl.Unlimited, Args: "ROUTER PRIORITY MATCH ACTION [NEXTHOP] [OPTIONS - KEY=VALUE ...]", Options: "--may-exist", Needs: needPolicies, Run: lrPolicyAdd},
	{Name: "lr-policy-del", Min: 1, Max: 3, Args: "ROUTER [{PRIORITY | UUID} [MATCH]]", Options: "--if-exists", Needs: needPolicies, Run: lrPolicyDel},
	{Name: "lr-policy-list", Min: 1, Max: 1, Args: "ROUTER", Needs: needPolicies, Run: lrPolicyList},
}

func needPolicies(c *ctl.Context) error {
	c.DB.Need("Logical_Router", "name", "policies")
	c.DB.Need("Logical_Router_Policy", "priority", "match", "action", "nexthop", "nexthops", "options")
	return nil
}

// parseNexthops reads a list of addresses of one family.
func parseNexthops(s string) ([]string, error) {
	var out []string
	v4 := false
	for i, word := range strings.Split(s, ",") {
		a, err := normalAddress(word)
		switch {
		case err != nil:
			return nil, ctl.Refuse(fmt.Errorf("bad next hop argument: %s", s), word, northbound.IP)
		case i > 0 && a.Is4() != v4:
			return nil, fmt.Errorf("bad next hops argument, not in the same addr family : %s", s)
		}
		v4 = a.Is4()
		out = append(out, a.String())
	}
	return out, nil
}

func lrPolicyAdd(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	priority, err := parsePriority(c.Args[2])
	if err != nil {
		return err
	}
	match, action, rest := c.Args[3], c.Args[4], c.Args[5:]
	reroute := action == "reroute"
	switch {
	case action != "allow" && action != "drop" && !reroute:
		return fmt.Errorf("%s: action must be one of \"allow\", \"drop\", and \"reroute\"", action)
	case reroute && len(rest) == 0:
		return errors.New("Nexthop is required when action is reroute.")
	}
	for _, p := range lr.Refs("policies") {
		if p.Int("priority") != priority || p.Str("match") != match {
			continue
		}
		if c.Has("--may-exist") {
			return nil
		}
		return fmt.Errorf("Same routing policy already existed on the logical router %s.", c.Args[1])
	}
	var nexthops []string
	if reroute {
		if nexthops, err = parseNexthops(rest[0]); err != nil {
			return err
		}
		rest = rest[1:]
	}
	for _, arg := range rest {
		if !strings.Contains(arg, "=") {
			return fmt.Errorf("No value specified for the option : %s", arg)
		}
	}
	policy := c.Txn.Insert("Logical_Router_Policy").
		Set("priority", idl.Int(priority)).
		Set("match", idl.String(match)).
		Set("action", idl.String(action)).
		Set("nexthops", idl.Strings(nexthops...)).
		Set("options", pairs(rest))
	lr.Add("policies", idl.Refs(policy))
	return nil
}

func lrPolicyDel(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	if len(c.Args) == 2 {
		lr.Set("policies", idl.Datum{})
		return nil
	}
	policies := lr.Refs("policies")
	if u, err := ovsdb.ParseUUID(c.Args[2]); err == nil {
		policies = slices.DeleteFunc(policies, func(p *idl.Row) bool {
			return p.UUID != u || len(c.Args) > 3 && p.Str("match") != c.Args[3]
		})
		if len(policies) == 0 && len(c.Args) == 3 && !c.IfExists() {
			return errors.New("Logical router policy uuid is not found.")
		}
	} else {
		priority, err := parsePriority(c.Args[2])
		if err != nil {
			return err
		}
		policies = slices.DeleteFunc(policies, func(p *idl.Row) bool {
			return p.Int("priority") != priority || len(c.Args) > 3 && p.Str("match") != c.Args[3]
		})
	}
	lr.Remove("policies", idl.Refs(policies...))
	return nil
}

func lrPolicyList(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	policies := lr.Refs("policies")
	if len(policies) == 0 {
		return nil
	}
	slices.SortFunc(policies, func(a, b *idl.Row) int {
		return cmp.Or(cmp.Compare(b.Int("priority"), a.Int("priority")), strings.Compare(a.Str("match"), b.Str("match")))
	})
	c.Printf("Routing Policies\n")
	for _, p := range policies {
		c.Printf("%10d %50s %15s", p.Int("priority"), p.Str("match"), p.Str("action"))
		nexthops := p.Strs("nexthops")
		if old := p.Str("nexthop"); old != "" && len(nexthops) == 0 {
			nexthops = []string{old}
		}
		if len(nexthops) > 0 {
			c.Printf(" %25s", nexthops[0])
			for _, n := range nexthops[1:] {
				c.Printf(", %s", n)
			}
		}
		var options []string
		d := p.Get("options")
		for i, k := range d.Keys {
			options = append(options, idl.BareAtom(k)+"="+idl.BareAtom(d.Values[i]))
		}
		if len(options) > 0 {
			c.Printf("%15s%s", "", joined(options, ","))
		}
		c.Printf("\n")
	}
	return nil
}
