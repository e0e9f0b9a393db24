package controller

import (
	"errors"
	"fmt"
	"time"

	pb "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/proto"
	"govn/proto/state"
)

// hello answers a new session with the levels as they are now.
func (c *controller) hello(a ask) {
	c.loadCache()
	h := c.identity()
	h.Abi, h.AbiMin = abi.Version, abi.Version
	h.Revision = c.state.Revision()
	digest := c.state.Digest()
	h.Digest = digest[:]
	for _, hash := range c.state.Bodies() {
		h.Bodies = append(h.Bodies, append([]byte(nil), hash[:]...))
	}
	c.reported = c.interfaces()
	clear(c.unreported)
	for _, id := range sortedKeys(c.reported) {
		h.Interfaces = append(h.Interfaces, c.reported[id])
	}
	for mac, port := range c.host.Learned() {
		h.Fdb = append(h.Fdb, &proto.FdbEntry{Datapath: mac.Datapath, Mac: mac.MAC, Port: port})
	}
	h.Bfd = c.bfd.Level()
	h.Claims = c.claimed.all()
	h.Neighbours = c.heardNeighbours()
	c.state.Abort()
	c.st.forget()
	c.accepted, c.greeted, c.lastAck, c.resync = a.session, true, nil, false
	a.answer <- h
}

// identity is who and where this chassis is.
func (c *controller) identity() *proto.Hello {
	h := &proto.Hello{BridgeMappings: map[string]string{}, OtherConfig: map[string]string{}}
	if c.cfg == nil {
		return h
	}
	h.Name, h.Hostname = c.cfg.SystemID, c.cfg.Hostname
	for _, ip := range c.cfg.EncapIPs {
		h.Encaps = append(h.Encaps, &proto.Encap{
			Type: "geneve", Ip: ip.String(), Options: map[string]string{"csum": fmt.Sprint(c.cfg.EncapCsum)},
		})
	}
	for k, v := range c.cfg.BridgeMappings {
		h.BridgeMappings[k] = v
	}
	for k, v := range c.cfg.OtherConfig {
		h.OtherConfig[k] = v
	}
	if c.betweenTold = c.tunnelStates(); c.betweenTold != "" {
		h.OtherConfig[keyTunnels] = c.betweenTold
	}
	return h
}

// heard takes in an event of the stream.
func (c *controller) heard(h heard) {
	if h.session < c.accepted {
		return // said before our last Hello
	}
	switch {
	case h.frame != nil:
		c.frame(h.frame)
	case h.lost != nil:
		c.greeted = false
		c.state.Abort()
		c.log.Warn("connection to northd lost; flows stay", "err", h.lost)
	}
}

// frame takes the next chunk of a frame.
func (c *controller) frame(f *proto.Frame) {
	c.m.frames.Inc()
	delta, complete, err := c.state.Apply(f)
	switch {
	case errors.Is(err, state.ErrDigest):
		c.m.resyncs.Inc()
		c.log.Warn("state differs from northd's; asking for all of it", "revision", f.GetRevision().GetNumber(), "err", err)
		c.resync = true
	case err != nil:
		c.log.Warn("frame refused", "revision", f.GetRevision().GetNumber(), "err", err)
	}
	if err != nil || !complete {
		return
	}
	if c.source != sourceNorthd {
		c.log.Info("first complete state", "revision", f.GetRevision().GetNumber(), "items", c.state.Len())
	}
	c.source, c.resync, c.nbCfg = sourceNorthd, false, c.state.NbCfg()
	c.applyDelta(delta)
	if len(delta) > 0 && c.saveAt.IsZero() {
		c.saveAt = time.Now().Add(saveDelay(time.Duration(c.saveTook.Load())))
	}
	for _, cmd := range f.Commands {
		c.log.Info("command not known to this version", "command", fmt.Sprint(cmd))
	}
}

// applyDelta gives the changed items to the host. Bodies come first in the
// order of kinds, so that a unit finds its body.
func (c *controller) applyDelta(delta []state.Change) {
	for _, ch := range delta {
		err := c.host.Item(ch.Kind, ch.Key, ch.New)
		where := fmt.Sprintf("%d %s", ch.Kind, ch.Key)
		delete(c.badItems, where)
		if ch.Kind == proto.Kind_KIND_BODY && len(ch.Key) == 16 {
			hash := state.Hash([]byte(ch.Key))
			c.unbar(hash)
			if err != nil {
				c.m.refused.Inc()
				c.log.Error("body cannot be used", "body", fmt.Sprintf("%x", hash), "err", err)
				f := &proto.Failure{Body: []byte(ch.Key), Error: err.Error()}
				if b := c.host.Body(hash); b != nil {
					f.Flow = b.Bad
				}
				c.bar(hash, f)
			}
			continue
		}
		if err != nil {
			c.m.refused.Inc()
			c.log.Error("item cannot be used", "kind", ch.Kind.String(), "key", fmt.Sprintf("%x", ch.Key), "err", err)
			c.badItems[where] = &proto.Failure{Kind: uint32(ch.Kind), Key: []byte(ch.Key), Error: err.Error()}
		}
	}
	c.toldOf(delta)
}

// acknowledge tells northd how far this chassis is, where that is new.
func (c *controller) acknowledge(done bool) {
	if c.source != sourceNorthd {
		if c.resync && c.greeted {
			c.say(&proto.Ack{Received: c.state.Revision(), Resync: true})
			c.resync = false
		}
		return
	}
	if done && len(c.waiting) == 0 {
		c.applied = c.state.Revision()
	}
	if !c.greeted {
		return
	}
	c.say(&proto.Ack{Received: c.state.Revision(), Applied: c.applied, Failed: c.failed(), Resync: c.resync})
	c.resync = false
}

// say sends an ack that differs from the last one.
func (c *controller) say(a *proto.Ack) {
	if c.lastAck != nil && !a.Resync && pb.Equal(a, c.lastAck) {
		return
	}
	c.lastAck = pb.CloneOf(a)
	c.lastAck.Resync = false
	a.AppliedAt = time.Now().UnixMilli()
	c.st.sendAck(a)
}
