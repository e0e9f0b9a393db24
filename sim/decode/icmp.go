package decode

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/gopacket/gopacket/layers"
)

// icmp decodes ICMP for IPv4 (RFC 792); errors quote the packet they are about.
func icmp(w *walker, b []byte) (handler, []byte) {
	if !w.room("icmp", b, 8) {
		return nil, nil
	}
	typ, code := b[0], b[1]
	fields := []Field{{"type", typ}, {"code", code}}
	defer w.verify("icmp", 0, b, 2)
	switch typ {
	case layers.ICMPv4TypeEchoRequest, layers.ICMPv4TypeEchoReply:
		return w.echo("icmp", b, typ == layers.ICMPv4TypeEchoRequest, fields)
	case layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4TypeTimeExceeded, layers.ICMPv4TypeParameterProblem, layers.ICMPv4TypeSourceQuench:
		text := layers.CreateICMPv4TypeCode(typ, code).String()
		if typ == layers.ICMPv4TypeDestinationUnreachable && code == layers.ICMPv4CodeFragmentationNeeded {
			mtu := binary.BigEndian.Uint16(b[6:])
			text += fmt.Sprintf(" mtu %d", mtu)
			fields = append(fields, Field{"mtu", mtu})
		}
		w.add("icmp", b, text+", about", fields...)
		return quote(ipv4), b[8:]
	}
	w.add("icmp", b, layers.CreateICMPv4TypeCode(typ, code).String(), fields...)
	return payload("data"), b[8:]
}

// echo adds an echo request or reply of either ICMP.
func (w *walker) echo(name string, b []byte, request bool, fields []Field) (handler, []byte) {
	id, seq, word := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), "reply"
	if request {
		word = "request"
	}
	w.add(name, b, fmt.Sprintf("echo %s id %d seq %d", word, id, seq), append(fields, Field{"id", id}, Field{"seq", seq})...)
	return payload("data"), b[8:]
}

// quote goes on in the copy of a packet.
func quote(next handler) handler {
	return func(w *walker, b []byte) (handler, []byte) {
		w.partial = true
		if len(b) == 0 {
			return nil, nil
		}
		return next(w, b)
	}
}

// icmp6 decodes ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861).
func icmp6(w *walker, b []byte) (handler, []byte) {
	if !w.room("icmp6", b, 4) {
		return nil, nil
	}
	typ, code := b[0], b[1]
	fields := []Field{{"type", typ}, {"code", code}}
	if w.src.Is6() {
		defer w.verify("icmp6", w.pseudo(len(b)), b, 2)
	}
	text := layers.CreateICMPv6TypeCode(typ, code).String()
	switch {
	case typ == layers.ICMPv6TypeEchoRequest || typ == layers.ICMPv6TypeEchoReply:
		if !w.room("icmp6", b, 8) {
			return nil, nil
		}
		return w.echo("icmp6", b, typ == layers.ICMPv6TypeEchoRequest, fields)
	case typ < 128: // an error
		if !w.room("icmp6", b, 8) {
			return nil, nil
		}
		if typ == layers.ICMPv6TypePacketTooBig {
			mtu := binary.BigEndian.Uint32(b[4:])
			text += fmt.Sprintf(" mtu %d", mtu)
			fields = append(fields, Field{"mtu", mtu})
		}
		w.add("icmp6", b, text+", about", fields...)
		return quote(ipv6), b[8:]
	case typ >= layers.ICMPv6TypeRouterSolicitation && typ <= layers.ICMPv6TypeRedirect:
		return w.discovery(b, typ, text, fields)
	case typ >= 130 && typ <= 132 || typ == 143:
		if typ != 143 && len(b) >= 24 {
			group := netip.AddrFrom16([16]byte(b[8:24]))
			text += " " + group.String()
			fields = append(fields, Field{"group", group})
		}
		w.add("icmp6", b, text, fields...)
		return nil, nil
	}
	w.add("icmp6", b, text, fields...)
	return payload("data"), b[4:]
}

// discovery adds a message of neighbour discovery.
func (w *walker) discovery(b []byte, typ uint8, text string, fields []Field) (handler, []byte) {
	var options layers.ICMPv6Options
	var err error
	body := b[4:]
	switch typ {
	case layers.ICMPv6TypeNeighborSolicitation:
		var m layers.ICMPv6NeighborSolicitation
		err = m.DecodeFromBytes(body, feedback{})
		text, options = fmt.Sprintf("neighbour solicitation: who has %v", m.TargetAddress), m.Options
		fields = append(fields, Field{"target", m.TargetAddress.String()})
	case layers.ICMPv6TypeNeighborAdvertisement:
		var m layers.ICMPv6NeighborAdvertisement
		err = m.DecodeFromBytes(body, feedback{})
		text, options = fmt.Sprintf("neighbour advertisement: %v", m.TargetAddress), m.Options
		for i, name := range []string{"router", "solicited", "override"} {
			on := m.Flags>>(7-i)&1 == 1
			if on {
				text += " " + name
			}
			fields = append(fields, Field{name, on})
		}
		fields = append(fields, Field{"target", m.TargetAddress.String()})
	case layers.ICMPv6TypeRouterSolicitation:
		var m layers.ICMPv6RouterSolicitation
		err = m.DecodeFromBytes(body, feedback{})
		text, options = "router solicitation", m.Options
	case layers.ICMPv6TypeRouterAdvertisement:
		var m layers.ICMPv6RouterAdvertisement
		err = m.DecodeFromBytes(body, feedback{})
		text, options = fmt.Sprintf("router advertisement: hops %d lifetime %d s", m.HopLimit, m.RouterLifetime), m.Options
		fields = append(fields, Field{"hop_limit", m.HopLimit}, Field{"lifetime", m.RouterLifetime}, Field{"flags", m.Flags})
	case layers.ICMPv6TypeRedirect:
		var m layers.ICMPv6Redirect
		err = m.DecodeFromBytes(body, feedback{})
		text, options = fmt.Sprintf("redirect: to %v by %v", m.DestinationAddress, m.TargetAddress), m.Options
		fields = append(fields, Field{"target", m.TargetAddress.String()}, Field{"destination", m.DestinationAddress.String()})
	}
	if err != nil {
		w.add("icmp6", b, layers.CreateICMPv6TypeCode(typ, 0).String(), fields[:2]...)
		return w.failed("icmp6", body, err)
	}
	for _, o := range options {
		switch o.Type {
		case layers.ICMPv6OptSourceAddress, layers.ICMPv6OptTargetAddress:
			name, word := "sll", "source"
			if o.Type == layers.ICMPv6OptTargetAddress {
				name, word = "tll", "target"
			}
			mac := net.HardwareAddr(o.Data)
			text += fmt.Sprintf(", %s %v", word, mac)
			fields = append(fields, Field{name, mac.String()})
		case layers.ICMPv6OptPrefixInfo:
			if len(o.Data) < 30 {
				continue
			}
			prefix := netip.PrefixFrom(netip.AddrFrom16([16]byte(o.Data[14:30])), int(o.Data[0]))
			text += fmt.Sprintf(", prefix %v", prefix)
			fields = append(fields, Field{"prefix", prefix.String()})
		case layers.ICMPv6OptMTU:
			if len(o.Data) < 6 {
				continue
			}
			mtu := binary.BigEndian.Uint32(o.Data[2:])
			text += fmt.Sprintf(", mtu %d", mtu)
			fields = append(fields, Field{"mtu", mtu})
		}
	}
	w.add("icmp6", b, text, fields...)
	return nil, nil
}

// igmp decodes the common part of IGMP (RFC 2236, RFC 3376).
func igmp(w *walker, b []byte) (handler, []byte) {
	if !w.room("igmp", b, 8) {
		return nil, nil
	}
	group := netip.AddrFrom4([4]byte(b[4:8]))
	name, ok := map[uint8]string{0x11: "query", 0x12: "report v1", 0x16: "report v2", 0x17: "leave", 0x22: "report v3"}[b[0]]
	if !ok {
		name = "type " + hexN(2, b[0])
	}
	text, fields := name, []Field{{"type", b[0]}}
	if b[0] == 0x22 {
		n := binary.BigEndian.Uint16(b[6:])
		text += fmt.Sprintf(", %d groups", n)
		fields = append(fields, Field{"groups", n})
	} else {
		text += " " + group.String()
		fields = append(fields, Field{"group", group})
	}
	w.add("igmp", b, strings.TrimSpace(text), fields...)
	w.verify("igmp", 0, b, 2)
	return nil, nil
}
