package translate

import (
	"errors"

	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
	"govn/proto"
)

// Group is an OpenFlow group that the flows of a body hand packets to. The body
// names it by its id; what it does goes to the chassis beside the body.
type Group struct {
	ID    uint32
	Group *proto.Group // ports to watch are of the datapath of the body's unit
}

// Option changes how flows are compiled.
type Option func(*compiler)

// WithGroup gives the id for the group of the one flow that needs an allocated
// one: fwd_group.
func WithGroup(id uint32) Option { return func(c *compiler) { c.group = id } }

// ErrNoGroup is returned, wrapped, for an action that needs an allocated group
// where none is given.
var ErrNoGroup = errors.New("no OpenFlow group is allocated")

// methodDPHash lets Open vSwitch spread packets by a hash of the datapath's
// choice, once for each bucket in a cache of its own (ovs-ofctl(8)).
const methodDPHash = "dp_hash"

// forward outputs to one of several ports, chosen by a hash of the packet: to
// one that can be reached where the action asks for liveness.
func (c *compiler) forward(a *logical.Options) error {
	if c.group == 0 {
		return ErrNoGroup
	}
	g := &proto.Group{Type: proto.Group_TYPE_SELECT, SelectionMethod: methodDPHash}
	var ports []logical.Constant
	watch := false
	for _, o := range a.Options {
		switch o.Name {
		case "liveness":
			watch = len(o.Values) == 1 && o.Values[0].Text == "true"
		case "childports":
			ports = o.Values
		}
	}
	for i := range ports {
		key, err := c.keys.key(ports[i].Text)
		if err != nil {
			return err
		}
		b := &proto.Bucket{Id: uint32(i), Weight: 1, Actions: openflow.EncodeActions([]openflow.Action{
			openflow.SetUint(openflow.FieldReg(abi.RegOutport), uint64(key)), resubmit(abi.TableRemoteOutput)})}
		if watch {
			b.WatchPort = key
		}
		g.Buckets = append(g.Buckets, b)
	}
	c.use(c.group, g)
	return nil
}

// use hands the packet to a group.
func (c *compiler) use(id uint32, g *proto.Group) {
	c.groups = append(c.groups, Group{ID: id, Group: g})
	c.add(openflow.Group{ID: id})
}
