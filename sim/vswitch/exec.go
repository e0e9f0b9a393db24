package vswitch

import (
	"fmt"
	"time"

	"govn/pkg/geneve"
	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// Limits of Open vSwitch (ofproto-dpif-xlate).
const (
	maxDepth     = 64
	maxResubmits = 4096
	maxPatches   = 64 // patch ports that all copies of a packet go through
)

// execution is a packet on its way through a bridge, with the bridge locked.
//
//	data, layout, base      the frame as it is
//	cur                     the key as actions have changed it: what differs
//	                        from base is written when the frame is needed
type execution struct {
	b      *Bridge
	now    time.Time
	data   []byte
	layout packet.Layout
	base   packet.State
	cur    packet.State
	stack  []packet.U128

	table     uint8
	cookie    uint64
	rule      *flow
	packetOut bool // the actions are of a packet-out
	inGroup   bool
	actionSet []openflow.Action

	depth     int // resubmits around this one that do not go to a higher table
	nested    int // resubmits around this one
	resubmits *int
	pending   *[]pendingFlow // learned, to be installed when the packet is through
	exit      bool           // an exit action
	frozen    *frozen        // a controller action with pause
	failed    *string        // an error that drops everything
	results   *[]result
	tr        *node
}

// result is an effect of a packet: something that goes out, or a message to
// controllers. Effects happen when the packet is through.
type result struct {
	out    Output
	peer   *Bridge // instead: through a patch port
	port   uint32
	mark   uint32
	trace  *node
	notify func() // instead: tell controllers
}

// Process takes a packet through the flow tables and returns what goes out, in
// order. Counters go up, packets for controllers are sent to them. tr, unless
// nil, gets what happened. Patch ports do not show: the outputs are those of
// the bridge behind.
func (b *Bridge) Process(p Packet, tr *Trace) []Output {
	var root *node
	if tr != nil {
		root = &node{}
	}
	patches := 0
	out := b.process(p, root, &patches)
	if tr != nil {
		tr.Bridge, tr.Steps = b.opts.Name, root.steps()
	}
	return out
}

func (b *Bridge) process(p Packet, tr *node, patches *int) []Output {
	b.mu.Lock()
	results := b.receive(p, tr)
	b.mu.Unlock()
	return b.deliver(results, patches)
}

// deliver carries out what a packet led to, with the bridge unlocked. patches
// counts over all bridges.
func (b *Bridge) deliver(results []result, patches *int) []Output {
	var out []Output
	for _, r := range results {
		switch {
		case r.peer == nil:
			r.out.Bridge = b
			out = append(out, r.out)
		case *patches < maxPatches:
			*patches++
			out = append(out, r.peer.process(Packet{InPort: r.port, Data: r.out.Data, mark: r.mark}, r.trace, patches)...)
		default:
			r.trace.note("too many patch ports")
		}
	}
	return out
}

// receive runs a packet through the tables.
func (b *Bridge) receive(p Packet, tr *node) []result {
	n, ok := portNumber(p.InPort)
	if !ok || b.ports[n] == nil {
		tr.note(fmt.Sprintf("no port %d", p.InPort))
		return nil
	}
	if b.ports[n].Down {
		tr.note(fmt.Sprintf("port %d is down", p.InPort))
		return nil
	}
	x := b.newExecution(p.Data, tr)
	x.cur.Key.SetInPort(n)
	x.cur.Key.SetPktMark(p.mark)
	if p.Tunnel != nil && !b.tunnelKey(&x.cur.Key, p.Tunnel, tr) {
		return nil
	}
	x.cur.Key.SetActsetOutput(openflow.PortUnset)
	x.base = x.cur
	x.lookup(0, n, false, true)
	return x.finish()
}

func (b *Bridge) newExecution(data []byte, tr *node) *execution {
	x := &execution{
		b: b, now: b.opts.Now(), data: data, cookie: ^uint64(0),
		resubmits: new(int), pending: new([]pendingFlow), failed: new(string), results: new([]result), tr: tr,
	}
	x.layout = packet.Parse(data, &x.cur)
	return x
}

// tunnelKey writes the metadata of a tunnel; false drops the packet.
func (b *Bridge) tunnelKey(k *packet.Key, t *Tunnel, tr *node) bool {
	k.SetTunID(uint64(t.VNI))
	if t.Src.IsValid() {
		k.SetTunSrc(t.Src)
	}
	if t.Dst.IsValid() {
		k.SetTunDst(t.Dst)
	}
	for _, o := range t.Options {
		i, ok := b.byTLV[optionKey{o.Class, o.Type}]
		if !ok {
			if o.Critical() {
				tr.note(fmt.Sprintf("unknown critical Geneve option: class %#x, type %#x", o.Class, o.Type))
				return false
			}
			continue
		}
		if m := b.tlv[uint16(i)]; len(o.Data) != int(m.Length) {
			tr.note(fmt.Sprintf("Geneve option of %d bytes, mapped with %d", len(o.Data), m.Length))
			return false
		}
		if i < packet.TunnelOptions && len(o.Data) == openflow.TunMetadataSize {
			k.SetTunOption(i, uint32(packet.Number(o.Data).Lo))
		}
	}
	return true
}

// finish ends the way of a packet: its action set, what was paused, errors.
func (x *execution) finish() []result {
	if x.frozen == nil && len(x.actionSet) > 0 {
		set := x.actionSet
		x.actionSet, x.exit = nil, false
		x.run(orderActionSet(set))
	}
	if x.frozen != nil {
		x.freeze()
	}
	if *x.failed != "" {
		x.tr.note(*x.failed + ": everything is dropped")
		return nil
	}
	// Messages to controllers go now, in the bridge's lock, so that their order
	// is the order of the packets.
	out := (*x.results)[:0]
	for _, r := range *x.results {
		if r.notify != nil {
			r.notify()
		} else {
			out = append(out, r)
		}
	}
	return out
}

func (x *execution) fail(format string, args ...any) {
	if *x.failed == "" {
		*x.failed = fmt.Sprintf(format, args...)
	}
}

// lookup looks the packet up in a table and runs the flow that matches.
func (x *execution) lookup(table uint8, inPort uint16, useConnection, miss bool) {
	if int(table) > lastTable {
		x.fail("no table %d", table)
		return
	}
	savedTable, savedCookie, savedRule := x.table, x.cookie, x.rule
	for {
		x.table = table
		next := x.lookupOnce(inPort, useConnection, miss)
		if next < 0 || int(next) > lastTable {
			break
		}
		table, useConnection = uint8(next), false
		inPort = x.cur.Key.InPort()
	}
	if x.nested > 0 {
		x.table, x.cookie, x.rule = savedTable, savedCookie, savedRule
	}
}

func (x *execution) lookupOnce(inPort uint16, useConnection, miss bool) (next int) {
	k := x.lookupKey(inPort, useConnection)
	r := x.b.tables[x.table].Lookup(k)
	step := x.tr.lookup(x.table, r)
	if r == nil {
		x.rule = nil
		return -1
	}
	f := r.Value
	f.packets++
	f.bytes += uint64(len(x.data))
	f.used = x.now
	f.shorten(k)
	x.rule, x.cookie = f, f.Cookie
	tr := x.tr
	x.tr = step
	next = x.program(&f.prog)
	x.tr = tr
	return next
}

// lookupKey is the key for a lookup: fragments have no ports, the ingress port
// may be another one, addresses may be those of the connection.
func (x *execution) lookupKey(inPort uint16, useConnection bool) *packet.Key {
	k := &x.cur.Key
	if inPort == k.InPort() && !useConnection && !k.Fragment() {
		return k
	}
	c := *k
	c.SetInPort(inPort)
	if useConnection {
		c.UseConnectionAddresses()
	}
	if c.Fragment() {
		c.SetPorts(0, 0)
	}
	return &c
}

// program runs the instructions of a flow and returns the table to go on in,
// -1: none.
func (x *execution) program(p *program) int {
	if p.meter != 0 && !x.b.meterPass(p.meter, x.now, len(x.data)) {
		x.tr.note("the meter drops the packet")
		x.exit = true
		return -1
	}
	x.run(p.actions)
	if x.exit || x.frozen != nil {
		return -1
	}
	if p.clear {
		x.actionSet = nil
	}
	x.actionSet = append(x.actionSet, p.write...)
	if p.metadataMask != 0 {
		k := &x.cur.Key
		k.SetMetadata(k.Metadata()&^p.metadataMask | p.metadata&p.metadataMask)
	}
	return p.next
}

// run runs actions. When the packet pauses, those that are left go into the
// continuation, the innermost list first.
func (x *execution) run(actions []openflow.Action) {
	for i, a := range actions {
		if x.exit || *x.failed != "" {
			return
		}
		step := x.tr.action(a)
		tr := x.tr
		x.tr = step
		stop := x.do(a)
		x.tr = tr
		if x.frozen != nil {
			if rest := actions[i+1:]; len(rest) > 0 {
				x.frozen.frames = append(x.frozen.frames, frame{x.table, x.cookie, rest})
			}
			return
		}
		if stop {
			return
		}
	}
}

// resubmit is a nested lookup. Open vSwitch counts as depth only what does not go
// to a higher table, so that long pipelines pass.
func (x *execution) resubmit(table uint8, inPort uint16, useConnection bool) {
	switch {
	case x.depth >= maxDepth:
		x.fail("resubmits nest deeper than %d", maxDepth)
		return
	case *x.resubmits >= maxResubmits:
		x.fail("more than %d resubmits", maxResubmits)
		return
	}
	deeper := 0
	if table <= x.table {
		deeper = 1
	}
	x.depth += deeper
	x.nested++
	*x.resubmits++
	x.lookup(table, inPort, useConnection, false)
	x.nested--
	x.depth -= deeper
}

// isolated runs fn on a copy of the packet and its metadata: afterwards
// everything is as it was. It tells whether an exit action ended the copy, or a
// pause.
func (x *execution) isolated(fn func()) (ended bool) {
	saved := *x
	saved.stack = append([]packet.U128(nil), x.stack...)
	saved.actionSet = append([]openflow.Action(nil), x.actionSet...)
	fn()
	ended = x.exit
	if x.frozen != nil {
		x.freeze()
		ended = true
	}
	*x = saved
	return ended
}

// commit writes the changed fields into the frame.
func (x *execution) commit() {
	if x.cur == x.base {
		return
	}
	data := packet.Rewrite(x.data, x.layout, &x.base, &x.cur)
	if len(data) != len(x.data) || x.base.Key.VLANTCI() != x.cur.Key.VLANTCI() {
		x.layout = x.layout.Moved(&x.base, &x.cur)
	}
	x.data, x.base = data, x.cur
}

// reparse reads the frame again, as after recirculation: metadata stays.
func (x *execution) reparse() {
	x.commit()
	var s packet.State
	s.Key.CopyMetadata(&x.cur.Key)
	x.layout = packet.Parse(x.data, &s)
	x.base, x.cur = s, s
}

// tunnelOf is what a tunnel port sends a packet with; nil: it cannot.
func (x *execution) tunnelOf(p *Port) *Tunnel {
	k := &x.cur.Key
	t := &Tunnel{VNI: p.VNI, Src: p.LocalIP, Dst: p.RemoteIP}
	if p.FlowKey {
		t.VNI = uint32(k.TunID()) & uint32(geneve.MaxVNI)
	}
	if !t.Dst.IsValid() {
		t.Dst = k.TunDst()
		if !t.Src.IsValid() {
			t.Src = k.TunSrc()
		}
	}
	if !t.Dst.IsValid() {
		return nil
	}
	for i := range packet.TunnelOptions {
		v, ok := k.TunOption(i)
		m, mapped := x.b.tlv[uint16(i)]
		if !ok || !mapped {
			continue
		}
		data := packet.U128{Lo: uint64(v)}.Bytes(openflow.TunMetadataSize)
		t.Options = append(t.Options, geneve.Option{Class: m.Class, Type: m.Option, Data: data})
	}
	return t
}
