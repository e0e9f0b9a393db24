package controller

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"govn/controller/physical"
	"govn/controller/punt"
	"govn/proto"
	"govn/proto/state"
)

// nextPulse is when the next BFD packet goes, or the next session is lost. What
// that takes is done without a round.
func (c *controller) nextPulse() time.Duration {
	if next := c.bfd.Next(); !next.IsZero() {
		return max(0, time.Until(next))
	}
	return time.Hour
}

// followBFD makes the sessions those that the units say.
func (c *controller) followBFD(sessions map[physical.BFDID]*proto.BfdSession) {
	for id, want := range sessions {
		key := punt.BFDKey{Datapath: id.Port.Datapath, Port: id.Port.Port, Peer: id.Peer}
		where := fmt.Sprintf("%d %s", proto.Kind_KIND_BFD, state.BFDKey(key.Datapath, key.Port, key.Peer))
		delete(c.badItems, where)
		if err := c.bfd.Set(time.Now(), key, want); err != nil {
			c.m.refused.Inc()
			c.log.Error("BFD session cannot run", "session", key.String(), "err", err)
			c.badItems[where] = &proto.Failure{Kind: uint32(proto.Kind_KIND_BFD), Key: []byte(state.BFDKey(key.Datapath, key.Port, key.Peer)), Error: err.Error()}
		}
	}
}

// bfdChanged hears that the state of a session is known, or changed.
func (c *controller) bfdChanged(key punt.BFDKey, s *proto.BfdStatus) {
	c.log.Info("BFD session", "port", c.host.Port(physical.PortID{Datapath: key.Datapath, Port: key.Port}).GetName(), "peer", key.Peer, "state", s.State)
	c.m.bfdChanges.WithLabelValues(s.State).Inc()
	c.countBFD()
	if c.greeted {
		c.st.sendReport(&proto.Report{Bfd: []*proto.BfdStatus{s}})
	}
}

func (c *controller) countBFD() {
	up, all := c.bfd.Len()
	c.m.bfdSessionsUp.Set(float64(up))
	c.m.bfdSessions.Set(float64(all))
}

// mergeBFD is the states of a, and those of b, which are later.
func mergeBFD(a, b []*proto.BfdStatus) []*proto.BfdStatus {
	key := func(s *proto.BfdStatus) string {
		peer, _ := netip.AddrFromSlice(s.Peer)
		return state.BFDKey(s.Datapath, s.Port, peer)
	}
	out := slices.Clone(a)
	for _, s := range b {
		if i := slices.IndexFunc(out, func(o *proto.BfdStatus) bool { return key(o) == key(s) }); i >= 0 {
			out[i] = s
		} else {
			out = append(out, s)
		}
	}
	return out
}

// showBFD prints the sessions, as ovs-appctl bfd/show does for tunnels.
func (c *controller) showBFD(b *strings.Builder, _ []string) {
	now := time.Now()
	for _, s := range c.bfd.Report() {
		fmt.Fprintf(b, "---- %s %s -> %s ----\n", c.host.Port(physical.PortID{Datapath: s.Key.Datapath, Port: s.Key.Port}).GetName(), s.Source, s.Key.Peer)
		local := s.State.String()
		if s.Resuming {
			local = "not known yet"
		}
		fmt.Fprintf(b, "\tState: %s for %v, %q\n\tRemote state: %v, %q\n", local, now.Sub(s.Since).Round(time.Millisecond), s.Diag.String(), s.RemoteState, s.RemoteDiag.String())
		fmt.Fprintf(b, "\tDiscriminators: %#x, remote %#x\n\tTransmit interval: %v, detection time: %v\n", s.Discr, s.RemoteDiscr, s.Tx, s.Detection)
		heard := "never"
		if !s.Heard.IsZero() {
			heard = now.Sub(s.Heard).Round(time.Millisecond).String() + " ago"
		}
		fmt.Fprintf(b, "\tPackets: %d sent, %d received, the last %s; up or down %d times\n", s.Sent, s.Received, heard, s.Flaps)
	}
}
