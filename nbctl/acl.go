package nbctl

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// aclCommands are about access control lists of switches and port groups.
var aclCommands = []ctl.Command{
	{Name: "acl-add", Min: 5, Max: 6, Args: "{SWITCH|PORTGROUP} DIRECTION PRIORITY MATCH ACTION",
		Options: "--log,--may-exist,--type=,--name=,--severity=,--meter=,--label=,--apply-after-lb", Needs: needACLs, Run: aclAdd},
	{Name: "acl-del", Min: 1, Max: 4, Args: "{SWITCH|PORTGROUP} [DIRECTION [PRIORITY MATCH]]", Options: "--type=", Needs: needACLs, Run: aclDel},
	{Name: "acl-list", Min: 1, Max: 1, Args: "{SWITCH|PORTGROUP}", Options: "--type=", Needs: needACLs, Run: aclList},
}

func needACLs(c *ctl.Context) error {
	c.DB.Need("Logical_Switch", "name", "acls")
	c.DB.Need("Port_Group", "name", "acls")
	c.DB.Need("ACL", "direction", "priority", "match", "action", "log", "name", "severity", "meter", "label", "options")
	return nil
}

func lookupGroup(c *ctl.Context, s string, must bool) (*idl.Row, error) {
	return c.Named("Port_Group", s, "port group", "", must)
}

// aclOwner returns the switch or port group that the first argument names.
func aclOwner(c *ctl.Context) (*idl.Row, error) {
	name := c.Args[1]
	switch kind, given := c.Option("--type"); {
	case kind == "port-group":
		return lookupGroup(c, name, true)
	case kind == "switch":
		return lookupSwitch(c, name, true)
	case given:
		return nil, fmt.Errorf("Invalid value '%s' for option --type", kind)
	}
	group, err := lookupGroup(c, name, false)
	if err != nil {
		return nil, err
	}
	ls, err := lookupSwitch(c, name, false)
	switch {
	case err != nil:
		return nil, err
	case group != nil && ls != nil:
		return nil, fmt.Errorf("Same name '%s' exists in both port-groups and logical switches. Specify --type=port-group or switch, or use a UUID.", name)
	case group != nil:
		return group, nil
	case ls != nil:
		return ls, nil
	}
	return nil, fmt.Errorf("'%s' is not found for port-group or switch.", name)
}

const maxPriority = 32767

func parsePriority(s string) (int64, error) {
	n, ok := scanInt(s, 10)
	if !ok || n < 0 || n > maxPriority {
		return 0, fmt.Errorf("%s: priority must in range 0...%d", s, maxPriority)
	}
	return n, nil
}

// parseDirection reads a direction, of which the first letter suffices.
func parseDirection(s, what string) (string, error) {
	switch {
	case s != "" && s[0] == 't':
		return "to-lport", nil
	case s != "" && s[0] == 'f':
		return "from-lport", nil
	}
	return "", fmt.Errorf("%s: %s must be \"to-lport\" or \"from-lport\"", s, what)
}

// parseUint reads an integer from low to 2^32-1.
func parseUint(s string, low uint64) (int64, bool) {
	n, ok := scanInt(s, 10)
	return n, ok && n >= int64(low) && n <= math.MaxUint32
}

var (
	aclActions    = []string{"allow", "allow-related", "allow-stateless", "drop", "reject"}
	aclSeverities = []string{"alert", "warning", "notice", "info", "debug"}
)

// sameRule tells whether two ACLs, or two QoS rules, apply to the same packets.
func sameRule(a, b *idl.Row) bool {
	return a.Str("direction") == b.Str("direction") && a.Int("priority") == b.Int("priority") && a.Str("match") == b.Str("match")
}

func aclAdd(c *ctl.Context) error {
	owner, err := aclOwner(c)
	if err != nil {
		return err
	}
	direction, err := parseDirection(c.Args[2], "direction")
	if err != nil {
		return err
	}
	priority, err := parsePriority(c.Args[3])
	if err != nil {
		return err
	}
	action := c.Args[5]
	if !slices.Contains(aclActions, action) {
		return fmt.Errorf("%s: action must be one of \"allow\", \"allow-related\", \"allow-stateless\", \"drop\", and \"reject\"", action)
	}
	severity, hasSeverity := c.Option("--severity")
	if hasSeverity && !slices.Contains(aclSeverities, severity) {
		return fmt.Errorf("bad severity: %s", severity)
	}
	label := int64(0)
	if s, ok := c.Option("--label"); ok {
		if action != "allow" && action != "allow-related" {
			return errors.New(`label can only be set with actions "allow" or "allow-related"`)
		}
		if label, ok = parseUint(s, 0); !ok {
			return fmt.Errorf("%s: label must in range 0...%d", s, uint32(math.MaxUint32))
		}
	}
	acl := c.Txn.Insert("ACL").
		Set("direction", idl.String(direction)).
		Set("priority", idl.Int(priority)).
		Set("match", idl.String(c.Args[4])).
		Set("action", idl.String(action)).
		Set("label", idl.Int(label))
	name, hasName := c.Option("--name")
	meter, hasMeter := c.Option("--meter")
	if c.Has("--log") || hasSeverity || hasName || hasMeter {
		acl.Set("log", idl.Bool(true))
	}
	if hasSeverity {
		acl.Set("severity", idl.String(severity))
	}
	if hasName {
		acl.Set("name", idl.String(name))
	}
	if hasMeter {
		acl.Set("meter", idl.String(meter))
	}
	if c.Has("--apply-after-lb") {
		acl.Set("options", idl.StringMap(map[string]string{"apply-after-lb": "true"}))
	}
	for _, other := range owner.Refs("acls") {
		if sameRule(acl, other) {
			if c.Has("--may-exist") {
				acl.Delete()
				return nil
			}
			return fmt.Errorf("Same ACL already existed on the ls %s.", c.Args[1])
		}
	}
	owner.Add("acls", idl.Refs(acl))
	return nil
}

// selectRules returns the rules that the arguments DIRECTION [PRIORITY MATCH]
// select, all without arguments.
func selectRules(rules []*idl.Row, args []string) ([]*idl.Row, error) {
	if len(args) == 0 {
		return rules, nil
	}
	direction, err := parseDirection(args[0], "direction")
	if err != nil {
		return nil, err
	}
	if len(args) == 1 {
		return slices.DeleteFunc(rules, func(r *idl.Row) bool { return r.Str("direction") != direction }), nil
	}
	priority, err := parsePriority(args[1])
	if err != nil {
		return nil, err
	}
	if len(args) == 2 {
		return nil, errors.New("cannot specify priority without match")
	}
	for _, r := range rules {
		if r.Str("direction") == direction && r.Int("priority") == priority && r.Str("match") == args[2] {
			return []*idl.Row{r}, nil
		}
	}
	return nil, nil
}

func aclDel(c *ctl.Context) error {
	owner, err := aclOwner(c)
	if err != nil {
		return err
	}
	rules, err := selectRules(owner.Refs("acls"), c.Args[2:])
	if err == nil {
		owner.Remove("acls", idl.Refs(rules...))
	}
	return err
}

// afterLB tells whether a rule comes after load balancing. The option means
// nothing for rules of the egress pipeline.
func afterLB(acl *idl.Row) bool {
	s, _ := acl.Key("options", "apply-after-lb")
	return s == "true" && acl.Str("direction") == "from-lport"
}

func aclList(c *ctl.Context) error {
	owner, err := aclOwner(c)
	if err != nil {
		return err
	}
	acls := owner.Refs("acls")
	slices.SortFunc(acls, func(a, b *idl.Row) int {
		return cmp.Or(cmp.Compare(a.Str("direction"), b.Str("direction")), compareBool(afterLB(a), afterLB(b)), compareRules(a, b))
	})
	for _, acl := range acls {
		c.Printf("%10s %5d (%s) %s", acl.Str("direction"), acl.Int("priority"), acl.Str("match"), acl.Str("action"))
		if acl.Bool("log") {
			var log []string
			for _, column := range []string{"name", "severity", "meter"} {
				if s, ok := acl.OptStr(column); ok {
					log = append(log, column+"="+choose(column == "meter", `"`+s+`"`, s))
				}
			}
			c.Printf(" log(%s)", joined(log, ","))
		}
		if label := acl.Int("label"); label != 0 {
			c.Printf(" label=%d", label)
		}
		if afterLB(acl) {
			c.Printf(" [after-lb]")
		}
		c.Printf("\n")
	}
	return nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// compareRules orders by direction, descending priority, and match.
func compareRules(a, b *idl.Row) int {
	return cmp.Or(
		cmp.Compare(a.Str("direction"), b.Str("direction")),
		cmp.Compare(b.Int("priority"), a.Int("priority")),
		cmp.Compare(a.Str("match"), b.Str("match")),
	)
}
