package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"govn/ic/server"
	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
	"govn/pkg/eventually"
	"govn/pkg/ovsdb"
	"govn/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is an interconnection and its zones, each with databases in this process.
// Their northds are the test.
type site struct {
	t     *testing.T
	dir   string
	keys  certs.Files // of everybody; none: without TLS
	ca    *certstest.Authority
	ports map[string]string
}

func newSite(t *testing.T) *site {
	return &site{t: t, dir: t.TempDir(), ports: map[string]string{}}
}

// run runs fn until the returned function is called, or the test ends.
func (s *site) run(what string, fn func(ctx context.Context, ready func()) error) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- fn(ctx, sync.OnceFunc(func() { close(ready) })) }()
	select {
	case <-ready:
	case err := <-ended:
		s.t.Fatalf("%s: %v", what, err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("%s: %v", what, err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// at is where something is: a socket here, or with TLS a port.
func (s *site) at(name string, listen bool) string {
	if s.ca == nil {
		return map[bool]string{true: "p", false: ""}[listen && name != "fabric"] + "unix:" + filepath.Join(s.dir, name)
	}
	if s.ports[name] == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.t.Fatal(err)
		}
		_, s.ports[name], _ = net.SplitHostPort(l.Addr().String())
		l.Close()
	}
	if listen && name != "fabric" {
		return "pssl:" + s.ports[name] + ":127.0.0.1"
	}
	return "ssl:127.0.0.1:" + s.ports[name]
}

// centre runs the interconnection's service.
func (s *site) centre() (stop func()) {
	return s.run("server", func(ctx context.Context, ready func()) error {
		return server.Run(ctx, server.Options{
			Store: "bbolt:" + filepath.Join(s.dir, "ic.db"), NBListen: []string{"punix:" + filepath.Join(s.dir, "icnb")},
			SBListen: []string{"punix:" + filepath.Join(s.dir, "icsb")}, FabricListen: []string{s.at("fabric", true)},
			Centre: server.CentreOptions{Lease: 2 * time.Second}, Keys: s.keys, Logger: silent, Ready: ready,
		})
	})
}

// databases serves those of a zone.
func (s *site) databases(zone string) {
	var dbs []ovsdb.Database
	for _, d := range []*schema.Database{schema.Northbound(), schema.Southbound()} {
		parsed, err := ovsdb.ParseSchema(d.JSON())
		if err != nil {
			s.t.Fatal(err)
		}
		dbs = append(dbs, ovsdb.Database{Schema: parsed})
	}
	s.run("databases of "+zone, func(ctx context.Context, ready func()) error {
		engine, err := ovsdb.OpenEngine("memory")
		if err != nil {
			return err
		}
		store, err := ovsdb.Open(ctx, engine, dbs, ovsdb.Options{Logger: silent})
		if err != nil {
			return err
		}
		defer store.Close()
		srv := ovsdb.NewServer(store, ovsdb.ServerOptions{Logger: silent})
		remotes, err := srv.OpenRemotes(ovsdb.RemotesOptions{Remotes: []string{s.at(zone, true), "punix:" + filepath.Join(s.dir, zone+".sock")}, Keys: s.keys})
		if err != nil {
			return err
		}
		ready()
		return remotes.Run(ctx)
	})
}

// agent joins a zone.
func (s *site) agent(zone string) (stop func(), status func() *Status) {
	return s.agentOn(zone, s.at(zone, false), s.at(zone, false))
}

func (s *site) agentOn(zone, nb, sb string) (stop func(), status func() *Status) {
	return s.agentWith(zone, Options{NB: nb, SB: sb, IC: s.at("fabric", false), Keys: s.keys})
}

func (s *site) agentWith(zone string, o Options) (stop func(), status func() *Status) {
	commands := map[string]Command{}
	o.Logger, o.Registry = silent, prometheus.NewRegistry()
	o.Handle = func(name, _ string, _, _ int, fn Command) { commands[name] = fn }
	stop = s.run("agent of "+zone, func(ctx context.Context, ready func()) error {
		o := o
		o.Ready = ready
		return Run(ctx, o)
	})
	return stop, func() *Status {
		s.t.Helper()
		text, err := commands["ic/status"](s.t.Context(), []string{"--format=json", routesArg})
		st := &Status{}
		if err == nil {
			err = json.Unmarshal([]byte(text), st)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return st
	}
}

// opResult is what one operation came to.
type opResult struct {
	Rows  []map[string]any
	Error string
	Count int
	UUID  []string
}

// ops runs operations on a database; a result for each. None may fail.
func (s *site) ops(sock, db string, ops ...string) []opResult {
	s.t.Helper()
	results := s.try(sock, db, ops...)
	for _, r := range results {
		if r.Error != "" {
			s.t.Fatalf("%s: %+v", ops, results)
		}
	}
	return results
}

// try is ops where they may fail.
func (s *site) try(sock, db string, ops ...string) (results []opResult) {
	s.t.Helper()
	c, err := net.Dial("unix", filepath.Join(s.dir, sock))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, `{"method":"transact","params":[%s],"id":1}`, strings.Join(append([]string{fmt.Sprintf("%q", db)}, ops...), ","))
	var reply struct{ Result json.RawMessage }
	if err := json.NewDecoder(c).Decode(&reply); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(reply.Result, &results); err != nil {
		s.t.Fatalf("%s: %v", reply.Result, err)
	}
	return results
}

func (s *site) nb(zone string, ops ...string) { s.ops(zone+".sock", "OVN_Northbound", ops...) }

// value is a column of the one row that a condition finds; "": there is none.
func (s *site) value(sock, db, table, where, column string) string {
	s.t.Helper()
	r := s.ops(sock, db, fmt.Sprintf(`{"op":"select","table":%q,"where":[%s]}`, table, where))
	if len(r[0].Rows) != 1 {
		return ""
	}
	return fmt.Sprint(r[0].Rows[0][column])
}

func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	eventually.That(s.t, what, ok)
}

// zone is a zone n with a router on ts1 and a gateway, as northd has it once the
// agent has made the transit switch.
func (s *site) zone(name string, n int) {
	s.databases(name)
	s.nb(name,
		fmt.Sprintf(`{"op":"insert","table":"NB_Global","row":{"name":%q,"options":["map",[["ic-route-adv","true"],["ic-route-learn","true"]]]}}`, name),
		fmt.Sprintf(`{"op":"insert","table":"Logical_Router_Port","uuid-name":"net","row":{"name":"net","mac":"00:00:00:00:01:0%d","networks":"10.%d.0.1/24"}}`, n, n),
		fmt.Sprintf(`{"op":"insert","table":"Logical_Router_Port","uuid-name":"up","row":{"name":"r-ts1","mac":"00:00:00:00:02:0%d","networks":"169.254.100.%d/24"}}`, n, n),
		`{"op":"insert","table":"Logical_Router","row":{"name":"r","ports":["set",[["named-uuid","net"],["named-uuid","up"]]]}}`)
	s.ops(name+".sock", "OVN_Southbound",
		fmt.Sprintf(`{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"203.0.113.%d","chassis_name":"gw-%s"}}`, n, name),
		fmt.Sprintf(`{"op":"insert","table":"Chassis","row":{"name":"gw-%s","encaps":["named-uuid","e"],"other_config":["map",[["is-interconn","true"]]]}}`, name))
}

// plug puts the zone's router on ts1, and is its northd and controller then.
func (s *site) plug(name string) {
	s.until("ts1 in "+name, func() bool {
		return s.value(name+".sock", "OVN_Northbound", "Logical_Switch", `["name","==","ts1"]`, "name") == "ts1"
	})
	s.nb(name,
		fmt.Sprintf(`{"op":"insert","table":"Logical_Switch_Port","uuid-name":"p","row":{"name":"ts1-%s","type":"router","options":["map",[["router-port","r-ts1"]]]}}`, name),
		`{"op":"mutate","table":"Logical_Switch","where":[["name","==","ts1"]],"mutations":[["ports","insert",["named-uuid","p"]]]}`)
	gw := s.ops(name+".sock", "OVN_Southbound", fmt.Sprintf(`{"op":"select","table":"Chassis","where":[["name","==","gw-%s"]],"columns":["_uuid"]}`, name))
	chassis := fmt.Sprint(gw[0].Rows[0]["_uuid"].([]any)[1])
	s.ops(name+".sock", "OVN_Southbound",
		`{"op":"insert","table":"Datapath_Binding","uuid-name":"d","row":{"tunnel_key":16711682,"external_ids":["map",[["interconn-ts","ts1"]]]}}`,
		`{"op":"insert","table":"Datapath_Binding","uuid-name":"d2","row":{"tunnel_key":2}}`,
		fmt.Sprintf(`{"op":"insert","table":"Port_Binding","row":{"logical_port":"ts1-%s","type":"patch","datapath":["named-uuid","d"],"tunnel_key":1}}`, name),
		fmt.Sprintf(`{"op":"insert","table":"Port_Binding","row":{"logical_port":"cr-r-ts1","type":"chassisredirect","datapath":["named-uuid","d2"],"tunnel_key":1,"chassis":["uuid",%q]}}`, chassis))
}

func (s *site) option(zone, table, key, value string) {
	s.nb(zone, fmt.Sprintf(`{"op":"mutate","table":%q,"where":[],"mutations":[["options","delete",["set",[%q]]],["options","insert",["map",[[%q,%q]]]]]}`, table, key, key, value))
}

// routes are the prefixes that the router of a zone learned.
func (s *site) routes(zone string) string {
	r := s.ops(zone+".sock", "OVN_Northbound", `{"op":"select","table":"Logical_Router_Static_Route","where":[["external_ids","!=",["map",[]]]]}`)
	var list []string
	for _, one := range r[0].Rows {
		list = append(list, fmt.Sprintf("%v via %v", one["ip_prefix"], one["nexthop"]))
	}
	return strings.Join(list, ", ")
}

// Zones joined by the service learn each other's routes, with filters and strict
// mode; the service goes and comes back, a zone is renamed, two have one prefix.
func TestLink(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			s := newSite(t)
			if tls {
				s.ca = certstest.NewAuthority(t, "ca")
				s.keys = s.ca.Issue("everybody")
			}
			stop := s.centre()
			s.ops("icnb", "OVN_IC_Northbound", `{"op":"insert","table":"Transit_Switch","row":{"name":"ts1"}}`)
			s.zone("east", 1)
			s.zone("west", 2)
			_, east := s.agent("east")
			end, _ := s.agent("west")
			s.plug("east")
			s.plug("west")
			s.until("routes of west in east", func() bool { return s.routes("east") == "10.2.0.1/24 via 169.254.100.2" })
			s.until("routes of east in west", func() bool { return s.routes("west") == "10.1.0.1/24 via 169.254.100.1" })
			s.until("gateway of west in east", func() bool {
				return s.value("east.sock", "OVN_Southbound", "Chassis", `["name","==","gw-west"]`, "other_config") == "[map [[is-remote true]]]"
			})
			id := s.value("east.sock", "OVN_Northbound", "NB_Global", "", "external_ids")
			if !strings.HasPrefix(id, "[map [[govn-ic-zone ") {
				t.Errorf("identity %s", id)
			}

			// A filter, and strict mode.
			s.option("east", "Logical_Router", "ic-route-filter-learn", "10.2.0.0/16 ge 25")
			s.until("the filter", func() bool { return s.routes("east") == "" })
			s.option("east", "Logical_Router", "ic-route-filter-learn", "10.2.0.0/16 le 24")
			s.until("another filter", func() bool { return s.routes("east") != "" })
			s.option("west", "NB_Global", "govn-strict", "true")
			s.until("strict mode", func() bool { return s.routes("east") == "" && s.routes("west") == "" })
			s.option("west", "Logical_Router", "ic-route-filter-adv", "10.2.0.0/16")
			s.until("a filter in strict mode", func() bool { return s.routes("east") != "" })

			// The zone is renamed.
			row := s.value("icsb", "OVN_IC_Southbound", "Availability_Zone", `["name","==","west"]`, "_uuid")
			s.nb("west", `{"op":"update","table":"NB_Global","where":[],"row":{"name":"west2"}}`)
			s.until("the new name", func() bool {
				return s.value("icsb", "OVN_IC_Southbound", "Availability_Zone", `["name","==","west2"]`, "_uuid") == row
			})

			// The service goes, and comes back.
			stop()
			s.until("the end of the stream", func() bool { return !east().Centre.Connected })
			if got := s.routes("east"); got == "" {
				t.Error("routes are unlearned while the service is away")
			}
			s.option("west", "Logical_Router", "ic-route-filter-adv", "10.3.0.0/16")
			s.centre()
			s.until("what changed meanwhile", func() bool { return s.routes("east") == "" })
			s.option("west", "Logical_Router", "ic-route-filter-adv", "10.2.0.0/16")
			s.until("what changed afterwards", func() bool { return s.routes("east") != "" })

			// Two zones have one prefix: the first one's is used, the other's is told of.
			s.zone("north", 3)
			s.nb("north", `{"op":"update","table":"Logical_Router_Port","where":[["name","==","net"]],"row":{"networks":"10.2.0.9/24"}}`)
			s.agent("north")
			s.plug("north")
			var in []Route
			s.until("the conflict", func() bool {
				if st := east(); len(st.Links) == 1 && len(st.Links[0].Conflicts) == 1 {
					in = st.Links[0].In
					return true
				}
				return false
			})
			if len(in) != 2 || in[0].Status != Used || in[0].Zone != "west2" || in[1].Status != Contested || in[1].Detail != "west2" || in[1].Zone != "north" {
				t.Errorf("routes %+v", in)
			}
			if got := s.routes("east"); got != "10.2.0.1/24 via 169.254.100.2" {
				t.Errorf("used: %s", got)
			}
			end() // its lease ends
			s.until("the other's route", func() bool { return s.routes("east") == "10.2.0.9/24 via 169.254.100.3" })
		})
	}
}

// Over databases of the interconnection, too, a zone keeps its row and what it
// told when it is renamed, also while nobody looked.
func TestRenameOverDatabases(t *testing.T) {
	s := newSite(t)
	s.centre()
	s.ops("icnb", "OVN_IC_Northbound", `{"op":"insert","table":"Transit_Switch","row":{"name":"ts1"}}`)
	s.zone("east", 1)
	o := Options{NB: s.at("east", false), SB: s.at("east", false), ICNB: "unix:" + filepath.Join(s.dir, "icnb"), ICSB: "unix:" + filepath.Join(s.dir, "icsb")}
	stop, _ := s.agentWith("east", o)
	s.plug("east")
	row := func(table string) string { return s.value("icsb", "OVN_IC_Southbound", table, "", "_uuid") }
	name := func() string { return s.value("icsb", "OVN_IC_Southbound", "Availability_Zone", "", "name") }
	rename := func(to string) {
		s.nb("east", fmt.Sprintf(`{"op":"update","table":"NB_Global","where":[],"row":{"name":%q}}`, to))
	}
	s.until("a route", func() bool { return row("Route") != "" })
	zone, route, gateway := row("Availability_Zone"), row("Route"), row("Gateway")
	check := func(what, want string) {
		t.Helper()
		s.until(what, func() bool { return name() == want })
		if row("Availability_Zone") != zone || row("Route") != route || row("Gateway") != gateway {
			t.Errorf("%s: zone %s, route %s, gateway %s; before %s, %s, %s", what, row("Availability_Zone"), row("Route"), row("Gateway"), zone, route, gateway)
		}
		if ports := s.value("east.sock", "OVN_Northbound", "Logical_Switch_Port", `["type","==","remote"]`, "name"); ports != "" {
			t.Errorf("%s: the zone's own port comes back as %s", what, ports)
		}
	}
	rename("orient")
	check("renamed", "orient")
	s.until("the row is written down", func() bool {
		return strings.Contains(s.value("east.sock", "OVN_Northbound", "NB_Global", "", "external_ids"), keyZoneRow)
	})
	stop()
	rename("levant")
	s.agentWith("east", o)
	check("renamed while the agent was away", "levant")
}
