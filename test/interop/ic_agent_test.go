package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"govn/ic/agent"
)

// icWorld is two zones of stock OVN without chassis, and stock databases of an
// interconnection.
type icWorld struct {
	t       *testing.T
	dir     string
	remotes map[string]string // of databases that others serve
}

// icDatabases are the databases of an icWorld, by the name of their sockets.
var icDatabases = map[string]string{
	"icnb": "ovn-ic-nb", "icsb": "ovn-ic-sb", "east-nb": "ovn-nb", "east-sb": "ovn-sb", "west-nb": "ovn-nb", "west-sb": "ovn-sb",
}

func newICWorld(t *testing.T) *icWorld {
	w := &icWorld{t: t, dir: t.TempDir()}
	for name, schema := range icDatabases {
		file := filepath.Join(w.dir, name+".db")
		if out, err := exec.Command("ovsdb-tool", "create", file, "/usr/share/ovn/"+schema+".ovsschema").CombinedOutput(); err != nil {
			t.Fatalf("ovsdb-tool create: %v\n%s", err, out)
		}
		w.start("ovsdb-server", "--remote=p"+w.db(name), "--unixctl="+filepath.Join(w.dir, name+".ctl"), file)
	}
	for name := range icDatabases {
		w.until("socket of "+name, func() bool {
			c, err := net.Dial("unix", strings.TrimPrefix(w.db(name), "unix:"))
			return err == nil && c.Close() == nil
		})
	}
	for _, z := range []string{"east", "west"} {
		w.ctl(z+"-nb", "init")
		w.ctl(z+"-nb", "set", "NB_Global", ".", "name="+z)
		w.start("ovn-northd", "--ovnnb-db="+w.db(z+"-nb"), "--ovnsb-db="+w.db(z+"-sb"), "--unixctl="+filepath.Join(w.dir, z+"-northd.ctl"))
	}
	return w
}

func (w *icWorld) db(name string) string {
	if remote := w.remotes[name]; remote != "" {
		return remote
	}
	return "unix:" + filepath.Join(w.dir, name+".sock")
}

// start runs a daemon until kill, or the end of the test or of this process.
func (w *icWorld) start(argv ...string) (kill func()) {
	w.t.Helper()
	cmd := exec.Command(argv[0], append(argv[1:], "-vconsole:off")...)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	w.t.Cleanup(kill)
	return kill
}

// ovnIC runs the stock daemon of a zone, which joins the interconnection with these
// databases, and returns when it has.
func (w *icWorld) ovnIC(zone, icnb, icsb string) (kill func()) {
	w.t.Helper()
	kill = w.start("ovn-ic", "--ovnnb-db="+w.db(zone+"-nb"), "--ovnsb-db="+w.db(zone+"-sb"), "--ic-nb-db="+icnb, "--ic-sb-db="+icsb,
		"--unixctl="+filepath.Join(w.dir, zone+"-ic.ctl"))
	// Of two that start at a time the one that loses sleeps until something changes.
	w.until("zone "+zone, func() bool { return strings.Contains(w.ctl("icsb", "show"), "availability-zone "+zone) })
	return kill
}

// join starts the agents of both zones: stock ones, or ours.
func (w *icWorld) join(stock bool) {
	for _, z := range []string{"east", "west"} {
		if stock {
			w.ovnIC(z, w.db("icnb"), w.db("icsb"))
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			ended <- agent.Run(ctx, agent.Options{NB: w.db(z + "-nb"), SB: w.db(z + "-sb"), ICNB: w.db("icnb"), ICSB: w.db("icsb")})
		}()
		w.t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				w.t.Errorf("agent of %s: %v", z, err)
			}
		})
	}
}

// ctl runs the program for a database.
func (w *icWorld) ctl(db string, args ...string) string {
	w.t.Helper()
	program := map[string]string{"icnb": "ovn-ic-nbctl", "icsb": "ovn-ic-sbctl"}[db]
	if program == "" {
		program = "ovn-" + strings.TrimPrefix(strings.TrimPrefix(db, "east-"), "west-") + "ctl"
	}
	out, err := exec.Command(program, append([]string{"--db=" + w.db(db)}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *icWorld) until(what string, ok func() bool) {
	w.t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(limit) {
			w.t.Fatalf("%s: not within 20 s", what)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}

// icTables are the tables that agents write, by the kind of database.
var icTables = map[string][]string{
	"ovn-ic-nb": {"OVN_IC_Northbound"},
	"ovn-ic-sb": {"OVN_IC_Southbound", "Availability_Zone", "Encap", "Gateway", "Datapath_Binding", "Port_Binding", "Route"},
	"ovn-nb":    {"OVN_Northbound", "Logical_Router_Static_Route", "Logical_Router", "Logical_Switch_Port", "Logical_Switch"},
	"ovn-sb":    {"OVN_Southbound", "Chassis", "Encap", "Port_Binding"},
}

// tables are the rows of the tables of a database, column by column, at one time.
func (w *icWorld) tables(db string) map[string][]map[string]any {
	w.t.Helper()
	names := icTables[icDatabases[db]]
	request := fmt.Sprintf("[%q", names[0])
	for _, table := range names[1:] {
		request += fmt.Sprintf(`,{"op":"select","table":%q,"where":[]}`, table)
	}
	out, err := exec.Command("ovsdb-client", "transact", w.db(db), request+"]").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	var results []struct{ Rows []map[string]any }
	if err := json.Unmarshal(out, &results); err != nil || len(results) != len(names)-1 {
		w.t.Fatalf("%s: %v", out, err)
	}
	all := map[string][]map[string]any{}
	for i, table := range names[1:] {
		all[table] = results[i].Rows
	}
	return all
}

// pairs are a map of the database.
func pairs(v any) map[string]string {
	m := map[string]string{}
	if list, ok := v.([]any); ok && len(list) == 2 && list[0] == "map" {
		for _, p := range list[1].([]any) {
			m[fmt.Sprint(p.([]any)[0])] = fmt.Sprint(p.([]any)[1])
		}
	}
	return m
}

// state is what the agents are responsible for, without identities.
func (w *icWorld) state() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	names := map[string]string{"[set []]": ""}
	note := func(rows []map[string]any, column string) []map[string]any {
		for _, r := range rows {
			names[fmt.Sprint(r["_uuid"])] = fmt.Sprint(r[column])
		}
		return rows
	}
	of := func(v any) string { return names[fmt.Sprint(v)] }
	icsb := w.tables("icsb")
	for _, r := range note(icsb["Availability_Zone"], "name") {
		add("zone %v", r["name"])
	}
	for _, r := range note(icsb["Encap"], "ip") {
		add("ic encap %v %v %v %v", r["gateway_name"], r["type"], r["ip"], pairs(r["options"]))
	}
	for _, r := range icsb["Gateway"] {
		add("gateway %v %v of %s", r["name"], r["hostname"], of(r["availability_zone"]))
	}
	// Which key a transit switch has is chance: of two ovn-ic that would give it one
	// at a time, the loser may win with the next.
	keys := map[string]string{}
	for _, r := range icsb["Datapath_Binding"] {
		key := int(r["tunnel_key"].(float64))
		keys[fmt.Sprint(key)] = fmt.Sprintf("of %v", r["transit_switch"])
		add("key of %v, from the range of all zones: %v", r["transit_switch"], key >= 16711681)
	}
	for _, r := range icsb["Port_Binding"] {
		add("ic port %v on %v of %s: %v at %v", r["logical_port"], r["transit_switch"], of(r["availability_zone"]), r["address"], r["gateway"])
	}
	learned := map[string]string{}
	for _, r := range icsb["Route"] {
		add("ic route on %v of %s: table %q %v via %v %v", r["transit_switch"], of(r["availability_zone"]), r["route_table"], r["ip_prefix"], r["nexthop"], r["origin"])
		learned[r["_uuid"].([]any)[1].(string)] = "known"
	}
	for _, z := range []string{"east", "west"} {
		nb, sb := w.tables(z+"-nb"), w.tables(z+"-sb")
		routes := map[string]string{}
		for _, r := range nb["Logical_Router_Static_Route"] {
			routes[fmt.Sprint(r["_uuid"])] = fmt.Sprintf("%v via %v table %q %v %s", r["ip_prefix"], r["nexthop"], r["route_table"],
				pairs(r["options"]), learned[pairs(r["external_ids"])["ic-learned-route"]])
		}
		for _, r := range nb["Logical_Router"] {
			for _, u := range elements(r["static_routes"]) {
				add("%s: router %v: %s", z, r["name"], routes[fmt.Sprint(u)])
			}
		}
		ports := map[string]string{}
		for _, r := range nb["Logical_Switch_Port"] {
			ports[fmt.Sprint(r["_uuid"])] = fmt.Sprintf("%v %v %v key %s", r["name"], r["type"], r["addresses"], keyOrNone(pairs(r["options"])["requested-tnl-key"]))
		}
		for _, r := range nb["Logical_Switch"] {
			config := pairs(r["other_config"])
			if of := keys[config["requested-tnl-key"]]; of != "" {
				config["requested-tnl-key"] = of
			}
			add("%s: switch %v %v", z, r["name"], config)
			for _, u := range elements(r["ports"]) {
				add("%s: switch %v: port %s", z, r["name"], ports[fmt.Sprint(u)])
			}
		}
		for _, r := range note(sb["Chassis"], "name") {
			add("%s: chassis %v %v %v, %d encapsulations", z, r["name"], r["hostname"], pairs(r["other_config"])["is-remote"], len(elements(r["encaps"])))
		}
		for _, r := range sb["Encap"] {
			add("%s: encap %v %v %v %v", z, r["chassis_name"], r["type"], r["ip"], pairs(r["options"]))
		}
		for _, r := range sb["Port_Binding"] {
			if r["type"] == "remote" {
				add("%s: remote port %v at %s", z, r["logical_port"], of(r["chassis"]))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// keyOrNone hides which key a port has: agents give what is free.
func keyOrNone(key string) string {
	if key == "" {
		return "none"
	}
	return "given"
}

// elements are those of a set.
func elements(v any) []any {
	if list, ok := v.([]any); ok && len(list) == 2 && list[0] == "set" {
		return list[1].([]any)
	}
	return []any{v}
}

// icSteps are changes: the database, and the command for it. {cr:PORT:CHASSIS}
// binds the gateway port of a router port, as a controller would.
var icSteps = []string{
	"icnb ts-add ts1",
	"east-sb chassis-add gw1 geneve 203.0.113.1 -- set chassis gw1 other_config:is-interconn=true hostname=host1",
	"west-sb chassis-add gw2 geneve 203.0.113.2 -- set chassis gw2 other_config:is-interconn=true",
	"west-sb chassis-add hv2 geneve 203.0.113.3",
	"east-nb lr-add r1 -- lrp-add r1 r1-net 00:00:00:00:01:01 10.1.0.1/24 fd01::1/64",
	"west-nb lr-add r2 -- lrp-add r2 r2-net 00:00:00:00:02:01 10.2.0.1/24 fd02::1/64",
	"east-nb lrp-add r1 r1-ts 00:00:00:00:01:02 169.254.100.1/24 fd00:100::1/64 -- lsp-add ts1 ts-r1 -- lsp-set-type ts-r1 router -- lsp-set-addresses ts-r1 router -- lsp-set-options ts-r1 router-port=r1-ts -- lrp-set-gateway-chassis r1-ts gw1",
	"west-nb lrp-add r2 r2-ts 00:00:00:00:02:02 169.254.100.2/24 fd00:100::2/64 -- lsp-add ts1 ts-r2 -- lsp-set-type ts-r2 router -- lsp-set-addresses ts-r2 router -- lsp-set-options ts-r2 router-port=r2-ts -- lrp-set-gateway-chassis r2-ts gw2",
	"bind east cr-r1-ts gw1",
	"bind west cr-r2-ts gw2",
	"east-nb set NB_Global . options:ic-route-adv=true options:ic-route-learn=true",
	"west-nb set NB_Global . options:ic-route-learn=true",
	"west-nb set NB_Global . options:ic-route-adv=true",
	// What is advertised, and what is not.
	"east-nb lr-route-add r1 10.60.0.0/16 10.1.0.77",
	"east-nb lr-route-add r1 10.61.0.0/16 discard",
	"east-nb --policy=src-ip lr-route-add r1 10.62.0.0/16 10.1.0.77",
	"east-nb --route-table=rt1 lr-route-add r1 10.63.0.0/16 10.1.0.77",
	"east-nb lr-route-add r1 0.0.0.0/0 10.1.0.77",
	"east-nb lr-route-add r1 169.254.7.0/24 10.1.0.77",
	"east-nb lr-route-add r1 fd77::/64 fd01::9",
	"east-nb set NB_Global . options:ic-route-adv-default=true",
	"west-nb set NB_Global . options:ic-route-learn-default=true",
	"east-nb set NB_Global . options:ic-route-blacklist=10.60.0.0/12,172.16.0.0/12",
	"east-nb remove NB_Global . options ic-route-blacklist",
	"west-nb set NB_Global . options:ic-route-blacklist=10.60.0.0/12",
	"west-nb remove NB_Global . options ic-route-blacklist",
	// What a router has itself is not learned.
	"west-nb lr-route-add r2 10.60.0.0/16 10.2.0.9",
	"west-nb lr-route-del r2 10.60.0.0/16 10.2.0.9",
	"west-nb lrp-add r2 r2-more 00:00:00:00:02:03 10.1.0.9/24",
	"west-nb lrp-del r2-more",
	// Route tables.
	"east-nb set logical_router_port r1-ts options:route_table=rt1",
	"west-nb set logical_router_port r2-ts options:route_table=rt1",
	"east-nb remove logical_router_port r1-ts options route_table",
	"west-nb remove logical_router_port r2-ts options route_table",
	// Gateways.
	"bind west cr-r2-ts hv2",
	"bind west cr-r2-ts",
	"bind west cr-r2-ts gw2",
	"west-sb set chassis gw2 hostname=other",
	"west-sb chassis-del gw2",
	"west-sb chassis-add gw2 geneve 203.0.113.4 -- set chassis gw2 other_config:is-interconn=true",
	"bind west cr-r2-ts gw2",
	"east-sb set chassis gw1 other_config:is-interconn=false",
	"east-sb set chassis gw1 other_config:is-interconn=true",
	// What others undo is done again.
	"east-nb lsp-del ts-r2",
	"east-nb lr-route-del r1 10.2.0.1/24",
	"east-sb chassis-del gw2",
	// A second transit switch, and another router. (With two routers of a zone on
	// one transit switch, ovn-ic 23.03 withdraws the routes of one by turns, and a
	// list with IPv6 prefixes denies it others, too.)
	"icnb ts-add ts2",
	"west-nb lr-add r3 -- lrp-add r3 r3-net 00:00:00:00:03:01 10.3.0.1/24 -- lrp-add r3 r3-ts2 00:00:00:00:03:03 169.254.200.3/24 -- lsp-add ts2 ts2-r3 -- lsp-set-type ts2-r3 router -- lsp-set-addresses ts2-r3 router -- lsp-set-options ts2-r3 router-port=r3-ts2",
	"east-nb lrp-add r1 r1-ts2 00:00:00:00:01:03 169.254.200.1/24 -- lsp-add ts2 ts2-r1 -- lsp-set-type ts2-r1 router -- lsp-set-addresses ts2-r1 router -- lsp-set-options ts2-r1 router-port=r1-ts2",
	"west-nb set logical_router_port r3-ts2 networks=169.254.200.33/24",
	"west-nb set NB_Global . options:ic-route-adv=false",
	"west-nb set NB_Global . options:ic-route-adv=true",
	"east-nb set NB_Global . options:ic-route-learn=false",
	"east-nb set NB_Global . options:ic-route-learn=true",
}

// icLeaves are changes after which ovn-ic 23.03 leaves routes behind, advertised
// and learned.
var icLeaves = []string{
	"west-nb lrp-del r3-ts2 -- lsp-del ts2-r3",
	"east-nb lr-del r1 -- lsp-del ts-r1 -- lsp-del ts2-r1",
	"icnb ts-del ts2",
	"icnb ts-del ts1",
}

// step makes a change.
func (w *icWorld) step(text string) {
	w.t.Helper()
	f := strings.Fields(text)
	if f[0] != "bind" {
		w.ctl(f[0], f[1:]...)
		return
	}
	port := ""
	w.until("port binding "+f[2], func() bool {
		port = strings.TrimSpace(w.ctl(f[1]+"-sb", "--bare", "--columns=_uuid", "find", "port_binding", "logical_port="+f[2]))
		return port != ""
	})
	if len(f) == 3 {
		w.ctl(f[1]+"-sb", "clear", "port_binding", port, "chassis")
		return
	}
	chassis := strings.TrimSpace(w.ctl(f[1]+"-sb", "--bare", "--columns=_uuid", "find", "chassis", "name="+f[3]))
	w.ctl(f[1]+"-sb", "set", "port_binding", port, "chassis="+chassis)
}

// TestAgentBesideStock makes the same changes in two worlds, one joined by stock
// ovn-ic daemons, the other by agents of govn: after each, what the agents are
// responsible for is the same.
func TestAgentBesideStock(t *testing.T) {
	t.Parallel()
	stock, ours := newICWorld(t), newICWorld(t)
	stock.join(true)
	ours.join(false)
	for i, text := range icSteps {
		stock.step(text)
		ours.step(text)
		diff, same := "", 0
		for limit := time.Now().Add(10 * time.Second); same < 2; {
			if diff = cmp.Diff(stock.state(), ours.state()); diff == "" {
				same++ // twice: neither is still at it
			} else if same = 0; time.Now().After(limit) {
				break
			}
			time.Sleep(50 * time.Millisecond) // between two looks
		}
		if diff != "" {
			// The next steps would differ as well, and take their time.
			t.Fatalf("after step %d, %q: (-stock +govn)\n%s", i, text, diff)
		}
	}
	for _, text := range icLeaves {
		ours.step(text)
	}
	var left []string
	limit := time.Now().Add(10 * time.Second)
	for ; ; time.Sleep(50 * time.Millisecond) { // between two looks
		left = slices.DeleteFunc(ours.state(), func(line string) bool {
			return !strings.HasPrefix(line, "ic port") && !strings.HasPrefix(line, "ic route") && !strings.HasPrefix(line, "key of") &&
				!strings.Contains(line, "origin:") && !strings.Contains(line, "interconn-ts") && !strings.Contains(line, "remote port")
		})
		if len(left) == 0 || time.Now().After(limit) {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("when everything is gone, there still is:\n%s", strings.Join(left, "\n"))
	}
}
