package logical

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"govn/pkg/eventually"
)

// oracle is a southbound database of stock ovsdb-server with stock ovn-trace
// on it.
type oracle struct {
	t   *testing.T
	dir string
}

func (o *oracle) run(name string, args ...string) string {
	o.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir, "OVN_RUNDIR="+o.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("%s %.200q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (o *oracle) path(name string) string { return filepath.Join(o.dir, name) }

// stop ends a daemon by its control socket and waits until it is gone.
func (o *oracle) stop(name string) {
	pid, _ := os.ReadFile(o.path(name + ".pid"))
	exec.Command("ovs-appctl", "-t", o.path(name+".ctl"), "exit").Run()
	proc := "/proc/" + strings.TrimSpace(string(pid)) + "/cmdline" // empty for one that has ended
	eventually.That(o.t, "end of "+name, func() bool {
		line, err := os.ReadFile(proc)
		return err != nil || len(line) == 0
	})
}

func startOracle(t *testing.T, ops []any) *oracle {
	o := &oracle{t: t, dir: t.TempDir()}
	o.run("ovsdb-tool", "create", o.path("sb.db"), "/usr/share/ovn/ovn-sb.ovsschema")
	o.run("ovsdb-server", "--detach", "--no-chdir", "--pidfile="+o.path("db.pid"), "--unixctl="+o.path("db.ctl"),
		"--log-file="+o.path("db.log"), "--remote=punix:"+o.path("sb.sock"), o.path("sb.db"))
	t.Cleanup(func() { o.stop("db") })
	const chunk = 100 // operations per transaction, since they go by command line
	for len(ops) > 0 {
		n := min(chunk, len(ops))
		text, err := json.Marshal(append([]any{"OVN_Southbound"}, ops[:n]...))
		if err != nil {
			t.Fatal(err)
		}
		if out := o.run("ovsdb-client", "transact", "unix:"+o.path("sb.sock"), string(text)); strings.Contains(out, "error") {
			t.Fatalf("transaction: %s", out)
		}
		ops = ops[n:]
	}
	o.run("ovn-trace", "--db=unix:"+o.path("sb.sock"), "--detach", "--no-chdir", "--pidfile="+o.path("trace.pid"),
		"--unixctl="+o.path("trace.ctl"), "--log-file="+o.path("trace.log"))
	t.Cleanup(func() { o.stop("trace") })
	return o
}

// complaints are the lines of ovn-trace's log about what it cannot parse.
func (o *oracle) complaints() (list []string) {
	b, _ := os.ReadFile(o.path("trace.log"))
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "parsing") {
			list = append(list, line)
		}
	}
	return list
}

type row = map[string]any

func insert(table string, r row) row {
	return row{"op": "insert", "table": table, "uuid": uuidOf(table, r), "row": r}
}

var uuids int

// uuidOf numbers the rows, so that later transactions can refer to them.
func uuidOf(table string, r row) string {
	if id, ok := r["_id"].(string); ok {
		delete(r, "_id")
		return id
	}
	uuids++
	return fmt.Sprintf("%08x-0000-4000-8000-000000000000", 0x10000+uuids)
}

func set(list []string) any { return []any{"set", list} }

func datapath(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", i+1) }

func datapathRow(i int) row {
	return insert("Datapath_Binding", row{"_id": datapath(i), "tunnel_key": i + 1, "external_ids": []any{"map",
		[][2]string{{"name", fmt.Sprintf("sw%d", i)}, {"logical-switch", datapath(i)}}}})
}

func flowRow(dp, table, priority int, match, actions string) row {
	return insert("Logical_Flow", row{"logical_datapath": []string{"uuid", datapath(dp)}, "pipeline": "ingress",
		"table_id": table, "priority": priority, "match": match, "actions": actions})
}

// Symbols that OVN 23.03 does not know.
var newSymbols = regexp.MustCompile(`remote_outport|__inport|__outport|nd_ns_mcast|flags\.(from_ctrl|localnet|network_id|unsnat|icmp_snat|igmp_loopback|pkt_sampled|tunnel_rx)|ct_mark\.(obs|allow)|ct_label\.(acl|nf|tun|obs)|is_chassis`)

// traffic is a packet and the microflow that describes it to ovn-trace.
func drawTraffic(t *rapid.T) (packet, string) {
	p := packet{map[string]U128{}, map[string]string{}, map[string]bool{}}
	var b strings.Builder
	put := func(name string, v U128) {
		p.num[name] = v
		fmt.Fprintf(&b, " && %s == %s", name, v.text())
	}
	pick := func(names ...string) {
		for _, name := range names {
			f := Default().Lookup(name)
			list := testNums[name]
			if f.Bits == 128 {
				put(name, rapid.SampledFrom(testIP6).Draw(t, name))
			} else if list == nil {
				put(name, U64(rapid.Uint64Range(0, 7).Draw(t, name)).And(Ones(f.Bits)))
			} else {
				put(name, U64(rapid.SampledFrom(list).Draw(t, name)))
			}
		}
	}
	for _, name := range []string{"inport", "outport"} {
		p.str[name] = rapid.SampledFrom(testPorts[:2]).Draw(t, name)
		fmt.Fprintf(&b, " && %s == \"%s\"", name, p.str[name])
	}
	pick("eth.src", "eth.dst", "vlan.tci", "reg0", "reg1", "ct_state", "ct_mark", "flags", "pkt.mark", "reg8")
	etype := rapid.SampledFrom([]uint64{0x800, 0x86dd, 0x800, 0x86dd, 0x806, 0x8035, 0x1234}).Draw(t, "eth.type")
	put("eth.type", U64(etype))
	switch etype {
	case 0x806:
		pick("arp.op", "arp.spa", "arp.tpa", "arp.sha", "arp.tha")
	case 0x8035:
		pick("rarp.op", "rarp.spa", "rarp.tpa", "rarp.sha", "rarp.tha")
	case 0x800, 0x86dd:
		protos, ip := []uint64{1, 2, 6, 17, 132}, "ip4"
		if etype == 0x86dd {
			protos, ip = []uint64{6, 17, 58, 58, 58, 58, 132}, "ip6"
		}
		proto := rapid.SampledFrom(protos).Draw(t, "ip.proto")
		put("ip.proto", U64(proto))
		pick("ip.frag")
		if proto == 58 {
			drawICMP6(t, put)
			break
		}
		pick("ip.ttl", ip+".src", ip+".dst")
		switch proto {
		case 1:
			pick("icmp4.type", "icmp4.code")
		case 6:
			pick("tcp.src", "tcp.dst", "tcp.flags")
		case 17:
			pick("udp.src", "udp.dst")
		case 132:
			pick("sctp.src", "sctp.dst")
		}
	}
	return p, b.String()[len(" && "):]
}

// drawICMP6 draws what is mostly a valid packet of the kinds that predicates
// know.
func drawICMP6(t *rapid.T, put func(string, U128)) {
	typ := rapid.SampledFrom(testNums["icmp6.type"]).Draw(t, "icmp6.type")
	ttl := rapid.SampledFrom([]uint64{255, 255, 255, 64}).Draw(t, "ip.ttl")
	code := rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(t, "icmp6.code")
	put("icmp6.type", U64(typ))
	put("icmp6.code", U64(code))
	put("ip.ttl", U64(ttl))
	src, dst := testIP6, testIP6
	switch typ {
	case 130:
		src = testIP6[2:4] // one of them link-local
	case 143:
		dst = testIP6[9:11] // one of them ff02::16
	case 135, 136:
		if code == 0 && ttl == 255 {
			put("nd.target", rapid.SampledFrom(testIP6).Draw(t, "nd.target"))
			put(map[uint64]string{135: "nd.sll", 136: "nd.tll"}[typ], U64(rapid.Uint64Range(0, 7).Draw(t, "ll")))
		}
	}
	put("ip6.src", rapid.SampledFrom(src).Draw(t, "ip6.src"))
	put("ip6.dst", rapid.SampledFrom(dst).Draw(t, "ip6.dst"))
}

var tracedFlow = regexp.MustCompile(`(?m)^\s*(\d+)\. .*priority (\d+), uuid`)

// compare traces a microflow through a datapath whose ingress tables hold the
// expressions, and compares the verdicts with those of Eval. It returns the
// number of matches.
func (o *oracle) compare(dp int, exprs []*Expr, p packet, micro string, r Resolver) (hits int) {
	o.t.Helper()
	out := o.run("ovs-appctl", "-t", o.path("trace.ctl"), "trace", fmt.Sprintf("sw%d", dp), micro)
	if !strings.Contains(out, fmt.Sprintf("\n%2d. no match", len(exprs))) {
		o.t.Fatalf("%s: the trace stops early\n%s", micro, out)
	}
	matched := map[int]bool{} // a flow with match 1 is not shown
	for _, m := range tracedFlow.FindAllStringSubmatch(out, -1) {
		table, _ := strconv.Atoi(m[1])
		matched[table] = m[2] == "1"
	}
	for table, e := range exprs {
		got, err := e.Eval(p, r)
		if err != nil || got != matched[table] {
			o.t.Errorf("%s\non %s:\nEval says %v, %v, ovn-trace %v", e, micro, got, err, matched[table])
		}
		if matched[table] {
			hits++
		}
	}
	return hits
}

// exprRows are the flows of a table that compare understands.
func exprRows(dp, table int, e *Expr) []any {
	return []any{flowRow(dp, table, 1, e.String(), fmt.Sprintf("reg9 = reg9; next(%d);", table+1)), flowRow(dp, table, 0, "1", "next;")}
}

var traffic = rapid.Custom(func(t *rapid.T) [2]any {
	p, s := drawTraffic(t)
	return [2]any{p, s}
})

// Rule: stock ovn-trace reads every text that is printed and comes to the same
// verdict as Eval for every microflow.
func TestStockOVNAgrees(t *testing.T) {
	const datapaths, tables, packets = 12, 25, 20
	sets := sets{"$v4": testSets["$v4"], "$v6": testSets["$v6"], "$mac": testSets["$mac"], "$empty": nil, "@pg": nil}
	ops := []any{insert("SB_Global", row{})}
	local := func(dp int, text string) string {
		return regexp.MustCompile(`"(lp[12])"`).ReplaceAllString(text, fmt.Sprintf(`"${1}d%d"`, dp))
	}
	exprs := make([][]*Expr, datapaths)
	gen := rapid.Custom(func(t *rapid.T) string { return drawMatch(t, 3, false) })
	seed := 0
	for dp := range datapaths {
		ops = append(ops, datapathRow(dp))
		for i, port := range testPorts[:2] {
			name := fmt.Sprintf("%sd%d", port, dp)
			sets["@pg"] = append(sets["@pg"], name)
			ops = append(ops, insert("Port_Binding", row{"logical_port": name, "tunnel_key": i + 1,
				"datapath": []string{"uuid", datapath(dp)}}))
		}
		for table := range tables {
			var text string
			for ok := false; !ok; seed++ {
				text = local(dp, gen.Example(seed))
				ok = !newSymbols.MatchString(text)
			}
			e, err := ParseMatch(text, Default())
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			exprs[dp] = append(exprs[dp], e)
			ops = append(ops, exprRows(dp, table, e)...)
		}
	}
	for _, name := range []string{"v4", "v6", "mac", "empty"} {
		ops = append(ops, insert("Address_Set", row{"name": name, "addresses": set(append([]string{}, sets["$"+name]...))}))
	}
	ops = append(ops, insert("Port_Group", row{"name": "pg", "ports": set(sets["@pg"])}))
	o := startOracle(t, ops)
	for _, c := range o.complaints() {
		t.Errorf("ovn-trace does not read it: %s", c)
	}

	var hits, total int
	for dp := range datapaths {
		for i := range packets {
			drawn := traffic.Example(dp*packets + i)
			p, micro := drawn[0].(packet), local(dp, drawn[1].(string))
			for name, port := range p.str {
				p.str[name] = fmt.Sprintf("%sd%d", port, dp)
			}
			hits += o.compare(dp, exprs[dp], p, micro, sets)
			total += tables
		}
	}
	t.Logf("%d of %d matched", hits, total)
	if hits*20 < total || hits == total {
		t.Errorf("%d of %d matched: the test proves too little", hits, total)
	}
}

// Rule: every predicate, and its negation where there is one, means what stock
// ovn-trace takes it for. Each is hit at least once.
func TestStockOVNPredicates(t *testing.T) {
	var exprs []*Expr
	for _, name := range Default().Names() {
		f := Default().Lookup(name)
		if f.Predicate == "" && !strings.HasPrefix(name, "ct.") || newSymbols.MatchString(name) {
			continue
		}
		exprs = append(exprs, Default().mustParse(name))
		if f.Level != Nominal {
			exprs = append(exprs, Default().mustParse("!"+name))
		}
	}
	const tables = 28 // OVN 23.03 has 29
	ops := []any{insert("SB_Global", row{})}
	var parts [][]*Expr
	for dp := 0; dp*tables < len(exprs); dp++ {
		ops = append(ops, datapathRow(dp), insert("Port_Binding", row{"logical_port": fmt.Sprintf("p%d", dp), "tunnel_key": 1,
			"datapath": []string{"uuid", datapath(dp)}}))
		parts = append(parts, exprs[dp*tables:min(len(exprs), (dp+1)*tables)])
		for table, e := range parts[dp] {
			ops = append(ops, exprRows(dp, table, e)...)
		}
	}
	o := startOracle(t, ops)
	if c := o.complaints(); c != nil {
		t.Errorf("ovn-trace does not read: %s", c)
	}
	ports := regexp.MustCompile(`(in|out)port == "[^"]*"`)
	hit := map[string]bool{}
	for dp, part := range parts {
		for i := range 150 {
			drawn := traffic.Example(103600 + i) // these 150 hit every predicate
			p := drawn[0].(packet)
			micro := ports.ReplaceAllString(drawn[1].(string), fmt.Sprintf(`${1}port == "p%d"`, dp))
			o.compare(dp, part, p, micro, nil)
			for _, e := range part {
				if ok, _ := e.Eval(p, nil); ok {
					hit[e.String()] = true
				}
			}
		}
	}
	for _, e := range exprs {
		if !hit[e.String()] {
			t.Errorf("%s was never true", e)
		}
	}
}
