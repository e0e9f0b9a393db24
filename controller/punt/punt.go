package punt

import (
	"encoding/binary"
	"fmt"
	"time"

	"govn/pkg/abi"
)

// Packet is a packet that a flow sent to the controller.
type Packet struct {
	Userdata []byte
	Data     []byte // the Ethernet frame, or the start of it
	Datapath uint64 // metadata
	Inport   uint32 // reg14
	Outport  uint32 // reg15
}

// Handler takes a packet of its opcode, without the opcode in the userdata.
// False: it is malformed.
type Handler func(p *Packet) bool

// Rate limits of packets taken, of all opcodes together.
const (
	DefaultRate  = 1000 // packets a second
	DefaultBurst = 1000
)

// Counters of one opcode.
type Counters struct{ Taken, Limited, Malformed uint64 }

// Dispatcher gives packets to handlers. It is for one goroutine.
type Dispatcher struct {
	handlers map[uint16]Handler
	counters map[uint16]*Counters
	now      func() time.Time
	rate     float64
	burst    float64
	tokens   float64
	last     time.Time
}

// New returns a dispatcher with the default limits. now is the clock; nil:
// time.Now.
func New(now func() time.Time) *Dispatcher {
	if now == nil {
		now = time.Now
	}
	return &Dispatcher{
		handlers: map[uint16]Handler{}, counters: map[uint16]*Counters{},
		now: now, rate: DefaultRate, burst: DefaultBurst, tokens: DefaultBurst, last: now(),
	}
}

// Register adds the handler of an opcode.
func (d *Dispatcher) Register(opcode uint16, h Handler) {
	if d.handlers[opcode] != nil {
		panic(fmt.Sprintf("punt: opcode %d has a handler", opcode))
	}
	d.handlers[opcode] = h
}

// other counts what has no handler, so that no peer decides how many counters
// there are.
const other = 0xffff

// Dispatch gives a packet to its handler.
func (d *Dispatcher) Dispatch(p *Packet) {
	opcode := uint16(other)
	if len(p.Userdata) >= 2 {
		opcode = binary.BigEndian.Uint16(p.Userdata)
	}
	h := d.handlers[opcode]
	if h == nil {
		opcode = other
	}
	c := d.counters[opcode]
	if c == nil {
		c = &Counters{}
		d.counters[opcode] = c
	}
	if !d.admit() {
		c.Limited++
		return
	}
	c.Taken++
	if h == nil || p.Datapath < abi.MinDatapathKey || p.Datapath > abi.MaxDatapathKey {
		c.Malformed++
		return
	}
	rest := *p
	rest.Userdata = p.Userdata[2:]
	if !h(&rest) {
		c.Malformed++
	}
}

// admit takes a token of the bucket.
func (d *Dispatcher) admit() bool {
	now := d.now()
	d.tokens = min(d.burst, d.tokens+now.Sub(d.last).Seconds()*d.rate)
	d.last = now
	if d.tokens < 1 {
		return false
	}
	d.tokens--
	return true
}

// Counters by opcode; 65535 is what has no handler.
func (d *Dispatcher) Counters() map[uint16]Counters {
	out := map[uint16]Counters{}
	for op, c := range d.counters {
		out[op] = *c
	}
	return out
}
