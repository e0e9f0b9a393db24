package controller

import "govn/proto"

// neighbourKey names a neighbour in a report.
type neighbourKey struct {
	datapath, port uint32
	ip             string
}

// mergeNeighbours adds what two reports, b the later one, say of neighbours and
// of what is used. Of each entry the last word counts.
func mergeNeighbours(out, a, b *proto.Report) {
	put, gone, seen := map[neighbourKey]*proto.Neighbour{}, map[neighbourKey]*proto.Neighbour{}, map[neighbourKey]*proto.Neighbour{}
	type at struct {
		datapath uint32
		mac      uint64
	}
	fdb := map[at]*proto.FdbEntry{}
	for _, r := range []*proto.Report{a, b} {
		for _, n := range r.NeighboursGone {
			k := neighbourKey{n.Datapath, n.Port, string(n.Ip)}
			delete(put, k)
			gone[k] = n
		}
		for _, n := range r.NeighboursPut {
			k := neighbourKey{n.Datapath, n.Port, string(n.Ip)}
			delete(gone, k)
			put[k] = n
		}
		for _, n := range r.NeighboursSeen {
			seen[neighbourKey{n.Datapath, n.Port, string(n.Ip)}] = n
		}
		for _, e := range r.FdbSeen {
			fdb[at{e.Datapath, e.Mac}] = e
		}
	}
	for _, n := range put {
		out.NeighboursPut = append(out.NeighboursPut, n)
	}
	for _, n := range gone {
		out.NeighboursGone = append(out.NeighboursGone, n)
	}
	for _, n := range seen {
		out.NeighboursSeen = append(out.NeighboursSeen, n)
	}
	for _, e := range fdb {
		out.FdbSeen = append(out.FdbSeen, e)
	}
}
