package controller

import (
	"cmp"
	"maps"
	"slices"

	pb "google.golang.org/protobuf/proto"

	"govn/controller/physical"
	"govn/proto"
)

// claimed are the ports without an interface that this chassis says it hosts.
type claimed map[physical.PortID]*proto.Claim

// hosts says that this chassis hosts a port, or (nil) no more, and tells northd
// where that is news.
func (c *controller) hosts(id physical.PortID, claim *proto.Claim) {
	had := c.claimed[id]
	r := &proto.Report{}
	switch {
	case claim == nil && had == nil, claim != nil && had != nil && pb.Equal(claim, had):
		return
	case claim == nil:
		delete(c.claimed, id)
		r.ClaimsGone = []*proto.Claim{had}
	default:
		c.claimed[id] = claim
		r.ClaimsPut = []*proto.Claim{claim}
	}
	if c.greeted {
		c.st.sendReport(r)
	}
}

// all are the claims in order, for Hello.
func (c claimed) all() []*proto.Claim {
	return slices.SortedFunc(maps.Values(c), func(a, b *proto.Claim) int {
		return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Port, b.Port))
	})
}

// mergeClaims adds the claims of b, which is later, to those of out, which are
// those of a before.
func mergeClaims(out, a, b *proto.Report) {
	put, gone := claimed{}, claimed{}
	for _, r := range []*proto.Report{a, b} {
		for _, one := range r.ClaimsGone {
			id := physical.PortID{Datapath: one.Datapath, Port: one.Port}
			delete(put, id)
			gone[id] = one
		}
		for _, one := range r.ClaimsPut {
			id := physical.PortID{Datapath: one.Datapath, Port: one.Port}
			delete(gone, id)
			put[id] = one
		}
	}
	out.ClaimsPut, out.ClaimsGone = put.all(), gone.all()
}
