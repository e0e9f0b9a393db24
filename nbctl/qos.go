package nbctl

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

const maxDSCP = 63

// qosCommands are about QoS rules of switches.
var qosCommands = []ctl.Command{
	{Name: "qos-add", Min: 5, Max: 7, Args: "SWITCH DIRECTION PRIORITY MATCH [rate=RATE [burst=BURST]] [dscp=DSCP]", Options: "--may-exist", Needs: needQoS, Run: qosAdd},
	{Name: "qos-del", Min: 1, Max: 4, Args: "SWITCH [{DIRECTION | UUID} [PRIORITY MATCH]]", Needs: needQoS, Run: qosDel},
	{Name: "qos-list", Min: 1, Max: 1, Args: "SWITCH", Needs: needQoS, Run: qosList},
}

func needQoS(c *ctl.Context) error {
	c.DB.Need("Logical_Switch", "name", "qos_rules")
	c.DB.Need("QoS", "direction", "priority", "match", "bandwidth", "action")
	return nil
}

// numbers returns a map of names to integers, without those that are not there.
func numbers(m map[string]int64, names ...string) (d idl.Datum) {
	for _, name := range names {
		if n, ok := m[name]; ok {
			d.Keys, d.Values = append(d.Keys, name), append(d.Values, n)
		}
	}
	return d
}

func qosAdd(c *ctl.Context) error {
	direction, err := parseDirection(c.Args[2], "direction")
	if err != nil {
		return err
	}
	priority, err := parsePriority(c.Args[3])
	if err != nil {
		return err
	}
	ls, err := lookupSwitch(c, c.Args[1], true)
	if err != nil {
		return err
	}
	limits := map[string]int64{}
	for _, arg := range c.Args[5:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "dscp":
			n, ok := scanInt(value, 10)
			if !ok || n < 0 || n > maxDSCP {
				return fmt.Errorf("%s: dscp must be in the range 0...%d", value, maxDSCP)
			}
			limits[name] = n
		case "rate", "burst":
			n, ok := parseUint(value, 1)
			if !ok {
				return fmt.Errorf("%s: %s must be in the range 1...%d", value, name, uint32(math.MaxUint32))
			}
			limits[name] = n
		default:
			return fmt.Errorf("%s: supported arguments are \"dscp=\", \"rate=\", and \"burst=\"", arg)
		}
	}
	_, rate := limits["rate"]
	_, dscp := limits["dscp"]
	if !rate && !dscp {
		return errors.New(`Either "rate" and/or "dscp" must be specified`)
	}
	rule := c.Txn.Insert("QoS").
		Set("direction", idl.String(direction)).
		Set("priority", idl.Int(priority)).
		Set("match", idl.String(c.Args[4])).
		Set("action", numbers(limits, "dscp"))
	if rate {
		rule.Set("bandwidth", numbers(limits, "burst", "rate"))
	}
	for _, other := range ls.Refs("qos_rules") {
		if sameRule(rule, other) {
			if c.Has("--may-exist") {
				rule.Delete()
				return nil
			}
			return fmt.Errorf("Same qos already existed on the ls %s.", c.Args[1])
		}
	}
	ls.Add("qos_rules", idl.Refs(rule))
	return nil
}

func qosDel(c *ctl.Context) error {
	ls, err := lookupSwitch(c, c.Args[1], true)
	if err != nil {
		return err
	}
	rules := ls.Refs("qos_rules")
	if u, err := ovsdb.ParseUUID(c.Arg(2)); err == nil {
		if len(c.Args) > 3 {
			return errors.New("uuid must be the only argument")
		}
		rules = slices.DeleteFunc(rules, func(r *idl.Row) bool { return r.UUID != u })
		if len(rules) == 0 {
			return errors.New("uuid is not found")
		}
	} else if rules, err = selectRules(rules, c.Args[2:]); err != nil {
		return err
	}
	ls.Remove("qos_rules", idl.Refs(rules...))
	return nil
}

func qosList(c *ctl.Context) error {
	ls, err := lookupSwitch(c, c.Args[1], true)
	if err != nil {
		return err
	}
	rules := ls.Refs("qos_rules")
	slices.SortFunc(rules, compareRules)
	for _, r := range rules {
		c.Printf("%10s %5d (%s)", r.Str("direction"), r.Int("priority"), r.Str("match"))
		for _, limit := range [][2]string{{"bandwidth", "rate"}, {"bandwidth", "burst"}, {"action", "dscp"}} {
			if n, ok := r.Get(limit[0]).Value(limit[1]); ok {
				c.Printf(" %s=%s", limit[1], idl.BareAtom(n))
			}
		}
		c.Printf("\n")
	}
	return nil
}
