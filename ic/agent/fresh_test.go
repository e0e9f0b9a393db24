package agent

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	seed    = flag.Uint64("seed", 1, "seed of the random changes of TestAgentEqualsFresh; 0: by the clock")
	batches = flag.Int("batches", 4, "batches of random changes of TestAgentEqualsFresh, after each of which an agent is started afresh")
)

// batchChanges are the random changes of a batch.
const batchChanges = 12

// wild is a site whose databases somebody changes at random.
type wild struct {
	*site
	r    *rand.Rand
	o    Options
	sync int // marks that were written
	keys int // that northd gave
	log  []string
	hits map[string]int // changes that changed something
}

// start runs an agent of the zone until stop is called.
func (w *wild) start() (a *agent, stop func()) {
	w.t.Helper()
	o := w.o
	o.Logger = silent
	a, err := newAgent(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return a, w.run("agent", a.run)
}

// run is site.run for what has no error to say.
func (w *wild) run(what string, fn func(ctx context.Context, ready func()) error) func() {
	return w.site.run(what, fn)
}

// idle tells whether an agent has taken in all that it was told, and written what
// follows.
func (a *agent) idle(ctx context.Context) (yes bool) {
	_ = a.call(ctx, func() {
		yes = len(a.w.busy) == 0 && !a.w.dirty.any(0, kinds)
		a.w.mu.Lock()
		yes = yes && len(a.w.results) == 0
		a.w.mu.Unlock()
		for _, r := range a.replicas {
			r.mu.Lock()
			yes = yes && r.begun && r.lost != nil
			for _, lost := range r.lost {
				yes = yes && len(lost) == 0
			}
			r.mu.Unlock()
		}
		if c := a.centre; c != nil {
			c.mu.Lock()
			yes = yes && c.begun && c.sess != nil && c.sess.number == a.pub.session && len(c.dirty)+len(c.published) == 0
			c.mu.Unlock()
			yes = yes && !a.pub.asked && len(a.pub.dirty) == 0
		}
	})
	return yes
}

// settle waits until an agent has seen all that the databases have, and written what
// follows. What failed is tried again, as it may depend on something else.
func (w *wild) settle(a *agent) {
	w.t.Helper()
	w.sync++
	mark := fmt.Sprint("sync", w.sync)
	w.ops("east.sock", "OVN_Northbound", `{"op":"mutate","table":"NB_Global","where":[],"mutations":[["external_ids","delete",["set",["sync"]]]]}`,
		fmt.Sprintf(`{"op":"mutate","table":"NB_Global","where":[],"mutations":[["external_ids","insert",["map",[["sync",%q]]]]]}`, mark))
	w.ops("east.sock", "OVN_Southbound", fmt.Sprintf(`{"op":"update","table":"Chassis","where":[["name","==","sync"]],"row":{"hostname":%q}}`, mark))
	w.ops("icnb", "OVN_IC_Northbound", `{"op":"delete","table":"Transit_Switch","where":[["other_config","includes",["map",[["sync",""]]]]]}`,
		fmt.Sprintf(`{"op":"insert","table":"Transit_Switch","row":{"name":%q,"other_config":["map",[["sync",""]]]}}`, mark))
	w.ops("icsb", "OVN_IC_Southbound", fmt.Sprintf(`{"op":"update","table":"Availability_Zone","where":[["name","==",%q]],"row":{"name":%q}}`,
		fmt.Sprint("sync", w.sync-1), mark))
	ctx := w.t.Context()
	w.until("what was changed last", func() (seen bool) {
		_ = a.call(ctx, func() {
			ch, _ := a.in.chassis.peek("sync")
			_, zone := a.in.az.peek(mark)
			_, ts := a.in.ts.peek(mark)
			seen = a.in.externalID("sync") == mark && ch != nil && ch.Hostname == mark && zone && ts
		})
		return seen
	})
	for range 3 {
		w.until("nothing to do", func() bool { return a.idle(ctx) })
		_ = a.call(ctx, func() {
			a.w.dirty.ripen(time.Now().Add(time.Hour))
			a.signal()
		})
	}
	w.until("nothing to do, and each transit switch there", func() (all bool) { // the centre gives keys, too
		all = a.idle(ctx)
		_ = a.call(ctx, func() {
			for _, ts := range a.in.ts.rows {
				_, there := a.in.ls.peek(ts.Name)
				all = all && there
			}
		})
		return all
	})
}

// wildTables are the tables that agents write.
var wildTables = []struct{ sock, db, tables string }{
	{"east.sock", "OVN_Northbound", "NB_Global Logical_Switch Logical_Switch_Port Logical_Router Logical_Router_Static_Route"},
	{"east.sock", "OVN_Southbound", "Chassis Encap Port_Binding"},
	{"icsb", "OVN_IC_Southbound", "Availability_Zone Gateway Encap Datapath_Binding Port_Binding Route"},
}

// dump is all rows of these tables, a line each.
func (w *wild) dump() []string {
	var lines []string
	for _, d := range wildTables {
		for table := range strings.FieldsSeq(d.tables) {
			for _, row := range w.rows(d.sock, d.db, table) {
				delete(row, "_version")
				b, err := json.Marshal(row)
				if err != nil {
					w.t.Fatal(err)
				}
				lines = append(lines, fmt.Sprintf("%s %s %s", d.db, table, b))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func (w *wild) rows(sock, db, table string) []map[string]any {
	w.t.Helper()
	return w.ops(sock, db, fmt.Sprintf(`{"op":"select","table":%q,"where":[]}`, table))[0].Rows
}

func (w *wild) pick(list ...string) string { return list[w.r.IntN(len(list))] }

// noRow is the identity of no row.
const noRow = "00000000-0000-0000-0000-000000000000"

// row is the identity of a row that some rows of a table are picked from; "": there
// is none.
func (w *wild) row(sock, db, table, where string) string {
	list := w.ops(sock, db, fmt.Sprintf(`{"op":"select","table":%q,"where":[%s],"columns":["_uuid"]}`, table, where))[0].Rows
	if len(list) == 0 {
		return noRow
	}
	return list[w.r.IntN(len(list))]["_uuid"].([]any)[1].(string)
}

// uuids is the value of a set of references, to rows or new ones.
func uuids(list ...string) string { return `["set",[` + strings.Join(list, ",") + `]]` }

func ref(uuid string) string { return fmt.Sprintf(`["uuid",%q]`, uuid) }

func is(uuid string) string { return fmt.Sprintf(`["_uuid","==",%s]`, ref(uuid)) }

// learnedOnly finds learned routes.
const learnedOnly = `["external_ids","!=",["map",[]]]`

// northd binds what is on transit switches, as the zone's northd would. It tells
// whether there was something to do.
func (w *wild) northd() (did bool) {
	const sock, nb, sb = "east.sock", "OVN_Northbound", "OVN_Southbound"
	datapaths := map[string]string{}
	for _, dp := range w.rows(sock, sb, "Datapath_Binding") {
		datapaths[fmt.Sprint(dp["external_ids"])] = dp["_uuid"].([]any)[1].(string)
	}
	types := map[string]string{}
	for _, p := range w.rows(sock, nb, "Logical_Switch_Port") {
		types[fmt.Sprint(p["_uuid"])] = fmt.Sprint(p["name"], " ", p["type"])
	}
	type binding struct{ kind, datapath string }
	want := map[string]binding{}
	kept := map[string]bool{}
	for _, ls := range w.rows(sock, nb, "Logical_Switch") {
		ts := ls["name"].(string)
		if strings.HasPrefix(ts, "sync") {
			continue // another one each time
		}
		ids := fmt.Sprintf("[map [[interconn-ts %s]]]", ts)
		if datapaths[ids] == "" {
			w.keys++
			w.ops(sock, sb, fmt.Sprintf(`{"op":"insert","table":"Datapath_Binding","row":{"tunnel_key":%d,"external_ids":["map",[["interconn-ts",%q]]]}}`, 1000+w.keys, ts))
			return true
		}
		kept[ids] = true
		ports, _ := ls["ports"].([]any)
		if len(ports) == 2 && ports[0] == "set" {
			ports, _ = ports[1].([]any)
		} else {
			ports = []any{ls["ports"]}
		}
		for _, p := range ports {
			name, kind, _ := strings.Cut(types[fmt.Sprint(p)], " ")
			want[name] = binding{map[string]string{"router": "patch", "remote": "remote"}[kind], datapaths[ids]}
		}
	}
	for _, pb := range w.rows(sock, sb, "Port_Binding") {
		name := pb["logical_port"].(string)
		switch b, wanted := want[name]; {
		case pb["type"] == "chassisredirect":
		case !wanted || b.kind != pb["type"] || fmt.Sprint(pb["datapath"]) != "[uuid "+b.datapath+"]":
			w.ops(sock, sb, fmt.Sprintf(`{"op":"delete","table":"Port_Binding","where":[["logical_port","==",%q]]}`, name))
			did = true
		default:
			delete(want, name)
		}
	}
	for name, b := range want {
		did = true
		w.keys++
		w.ops(sock, sb, fmt.Sprintf(`{"op":"insert","table":"Port_Binding","row":{"logical_port":%q,"type":%q,"tunnel_key":%d,"datapath":%s}}`, name, b.kind, w.keys, ref(b.datapath)))
	}
	for ids, uuid := range datapaths {
		if !kept[ids] && ids != "[map []]" {
			did = true
			w.ops(sock, sb, fmt.Sprintf(`{"op":"delete","table":"Datapath_Binding","where":[%s]}`, is(uuid)))
		}
	}
	return did
}

// wildChange is one change, or the attempt.
type wildChange struct {
	name string
	do   func(w *wild) []opResult
}

// mapSet are operations that set a key of a map column in the rows that where finds.
func mapSet(table, where, column, key, value string) []string {
	return []string{
		fmt.Sprintf(`{"op":"mutate","table":%q,"where":[%s],"mutations":[[%q,"delete",["set",[%q]]]]}`, table, where, column, key),
		fmt.Sprintf(`{"op":"mutate","table":%q,"where":[%s],"mutations":[[%q,"insert",["map",[[%q,%q]]]]]}`, table, where, column, key, value),
	}
}

// routerPort and switchPort are the two ends of a router on a transit switch.
func routerPort(r, ts string) []string {
	return []string{
		fmt.Sprintf(`{"op":"insert","table":"Logical_Router_Port","uuid-name":"p","row":{"name":"%s-%s","mac":"00:00:00:00:02:0%s","networks":"169.254.%s.%s/24"}}`, r, ts, r[1:], ts[2:], r[1:]),
		fmt.Sprintf(`{"op":"mutate","table":"Logical_Router","where":[["name","==",%q]],"mutations":[["ports","insert",["named-uuid","p"]]]}`, r),
	}
}

func switchPort(r, ts string) []string {
	return []string{
		fmt.Sprintf(`{"op":"insert","table":"Logical_Switch_Port","uuid-name":"p","row":{"name":"%s-%s","type":"router","options":["map",[["router-port","%s-%s"]]]}}`, ts, r, r, ts),
		fmt.Sprintf(`{"op":"mutate","table":"Logical_Switch","where":[["name","==",%q]],"mutations":[["ports","insert",["named-uuid","p"]]]}`, ts),
	}
}

func (w *wild) nbTry(ops ...string) []opResult { return w.try("east.sock", "OVN_Northbound", ops...) }
func (w *wild) sbTry(ops ...string) []opResult { return w.try("east.sock", "OVN_Southbound", ops...) }
func (w *wild) icTry(ops ...string) []opResult { return w.try("icsb", "OVN_IC_Southbound", ops...) }

func (w *wild) router() string { return w.pick("r1", "r1", "r2") }
func (w *wild) ts() string     { return w.pick("ts1", "ts1", "ts2") }
func (w *wild) prefix() string {
	return w.pick("10.1.0.1/24", "10.2.0.0/24", "10.2.0.0/16", "10.3.0.0/24", "0.0.0.0/0", "fd00:2::/64", "169.254.9.0/24", "none")
}
func (w *wild) nexthop(ts string) string {
	return w.pick("169.254."+ts[2:]+".7", "169.254."+ts[2:]+".8", "169.254."+ts[2:]+".1", "fe80::7", "192.0.2.1")
}

// az is the row of another zone.
func (w *wild) az() string {
	return w.row("icsb", "OVN_IC_Southbound", "Availability_Zone", fmt.Sprintf(`["name","==",%q]`, w.pick("west", "north")))
}

// wildChanges are the changes that somebody makes.
var wildChanges = []wildChange{
	{"option", func(w *wild) []opResult {
		key := w.pick(optionAdv, optionLearn, optionAdvDefault, optionLearnDefault, optionStrict, optionECMP, optionDenylist)
		value := w.pick("true", "true", "false")
		if key == optionDenylist {
			value = w.pick("", "10.2.0.0/24")
		}
		return w.nbTry(mapSet("NB_Global", "", "options", key, value)...)
	}},
	{"name", func(w *wild) []opResult {
		return w.nbTry(fmt.Sprintf(`{"op":"update","table":"NB_Global","where":[],"row":{"name":%q}}`, w.pick("east", "orient")))
	}},
	{"router", func(w *wild) []opResult {
		r := w.router()
		return w.nbTry(fmt.Sprintf(`{"op":"insert","table":"Logical_Router_Port","uuid-name":"p","row":{"name":"%s-net","mac":"00:00:00:00:01:01","networks":%q}}`, r, w.prefix()),
			fmt.Sprintf(`{"op":"insert","table":"Logical_Router","row":{"name":%q,"ports":["named-uuid","p"]}}`, r))
	}},
	{"router gone", func(w *wild) []opResult {
		return w.nbTry(fmt.Sprintf(`{"op":"delete","table":"Logical_Router","where":[["name","==",%q]]}`, w.router()))
	}},
	{"router port", func(w *wild) []opResult {
		r, ts := w.router(), w.ts()
		return w.nbTry(routerPort(r, ts)...)
	}},
	{"router port's option", func(w *wild) []opResult {
		key := w.pick("route_table", keyTag, optionFilterTag, optionFilterLearn, optionFilterAdv, optionDenyLearn)
		value := w.pick("", "red")
		if strings.Contains(key, "filter-") && key != optionFilterTag || strings.Contains(key, "deny") {
			value = w.pick("", "10.2.0.0/16")
		}
		return w.nbTry(mapSet("Logical_Router_Port", fmt.Sprintf(`["name","==","%s-%s"]`, w.router(), w.ts()), "options", key, value)...)
	}},
	{"router's option", func(w *wild) []opResult {
		return w.nbTry(mapSet("Logical_Router", fmt.Sprintf(`["name","==",%q]`, w.router()), "options", w.pick(optionECMP, optionFilterLearn), w.pick("", "true", "10.2.0.0/16"))...)
	}},
	{"networks", func(w *wild) []opResult {
		r := w.router()
		return w.nbTry(fmt.Sprintf(`{"op":"update","table":"Logical_Router_Port","where":[["name","==","%s-net"]],"row":{"networks":%q}}`, r, w.prefix()))
	}},
	{"port on a transit switch", func(w *wild) []opResult {
		r, ts := w.router(), w.ts()
		return w.nbTry(switchPort(r, ts)...)
	}},
	{"port gone", func(w *wild) []opResult { // ours, or one of another zone
		p := w.row("east.sock", "OVN_Northbound", "Logical_Switch_Port", "")
		return w.nbTry(fmt.Sprintf(`{"op":"mutate","table":"Logical_Switch","where":[],"mutations":[["ports","delete",%s]]}`, uuids(ref(p))))
	}},
	{"port's key and address", func(w *wild) []opResult {
		p := w.row("east.sock", "OVN_Northbound", "Logical_Switch_Port", "")
		return w.nbTry(append(mapSet("Logical_Switch_Port", is(p), "options", keyTunnelKey, w.pick("77", "78")),
			fmt.Sprintf(`{"op":"update","table":"Logical_Switch_Port","where":[%s],"row":{"addresses":"00:00:00:00:00:77"}}`, is(p)))...)
	}},
	{"switch gone", func(w *wild) []opResult {
		return w.nbTry(fmt.Sprintf(`{"op":"delete","table":"Logical_Switch","where":[["name","==",%q]]}`, w.ts()))
	}},
	{"switch's key", func(w *wild) []opResult {
		return w.nbTry(mapSet("Logical_Switch", fmt.Sprintf(`["name","==",%q]`, w.ts()), "other_config", keyTunnelKey, "77")...)
	}},
	{"static route", func(w *wild) []opResult {
		return w.nbTry(fmt.Sprintf(`{"op":"insert","table":"Logical_Router_Static_Route","uuid-name":"r","row":{"ip_prefix":%q,"nexthop":"10.1.0.9","route_table":%q}}`, w.prefix(), w.pick("", "", "red")),
			fmt.Sprintf(`{"op":"mutate","table":"Logical_Router","where":[["name","==",%q]],"mutations":[["static_routes","insert",["named-uuid","r"]]]}`, w.router()))
	}},
	{"route gone", func(w *wild) []opResult { // ours, or one that was learned
		r := w.row("east.sock", "OVN_Northbound", "Logical_Router_Static_Route", w.pick("", learnedOnly))
		return w.nbTry(fmt.Sprintf(`{"op":"mutate","table":"Logical_Router","where":[],"mutations":[["static_routes","delete",%s]]}`, uuids(ref(r))))
	}},
	{"learned route changed", func(w *wild) []opResult {
		r := w.row("east.sock", "OVN_Northbound", "Logical_Router_Static_Route", learnedOnly)
		return w.nbTry(fmt.Sprintf(`{"op":"update","table":"Logical_Router_Static_Route","where":[%s],"row":{"nexthop":"192.0.2.77"}}`, is(r)))
	}},
	{"learned route moved", func(w *wild) []opResult {
		r := w.row("east.sock", "OVN_Northbound", "Logical_Router_Static_Route", learnedOnly)
		return w.nbTry(fmt.Sprintf(`{"op":"mutate","table":"Logical_Router","where":[],"mutations":[["static_routes","delete",%s]]}`, uuids(ref(r))),
			fmt.Sprintf(`{"op":"mutate","table":"Logical_Router","where":[["name","==",%q]],"mutations":[["static_routes","insert",%s]]}`, w.router(), uuids(ref(r))))
	}},
	{"learned route twice", func(w *wild) []opResult {
		from := "00000000-0000-4000-8000-000000000000"
		for _, r := range w.rows("east.sock", "OVN_Northbound", "Logical_Router_Static_Route") {
			for _, p := range r["external_ids"].([]any)[1].([]any) {
				from = p.([]any)[1].(string)
			}
		}
		return w.nbTry(fmt.Sprintf(`{"op":"insert","table":"Logical_Router_Static_Route","uuid-name":"r","row":{"ip_prefix":"10.99.0.0/24","nexthop":"10.1.0.9","external_ids":["map",[["ic-learned-route",%q]]]}}`, from),
			fmt.Sprintf(`{"op":"mutate","table":"Logical_Router","where":[["name","==",%q]],"mutations":[["static_routes","insert",["named-uuid","r"]]]}`, w.router()))
	}},
	{"chassis", func(w *wild) []opResult { // also of a name that another zone's gateway has
		name := w.pick("gw1", "gw2", "gw-west")
		return w.sbTry(fmt.Sprintf(`{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"203.0.113.%d","chassis_name":%q}}`, w.r.IntN(200), name),
			fmt.Sprintf(`{"op":"insert","table":"Chassis","row":{"name":%q,"encaps":["named-uuid","e"],"other_config":["map",[["is-interconn",%q]]]}}`, name, w.pick("true", "true", "false")))
	}},
	{"chassis gone", func(w *wild) []opResult { // ours, or one of another zone
		return w.sbTry(fmt.Sprintf(`{"op":"delete","table":"Chassis","where":[["name","==",%q]]}`, w.pick("gw1", "gw2", "gw-west", "gw-north")))
	}},
	{"chassis changed", func(w *wild) []opResult {
		return w.sbTry(fmt.Sprintf(`{"op":"update","table":"Chassis","where":[["name","==",%q]],"row":{"hostname":%q}}`, w.pick("gw1", "gw-west"), w.pick("a", "b")))
	}},
	{"gateway of a router port", func(w *wild) []opResult {
		chassis := w.row("east.sock", "OVN_Southbound", "Chassis", fmt.Sprintf(`["name","==",%q]`, w.pick("gw1", "gw2")))
		name := fmt.Sprintf("cr-%s-%s", w.router(), w.ts())
		dp := w.row("east.sock", "OVN_Southbound", "Datapath_Binding", `["tunnel_key","==",1]`)
		return w.sbTry(fmt.Sprintf(`{"op":"delete","table":"Port_Binding","where":[["logical_port","==",%q]]}`, name),
			fmt.Sprintf(`{"op":"insert","table":"Port_Binding","row":{"logical_port":%q,"type":"chassisredirect","datapath":%s,"tunnel_key":%d,"chassis":%s}}`, name, ref(dp), 1+w.r.IntN(30000), ref(chassis)))
	}},
	{"remote port moved", func(w *wild) []opResult {
		p := w.row("east.sock", "OVN_Southbound", "Port_Binding", `["type","==","remote"]`)
		return w.sbTry(fmt.Sprintf(`{"op":"update","table":"Port_Binding","where":[%s],"row":{"chassis":["set",[]]}}`, is(p)))
	}},
	{"transit switch", func(w *wild) []opResult {
		return w.try("icnb", "OVN_IC_Northbound", fmt.Sprintf(`{"op":"insert","table":"Transit_Switch","row":{"name":%q}}`, w.ts()))
	}},
	{"transit switch gone", func(w *wild) []opResult {
		return w.try("icnb", "OVN_IC_Northbound", fmt.Sprintf(`{"op":"delete","table":"Transit_Switch","where":[["name","==",%q]]}`, w.ts()))
	}},
	{"another zone", func(w *wild) []opResult {
		return w.icTry(fmt.Sprintf(`{"op":"insert","table":"Availability_Zone","row":{"name":%q}}`, w.pick("west", "north")))
	}},
	{"another zone's gateway", func(w *wild) []opResult {
		name := w.pick("gw-west", "gw-north", "gw1")
		return w.icTry(fmt.Sprintf(`{"op":"delete","table":"Gateway","where":[["name","==",%q],["availability_zone","==",%s]]}`, name, ref(w.az())),
			fmt.Sprintf(`{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"203.0.113.%d","gateway_name":%q}}`, w.r.IntN(200), name),
			fmt.Sprintf(`{"op":"insert","table":"Gateway","row":{"name":%q,"hostname":%q,"availability_zone":%s,"encaps":["named-uuid","e"]}}`, name, w.pick("", "h"), ref(w.az())))
	}},
	{"another zone's gateway gone", func(w *wild) []opResult {
		return w.icTry(fmt.Sprintf(`{"op":"delete","table":"Gateway","where":[["availability_zone","==",%s]]}`, ref(w.az())))
	}},
	{"another zone's port", func(w *wild) []opResult { // also of a name that is ours
		return w.icTry(fmt.Sprintf(`{"op":"insert","table":"Port_Binding","row":{"logical_port":%q,"transit_switch":%q,"availability_zone":%s,"tunnel_key":%d,"gateway":%q,"address":"00:00:00:00:07:07 169.254.1.7/24"}}`,
			w.pick("p7", "p8", "ts1-r1"), w.ts(), ref(w.az()), 1+w.r.IntN(4), w.pick("", "gw-west", "gw-north")))
	}},
	{"another zone's port changed", func(w *wild) []opResult {
		return w.icTry(fmt.Sprintf(`{"op":"update","table":"Port_Binding","where":[["logical_port","==",%q],["availability_zone","==",%s]],"row":{"gateway":%q,"address":%q,"transit_switch":%q}}`,
			w.pick("p7", "p8"), ref(w.az()), w.pick("", "gw-west", "gw-north"), w.pick("00:00:00:00:07:07 169.254.1.7/24", "00:00:00:00:07:08"), w.ts()))
	}},
	{"another zone's port gone", func(w *wild) []opResult {
		return w.icTry(fmt.Sprintf(`{"op":"delete","table":"Port_Binding","where":[["availability_zone","==",%s]]}`, ref(w.az())))
	}},
	{"another zone's route", func(w *wild) []opResult {
		ts := w.ts()
		return w.icTry(fmt.Sprintf(`{"op":"insert","table":"Route","row":{"transit_switch":%q,"availability_zone":%s,"ip_prefix":%q,"nexthop":%q,"route_table":%q,"origin":%q,"external_ids":["map",[["ic-route-tag",%q]]]}}`,
			ts, ref(w.az()), w.prefix(), w.nexthop(ts), w.pick("", "", "red"), w.pick(originConnected, originStatic), w.pick("", "red")))
	}},
	{"another zone's route changed", func(w *wild) []opResult {
		ts := w.ts()
		return w.icTry(fmt.Sprintf(`{"op":"update","table":"Route","where":[%s],"row":{"ip_prefix":%q,"nexthop":%q}}`,
			is(w.row("icsb", "OVN_IC_Southbound", "Route", fmt.Sprintf(`["availability_zone","==",%s]`, ref(w.az())))), w.prefix(), w.nexthop(ts)))
	}},
	{"another zone's route gone", func(w *wild) []opResult {
		return w.icTry(fmt.Sprintf(`{"op":"delete","table":"Route","where":[%s]}`, is(w.row("icsb", "OVN_IC_Southbound", "Route", fmt.Sprintf(`["availability_zone","==",%s]`, ref(w.az()))))))
	}},
}

// wildSabotage is what somebody does to the zone's own rows of the interconnection.
var wildSabotage = []wildChange{
	{"own row gone", func(w *wild) []opResult {
		table := w.pick("Route", "Port_Binding", "Gateway")
		return w.icTry(fmt.Sprintf(`{"op":"delete","table":%q,"where":[["availability_zone","!=",%s],["availability_zone","!=",%s]]}`, table, ref(w.az()), ref(w.az())))
	}},
	{"own port changed", func(w *wild) []opResult {
		return w.icTry(fmt.Sprintf(`{"op":"update","table":"Port_Binding","where":[["logical_port","==",%q]],"row":{"address":"x","gateway":"x"}}`, w.pick("ts1-r1", "ts1-r2")))
	}},
	{"key gone", func(w *wild) []opResult {
		return w.icTry(fmt.Sprintf(`{"op":"delete","table":"Datapath_Binding","where":[["transit_switch","==",%q]]}`, w.ts()))
	}},
}

// heal makes what a batch of changes may have broken: routers on transit switches
// that learn what another zone tells. What is there already stays as it is, but for
// options.
func (w *wild) heal(a *agent) {
	w.nb("east", `{"op":"update","table":"NB_Global","where":[],"row":{"options":["map",[["ic-route-adv","true"],["ic-route-learn","true"]]]}}`,
		`{"op":"update","table":"Logical_Router","where":[],"row":{"options":["map",[]]}}`,
		`{"op":"update","table":"Logical_Router_Port","where":[],"row":{"options":["map",[]]}}`)
	w.icTry(`{"op":"insert","table":"Availability_Zone","row":{"name":"west"}}`)
	w.sbTry(`{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"203.0.113.201","chassis_name":"gw1"}}`,
		`{"op":"insert","table":"Chassis","row":{"name":"gw1","encaps":["named-uuid","e"],"other_config":["map",[["is-interconn","true"]]]}}`)
	west := ref(w.row("icsb", "OVN_IC_Southbound", "Availability_Zone", `["name","==","west"]`))
	w.icTry(`{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"203.0.113.202","gateway_name":"gw-west"}}`,
		fmt.Sprintf(`{"op":"insert","table":"Gateway","row":{"name":"gw-west","availability_zone":%s,"encaps":["named-uuid","e"]}}`, west))
	for _, ts := range []string{"ts1", "ts2"} {
		w.try("icnb", "OVN_IC_Northbound", fmt.Sprintf(`{"op":"insert","table":"Transit_Switch","row":{"name":%q}}`, ts))
		w.icTry(fmt.Sprintf(`{"op":"insert","table":"Port_Binding","row":{"logical_port":"p-%s","transit_switch":%q,"availability_zone":%s,"tunnel_key":7,"gateway":"gw-west","address":"00:00:00:00:07:09"}}`, ts, ts, west))
		for i := range 3 {
			w.icTry(fmt.Sprintf(`{"op":"insert","table":"Route","row":{"transit_switch":%q,"availability_zone":%s,"ip_prefix":"10.7%s.%d.0/24","nexthop":"169.254.%s.7","origin":"static"}}`, ts, west, ts[2:], i, ts[2:]))
		}
	}
	w.settle(a)
	for i, r := range []string{"r1", "r2"} {
		if w.row("east.sock", "OVN_Northbound", "Logical_Router", fmt.Sprintf(`["name","==",%q]`, r)) == noRow { // its name is not unique
			w.nbTry(fmt.Sprintf(`{"op":"insert","table":"Logical_Router","row":{"name":%q}}`, r))
		}
		ts := fmt.Sprint("ts", i+1)
		w.nbTry(routerPort(r, ts)...)
		w.nbTry(switchPort(r, ts)...)
	}
	for range 2 {
		w.northd()
	}
	w.settle(a)
}

// change makes a random one.
func (w *wild) change(list []wildChange) {
	one := list[w.r.IntN(len(list))]
	results := one.do(w)
	what, changed := one.name, false
	for _, r := range results {
		if r.Error != "" {
			what += " (" + r.Error + ")"
		}
		changed = changed || r.Error == "" && (r.Count > 0 || len(r.UUID) > 0)
	}
	if what == one.name && changed {
		w.hits[what]++
	}
	w.log = append(w.log, what)
}

// After any changes of the databases, and whatever was done to what the agent
// wrote, an agent that is started afresh finds nothing to write. Over the
// databases of the interconnection the two are there at a time; by its service one
// after the other.
func TestAgentEqualsFresh(t *testing.T) {
	for _, service := range []bool{false, true} {
		t.Run(fmt.Sprintf("service=%v", service), func(t *testing.T) {
			n := *seed
			if n == 0 {
				n = rand.Uint64()
			}
			w := &wild{site: newSite(t), r: rand.New(rand.NewPCG(n, 11)), hits: map[string]int{}}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("-seed %d; changes:\n%s", n, strings.Join(w.log, "\n"))
				}
			})
			w.centre()
			w.databases("east")
			w.o = Options{NB: w.at("east", false), SB: w.at("east", false)}
			changes := wildChanges
			if service {
				w.o.IC = w.at("fabric", false)
			} else {
				w.o.ICNB, w.o.ICSB = "unix:"+filepath.Join(w.dir, "icnb"), "unix:"+filepath.Join(w.dir, "icsb")
				changes = slices.Concat(wildChanges, wildSabotage)
			}
			w.nb("east", `{"op":"insert","table":"NB_Global","row":{"name":"east","options":["map",[["ic-route-adv","true"],["ic-route-learn","true"]]]}}`)
			w.ops("east.sock", "OVN_Southbound", `{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"203.0.113.255","chassis_name":"sync"}}`,
				`{"op":"insert","table":"Chassis","row":{"name":"sync","encaps":["named-uuid","e"]}}`, `{"op":"insert","table":"Datapath_Binding","row":{"tunnel_key":1}}`)
			w.ops("icnb", "OVN_IC_Northbound", `{"op":"insert","table":"Transit_Switch","row":{"name":"ts1"}}`)
			w.ops("icsb", "OVN_IC_Southbound", `{"op":"insert","table":"Availability_Zone","row":{"name":"sync0"}}`, `{"op":"insert","table":"Availability_Zone","row":{"name":"west"}}`)
			a, stop := w.start()
			learned := 0
			for batch := range *batches {
				w.heal(a)
				learned = max(learned, len(w.ops("east.sock", "OVN_Northbound", `{"op":"select","table":"Logical_Router_Static_Route","where":[`+learnedOnly+`]}`)[0].Rows))
				for range batchChanges {
					w.change(changes)
				}
				w.settle(a)
				for round := 0; w.northd(); round++ {
					if round == 20 {
						t.Fatalf("batch %d: northd and the agent do not come to an end", batch)
					}
					w.settle(a)
				}
				before := w.dump()
				if service {
					stop()
				}
				fresh, end := w.start()
				w.until("a fresh agent has nothing to do", func() bool { return fresh.idle(t.Context()) })
				if diff := cmp.Diff(before, w.dump()); diff != "" {
					if !service {
						_ = a.call(t.Context(), func() { t.Logf("the first one has yet to do %+v, and failed with %v", a.w.dirty.items, a.w.said) })
					}
					t.Fatalf("batch %d: an agent that is started afresh writes:\n%s", batch, diff)
				}
				if service {
					a, stop = fresh, end
				} else {
					end() // the first one has seen all changes in the end
				}
				w.log = append(w.log, "-- fresh")
			}
			if learned == 0 {
				t.Error("there was never a learned route")
			}
			t.Logf("seed %d: %d learned routes at most; %v", n, learned, w.hits)
		})
	}
}
