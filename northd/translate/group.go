package translate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

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

// WithFields says what the choices among alternatives depend on (ovn-nb(5),
// Logical_Router_Static_Route, selection_fields); none: Open vSwitch chooses.
func WithFields(names []string) Option { return func(c *compiler) { c.fields = names } }

// ErrNoGroup is returned, wrapped, for an action that needs an allocated group
// where none is given.
var ErrNoGroup = errors.New("no OpenFlow group is allocated")

// methodDPHash lets Open vSwitch spread packets by a hash of the datapath's
// choice, once for each bucket in a cache of its own (ovs-ofctl(8)).
const methodDPHash = "dp_hash"

// methodHash spreads packets by a hash of fields that are named.
const methodHash = "hash"

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

// selectFields are the fields that a choice may depend on, by their names in
// selection_fields. The place is the bit that stands for the field in the id of
// a group.
var selectFields = []struct {
	name   string
	fields []string // of OpenFlow
}{
	{"eth_src", []string{"eth_src"}},
	{"eth_dst", []string{"eth_dst"}},
	{"ip_proto", []string{"nw_proto"}},
	{"ip_src", []string{"ip_src"}},
	{"ip_dst", []string{"ip_dst"}},
	{"ipv6_src", []string{"ipv6_src"}},
	{"ipv6_dst", []string{"ipv6_dst"}},
	{"tp_src", []string{"tcp_src", "udp_src", "sctp_src"}},
	{"tp_dst", []string{"tcp_dst", "udp_dst", "sctp_dst"}},
}

// Bits of the id of a group that a choice among alternatives makes. It says all
// that the group does, so that whoever chooses among as many in the same table
// shares it, and nobody has to number it:
//
//	 1 0 | next table (6) | fields (9)  | alternatives (15)
//	31 30 29            24 23         15 14              0
const (
	selectTableShift = 24
	selectFieldShift = 15
	maxAlternatives  = 1<<selectFieldShift - 1
	selectWeight     = 100
)

// choose loads one of the numbers 1 to n into a field and goes on in the next
// table.
func (c *compiler) choose(a *logical.Options) error {
	dst, err := subfield(a.Result)
	if err != nil {
		return err
	}
	if dst != openflow.Bits(openflow.FieldReg(selectReg), 16, 31) {
		return fmt.Errorf("the result of %q has to be reg%d[16..31]", a.Func, selectReg)
	}
	if len(a.Options) > maxAlternatives {
		return fmt.Errorf("%d alternatives", len(a.Options))
	}
	next := base(c.stage.Direction) + c.stage.Table + 1
	id := uint32(abi.MinSelectGroup) | uint32(next)<<selectTableShift | uint32(len(a.Options))
	g := &proto.Group{Type: proto.Group_TYPE_SELECT, SelectionMethod: methodDPHash}
	for bit, f := range selectFields {
		if slices.Contains(c.fields, f.name) {
			id |= 1 << (selectFieldShift + bit)
			g.SelectionMethod, g.Fields = methodHash, append(g.Fields, f.fields...)
		}
	}
	for i, o := range a.Options {
		if o.Name != strconv.Itoa(i+1) || len(o.Values) > 0 {
			return fmt.Errorf("%q chooses among 1, 2, ... without weights only", a.Func)
		}
		g.Buckets = append(g.Buckets, &proto.Bucket{Id: uint32(i), Weight: selectWeight, Actions: openflow.EncodeActions([]openflow.Action{
			openflow.SetBits(openflow.FieldReg(selectReg), 16, 31, uint64(i+1)), resubmit(next)})})
	}
	c.use(id, g)
	return nil
}

// selectReg is the register whose upper half the alternatives are in.
const selectReg = 8
