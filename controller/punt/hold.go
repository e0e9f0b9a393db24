package punt

import (
	"net/netip"
	"slices"
	"time"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// NextHop is an address behind a router port.
type NextHop struct {
	Datapath uint32 // of the router
	Port     uint32 // of the router
	IP       netip.Addr
}

// Bounds of what is held.
const (
	HoldPackets  = 16   // for one next hop
	HoldNextHops = 1024 // that are waited for
	HoldTotal    = 4096 // packets of all next hops
	HoldBytes    = 8 << 20

	// HoldTime is how long a packet waits. A request is repeated every HoldRetry
	// as long as packets wait, and not sent more often however many come
	// (RFC 1122, 2.3.2.1; RFC 4861, 7.2.2: three requests a second apart).
	HoldTime  = 3 * time.Second
	HoldRetry = time.Second
)

// HoldCounters count what became of held packets.
type HoldCounters struct {
	Held     uint64 // that had to wait
	Sent     uint64 // when the answer came
	Expired  uint64 // without an answer
	Full     uint64 // dropped: too many wait for the next hop, or at all
	Requests uint64 // ARP requests and solicitations sent
}

// Hold keeps packets whose next hop has no Ethernet address yet, and asks for
// it.
//
//	packet --> known? --yes--> send
//	             | no
//	             v
//	        wait (at most HoldTime) ---- request, again every HoldRetry
//	             |         \
//	          Resolve       expired: dropped and counted
//	             v
//	           send, in order
//
// A packet that comes when nothing waits any more begins anew, so no next hop is
// lost for good. It is for one goroutine.
type Hold struct {
	// Send sends a frame through actions.
	Send Sender
	// Known is the Ethernet address of a next hop, 0 if it is not known.
	Known func(NextHop) uint64
	// Port maps a port that stands for another one (chassisredirect) to the one
	// that addresses are known on. Nil: none does.
	Port func(datapath, port uint32) uint32

	Counters HoldCounters

	now   func() time.Time
	wait  map[NextHop]*waiting
	total int
	bytes int
}

// waiting is what waits for a next hop.
type waiting struct {
	packets []held
	request request
	next    time.Time // when the request is repeated
}

// held is a packet, as it was when its next hop was looked up.
type held struct {
	packet Packet
	until  time.Time
}

// request is a frame that asks for a next hop.
type request struct {
	frame   []byte
	actions []openflow.Action
}

// NewHold makes a hold without packets. now is the clock; nil: time.Now.
func NewHold(now func() time.Time) *Hold {
	if now == nil {
		now = time.Now
	}
	return &Hold{now: now, wait: map[NextHop]*waiting{}}
}

// take holds a packet for the next hop in its registers, or sends it at once if
// the address has become known since its flow was looked up. ask makes the
// request.
func (h *Hold) take(p *Packet, ip netip.Addr, ask func() (request, bool)) bool {
	port := p.Outport
	if h.Port != nil {
		port = h.Port(uint32(p.Datapath), port)
	}
	if port < abi.MinPortKey || port > abi.MaxPortKey || !neighbourly(ip) {
		return false
	}
	to := NextHop{uint32(p.Datapath), port, ip}
	if mac := h.Known(to); mac != 0 {
		h.forward(p, mac)
		return true
	}
	now := h.now()
	w := h.wait[to]
	if w == nil {
		if len(h.wait) >= HoldNextHops {
			h.Counters.Full++
			return true
		}
		r, ok := ask()
		if !ok {
			return false
		}
		w = &waiting{request: r}
		h.wait[to] = w
	}
	if len(w.packets) >= HoldPackets || h.total >= HoldTotal || h.bytes+len(p.Data) > HoldBytes {
		h.Counters.Full++
	} else {
		kept := *p
		kept.Userdata = nil
		kept.Data = slices.Clone(p.Data)
		w.packets = append(w.packets, held{kept, now.Add(HoldTime)})
		h.total++
		h.bytes += len(kept.Data)
		h.Counters.Held++
	}
	h.ask(w, now)
	return true
}

// ask sends the request of a next hop, unless it was sent just now.
func (h *Hold) ask(w *waiting, now time.Time) {
	if now.Before(w.next) {
		return
	}
	w.next = now.Add(HoldRetry)
	h.Counters.Requests++
	h.Send(w.request.frame, w.request.actions)
}

// forward sends a packet where its flow would have, had it known the address.
func (h *Hold) forward(p *Packet, mac uint64) {
	h.Counters.Sent++
	h.Send(p.Data, append(reload(p), openflow.SetUint(openflow.FieldEthDst, mac), openflow.ToTable(abi.TableRemoteOutput)))
}

// Resolve sends what waits for a next hop, whose address is known now.
func (h *Hold) Resolve(to NextHop, mac uint64) {
	w := h.wait[to]
	if w == nil || mac == 0 {
		return
	}
	delete(h.wait, to)
	for i := range w.packets {
		h.release(&w.packets[i].packet)
		h.forward(&w.packets[i].packet, mac)
	}
}

func (h *Hold) release(p *Packet) {
	h.total--
	h.bytes -= len(p.Data)
}

// Tick drops what waited for too long and repeats requests. It returns when it
// is to be called again; zero: when something is held.
func (h *Hold) Tick() (next time.Time) {
	now := h.now()
	for to, w := range h.wait {
		for len(w.packets) > 0 && !now.Before(w.packets[0].until) {
			h.release(&w.packets[0].packet)
			w.packets = w.packets[1:]
			h.Counters.Expired++
		}
		if len(w.packets) == 0 {
			if !now.Before(w.next) { // so long, the next packet asks no sooner
				delete(h.wait, to)
				continue
			}
		} else {
			h.ask(w, now)
		}
		if next.IsZero() || w.next.Before(next) {
			next = w.next
		}
		if len(w.packets) > 0 && w.packets[0].until.Before(next) {
			next = w.packets[0].until
		}
	}
	return next
}

// Len is the number of packets held.
func (h *Hold) Len() int { return h.total }

// Waiting yields the next hops that packets wait for, in no order.
func (h *Hold) Waiting(yield func(NextHop) bool) {
	for to := range h.wait {
		if !yield(to) {
			return
		}
	}
}

// neighbourly tells whether an address can be that of one neighbour.
func neighbourly(ip netip.Addr) bool {
	if ip.Is4() {
		return host4(ip)
	}
	return ip.IsValid() && !ip.Is4In6() && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLoopback()
}

// hop4 is the IPv4 address in reg0, hop6 the IPv6 address in xxreg0.
func (p *Packet) hop4() netip.Addr {
	v := p.Regs[abi.RegLogical0]
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func (p *Packet) hop6() netip.Addr {
	var b [16]byte
	for i, v := range p.Regs[abi.RegLogical0 : abi.RegLogical0+4] {
		b[4*i], b[4*i+1], b[4*i+2], b[4*i+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	return netip.AddrFrom16(b)
}
