package oracle

import (
	"slices"

	"govn/sim/lab"
)

// Whole is a lab of several zones as if its topology were one, for [Generate] and
// [Compare]: the switches of all zones, and their commands with those for the
// transit switches.
func Whole(cfg *lab.Config) *lab.Config {
	whole := *cfg
	whole.Topology = lab.Topology{}
	for _, z := range cfg.AllZones() {
		whole.Topology.Switches = append(whole.Topology.Switches, z.Topology.Switches...)
		whole.Topology.Nbctl = append(whole.Topology.Nbctl, z.Topology.Nbctl...)
		for _, t := range z.Transit {
			whole.Topology.Nbctl = append(whole.Topology.Nbctl, t.Nbctl...)
		}
	}
	whole.Zones = nil
	return &whole
}

// Crossed counts the microflows that enter in one zone and leave at a port of
// another, by the first engine.
func Crossed(cfg *lab.Config, flows []Microflow, r *Report) (n int) {
	zoneOf := make(map[string]string)
	for _, z := range cfg.AllZones() {
		for _, sw := range z.Topology.Switches {
			for _, p := range sw.Ports {
				zoneOf[p.Name] = z.Name
			}
		}
	}
	for i := range flows {
		crosses := func(o Output) bool { return o.Port != "" && zoneOf[o.Port] != zoneOf[flows[i].Inport] }
		if slices.ContainsFunc(r.Answers[0][i].Verdicts, func(v Verdict) bool { return slices.ContainsFunc(v, crosses) }) {
			n++
		}
	}
	return n
}
