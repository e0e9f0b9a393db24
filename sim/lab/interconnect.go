package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Ports of the interconnection.
const (
	icnbPort     = 6645
	icsbPort     = 6646
	icFabricPort = 6650
)

// ErrNoIC is returned for what needs an interconnection by a lab that has none.
var ErrNoIC = errors.New("the lab has no interconnection")

var errAnswer = errors.New("not what a transaction is answered with")

// ICNB is the address of the interconnection's northbound database, for --db of
// ovn-ic-nbctl.
func (l *Lab) ICNB() string { return "unix:" + l.path(icNode, "icnb.sock") }

// ICSB is the address of the interconnection's southbound database.
func (l *Lab) ICSB() string { return "unix:" + l.path(icNode, "icsb.sock") }

// ICNbctl runs stock ovn-ic-nbctl on the interconnection.
func (l *Lab) ICNbctl(ctx context.Context, args ...string) (string, error) {
	return l.icTool(ctx, "ovn-ic-nbctl", l.ICNB(), args)
}

// ICSbctl runs stock ovn-ic-sbctl on the interconnection.
func (l *Lab) ICSbctl(ctx context.Context, args ...string) (string, error) {
	return l.icTool(ctx, "ovn-ic-sbctl", l.ICSB(), args)
}

func (l *Lab) icTool(ctx context.Context, program, db string, args []string) (string, error) {
	if l.cfg.IC == nil {
		return "", fmt.Errorf("lab %q: %w", l.cfg.Name, ErrNoIC)
	}
	return run(ctx, "", append([]string{program, "--db=" + db, "--timeout=" + l.seconds()}, args...)...)
}

// icRemote is how a zone reaches the interconnection: over the management
// network, or by the socket where there is none.
func (l *Lab) icRemote(sock string, port int) string {
	if l.ns(icNode) == "" {
		return "unix:" + l.path(icNode, sock)
	}
	return fmt.Sprintf("tcp:%v:%d", l.cfg.IC.MgmtIP, port)
}

// fabricTCP is where the interconnection's service listens on the management
// network, if there is one.
func (l *Lab) fabricTCP() []string {
	if l.ns(icNode) == "" {
		return nil
	}
	return []string{l.icRemote("", icFabricPort)}
}

// icDaemons are those of the interconnection.
func (l *Lab) icDaemons() []string {
	if l.cfg.IC.Server == ControlStock {
		return []string{"icnb", "icsb"}
	}
	return []string{"server"}
}

// makeIC starts the interconnection and runs its commands.
func (l *Lab) makeIC(ctx context.Context) error {
	if err := l.makeControlNode(ctx, icNode, l.cfg.IC.MgmtIP); err != nil {
		return err
	}
	if l.cfg.IC.Server == ControlStock {
		for _, db := range []struct{ name, schema string }{{"icnb", icnbSchema}, {"icsb", icsbSchema}} {
			if _, err := run(ctx, "", "ovsdb-tool", "create", l.path(icNode, db.name+".db"), db.schema); err != nil {
				return err
			}
		}
	}
	for _, daemon := range l.icDaemons() {
		if err := l.startIC(ctx, daemon); err != nil {
			return err
		}
	}
	if l.cfg.IC.Server == ControlStock {
		if _, err := l.ICNbctl(ctx, "init"); err != nil {
			return err
		}
		if _, err := l.ICSbctl(ctx, "init"); err != nil {
			return err
		}
	}
	return commands(l.cfg.IC.Nbctl, "ic.nbctl", func(args []string) error {
		_, err := l.ICNbctl(ctx, args...)
		return err
	})
}

// startIC starts one daemon of the interconnection.
func (l *Lab) startIC(ctx context.Context, daemon string) error {
	ic := l.cfg.IC
	stock := ic.Server == ControlStock
	listen := func(port int) []string { return l.tcp(icNode, "ptcp", ic.MgmtIP, port) }
	switch {
	case !stock && daemon == "server":
		argv := []string{l.govn, "ic", "server", "--data-dir", l.path(icNode, "data"),
			"--ic-nb-listen", commaList("p"+l.ICNB(), listen(icnbPort)),
			"--ic-sb-listen", commaList("p"+l.ICSB(), listen(icsbPort)),
			"--fabric-listen", commaList("unix:"+l.path(icNode, "fabric.sock"), l.fabricTCP())}
		return l.daemon(ctx, icNode, daemon, append(argv, l.govnFlags(icNode, daemon)...)...)
	case stock && daemon == "icnb":
		return l.startOVSDB(ctx, icNode, daemon, "icnb.db", "icnb.sock", remotes(listen(icnbPort))...)
	case stock && daemon == "icsb":
		return l.startOVSDB(ctx, icNode, daemon, "icsb.db", "icsb.sock", remotes(listen(icsbPort))...)
	}
	return fmt.Errorf("%s of %q: %w", daemon, icNode, ErrNoDaemon)
}

// startAgent joins a zone to the interconnection.
func (c *Central) startAgent(ctx context.Context) error {
	l := c.l
	icnb, icsb := l.icRemote("icnb.sock", icnbPort), l.icRemote("icsb.sock", icsbPort)
	if c.zone.Agent == ControlStock {
		argv := append([]string{"ovn-ic"}, l.flags(c.node, "agent")...)
		return l.daemon(ctx, c.node, "agent", append(argv, "--unixctl="+l.path(c.node, "agent.ctl"),
			"--ovnnb-db="+c.NB(), "--ovnsb-db="+c.SB(), "--ic-nb-db="+icnb, "--ic-sb-db="+icsb)...)
	}
	argv := []string{l.govn, "ic", "agent", "--nb", c.NB(), "--sb", c.SB()}
	if l.cfg.IC.byFabric() {
		argv = append(argv, "--ic", l.icRemote("fabric.sock", icFabricPort))
	} else {
		argv = append(argv, "--ic-nb-db", icnb, "--ic-sb-db", icsb)
	}
	return l.daemon(ctx, c.node, "agent", append(argv, l.govnFlags(c.node, "agent")...)...)
}

// interconnect joins the zones: the interconnection, then an agent a zone, then
// what each zone has on the transit switches. It returns when every zone has
// learned the routes that its file says.
func (l *Lab) interconnect(ctx context.Context) error {
	if l.cfg.IC == nil {
		return nil
	}
	if err := l.makeIC(ctx); err != nil {
		return fmt.Errorf("interconnection: %w", err)
	}
	for _, c := range l.Centrals() {
		// Of two ovn-ic that start at a time one sleeps until something changes.
		if err := c.startAgent(ctx); err != nil {
			return c.wrap(err)
		}
		err := l.awaitRow(ctx, l.ICSB(), "OVN_IC_Southbound", "Availability_Zone", "name", func(s string) bool { return s == c.zone.Name })
		if err != nil {
			return c.wrap(fmt.Errorf("it does not join (log: %s): %w", l.path(c.node, "agent.log"), err))
		}
	}
	for _, c := range l.Centrals() {
		if err := c.attach(ctx); err != nil {
			return c.wrap(err)
		}
	}
	for _, c := range l.Centrals() {
		for _, p := range c.zone.Learns {
			if err := c.AwaitRoute(ctx, p); err != nil {
				return c.wrap(err)
			}
		}
	}
	if err := l.gateways(ctx); err != nil {
		return err
	}
	for _, c := range l.Centrals() {
		if err := c.relook(ctx); err != nil {
			return c.wrap(err)
		}
	}
	l.log.Info("zones are joined", "zones", len(l.cfg.Zones), "server", l.cfg.IC.Server, "join", l.cfg.IC.Join)
	return nil
}

// attach gives the zone what it has on transit switches.
func (c *Central) attach(ctx context.Context) error {
	for i := range c.zone.Transit {
		t := &c.zone.Transit[i]
		if _, err := c.Nbctl(ctx, "wait-until", "Logical_Switch", t.Switch); err != nil {
			return fmt.Errorf("transit switch %q does not come (log: %s): %w", t.Switch, c.l.path(c.node, "agent.log"), err)
		}
		err := commands(t.Nbctl, fmt.Sprintf("transit[%d].nbctl", i), func(args []string) error {
			_, err := c.Nbctl(ctx, args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// gateways waits until every zone knows which chassis host the ports of routers on
// transit switches, its own ports and those of the others, and by which keys.
func (l *Lab) gateways(ctx context.Context) error {
	var hosted []string
	for _, c := range l.Centrals() {
		if _, err := c.Nbctl(ctx, "--wait=sb", "sync"); err != nil {
			return c.wrap(err)
		}
		out, err := c.Sbctl(ctx, "--bare", "--columns=logical_port", "find", "Port_Binding", "type=chassisredirect")
		if err != nil {
			return c.wrap(err)
		}
		for _, cr := range strings.Fields(out) {
			if _, err := c.Sbctl(ctx, "wait-until", "Port_Binding", cr, "chassis!=[]"); err != nil {
				return c.wrap(fmt.Errorf("no gateway hosts %q: %w", cr, err))
			}
			ports, err := c.Nbctl(ctx, "--bare", "--columns=name", "find", "Logical_Switch_Port", "options:router-port="+strings.TrimPrefix(cr, "cr-"))
			if err != nil {
				return c.wrap(err)
			}
			hosted = append(hosted, strings.Fields(ports)...)
		}
	}
	for _, c := range l.Centrals() {
		out, err := c.Nbctl(ctx, "--bare", "--columns=name", "find", "Logical_Switch_Port", "options:requested-tnl-key!=\"\"")
		if err != nil {
			return c.wrap(err)
		}
		for _, port := range strings.Fields(out) {
			key, err := c.Nbctl(ctx, "get", "Logical_Switch_Port", port, "options:requested-tnl-key")
			if err != nil {
				return c.wrap(err)
			}
			until := []string{"wait-until", "Port_Binding", port, "tunnel_key=" + strings.Trim(strings.TrimSpace(key), `"`)}
			kind, err := c.Nbctl(ctx, "get", "Logical_Switch_Port", port, "type")
			if err != nil {
				return c.wrap(err)
			}
			if strings.TrimSpace(kind) == "remote" && slices.Contains(hosted, port) {
				until = append(until, "chassis!=[]")
			}
			if _, err := c.Sbctl(ctx, until...); err != nil {
				return c.wrap(fmt.Errorf("port %q on a transit switch: %w", port, err))
			}
		}
	}
	return nil
}

// relook has the gateways of a stock zone look again: an ovn-controller 23.03
// may keep the first key of a port on a transit switch, where the one that all
// zones agree on came later.
func (c *Central) relook(ctx context.Context) error {
	if c.zone.Control != ControlStock {
		return nil
	}
	if _, err := c.Nbctl(ctx, "--wait=hv", "sync"); err != nil {
		return err
	}
	for _, ch := range c.l.cfg.ChassisOf(c.zone.Name) {
		if ch.interconn() {
			if err := c.l.recompute(ctx, ch.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// AwaitRoute waits until a router of the zone has a static route for a prefix,
// such as one that the agent has learned.
func (c *Central) AwaitRoute(ctx context.Context, p netip.Prefix) error {
	// OVN's agent writes 192.168.1.1/24 for the network of a router's port.
	err := c.l.awaitRow(ctx, c.NB(), "OVN_Northbound", "Logical_Router_Static_Route", "ip_prefix", func(s string) bool {
		have, err := netip.ParsePrefix(s)
		return err == nil && have.Masked() == p
	})
	if err != nil {
		return fmt.Errorf("no route for %v (log: %s): %w", p, c.l.path(c.node, "agent.log"), err)
	}
	return nil
}

// awaitRow waits until a row has a value that is right in a column of strings:
// the database tells when the column is not what it was.
func (l *Lab) awaitRow(ctx context.Context, db, schema, table, column string, right func(string) bool) error {
	deadline := time.Now().Add(l.timeout)
	for {
		op := map[string]any{"op": "select", "table": table, "where": []any{}, "columns": []string{column}}
		rows, err := transact(ctx, db, schema, op)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if s, ok := row[column].(string); ok && right(s) {
				return nil
			}
		}
		op["op"], op["until"], op["rows"] = "wait", "!=", rows
		op["timeout"] = max(0, time.Until(deadline).Milliseconds())
		if _, err := transact(ctx, db, schema, op); err != nil {
			return err
		}
	}
}

// transact runs one operation on a database and returns its rows.
func transact(ctx context.Context, db, schema string, op map[string]any) ([]map[string]any, error) {
	request, err := json.Marshal([]any{schema, op})
	if err != nil {
		return nil, err
	}
	out, err := run(ctx, "", "ovsdb-client", "transact", db, string(request))
	if err != nil {
		return nil, err
	}
	var results []struct {
		Error, Details string
		Rows           []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &results); err != nil || len(results) == 0 {
		return nil, fmt.Errorf("answer of database %q: %q: %w", schema, out, errors.Join(err, errAnswer))
	}
	for _, r := range results {
		if r.Error != "" {
			return nil, fmt.Errorf("database %q: %s: %s", schema, r.Error, r.Details)
		}
	}
	if results[0].Rows == nil {
		return []map[string]any{}, nil // [] and not null, to be sent back
	}
	return results[0].Rows, nil
}

// mgmt is the address of a node on the management network.
func (l *Lab) mgmt(node string) (netip.Addr, error) {
	switch c, ch := l.centralAt(node), l.cfg.chassis(node); {
	case l.ns(node) == "":
		return netip.Addr{}, fmt.Errorf("%q: it is on no network", node)
	case c != nil:
		return c.zone.MgmtIP, nil
	case ch != nil:
		return ch.MgmtIP, nil
	case node == icNode && l.cfg.IC != nil:
		return l.cfg.IC.MgmtIP, nil
	}
	return netip.Addr{}, fmt.Errorf("%q: %w", node, ErrNoNode)
}

// Cut ends what two nodes, such as "west" and "ic", hear from each other on the
// management network, without telling them: packets vanish. Mend is its opposite.
func (l *Lab) Cut(ctx context.Context, a, b string) error { return l.blackhole(ctx, "add", a, b) }

// Mend connects two nodes again after Cut.
func (l *Lab) Mend(ctx context.Context, a, b string) error { return l.blackhole(ctx, "del", a, b) }

func (l *Lab) blackhole(ctx context.Context, verb, a, b string) error {
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		if _, err := l.mgmt(pair[0]); err != nil {
			return err
		}
		to, err := l.mgmt(pair[1])
		if err != nil {
			return err
		}
		if err := ipBatch(ctx, l.ns(pair[0]), fmt.Sprintf("route %s blackhole %v/32", verb, to)); err != nil {
			return err
		}
	}
	return nil
}
