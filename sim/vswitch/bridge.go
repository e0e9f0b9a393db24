package vswitch

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"govn/pkg/geneve"
	"govn/pkg/openflow"
)

// Options configures NewBridge.
type Options struct {
	Name       string           // of the bridge, br-int; required
	DatapathID uint64           // in the features reply; optional
	Now        func() time.Time // optional, time.Now
	// Emit takes what goes out because a controller says so (packet-out, resume,
	// a meter or timer of the switch), where Process is not there to return it.
	// It is called without locks held and must not block. tr is what happened to
	// the packet; nil unless TraceEmitted. Optional: such packets are lost.
	Emit         func(out []Output, tr *Trace)
	TraceEmitted bool
	Logger       *slog.Logger // optional
}

// Bridge is a switch.
type Bridge struct {
	opts Options
}

// NewBridge makes a switch without ports and flows.
func NewBridge(o Options) *Bridge { return &Bridge{opts: o} }

// Name is Options.Name.
func (b *Bridge) Name() string { return b.opts.Name }

// SetPort adds a port or replaces the one of its number, and tells the
// controllers.
func (b *Bridge) SetPort(Port) {}

// DelPort takes a port away and tells the controllers; one that is not there is
// no error.
func (b *Bridge) DelPort(uint32) {}

// Ports returns the ports by number.
func (b *Bridge) Ports() []Port { return nil }

// Tunnel is the metadata of a packet in a Geneve tunnel: what stands in its
// outer headers.
type Tunnel struct {
	VNI      uint32
	Src, Dst netip.Addr // endpoints
	Options  []geneve.Option
}

// Packet is a packet that comes in.
type Packet struct {
	InPort uint32
	Data   []byte  // an Ethernet frame; not changed
	Tunnel *Tunnel // of a packet from a tunnel port, otherwise nil
}

// Output is a packet that goes out.
type Output struct {
	Bridge *Bridge // whose port it is: another one than Process's behind a patch port
	Port   uint32
	Data   []byte
	Tunnel *Tunnel // to encapsulate it with; of a tunnel port, otherwise nil
}

// Process takes a packet through the flow tables and returns what goes out, in
// order. Counters go up, packets for controllers are sent to them. tr, unless
// nil, gets what happened. Patch ports do not show: the outputs are those of
// the bridge behind.
func (b *Bridge) Process(p Packet, tr *Trace) []Output { return nil }

// Trace is what happened to a packet.
type Trace struct {
	Bridge string
	Steps  []Step
}

// Step is one thing that happened: a lookup, with the actions of the flow as
// Sub; an action, with what it led to as Sub; a remark.
type Step struct {
	Lookup bool           // a table was looked up
	Table  uint8          // of Lookup
	Flow   *openflow.Flow // of Lookup: the flow that matched, nil: none
	Action string         // as ovs-ofctl prints it, "" for lookups and remarks
	Note   string         // a remark: "no such port", "meter dropped the packet"
	Sub    []Step
}

// String prints the trace in the manner of ofproto/trace.
func (t *Trace) String() string { return t.Bridge }

// Serve speaks OpenFlow on one connection until it ends or ctx does, and
// closes it. It returns nil when ctx ended or the peer closed the connection.
func (b *Bridge) Serve(ctx context.Context, c net.Conn) error {
	return errors.Join(ctx.Err(), c.Close())
}

// Expire removes the flows whose time is over and tells the controllers that
// want to know. Call it about once a second.
func (b *Bridge) Expire() {}

// Flows returns all flows with their counters, by table, priority (highest
// first) and match.
func (b *Bridge) Flows() []openflow.FlowStats { return nil }

// Groups returns all groups by id.
func (b *Bridge) Groups() []openflow.GroupDesc { return nil }

// DumpFlows prints a line per flow as ovs-ofctl -O OpenFlow15 --no-stats
// dump-flows does, in the order of Flows.
func (b *Bridge) DumpFlows() string { return "" }
