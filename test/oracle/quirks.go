package oracle

import (
	"slices"

	"govn/sim/lab"
)

// Role says what an engine is, for the quirks that are known of it.
type Role uint8

const (
	// RoleGovn is ofproto/trace on govn's flows: it has no excuses.
	RoleGovn Role = iota
	// RoleStock is ofproto/trace on the flows of stock OVN.
	RoleStock
	// RoleOVNTrace is stock ovn-trace.
	RoleOVNTrace
	// RoleSimulator is packets through govn's flows in the simulator.
	RoleSimulator
)

// Quirk is a defect of a program that the oracle uses as a judge: it does not
// judge microflows that the defect touches. The others still do.
type Quirk struct {
	Name string // the defect
	Role Role   // who has it
	hits func(m *Microflow, security []endpoint) bool
}

// Quirks are those of OVN 23.03, and one of real packets.
var Quirks = []Quirk{
	{
		// controller/lflow.c writes 225 where RFC 4861 (and the text of
		// ovn-sb(5)) has 255. So a solicitation passes whatever address it
		// claims, and no advertisement passes.
		Name: "stock port security compares the hop limit of ND with 225",
		Role: RoleStock,
		hits: func(m *Microflow, security []endpoint) bool { return len(security) > 0 && m.isND() },
	},
	{
		// ovn-trace checks addresses only against entries of the packet's own
		// family, and passes what no such entry speaks of; the flows drop it.
		Name: "ovn-trace does not check port security of another family than the packet's",
		Role: RoleOVNTrace,
		hits: func(m *Microflow, security []endpoint) bool {
			for _, e := range security {
				if len(e.ip4)+len(e.ip6) == 0 || e.mac != m.Packet["eth.src"] {
					continue
				}
				switch m.Packet["eth.type"] {
				case "0x0800", "0x0806":
					if len(e.ip4) == 0 {
						return true
					}
				case "0x86dd":
					if len(e.ip6) == 0 {
						return true
					}
				default:
					return true
				}
			}
			return false
		},
	},
	{
		Name: "ovn-trace does not check the link-layer address of ND against entries without IP",
		Role: RoleOVNTrace,
		hits: func(m *Microflow, security []endpoint) bool {
			return m.isND() && slices.ContainsFunc(security, func(e endpoint) bool {
				return len(e.ip4)+len(e.ip6) == 0 && e.mac == m.Packet["eth.src"]
			})
		},
	},
	{
		// DAD and MLD come from ::, which port security allows.
		Name: "ovn-trace drops packets from :: by port security",
		Role: RoleOVNTrace,
		hits: func(m *Microflow, security []endpoint) bool {
			return len(security) > 0 && m.Packet["ip6.src"] == "::"
		},
	},
	{
		// The others trace, and teach no bridge anything: they flood it.
		Name: "a bridge of a physical network drops real packets of a station to itself",
		Role: RoleSimulator,
		hits: func(m *Microflow, _ []endpoint) bool { return m.Packet["eth.src"] == m.Packet["eth.dst"] },
	},
}

func (m *Microflow) isND() bool {
	return m.Packet["icmp6.type"] == "135" || m.Packet["icmp6.type"] == "136"
}

// judge tells which engines judge a microflow.
type judge struct {
	security map[string][]endpoint // of each logical port
	bound    map[string]bool       // logical ports that a workload has
}

func newJudge(cfg *lab.Config) *judge {
	j := &judge{security: map[string][]endpoint{}, bound: map[string]bool{}}
	for _, w := range cfg.Workloads {
		j.bound[w.Port] = true
	}
	for _, sw := range cfg.Topology.Switches {
		for _, p := range sw.Ports {
			if p.Parent != "" && j.bound[p.Parent] {
				j.bound[p.Name] = true
			}
			for _, text := range p.PortSecurity {
				if e, ok := parseEndpoint(text); ok {
					j.security[p.Name] = append(j.security[p.Name], e)
				}
			}
		}
	}
	return j
}

// excuse is the quirk by which an engine of that role does not judge a
// microflow, "" if it does.
func (j *judge) excuse(role Role, m *Microflow) string {
	i := slices.IndexFunc(Quirks, func(q Quirk) bool { return q.Role == role && q.hits(m, j.security[m.Inport]) })
	if i < 0 {
		return ""
	}
	return Quirks[i].Name
}

// placed leaves out the outputs to ports that are on no chassis: ovn-trace does
// not look where ports are.
func (j *judge) placed(v Verdict) Verdict {
	return slices.DeleteFunc(v, func(o Output) bool { return o.Port != "" && !j.bound[o.Port] })
}
