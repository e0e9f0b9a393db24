package vswitch

import (
	"fmt"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// do carries out one action. stop ends the list that the action is in.
func (x *execution) do(action openflow.Action) (stop bool) {
	k := &x.cur.Key
	switch a := action.(type) {
	case openflow.Output:
		p, ok := packet.PortFrom32(a.Port)
		if ok {
			x.output(p, a.MaxLen)
		}
	case openflow.OutputReg:
		if v := k.Subfield(a.Source); v.Hi == 0 && v.Lo <= 0xffff {
			x.output(uint16(v.Lo), a.MaxLen)
		}
	case openflow.Group:
		x.group(a.ID)
	case openflow.SetField:
		if k.Meets(a.Field.Requires()) {
			n := a.Field.Size()
			k.SetMasked(a.Field, packet.Number(a.Value[:n]), packet.Number(a.Mask[:n]))
			x.cur.FixVLAN()
		}
	case openflow.Move:
		if k.Meets(a.Src.Field.Requires()) && k.Meets(a.Dst.Field.Requires()) {
			k.SetSubfield(a.Dst, k.Subfield(a.Src))
			x.cur.FixVLAN()
		}
	case openflow.PushVLAN:
		x.cur.PushVLAN(a.EthType)
	case openflow.PopVLAN:
		x.cur.PopVLAN()
	case openflow.DecTTL:
		return x.decTTL()
	case openflow.Meter:
		if !x.b.meterPass(a.ID, x.now, len(x.data)) {
			x.tr.note("the meter drops the packet")
			x.exit = true
		}
	case openflow.Resubmit:
		in, table := a.InPort, a.Table
		if in == openflow.ResubmitInPort {
			in = k.InPort()
		}
		if table == openflow.ResubmitTable {
			table = x.table
		}
		if a.CT && !k.Meets(openflow.RequiresCT) {
			x.tr.note("no connection to look up with")
			return false
		}
		x.resubmit(table, in, a.CT)
	case openflow.Controller:
		x.controller(a)
	case openflow.Clone:
		if x.isolated(func() { x.run(a.Actions) }) {
			x.exit = true // so does Open vSwitch: what ends a clone ends the original
		}
	case openflow.StackPush:
		x.stack = append(x.stack, k.Subfield(a.Src))
	case openflow.StackPop:
		if n := len(x.stack); n > 0 {
			k.SetSubfield(a.Dst, x.stack[n-1])
			x.stack = x.stack[:n-1]
			x.cur.FixVLAN()
		} else {
			x.tr.note("the stack is empty")
		}
	case openflow.Exit:
		x.exit = true
	case openflow.CT:
		x.track(a)
	case openflow.CTClear:
		k.ClearConnection()
	case openflow.Learn:
		x.learn(a)
	case openflow.CheckPktLarger:
		x.commit()
		larger := packet.U128{}
		if len(x.data) > int(a.Length) {
			larger.Lo = 1
		}
		k.SetSubfield(a.Dst, larger)
	case openflow.DeleteField:
		for i := range packet.TunnelOptions {
			if a.Field == openflow.FieldTunMetadata(i) {
				k.DeleteTunOption(i)
			}
		}
	case openflow.Bundle:
		x.bundle(a)
	case openflow.SetQueue, openflow.Note, openflow.Conjunction, openflow.NAT:
		// No effect here: there are no queues, notes are for people, conjunctions
		// are the classifier's, NAT is a part of CT.
	default:
		x.tr.note(fmt.Sprintf("%v has no effect", action))
	}
	return false
}

// decTTL ends the list of actions of a packet whose time is over.
func (x *execution) decTTL() (stop bool) {
	k := &x.cur.Key
	if !k.IsIP() {
		return false
	}
	if t := k.TTL(); t > 1 {
		k.SetTTL(t - 1)
		return false
	}
	x.packetIn(openflow.Controller{MaxLen: 0xffff, Reason: openflow.ReasonInvalidTTL})
	return true
}

// output sends the packet to a port.
func (x *execution) output(p uint16, maxLen uint16) {
	in := x.cur.Key.InPort()
	switch p {
	case portInPort:
		x.send(in)
	case portTable:
		x.resubmit(0, in, false)
	case portNormal:
		x.normal()
	case portFlood, portAll:
		x.flood(in)
	case portController:
		x.controller(openflow.Controller{MaxLen: maxLen, Reason: x.reason()})
	case portNone:
	default:
		if p == in {
			x.tr.note("not to the port that it came in by")
			return
		}
		x.send(p)
	}
}

func (x *execution) reason() uint8 {
	switch {
	case x.inGroup:
		return openflow.ReasonGroup
	case x.packetOut && x.rule == nil:
		return openflow.ReasonPacketOut
	case x.rule != nil && x.rule.Priority == 0 && len(x.rule.Match) == 0:
		return openflow.ReasonNoMatch
	}
	return openflow.ReasonAction
}

// flood sends the packet to every port but one.
func (x *execution) flood(in uint16) {
	for _, n := range x.b.portNumbers() {
		if n != in {
			x.send(n)
		}
	}
}

// send sends the packet as it is now to a port.
func (x *execution) send(n uint16) {
	p := x.b.ports[n]
	switch {
	case p == nil:
		x.tr.note(fmt.Sprintf("no port %d", n))
		return
	case p.Down:
		x.tr.note("the port is down")
		return
	}
	r := result{out: Output{Port: packet.PortTo32(n)}}
	switch p.Type {
	case PortGeneve:
		if r.out.Tunnel = x.tunnelOf(p); r.out.Tunnel == nil {
			x.tr.note("no tunnel endpoint")
			return
		}
		x.tr.note(fmt.Sprintf("tunnel to %v, VNI %#x", r.out.Tunnel.Dst, r.out.Tunnel.VNI))
	case PortPatch:
		if p.Peer == nil {
			x.tr.note("the patch port has no peer")
			return
		}
		r.peer, r.port, r.mark = p.Peer, p.PeerNumber, x.cur.Key.PktMark()
		r.trace = x.tr.bridge(p.Peer.opts.Name)
	}
	r.out.Data = packet.Rewrite(x.data, x.layout, &x.base, &x.cur)
	*x.results = append(*x.results, r)
}

// track is the ct action.
func (x *execution) track(a openflow.CT) {
	x.commit()
	k := &x.cur.Key
	req := request(x, a)
	key := *k
	conn := x.b.ct.Track(x.now, x.data, x.layout, &key, req)
	if key != *k {
		// Translated: the frame changes, what the flow knows of it does not.
		now := x.cur
		now.Key = key
		x.data = packet.Rewrite(x.data, x.layout, &x.cur, &now)
	}
	if a.Table != openflow.CTNoTable {
		x.isolated(func() {
			x.reparse()
			x.cur.Key.SetConnection(conn)
			x.base = x.cur
			x.exit = false
			x.resubmit(a.Table, x.cur.Key.InPort(), false)
		})
	}
	k.ClearConnection()
	x.base.Key.ClearConnection()
}
