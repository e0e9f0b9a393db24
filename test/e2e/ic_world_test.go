//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

const interconnect = "../../docs/examples/interconnect.yaml"

// linked is the lab of the walk-through: zones east and west, whose routers reach
// each other by ts1.
type linked struct {
	*lab.Lab
	t     *testing.T
	plan  linkPlan
	zones []*linkedZone
}

// linkedZone is a zone of it.
type linkedZone struct {
	*lab.Central
	l      *lab.Lab
	name   string
	number int
}

// linkPlan says who does what.
type linkPlan struct {
	server lab.Control // stock: two ovsdb-servers; govn: govn ic server
	join   lab.Join    // of agents of govn; "": by the databases
	zones  []zonePlan  // east, west
}

// zonePlan is a zone, and what joins it.
type zonePlan struct{ control, agent lab.Control }

func (p linkPlan) String() string {
	s := string(p.server) + "-server"
	for i, z := range p.zones {
		s += fmt.Sprintf("_%s-%s-by-%s", []string{"east", "west"}[i], z.control, z.agent)
	}
	if p.join != "" {
		s += "_" + string(p.join)
	}
	return s
}

// allOf is a plan with nothing but one system.
func allOf(c lab.Control) linkPlan {
	return linkPlan{server: c, zones: []zonePlan{{c, c}, {c, c}}}
}

// link brings an interconnection up.
func link(t *testing.T, plan linkPlan) *linked {
	t.Helper()
	return linkZones(t, plan, load(t, interconnect))
}

// linkZones is link for a lab file that may have more zones than the plan says.
func linkZones(t *testing.T, plan linkPlan, cfg *lab.Config) *linked {
	t.Helper()
	cfg.IC.Server = plan.server
	cfg.IC.Join = lab.JoinOVSDB
	if plan.join != "" {
		cfg.IC.Join = plan.join
	}
	for i, p := range plan.zones {
		cfg.Zones[i].Control, cfg.Zones[i].Agent = p.control, p.agent
	}
	w := &linked{Lab: up(t, cfg, ""), t: t, plan: plan}
	for i, c := range w.Centrals() {
		w.zones = append(w.zones, &linkedZone{c, w.Lab, c.Zone().Name, i + 1})
	}
	for i, z := range w.zones[:2] {
		must(t)(z.Nbctl(t.Context(), "--wait=hv", "sync"))
		// The first packets find the tunnels' endpoints, as always.
		w.reaches(i, w.zones[1-i].vmAddr())
	}
	return w
}

// learns waits until the router of a zone has a route, and returns how long it took.
func (w *linked) learns(i int, prefix string, limit time.Duration) time.Duration {
	w.t.Helper()
	return eventually(w.t, limit, w.zones[i].name+" learns "+prefix, func() (bool, string) {
		out := w.routes(i)
		return strings.Contains(out, prefix), out
	})
}

// unlearns waits until the router of a zone has a route no longer.
func (w *linked) unlearns(i int, prefix string, limit time.Duration) time.Duration {
	w.t.Helper()
	return eventually(w.t, limit, w.zones[i].name+" unlearns "+prefix, func() (bool, string) {
		out := w.routes(i)
		return !strings.Contains(out, prefix), out
	})
}

// routes are those of a zone's router.
func (w *linked) routes(i int) string {
	w.t.Helper()
	return w.nb(i, "lr-route-list", w.zones[i].router())
}

// reaches waits until a zone's workload gets an answer from an address.
func (w *linked) reaches(i int, addr string) {
	w.t.Helper()
	eventually(w.t, 20*time.Second, w.zones[i].name+" reaches "+addr, func() (bool, string) {
		out, err := w.Exec(w.t.Context(), w.zones[i].vm(), "ping", "-c", "1", "-W", "1", addr)
		return err == nil, out
	})
}

// nb runs ovn-nbctl on a zone.
func (w *linked) nb(i int, args ...string) string {
	w.t.Helper()
	return must(w.t)(w.zones[i].Nbctl(w.t.Context(), args...))
}

func (w *linked) icNbctl(args ...string) string {
	w.t.Helper()
	return must(w.t)(w.ICNbctl(w.t.Context(), args...))
}

func (w *linked) icSbctl(args ...string) string {
	w.t.Helper()
	return must(w.t)(w.ICSbctl(w.t.Context(), args...))
}

func (z *linkedZone) vm() string     { return fmt.Sprintf("vm%d", z.number) }
func (z *linkedZone) vmAddr() string { return fmt.Sprintf("192.168.%d.10", z.number) }
func (z *linkedZone) net() string    { return fmt.Sprintf("192.168.%d.0/24", z.number) }
func (z *linkedZone) router() string { return "router_" + z.name }
func (z *linkedZone) onTS() string   { return "ts1-router_" + z.name } // the port on ts1
