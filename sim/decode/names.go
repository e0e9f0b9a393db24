package decode

import (
	"maps"
	"net/netip"

	"govn/pkg/geneve"
)

// Zone is what a southbound database says about tunnels: whose they are and
// what the keys in them stand for.
type Zone struct {
	Name      string                   // where several zones are known
	Chassis   map[netip.Addr]string    // tunnel endpoint to chassis
	Datapaths map[geneve.VNI]*Datapath // tunnel key to logical datapath
}

// Datapath is a logical switch or router.
type Datapath struct {
	Name   string
	Kind   string            // "switch" or "router"
	Ports  map[uint16]string // tunnel key to logical port
	Groups map[uint16]string // tunnel key to multicast group
}

// Names gives the zones as they are now.
type Names interface{ Zones() []*Zone }

// Zones is a fixed list of zones.
type Zones []*Zone

// Zones returns the list.
func (z Zones) Zones() []*Zone { return z }

// same tells whether the datapaths of two zones with the same key are one, a
// transit switch.
func (d *Datapath) same(o *Datapath) bool {
	return d != nil && o != nil && d.Name == o.Name && d.Kind == o.Kind && maps.Equal(d.Ports, o.Ports)
}

// meaning is what zones say about a header between two tunnel endpoints.
type meaning struct {
	zone     *Zone // nil: nothing is known
	datapath *Datapath
	from, to string // chassis
	note     string // why there are no names where some were to be expected
}

// lookup finds the zone that both endpoints belong to. The same VNI in two
// zones is two networks; only the endpoints tell them apart.
func lookup(names Names, src, dst netip.Addr, vni geneve.VNI) (m meaning) {
	if names == nil {
		return m
	}
	for _, z := range names.Zones() {
		from, knownSrc := z.Chassis[src]
		to, knownDst := z.Chassis[dst]
		switch {
		case knownSrc && knownDst && m.zone != nil && m.datapath.same(z.Datapaths[vni]):
			// A transit switch, between gateways that both zones know.
		case knownSrc && knownDst && m.zone != nil:
			return meaning{note: "two zones have chassis with these addresses, so the keys have no names"}
		case knownSrc && knownDst:
			m = meaning{zone: z, datapath: z.Datapaths[vni], from: from, to: to}
		case m.zone != nil:
		case knownSrc:
			m.note = dst.String() + " is no tunnel endpoint of a chassis"
		case knownDst:
			m.note = src.String() + " is no tunnel endpoint of a chassis: a chassis takes nothing from it"
		}
	}
	if m.zone != nil {
		m.note = ""
		if m.datapath == nil {
			m.note = "no datapath has the tunnel key " + vni.String()[len("vni "):]
		}
	}
	return m
}
