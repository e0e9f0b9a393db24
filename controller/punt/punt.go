package punt

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// Packet is a packet that a flow sent to the controller.
type Packet struct {
	Userdata []byte
	Data     []byte // the Ethernet frame, or the start of it
	Datapath uint64 // metadata
	Regs     [abi.RegInport]uint32
	Inport   uint32 // reg14
	Outport  uint32 // reg15
	Mark     uint32 // pkt_mark

	// Paused is the message that the packet came with, where its flow waits for
	// it to be resumed; else nil.
	Paused *openflow.PacketIn
}

// FromMessage is the packet in a message of Open vSwitch.
func FromMessage(in *openflow.PacketIn) *Packet {
	p := &Packet{Userdata: in.UserData, Data: in.Packet}
	reg := func(n int) uint32 {
		v, _ := in.Metadata.Uint(openflow.FieldReg(n))
		return uint32(v)
	}
	p.Datapath, _ = in.Metadata.Uint(openflow.FieldMetadata)
	for n := range p.Regs {
		p.Regs[n] = reg(n)
	}
	p.Inport, p.Outport = reg(abi.RegInport), reg(abi.RegOutport)
	mark, _ := in.Metadata.Uint(fieldMark)
	p.Mark = uint32(mark)
	if len(in.Continuation) > 0 {
		p.Paused = in
	}
	return p
}

// Opcode is that of the packet, 0 if it has none.
func (p *Packet) Opcode() uint16 {
	if p == nil || len(p.Userdata) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(p.Userdata)
}

// Handler takes a packet of its opcode, without the opcode in the userdata.
// False: it is malformed.
type Handler func(p *Packet) bool

// Sender sends a frame through actions.
type Sender func(frame []byte, actions []openflow.Action)

// Counters of one opcode.
type Counters struct {
	Taken     uint64 // given to the handler
	Limited   uint64 // over a rate limit
	Full      uint64 // more than the queue to the loop holds
	Malformed uint64 // not understood
}

// Dispatcher gives packets to handlers. Admit, Overflow and Counters may be
// called by any goroutine, the rest is for one.
type Dispatcher struct {
	limit    *Limiter
	handlers map[uint16]Handler

	mu       sync.Mutex
	counters map[uint16]*Counters
}

// New returns a dispatcher with the default limits. now is the clock; nil:
// time.Now.
func New(now func() time.Time) *Dispatcher {
	return &Dispatcher{limit: NewLimiter(now), handlers: map[uint16]Handler{}, counters: map[uint16]*Counters{other: {}}}
}

// Register adds the handler of an opcode; before the first packet.
func (d *Dispatcher) Register(opcode uint16, h Handler) {
	if d.handlers[opcode] != nil {
		panic(fmt.Sprintf("punt: opcode %d has a handler", opcode))
	}
	d.handlers[opcode] = h
	d.counters[opcode] = &Counters{}
}

// other counts what has no handler, so that no peer decides how many counters
// there are.
const other = 0xffff

// opcode is that of a packet, or other.
func (d *Dispatcher) opcode(p *Packet) uint16 {
	if len(p.Userdata) >= 2 {
		if op := binary.BigEndian.Uint16(p.Userdata); d.handlers[op] != nil {
			return op
		}
	}
	return other
}

// Admit tells whether a packet is within the limits of its port and opcode. What
// is not is counted and not to be dispatched.
func (d *Dispatcher) Admit(p *Packet) bool {
	op := d.opcode(p)
	if d.limit.admit(source{p.Datapath, p.Inport, op}) {
		return true
	}
	d.count(op, func(c *Counters) { c.Limited++ })
	return false
}

// Overflow counts a packet that was admitted and found no place in the queue.
func (d *Dispatcher) Overflow(p *Packet) {
	d.count(d.opcode(p), func(c *Counters) { c.Full++ })
}

func (d *Dispatcher) count(opcode uint16, add func(*Counters)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	add(d.counters[opcode])
}

// Dispatch gives a packet that was admitted to its handler.
func (d *Dispatcher) Dispatch(p *Packet) {
	op := d.opcode(p)
	ok := false
	if h := d.handlers[op]; h != nil && p.Datapath >= abi.MinDatapathKey && p.Datapath <= abi.MaxDatapathKey {
		rest := *p
		rest.Userdata = p.Userdata[2:]
		ok = h(&rest)
	}
	d.count(op, func(c *Counters) {
		c.Taken++
		if !ok {
			c.Malformed++
		}
	})
}

// Counters by opcode; 65535 is what has no handler.
func (d *Dispatcher) Counters() map[uint16]Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[uint16]Counters{}
	for op, c := range d.counters {
		out[op] = *c
	}
	return out
}

// Cause is the name of an opcode, as metrics have it.
func Cause(opcode uint16) string {
	if name := causes[opcode]; name != "" {
		return name
	}
	return "unknown"
}

var causes = map[uint16]string{
	abi.PuntPutFDB: "put_fdb", abi.PuntNDNA: "nd_na", abi.PuntARP: "arp", abi.PuntNDNS: "nd_ns",
	abi.PuntPutARP: "put_arp", abi.PuntPutND: "put_nd", abi.PuntICMP4: "icmp4", abi.PuntICMP6: "icmp6",
	abi.PuntBFD: "bfd", abi.PuntBindVPort: "bind_vport", abi.PuntTCPReset: "tcp_reset", abi.PuntSCTPAbort: "sctp_abort", abi.PuntActivate: "activation_rarp", abi.PuntNDNARouter: "nd_na_router", abi.PuntNDRAOpts: "put_nd_ra_opts",
}
