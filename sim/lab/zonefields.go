package lab

import (
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v3"
)

const icHost = 251 // the last part of the interconnection's management address in a /24

func (d *decoder) zones(c *Config) fieldFunc {
	return func(n *yaml.Node, field string) {
		d.list(n, field, func(n *yaml.Node, field string) {
			var z Zone
			var chassis []Chassis
			d.mapping(n, field, []string{"name", "chassis"}, map[string]fieldFunc{
				"name":       d.name(&z.Name),
				"control":    d.control(&z.Control),
				"agent":      d.control(&z.Agent),
				"management": d.addr(&z.MgmtIP),
				"chassis":    d.chassisList(&chassis),
				"workloads":  d.workloads(&c.Workloads),
				"topology":   func(n *yaml.Node, field string) { d.topology(n, field, &z.Topology) },
				"transit":    d.transit(&z.Transit),
				"learns":     d.prefixes(&z.Learns),
			})
			for i := range chassis {
				chassis[i].Zone = z.Name
			}
			c.Chassis = append(c.Chassis, chassis...)
			c.Zones = append(c.Zones, z)
		})
	}
}

func (d *decoder) transit(dst *[]Transit) fieldFunc {
	return func(n *yaml.Node, field string) {
		d.list(n, field, func(n *yaml.Node, field string) {
			var t Transit
			d.mapping(n, field, []string{"switch"}, map[string]fieldFunc{"switch": d.word(&t.Switch), "nbctl": d.commands(&t.Nbctl)})
			*dst = append(*dst, t)
		})
	}
}

func (d *decoder) prefixes(dst *[]netip.Prefix) fieldFunc {
	return func(n *yaml.Node, field string) {
		d.list(n, field, func(n *yaml.Node, field string) {
			p, ok := d.prefix(n, field)
			if ok && p != p.Masked() {
				d.errorf(n, field, "%v has bits behind its prefix length; %v is meant", p, p.Masked())
			}
			*dst = append(*dst, p)
		})
	}
}

func (d *decoder) interconnection(dst **Interconnection) fieldFunc {
	return func(n *yaml.Node, field string) {
		ic := &Interconnection{Server: ControlGovn, Join: JoinFabric}
		d.mapping(n, field, nil, map[string]fieldFunc{
			"server":     d.control(&ic.Server),
			"management": d.addr(&ic.MgmtIP),
			"nbctl":      d.commands(&ic.Nbctl),
			"join": func(n *yaml.Node, field string) {
				s, ok := d.scalar(n, field)
				if !ok {
					return
				}
				if ic.Join = Join(s); ic.Join != JoinOVSDB && ic.Join != JoinFabric {
					d.errorf(n, field, "%q is neither fabric nor ovsdb", s)
				}
			},
		})
		*dst = ic
	}
}

// commands takes command lines.
func (d *decoder) commands(dst *[]string) fieldFunc {
	return func(n *yaml.Node, field string) {
		d.list(n, field, func(n *yaml.Node, field string) {
			s, ok := d.scalar(n, field)
			if !ok {
				return
			}
			if words, err := SplitWords(s); err != nil {
				d.errorf(n, field, "%v", err)
			} else if len(words) == 0 {
				d.errorf(n, field, "the command is empty")
			}
			*dst = append(*dst, s)
		})
	}
}

// completeZones checks the zones, and gives each control plane its address.
func (d *decoder) completeZones(bad func(string, string, ...any), c *Config, unique func(field, name, what string), used map[netip.Addr]string) {
	for _, field := range []string{"chassis", "workloads", "topology"} {
		if d.lines[field] != nil {
			bad(field, "belongs into one of the zones")
		}
	}
	if len(c.Zones) == 0 {
		bad("zones", "a lab needs at least one")
	}
	mgmt := c.Management.Subnet
	for i := range c.Zones {
		z := &c.Zones[i]
		at := fmt.Sprintf("zones[%d]", i)
		unique(at+".name", z.Name, "a zone")
		if z.Control == "" {
			z.Control = c.Control
		}
		if z.Agent == "" {
			z.Agent = z.Control
		}
		d.place(bad, at+".management", "management", mgmt, &z.MgmtIP, centralHost-i, z.Name, used)
		if len(c.ChassisOf(z.Name)) == 0 {
			bad(at+".chassis", "a zone needs at least one")
		}
		d.checkPorts(bad, at+".topology", &z.Topology)
		if c.IC == nil {
			for _, field := range []string{".agent", ".transit", ".learns"} {
				if d.lines[at+field] != nil {
					bad(at+field, "there is no interconnection: the file has no ic")
				}
			}
		}
	}
	if c.IC != nil {
		unique("ic", icNode, "the interconnection")
		d.place(bad, "ic.management", "management", mgmt, &c.IC.MgmtIP, icHost, icNode, used)
		if c.IC.Server == ControlStock && c.IC.Join == JoinFabric && d.lines["ic.join"] != nil {
			bad("ic.join", "databases of OVN have no service for zones of govn: join is ovsdb")
		}
	}
}
