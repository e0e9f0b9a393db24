package vswitch

import (
	"cmp"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"govn/pkg/geneve"
	"govn/pkg/openflow"
	"govn/sim/vswitch/classifier"
	"govn/sim/vswitch/conntrack"
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
	// Conntrack is shared by the bridges of one host, as its datapath is;
	// optional, one of its own.
	Conntrack *conntrack.Table
}

// lastTable is the highest table that controllers use; the one above is Open
// vSwitch's own.
const lastTable = 253

// Bridge is a switch.
type Bridge struct {
	opts Options
	log  *slog.Logger
	ct   *conntrack.Table

	mu         sync.Mutex
	ports      map[uint16]*Port
	tables     [lastTable + 1]classifier.Table[*flow]
	groups     map[uint32]*group
	meters     map[uint32]*meter
	tlv        map[uint16]openflow.TLVMap // by index
	byTLV      map[optionKey]int          // to index
	conns      map[*conn]struct{}
	elected    bool // a primary controller has been chosen, in generation
	generation uint64
	stations   map[station]sighting
}

type optionKey struct {
	class uint16
	typ   uint8
}

// NewBridge makes a switch without ports and flows.
func NewBridge(o Options) *Bridge {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Conntrack == nil {
		o.Conntrack = conntrack.NewTable()
	}
	return &Bridge{
		opts: o, log: o.Logger.With("bridge", o.Name), ct: o.Conntrack,
		ports: map[uint16]*Port{}, groups: map[uint32]*group{}, meters: map[uint32]*meter{},
		tlv: map[uint16]openflow.TLVMap{}, byTLV: map[optionKey]int{},
		conns: map[*conn]struct{}{}, stations: map[station]sighting{},
	}
}

// Name is Options.Name.
func (b *Bridge) Name() string { return b.opts.Name }

// SetPort adds a port or replaces the one of its number, and tells the
// controllers. A number that no port can have is ignored.
func (b *Bridge) SetPort(p Port) {
	n, ok := portNumber(p.Number)
	if !ok {
		b.log.Warn("no such port number", "port", p.Name, "number", p.Number)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	reason := uint8(openflow.PortModified)
	if b.ports[n] == nil {
		reason = openflow.PortAdded
	}
	b.ports[n] = &p
	b.tellPort(reason, &p)
}

// DelPort takes a port away and tells the controllers; one that is not there is
// no error.
func (b *Bridge) DelPort(number uint32) {
	n, ok := portNumber(number)
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.ports[n]
	if !ok || p == nil {
		return
	}
	delete(b.ports, n)
	maps.DeleteFunc(b.stations, func(_ station, s sighting) bool { return s.port == n })
	b.tellPort(openflow.PortDeleted, p)
}

// Ports returns the ports by number.
func (b *Bridge) Ports() []Port {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Port
	for _, n := range slices.Sorted(maps.Keys(b.ports)) {
		list = append(list, *b.ports[n])
	}
	return list
}

// FindTunnel finds the tunnel port that receives packets from remote to local,
// as Open vSwitch does: one with both endpoints first, then one with the remote
// endpoint only, then one that takes all.
func (b *Bridge) FindTunnel(local, remote netip.Addr) (number uint32, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	best := -1
	for _, p := range b.ports {
		if p.Type != PortGeneve || p.LocalIP.IsValid() && p.LocalIP != local || p.RemoteIP.IsValid() && p.RemoteIP != remote {
			continue
		}
		score := 0
		if p.RemoteIP.IsValid() {
			score += 2
		}
		if p.LocalIP.IsValid() {
			score++
		}
		if score > best || score == best && p.Number < number {
			best, number = score, p.Number
		}
	}
	return number, best >= 0
}

// Tunnel is the metadata of a packet in a Geneve tunnel: what stands in its
// outer headers.
type Tunnel struct {
	VNI      uint32
	Src, Dst netip.Addr // endpoints; Src invalid: whatever address routing chooses
	Options  []geneve.Option
}

// Packet is a packet that comes in.
type Packet struct {
	InPort uint32
	Data   []byte  // an Ethernet frame; not changed
	Tunnel *Tunnel // of a packet from a tunnel port, otherwise nil

	mark uint32 // pkt_mark of a packet from a patch port
}

// Output is a packet that goes out.
type Output struct {
	Bridge *Bridge // whose port it is: another one than Process's behind a patch port
	Port   uint32
	Data   []byte
	Tunnel *Tunnel // to encapsulate it with; of a tunnel port, otherwise nil
}

// Flows returns all flows with their counters, by table, priority (highest
// first) and match.
func (b *Bridge) Flows() []openflow.FlowStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.opts.Now()
	var list []openflow.FlowStats
	for i := range b.tables {
		start := len(list)
		for r := range b.tables[i].All() {
			list = append(list, r.Value.stats(now))
		}
		slices.SortFunc(list[start:], func(a, b openflow.FlowStats) int {
			return cmp.Or(-cmp.Compare(a.Priority, b.Priority), strings.Compare(string(a.Match), string(b.Match)))
		})
	}
	return list
}

// FlowCount is the number of flows.
func (b *Bridge) FlowCount() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.tables {
		n += b.tables[i].Len()
	}
	return n
}

// DumpFlows prints a line per flow as ovs-ofctl -O OpenFlow15 dump-flows does,
// but without durations and counters, in the order of Flows.
func (b *Bridge) DumpFlows() string {
	var s strings.Builder
	for _, f := range b.Flows() {
		s.WriteString(f.Flow.String())
		s.WriteByte('\n')
	}
	return s.String()
}

// Groups returns all groups by id.
func (b *Bridge) Groups() []openflow.GroupDesc {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.groupList()
}

func (b *Bridge) groupList() []openflow.GroupDesc {
	var list []openflow.GroupDesc
	for _, id := range slices.Sorted(maps.Keys(b.groups)) {
		list = append(list, b.groups[id].desc)
	}
	return list
}
