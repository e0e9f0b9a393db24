package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// OfPolicy is what a policy of a router does after routing: it lets go, drops, or
// puts another next hop, one of several where there are several (ovn-northd(8),
// "Ingress Table 15: Policy" and "Ingress Table 16: ECMP handling for router
// policies"). The match is the user's.
func OfPolicy(p *topology.Policy, match logical.Match) ([]Flow, error) {
	return Collect(func(f *Flows) {
		mark := logical.Int("mark", uint64(p.Mark))
		marks := 0
		if p.Mark != 0 {
			marks = 1
		}
		switch {
		case p.Action == topology.ActionDrop:
			f.AddMatch(LRInPolicy, p.Priority, match, drop)
		case p.Action == topology.ActionAllow:
			f.AddMatch(LRInPolicy, p.Priority, match, allowPolicy[marks], mark)
		case len(p.Hops) == 0: // all of its sessions are down: as if it were not there
		case len(p.Hops) == 1:
			h := &p.Hops[0]
			f.AddMatch(LRInPolicy, p.Priority, match, reroute[version(h)][marks], append(hopArgs(h), mark)...)
		default:
			spread, err := spread(&spreadPolicy, len(p.Hops))
			if err != nil {
				f.err = err
				return
			}
			group := logical.Int("group", uint64(p.ID))
			f.AddMatch(LRInPolicy, p.Priority, match, spread, group)
			for i := range p.Hops {
				h := &p.Hops[i]
				f.Add(LRInPolicyECMP, 100, member, rerouteMember[version(h)][marks],
					append(hopArgs(h), mark, group, logical.Int("member", uint64(i)+1))...)
			}
		}
	})
}

// version is 0 for IPv4 and 1 for IPv6.
func version(h *topology.Hop) int {
	if h.Next.Is4() {
		return 0
	}
	return 1
}

// AddMatch is Add for a match that is no template: the user's.
func (f *Flows) AddMatch(s *Stage, priority uint16, m logical.Match, a actionText, args ...logical.Arg) {
	if f.err != nil {
		return
	}
	acts, err := a().BindSome(args...)
	if err != nil {
		f.err = err
		return
	}
	f.list = append(f.list, Flow{Stage: s, Priority: priority, Match: m, Actions: acts})
}

var (
	allowPolicy = [2]actionText{noPolicy, actions("pkt.mark = {mark}; reg8[0..15] = 0; next;")}
	reroute     = [2][2]actionText{
		{actions("reg0 = {hop}; reg1 = " + rerouteTail), actions("pkt.mark = {mark}; reg0 = {hop}; reg1 = " + rerouteTail)},
		{actions("xxreg0 = {hop}; xxreg1 = " + rerouteTail), actions("pkt.mark = {mark}; xxreg0 = {hop}; xxreg1 = " + rerouteTail)},
	}
	rerouteMember = [2][2]actionText{
		{actions("reg0 = {hop}; reg1 = " + memberTail), actions("pkt.mark = {mark}; reg0 = {hop}; reg1 = " + memberTail)},
		{actions("xxreg0 = {hop}; xxreg1 = " + memberTail), actions("pkt.mark = {mark}; xxreg0 = {hop}; xxreg1 = " + memberTail)},
	}
	spreadPolicy = spreadTexts{format: "reg8[0..15] = {group}; reg8[16..31] = select(%s);"}
)

const (
	rerouteTail = hopTail + "flags.loopback = 1; reg8[0..15] = 0; next;"
	memberTail  = hopTail + "flags.loopback = 1; next;"
)
