package vswitch

import (
	"maps"
	"slices"
	"strings"

	"github.com/ovn-org/libovsdb/ovsdb"
)

// patchName is the name of the port on one bridge whose peer is on another one:
// as ovn-controller's, so that what looks for it finds it. One of the two is the
// integration bridge, the other is named by the logical port.
func patchName(from, to string) string { return "patch-" + from + "-to-" + to }

// patches makes the patch ports that are wanted, and removes the others. A pair
// is there where the bridge of the network is: a bridge that is not there, is
// deleted or made anew, is not ours.
//
//	br-int  patch-br-int-to-ln  <---->  patch-ln-to-br-int  br-phys
func (p *planner) patches(br *bridgeRow) {
	want := map[string]bool{} // bridge and port
	for logical, patch := range p.w.Patches.All() {
		other := p.t.bridgeNamed(patch.Bridge)
		if other == nil || other.UUID == br.UUID {
			continue
		}
		in, out := patchName(br.Name, logical), patchName(logical, br.Name)
		want[br.UUID+" "+in], want[other.UUID+" "+out] = true, true
		ids := map[string]string{patch.key(): logical}
		p.keepPatch(br, in, out, ids)
		p.keepPatch(other, out, in, ids)
	}
	for _, b := range slices.SortedFunc(maps.Values(p.t.bridges), func(a, b *bridgeRow) int { return strings.Compare(a.Name, b.Name) }) {
		for _, uuid := range slices.Sorted(slices.Values(b.Ports)) {
			if port := p.t.ports[uuid]; port.patch() && !want[b.UUID+" "+port.Name] {
				p.removePort(b, port)
			}
		}
	}
}

// patch tells whether a port is a patch port that the controller made.
func (p *portRow) patch() bool {
	return p != nil && (p.ExternalIDs[KeyLocalnetPort] != "" || p.ExternalIDs[KeyL2GatewayPort] != "")
}

// keepPatch makes a patch port, or brings the one that is there in line.
func (p *planner) keepPatch(br *bridgeRow, name, peer string, ids map[string]string) {
	var have *portRow
	for _, port := range p.t.ports {
		if port.Name == name {
			have = port
		}
	}
	iface := ovsdb.Row{"type": "patch", "options": stringMap(map[string]string{"peer": peer})}
	if have == nil {
		iface["name"] = name
		uuid := p.insert("Interface", iface)
		port := p.insert("Port", ovsdb.Row{"name": name, "interfaces": uuid, "external_ids": stringMap(ids)})
		p.mutate("Bridge", br.UUID, "ports", ovsdb.MutateOperationInsert, uuidSet(port))
		p.say("create patch port %q on %q", name, br.Name)
		return
	}
	if p.t.bridge[have.UUID] != br.UUID {
		return // ours is removed from the other bridge in this round, and made in the next; another one is in the way
	}
	var gone []string
	for _, key := range []string{KeyLocalnetPort, KeyL2GatewayPort} {
		if _, has := ids[key]; !has {
			gone = append(gone, key)
		}
	}
	p.setKeys("Port", have.UUID, "external_ids", have.ExternalIDs, ids, gone)
	for _, uuid := range have.Interfaces {
		if i := p.t.ifaces[uuid]; i != nil && (i.Type != "patch" || i.Options["peer"] != peer) {
			p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: "Interface", Where: byUUID(uuid), Row: iface})
			p.say("set peer of patch port %q", name)
		}
	}
}
