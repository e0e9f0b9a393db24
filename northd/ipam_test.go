package northd_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"govn/pkg/ovsdb"
)

// dynamic are the dynamic addresses of a port.
func (z *zone) dynamic(t testing.TB, name string) string {
	t.Helper()
	for row := range z.store.Snapshot().Rows(z.columns.LSP.Table) {
		if row.Str(z.columns.LSP.Name) == name {
			if v, ok := row.Opt(z.columns.LSP.DynamicAddresses); ok {
				return v.(string)
			}
			return ""
		}
	}
	t.Fatalf("no port %q", name)
	return ""
}

func (z *zone) setConfig(t testing.TB, ls ovsdb.UUID, keysAndValues ...ovsdb.Atom) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.SetColumn(z.columns.LS.Table, ls, "other_config", ovsdb.MapOf(keysAndValues...))
		return tx.Err()
	})
}

func (z *zone) setMACPrefix(t testing.TB, prefix string) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		for g := range tx.Rows(z.columns.NBGlobal.Table) {
			tx.PutInMap(z.columns.NBGlobal.Table, g.UUID(), "options", "mac_prefix", prefix)
			break
		}
		return tx.Err()
	})
}

func (z *zone) setAddresses(t testing.TB, port ovsdb.UUID, addresses ...ovsdb.Atom) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.SetColumn(z.columns.LSP.Table, port, "addresses", ovsdb.NewSet(addresses...))
		return tx.Err()
	})
}

// ipamStory is a zone with one switch that gives addresses, whose ports are known
// by name.
type ipamStory struct {
	*zone
	t     *testing.T
	ls    ovsdb.UUID
	ports map[string]ovsdb.UUID
}

func newIPAMStory(t *testing.T, path string, config ...ovsdb.Atom) *ipamStory {
	s := &ipamStory{zone: newZone(t, path), t: t, ports: make(map[string]ovsdb.UUID)}
	s.setMACPrefix(t, "0a:00:00")
	s.nb(t, func(tx *ovsdb.Txn) error {
		s.ls = tx.Insert(s.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "s"})
		return tx.Err()
	})
	s.config(config...)
	return s
}

func (s *ipamStory) config(keysAndValues ...ovsdb.Atom) { s.setConfig(s.t, s.ls, keysAndValues...) }

// set gives a port its addresses, and makes it if it is not there.
func (s *ipamStory) set(name string, addresses ...ovsdb.Atom) {
	s.t.Helper()
	if u, ok := s.ports[name]; ok {
		s.setAddresses(s.t, u, addresses...)
		return
	}
	s.nb(s.t, func(tx *ovsdb.Txn) error {
		s.ports[name] = tx.Insert(s.columns.LSP.Table, ovsdb.UUID{}, port(name, addresses...))
		tx.AddToSet(s.columns.LS.Table, s.ls, "ports", s.ports[name])
		return tx.Err()
	})
}

func (s *ipamStory) remove(name string) {
	s.t.Helper()
	s.nb(s.t, func(tx *ovsdb.Txn) error {
		tx.DelFromSet(s.columns.LS.Table, s.ls, "ports", s.ports[name])
		return tx.Err()
	})
	delete(s.ports, name)
}

// want compares the dynamic addresses of ports, "name: addresses" each.
func (s *ipamStory) want(ports ...string) {
	s.t.Helper()
	for _, p := range ports {
		name, addresses, _ := strings.Cut(p, ": ")
		if got := s.dynamic(s.t, strings.TrimSuffix(name, ":")); got != addresses {
			s.t.Errorf("%s has %q, want %q", name, got, addresses)
		}
	}
}

// wantProblems compares what lint says: each text is part of one problem.
func (s *ipamStory) wantProblems(parts ...string) {
	s.t.Helper()
	var got []string
	for _, p := range s.View().Lint().Problems {
		got = append(got, p.String())
	}
	if len(got) != len(parts) {
		s.t.Errorf("problems: %q, want %q", got, parts)
	}
	for _, part := range parts {
		if !slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, part) }) {
			s.t.Errorf("problems: %q, want one with %q", got, part)
		}
	}
}

// What ovn-northd 23.03 does step by step; TestStockIPAM compares the two.
func TestIPAMStory(t *testing.T) {
	s := newIPAMStory(t, "", "subnet", "10.0.0.0/29", "exclude_ips", "10.0.0.3")
	for _, name := range []string{"a", "b", "c", "d"} {
		s.set(name, "dynamic")
	}
	s.want("a: 0a:00:00:00:00:03 10.0.0.2", "b: 0a:00:00:00:00:05 10.0.0.4", "c: 0a:00:00:00:00:06 10.0.0.5", "d: 0a:00:00:00:00:07 10.0.0.6")
	s.wantProblems()

	s.set("e", "dynamic")
	s.want("e: 0a:00:00:00:00:01")
	s.wantProblems(`10.0.0.0/29: the subnet has no free address`)
	s.remove("b")
	s.want("e: 0a:00:00:00:00:01 10.0.0.4")
	s.wantProblems()

	s.config("subnet", "10.0.0.0/29", "ipv6_prefix", "aef0::")
	s.want("a: 0a:00:00:00:00:03 10.0.0.2 aef0::800:ff:fe00:3")
	s.config("subnet", "10.0.1.0/24", "ipv6_prefix", "bef0::")
	s.want("a: 0a:00:00:00:00:03 10.0.1.2 aef0::800:ff:fe00:3", "c: 0a:00:00:00:00:06 10.0.1.3 aef0::800:ff:fe00:6",
		"d: 0a:00:00:00:00:07 10.0.1.4 aef0::800:ff:fe00:7", "e: 0a:00:00:00:00:01 10.0.1.5 aef0::800:ff:fe00:1")
	s.set("a", "00:00:00:00:00:aa dynamic")
	s.want("a: 00:00:00:00:00:aa 10.0.1.2 bef0::200:ff:fe00:aa")
	s.set("a", "dynamic 10.0.1.77 bef0::77")
	s.want("a: 0a:00:00:00:01:4e 10.0.1.77 bef0::77")
	s.set("a", "dynamic")
	s.want("a: 0a:00:00:00:01:4e 10.0.1.77 bef0::77")

	s.setMACPrefix(t, "0e:00:00")
	s.want("a: 0e:00:00:00:01:4e 10.0.1.77 bef0::c00:ff:fe00:14e")
	s.config("mac_only", "true")
	s.want("a: 0e:00:00:00:01:4e", "c: 0e:00:00:00:01:04")
	s.config()
	s.want("a:", "c:")
	s.wantProblems()
}

func TestIPAMWishes(t *testing.T) {
	s := newIPAMStory(t, "", "subnet", "10.0.0.0/24")
	s.set("a", "dynamic 10.0.0.9")
	s.set("b", "dynamic 10.0.0.9")
	s.set("c", "dynamic 20.0.0.9")
	s.set("d", "dynamic 10.0.0.1")
	s.set("e", "dynamic fd00::1")
	s.want("a: 0a:00:00:00:00:0a 10.0.0.9", "b: 0a:00:00:00:00:0b 10.0.0.2", "c: 0a:00:00:00:00:0c 10.0.0.3", "d: 0a:00:00:00:00:02 10.0.0.4", "e: 0a:00:00:00:00:06 10.0.0.5")
	s.wantProblems(`10.0.0.9: the address is taken`, `20.0.0.9: the address is none`,
		`10.0.0.1: the address is none`, `fd00::1: the address is none`)
	s.set("a", "dynamic 10.0.0.8") // b's wish comes true
	s.want("a: 0a:00:00:00:00:0a 10.0.0.8", "b: 0a:00:00:00:00:0b 10.0.0.9")
	s.set("f", "50:54:00:00:00:01 10.0.0.9") // and ends
	s.want("b: 0a:00:00:00:00:0b 10.0.0.2")
	s.remove("f")
	s.want("b: 0a:00:00:00:00:0b 10.0.0.9")
	s.config("subnet", "10.0.0.0/24", "exclude_ips", "10.0.0.1..10.0.0.9")
	s.want("b: 0a:00:00:00:00:0b 10.0.0.11", "a: 0a:00:00:00:00:0a 10.0.0.10")
	s.set("a", "dynamic", "dynamic 10.0.0.77")
	s.set("b", "dynamic")
	s.set("c", "50:54:00:00:00:07 10.0.0.70")
	s.set("d", "50:54:00:00:00:08 10.0.0.70")
	s.set("e", "0a:00:00:00:00:0a")
	s.want("a: 0a:00:00:00:00:0a 10.0.0.10", "c:", "d:", "e:")
	s.wantProblems(`more than one element says "dynamic"`, `the IP address 10.0.0.70 is also that of port "c"`, `0a:00:00:00:00:0a is also that of port "a"`)
}

// Nonsense in the settings is said and does no harm.
func TestIPAMBadConfig(t *testing.T) {
	for _, tt := range []struct{ subnet, exclude, prefix, problem, want string }{
		{"10.0.0.0/24", "10.0.0.2 10.0.0.3..10.0.0.5,x 10.0.0.6", "", "exclude_ips", "10.0.0.3"},
		{"10.0.0.0/24", "10.0.0.2 20.0.0.0 10.0.0.3 .. 10.0.0.4", "", "20.0.0.0 is not in the subnet", "10.0.0.5"},
		{"10.0.0.0/24", "10.0.0.2..", "", "has no end", "10.0.0.2"},
		{"10.0.0.0/255.255.255.0", "", "", "", "10.0.0.2"},
		{"10.0.0.77/24", "", "", "", "10.0.0.2"},
		{"10.0.0.0/255.0.255.0", "", "", "other_config:subnet", ""},
		{"10.0.0.0", "", "", "other_config:subnet", ""},
		{"10.0.0.0/32", "", "", "other_config:subnet", ""},
		{"10.0.0.0/31", "", "", "no free address", ""},
		{"10.0.0.0/30", "", "", "", "10.0.0.2"},
		{"0.0.0.0/0", "0.0.0.0..223.255.255.255", "", "", "224.0.0.0"},
		{"fd00::/64", "", "", "other_config:subnet", ""},
		{"", "", "fd00::/64", "", "fd00::800:ff:fe00:1"},
		{"", "", "fd00::/48", "must have 64 bits", ""},
		{"", "", "nonsense", "no IPv6 prefix", ""},
	} {
		s := newIPAMStory(t, "", "subnet", tt.subnet, "exclude_ips", tt.exclude, "ipv6_prefix", tt.prefix)
		s.set("a", "dynamic")
		_, got, _ := strings.Cut(s.dynamic(t, "a"), " ")
		if got != tt.want {
			t.Errorf("%q without %q, %q: %q, want %q", tt.subnet, tt.exclude, tt.prefix, got, tt.want)
		}
		if tt.problem == "" {
			s.wantProblems()
		} else {
			s.wantProblems(tt.problem)
		}
	}
	s := newIPAMStory(t, "", "subnet", "10.0.0.0/24")
	s.setMACPrefix(t, "nonsense")
	s.wantProblems("mac_prefix")
	s.setMACPrefix(t, "0c:01:02")
	s.wantProblems()
	s.set("a", "dynamic")
	s.want("a: 0c:01:02:00:00:03 10.0.0.2")
}

// The addresses of router ports on the switch are in use, and their peers get
// none.
func TestIPAMRouterPort(t *testing.T) {
	s := newIPAMStory(t, "", "subnet", "10.0.0.0/24")
	lr, lrp := s.schemas.NB.Table("Logical_Router"), s.columns.LRP.Table
	s.set("a", "dynamic")
	s.want("a: 0a:00:00:00:00:03 10.0.0.2")
	var router, rp ovsdb.UUID
	s.nb(t, func(tx *ovsdb.Txn) error {
		rp = tx.Insert(lrp, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "rp", "mac": "0a:00:00:00:00:04", "networks": ovsdb.NewSet("10.0.0.2/24", "10.0.0.3/24")})
		router = tx.Insert(lr, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "r", "ports": ovsdb.NewSet(rp)})
		return tx.Err()
	})
	s.want("a: 0a:00:00:00:00:03 10.0.0.2") // not connected yet
	s.nb(t, func(tx *ovsdb.Txn) error {
		u := tx.Insert(s.columns.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "s-r", "type": "router",
			"addresses": ovsdb.NewSet("dynamic"), "options": ovsdb.MapOf("router-port", "rp")})
		tx.AddToSet(s.columns.LS.Table, s.ls, "ports", u)
		return tx.Err()
	})
	s.want("a: 0a:00:00:00:00:03 10.0.0.4", "s-r:")
	s.set("b", "dynamic")
	s.want("b: 0a:00:00:00:00:06 10.0.0.5")
	s.nb(t, func(tx *ovsdb.Txn) error {
		tx.SetColumn(lrp, rp, "networks", ovsdb.NewSet("10.0.0.1/24"))
		return tx.Err()
	})
	s.set("c", "dynamic")
	s.want("c: 0a:00:00:00:00:05 10.0.0.2") // 04 is the router port's
	s.nb(t, func(tx *ovsdb.Txn) error { tx.Delete(lr, router); return tx.Err() })
	s.want("s-r: 0a:00:00:00:00:04 10.0.0.3") // no peer any more
}

// A restart changes nothing, and of what is in the database everything is known
// again.
func TestIPAMRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	s := newIPAMStory(t, path, "subnet", "10.0.0.0/28", "ipv6_prefix", "fd00::")
	for i := range 20 {
		s.set(fmt.Sprint("vm", i), []ovsdb.Atom{"dynamic", "dynamic 10.0.0.9", "dynamic 10.0.0.4", "50:54:00:00:00:01 dynamic"}[i%4])
	}
	for i := range 6 {
		s.remove(fmt.Sprint("vm", i*3))
	}
	if got, want := s.dump(), s.full(t, path); got != want {
		t.Error(difference(got, want))
	}
}

// One port more asks for addresses: the same queries and about the same time on
// a switch of ten ports and on one of 30,000, and none of the others is looked
// at again.
func TestIPAMCostOfOnePort(t *testing.T) {
	const rounds = 50
	var queries []int
	var took []time.Duration
	for _, size := range []int{10, 30_000} {
		s := newIPAMStory(t, "", "subnet", "10.0.0.0/16", "ipv6_prefix", "fd00::")
		s.nb(t, func(tx *ovsdb.Txn) error {
			refs := make([]ovsdb.Atom, size)
			for i := range refs {
				refs[i] = tx.Insert(s.columns.LSP.Table, ovsdb.UUID{}, port(fmt.Sprint("vm", i), "dynamic"))
			}
			tx.SetColumn(s.columns.LS.Table, s.ls, "ports", ovsdb.NewSet(refs...))
			return tx.Err()
		})
		best := time.Hour
		for i := range rounds {
			start := time.Now()
			s.set(fmt.Sprint("new", i), "dynamic")
			best = min(best, time.Since(start))
			queries = append(queries, s.last.Executed)
		}
		took = append(took, best)
		n := uint32(2 + size + rounds - 1)
		want := fmt.Sprintf("10.0.%d.%d fd00::", n>>8, n&255)
		if got := s.dynamic(t, fmt.Sprint("new", rounds-1)); !strings.Contains(got, want) {
			t.Errorf("the last of %d ports has %q, want %q", size+rounds, got, want)
		}
	}
	t.Logf("%d queries; best of %d: %v with 10 ports, %v with 30,000", queries[0], rounds, took[0], took[1])
	if len(slices.Compact(queries)) != 1 {
		t.Errorf("the queries for one port differ: %v", queries)
	}
	if took[1] > 5*took[0]+2*time.Millisecond {
		t.Errorf("a port takes %v with 10 ports, and %v with 30,000", took[0], took[1])
	}
}
