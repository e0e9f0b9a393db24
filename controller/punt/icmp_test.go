package punt

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"go.uber.org/goleak"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// userdata is a head with an argument and one action.
func userdata(argument uint32) []byte {
	u := make([]byte, headLeft)
	u[2], u[3], u[4], u[5] = byte(argument>>24), byte(argument>>16), byte(argument>>8), byte(argument)
	return append(u, openflow.EncodeActions([]openflow.Action{openflow.ToTable(8)})...)
}

// packet4 and packet6 are frames whose headers a test changes.
func packet4(change func(*layers.Ethernet, *layers.IPv4), payload []byte) []byte {
	eth := &layers.Ethernet{SrcMAC: Ethernet(1), DstMAC: Ethernet(2), EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{10, 0, 0, 9}, DstIP: net.IP{20, 0, 0, 9}}
	if change != nil {
		change(eth, ip)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, gopacket.Payload(payload)); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func packet6(change func(*layers.Ethernet, *layers.IPv6), payload []byte) []byte {
	eth := &layers.Ethernet{SrcMAC: Ethernet(1), DstMAC: Ethernet(2), EthernetType: layers.EthernetTypeIPv6}
	ip := &layers.IPv6{Version: 6, HopLimit: 1, NextHeader: layers.IPProtocolUDP, SrcIP: net.ParseIP("fd01::9"), DstIP: net.ParseIP("fd02::9")}
	if change != nil {
		change(eth, ip)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, gopacket.Payload(payload)); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// checksum is the Internet checksum of b, with a start value: 0 if the sum in b
// is right.
func checksum(b []byte, start uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		start += uint32(b[i]) << 8
		if i+1 < len(b) {
			start += uint32(b[i+1])
		}
	}
	for start>>16 != 0 {
		start = start&0xffff + start>>16
	}
	return ^uint16(start)
}

// pseudo is the start value of an ICMPv6 checksum (RFC 8200, 8.1).
func pseudo(ip *layers.IPv6, n int) uint32 {
	b := append(append(append([]byte{}, ip.SrcIP...), ip.DstIP...), 0, 0, byte(n>>8), byte(n), 0, 0, 0, 58)
	return uint32(^checksum(b, 0))
}

func TestICMP4(t *testing.T) {
	for _, tt := range []struct{ size, mtu, want int }{{0, 0, 28 + 20}, {100, 1400, 28 + 120}, {548 - 20, 0, 576}, {3000, 1400, 576}} {
		var sent []byte
		var acts []openflow.Action
		h := &ICMP4{Send: func(b []byte, a []openflow.Action) { sent, acts = b, a }}
		in := packet4(nil, bytes.Repeat([]byte{7}, tt.size))
		p := &Packet{Userdata: userdata(uint32(tt.mtu)), Data: append(in, 0, 0, 0, 0), Datapath: 5, Inport: 7} // padded
		if !h.Handle(p) || sent == nil {
			t.Fatalf("%d bytes: no answer", tt.size)
		}
		q := gopacket.NewPacket(sent, layers.LayerTypeEthernet, gopacket.Default)
		ip, _ := q.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		icmp, _ := q.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if ip == nil || icmp == nil {
			t.Fatalf("no ICMP: %v", q)
		}
		if int(ip.Length) != tt.want || checksum(ip.Contents, 0) != 0 || checksum(ip.Payload, 0) != 0 || ip.TTL != 255 ||
			!ip.SrcIP.Equal(net.IP{10, 0, 0, 9}) || !ip.DstIP.Equal(net.IP{20, 0, 0, 9}) ||
			icmp.TypeCode != layers.CreateICMPv4TypeCode(3, 1) || icmp.Id != 0 || int(icmp.Seq) != tt.mtu {
			t.Errorf("%d bytes: %v", tt.size, q)
		}
		if quote := icmp.Payload; !bytes.Equal(quote, in[14:14+len(quote)]) {
			t.Errorf("%d bytes: quotes %x", tt.size, quote)
		}
		want := "set_field:0x5->metadata,set_field:0x7->reg14,resubmit(,8)"
		if got := openflow.FormatActions(acts); got != want {
			t.Errorf("actions %s, want %s", got, want)
		}
	}
}

// TestICMP4Silence: no error about these (RFC 1122, 3.2.2).
func TestICMP4Silence(t *testing.T) {
	icmp := func(kind byte) func(*layers.Ethernet, *layers.IPv4) {
		return func(_ *layers.Ethernet, ip *layers.IPv4) { ip.Protocol = layers.IPProtocolICMPv4 }
	}
	for name, tt := range map[string]struct {
		change  func(*layers.Ethernet, *layers.IPv4)
		payload []byte
		answer  bool
	}{
		"udp":              {nil, []byte("12345678"), true},
		"echo":             {icmp(8), []byte{8, 0, 0, 0, 0, 0, 0, 0}, true},
		"echo reply":       {icmp(0), []byte{0, 0, 0, 0, 0, 0, 0, 0}, true},
		"unreachable":      {icmp(3), []byte{3, 0, 0, 0, 0, 0, 0, 0}, false},
		"redirect":         {icmp(5), []byte{5, 0, 0, 0, 0, 0, 0, 0}, false},
		"time exceeded":    {icmp(11), []byte{11, 0, 0, 0, 0, 0, 0, 0}, false},
		"parameter":        {icmp(12), []byte{12, 0, 0, 0, 0, 0, 0, 0}, false},
		"no type":          {icmp(3), nil, false},
		"first fragment":   {func(_ *layers.Ethernet, ip *layers.IPv4) { ip.Flags = layers.IPv4MoreFragments }, []byte("12345678"), true},
		"later fragment":   {func(_ *layers.Ethernet, ip *layers.IPv4) { ip.FragOffset = 10 }, []byte("12345678"), false},
		"to a group":       {func(_ *layers.Ethernet, ip *layers.IPv4) { ip.DstIP = net.IP{224, 0, 0, 5} }, nil, false},
		"to all":           {func(_ *layers.Ethernet, ip *layers.IPv4) { ip.DstIP = net.IP{255, 255, 255, 255} }, nil, false},
		"frame to a group": {func(eth *layers.Ethernet, _ *layers.IPv4) { eth.DstMAC = layers.EthernetBroadcast }, nil, false},
		"from 0.0.0.0":     {func(_ *layers.Ethernet, ip *layers.IPv4) { ip.SrcIP = net.IP{0, 0, 0, 0} }, nil, false},
		"from loopback":    {func(_ *layers.Ethernet, ip *layers.IPv4) { ip.SrcIP = net.IP{127, 0, 0, 1} }, nil, false},
		"from a group":     {func(_ *layers.Ethernet, ip *layers.IPv4) { ip.SrcIP = net.IP{239, 0, 0, 1} }, nil, false},
		"from class E":     {func(_ *layers.Ethernet, ip *layers.IPv4) { ip.SrcIP = net.IP{250, 0, 0, 1} }, nil, false},
	} {
		answered := false
		h := &ICMP4{Send: func([]byte, []openflow.Action) { answered = true }}
		if !h.Handle(&Packet{Userdata: userdata(0), Data: packet4(tt.change, tt.payload), Datapath: 5, Inport: 7}) {
			t.Errorf("%s: malformed", name)
		}
		if answered != tt.answer || (h.Silent == 1) == tt.answer {
			t.Errorf("%s: answered %v, silent %d", name, answered, h.Silent)
		}
	}
}

func TestICMP6(t *testing.T) {
	for _, tt := range []struct{ size, mtu, want int }{{0, 0, 8 + 40}, {100, 1400, 8 + 140}, {3000, 1400, 1280 - 40}} {
		var sent []byte
		h := &ICMP6{Send: func(b []byte, _ []openflow.Action) { sent = b }}
		in := packet6(nil, bytes.Repeat([]byte{7}, tt.size))
		if !h.Handle(&Packet{Userdata: userdata(uint32(tt.mtu)), Data: append(in, 0, 0), Datapath: 5, Inport: 7}) || sent == nil {
			t.Fatalf("%d bytes: no answer", tt.size)
		}
		q := gopacket.NewPacket(sent, layers.LayerTypeEthernet, gopacket.Default)
		ip, _ := q.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		if ip == nil || int(ip.Length) != tt.want || ip.NextHeader != layers.IPProtocolICMPv6 || ip.HopLimit != 255 {
			t.Fatalf("%d bytes: %v", tt.size, q)
		}
		b := ip.Payload
		if b[0] != 1 || b[1] != 1 || int(b[6])<<8|int(b[7]) != tt.mtu || checksum(b, pseudo(ip, len(b))) != 0 {
			t.Errorf("%d bytes: %x", tt.size, b[:8])
		}
		if quote := b[8:]; !bytes.Equal(quote, in[14:14+len(quote)]) {
			t.Errorf("%d bytes: quotes %x", tt.size, quote)
		}
	}
}

// TestICMP6Silence: no error about these (RFC 4443, 2.4 (e)).
func TestICMP6Silence(t *testing.T) {
	next := func(n layers.IPProtocol) func(*layers.Ethernet, *layers.IPv6) {
		return func(_ *layers.Ethernet, ip *layers.IPv6) { ip.NextHeader = n }
	}
	group := func(eth *layers.Ethernet, ip *layers.IPv6) {
		eth.DstMAC, ip.DstIP = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 5}, net.ParseIP("ff0e::5")
	}
	options := func(then byte, message ...byte) []byte { return append([]byte{then, 0, 1, 4, 0, 0, 0, 0}, message...) }
	for name, tt := range map[string]struct {
		change  func(*layers.Ethernet, *layers.IPv6)
		payload []byte
		mtu     uint32
		answer  bool
	}{
		"udp":                     {nil, []byte("12345678"), 0, true},
		"echo":                    {next(58), []byte{128, 0, 0, 0, 0, 0, 0, 0}, 0, true},
		"error":                   {next(58), []byte{1, 0, 0, 0, 0, 0, 0, 0}, 0, false},
		"unknown error":           {next(58), []byte{127, 0, 0, 0, 0, 0, 0, 0}, 0, false},
		"redirect":                {next(58), []byte{137, 0, 0, 0, 0, 0, 0, 0}, 0, false},
		"no type":                 {next(58), nil, 0, false},
		"error behind options":    {next(60), options(58, 3, 0, 0, 0, 0, 0, 0, 0), 0, false},
		"echo behind options":     {next(60), options(58, 128, 0, 0, 0, 0, 0, 0, 0), 0, true},
		"error in a fragment":     {next(44), append([]byte{58, 0, 0, 1, 0, 0, 0, 9}, 3, 0, 0, 0), 0, false},
		"to a group":              {group, []byte("12345678"), 0, false},
		"to a group, too big":     {group, []byte("12345678"), 1400, true},
		"error, too big":          {next(58), []byte{1, 0, 0, 0, 0, 0, 0, 0}, 1400, false},
		"from ::":                 {func(_ *layers.Ethernet, ip *layers.IPv6) { ip.SrcIP = net.IPv6zero }, nil, 0, false},
		"from a group":            {func(_ *layers.Ethernet, ip *layers.IPv6) { ip.SrcIP = net.ParseIP("ff02::1") }, nil, 0, false},
		"frame to a group":        {func(eth *layers.Ethernet, _ *layers.IPv6) { eth.DstMAC = layers.EthernetBroadcast }, nil, 0, false},
		"broken options at end":   {next(60), []byte{58, 200, 0, 0}, 0, true},
		"fragment, not the first": {next(44), []byte{58, 0, 1, 0, 0, 0, 0, 9, 3, 0, 0, 0}, 0, true},
	} {
		answered := false
		h := &ICMP6{Send: func([]byte, []openflow.Action) { answered = true }}
		if !h.Handle(&Packet{Userdata: userdata(tt.mtu), Data: packet6(tt.change, tt.payload), Datapath: 5, Inport: 7}) {
			t.Errorf("%s: malformed", name)
		}
		if answered != tt.answer || (h.Silent == 1) == tt.answer {
			t.Errorf("%s: answered %v, silent %d", name, answered, h.Silent)
		}
	}
}

func TestTCPReset(t *testing.T) {
	for _, tt := range []struct {
		in       layers.TCP
		payload  string
		seq, ack uint32
		flagACK  bool
		answer   bool
	}{
		{layers.TCP{SYN: true, Seq: 1000}, "", 0, 1001, true, true},
		{layers.TCP{SYN: true, FIN: true, Seq: 1000}, "abc", 0, 1005, true, true},
		{layers.TCP{ACK: true, Seq: 1000, Ack: 77}, "abc", 77, 0, false, true},
		{layers.TCP{RST: true, ACK: true}, "", 0, 0, false, false},
	} {
		for _, six := range []bool{false, true} {
			seg := tt.in
			seg.SrcPort, seg.DstPort = 4000, 80
			var data []byte
			if six {
				ip := &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: layers.IPProtocolTCP, SrcIP: net.ParseIP("fd01::9"), DstIP: net.ParseIP("fd02::9")}
				_ = seg.SetNetworkLayerForChecksum(ip)
				data = serialize(Ethernet(1), Ethernet(2), nil, layers.EthernetTypeIPv6, ip, &seg, gopacket.Payload(tt.payload))
			} else {
				ip := &layers.IPv4{Version: 4, TTL: 9, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{10, 0, 0, 9}, DstIP: net.IP{20, 0, 0, 9}}
				_ = seg.SetNetworkLayerForChecksum(ip)
				data = serialize(Ethernet(1), Ethernet(2), nil, layers.EthernetTypeIPv4, ip, &seg, gopacket.Payload(tt.payload))
			}
			var sent []byte
			h := &TCPReset{Send: func(b []byte, _ []openflow.Action) { sent = b }}
			if !h.Handle(&Packet{Userdata: userdata(0), Data: data, Datapath: 5, Inport: 7}) || (sent != nil) != tt.answer {
				t.Errorf("%+v: sent %x", tt.in, sent)
			}
			if !tt.answer || sent == nil {
				continue
			}
			q := gopacket.NewPacket(sent, layers.LayerTypeEthernet, gopacket.Default)
			out, _ := q.Layer(layers.LayerTypeTCP).(*layers.TCP)
			if out == nil || !out.RST || out.SYN || out.ACK != tt.flagACK || out.Seq != tt.seq || out.Ack != tt.ack || out.SrcPort != 80 || out.DstPort != 4000 {
				t.Errorf("%+v, IPv6 %v: %v", tt.in, six, q)
			}
			if err := out.SetNetworkLayerForChecksum(q.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
			if err, r := out.VerifyChecksum(); err != nil || !r.Valid {
				t.Errorf("%+v: checksum %+v, %v", tt.in, r, err)
			}
		}
	}
}

// rs is a router solicitation.
func rs(src string, hops uint8) []byte {
	ip := &layers.IPv6{Version: 6, HopLimit: hops, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP(src), DstIP: net.ParseIP("ff02::2")}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeRouterSolicitation, 0)}
	_ = icmp.SetNetworkLayerForChecksum(ip)
	return serialize(Ethernet(9), net.HardwareAddr{0x33, 0x33, 0, 0, 0, 2}, nil, layers.EthernetTypeIPv6, ip, icmp, gopacket.Payload(make([]byte, 4)))
}

// raMessage is an advertisement as northd makes it.
func raMessage() []byte {
	return append([]byte{134, 0, 0, 0, 255, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, 1, 1, 0, 0, 0, 0, 0, 1)
}

func TestNDRA(t *testing.T) {
	for _, tt := range []struct {
		src, dst string
		mac      uint64
		hops     uint8
		ok       bool
	}{
		{"fe80::9", "fe80::9", 9, 255, true},
		{"::", "ff02::1", 0x333300000001, 255, true},
		{"fe80::9", "", 0, 64, false},
	} {
		var got *openflow.PacketIn
		h := &NDRA{Resume: func(in *openflow.PacketIn) { got = in }}
		paused := &openflow.PacketIn{Packet: rs(tt.src, tt.hops), Continuation: []byte{1}, UserData: append([]byte{0, abi.PuntNDRAOpts, 0, 0, 0, 0, 0, 5}, raMessage()...)}
		paused.Metadata.Set(openflow.FieldMetadata, 3)
		paused.Metadata.Set(openflow.FieldReg(0), 0x20+1) // the result was 1 before
		p := FromMessage(paused)
		p.Userdata = p.Userdata[2:]
		if ok := h.Handle(p); ok != tt.ok || got == nil {
			t.Fatalf("%+v: %v, resumed %v", tt, ok, got)
		}
		reg, _ := got.Metadata.Uint(openflow.FieldReg(0))
		if (reg == 0x21) != tt.ok || reg&1 != 1 {
			t.Errorf("%+v: reg0 is %#x", tt, reg)
		}
		if !tt.ok {
			if !bytes.Equal(got.Packet, rs(tt.src, tt.hops)) {
				t.Errorf("%+v: the packet changed", tt)
			}
			continue
		}
		q := gopacket.NewPacket(got.Packet, layers.LayerTypeEthernet, gopacket.Default)
		ip, _ := q.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		if ip == nil || ip.SrcIP.String() != tt.dst || number(got.Packet[6:12]) != tt.mac || ip.HopLimit != 255 ||
			checksum(ip.Payload, pseudo(ip, len(ip.Payload))) != 0 || !bytes.Equal(ip.Payload[4:], raMessage()[4:]) {
			t.Errorf("%+v: %v", tt, q)
		}
	}
	frame := RouterAdvertisement(1, raMessage())
	q := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	ip, _ := q.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	if ip == nil || ip.SrcIP.String() != "fe80::200:ff:fe00:1" || ip.DstIP.String() != "ff02::1" || checksum(ip.Payload, pseudo(ip, len(ip.Payload))) != 0 {
		t.Errorf("unsolicited: %v", q)
	}
	if RouterAdvertisement(1, []byte{1, 2}) != nil {
		t.Error("an advertisement of nothing")
	}
}

// FuzzRouter feeds packets and userdata of a peer to all handlers of routers:
// none panics, and what they send are whole frames.
func FuzzRouter(f *testing.F) {
	f.Add(userdata(1400), packet4(nil, []byte("12345678")), []byte("0123456789abcdef"), uint32(5), uint32(2))
	f.Add(userdata(0), packet6(nil, []byte("12345678")), netip.MustParseAddr("fd02::9").AsSlice(), uint32(5), uint32(2))
	f.Add(append([]byte{0, 0, 0, 0, 0, 5}, raMessage()...), rs("fe80::9", 255), []byte{}, uint32(5), uint32(2))
	f.Fuzz(func(t *testing.T, userdata, data, regs []byte, dp, port uint32) {
		send := func(b []byte, _ []openflow.Action) {
			if len(b) < 14 {
				t.Errorf("sent %x", b)
			}
		}
		hold := NewHold(nil)
		hold.Send = send
		hold.Known = func(NextHop) uint64 { return 0 }
		n := &Neighbours{Known: hold.Known, Count: func(uint32) int { return 0 }, Learn: func(at NextHop, mac uint64) {
			if mac == 0 || mac>>40&1 == 1 || mac>>48 != 0 || !at.IP.IsValid() || at.IP.IsMulticast() || at.Port == 0 || at.Port > abi.MaxPortKey {
				t.Errorf("learned %v at %x", at, mac)
			}
		}}
		for _, h := range []Handler{
			(&ARP{Hold: hold}).Handle, (&NDNS{Hold: hold}).Handle, n.HandleARP, n.HandleND, (&ICMP4{Send: send}).Handle, (&ICMP6{Send: send}).Handle,
			(&TCPReset{Send: send}).Handle, (&SCTPAbort{Send: send}).Handle, (&NDNA{Send: send, Router: true}).Handle,
			(&NDRA{Resume: func(in *openflow.PacketIn) { send(in.Packet, nil) }}).Handle,
		} {
			p := &Packet{Userdata: userdata, Data: data, Datapath: uint64(dp), Inport: port, Outport: port}
			if len(data) >= 14 {
				p.Paused = &openflow.PacketIn{Packet: data}
			}
			for i := 0; i < len(regs) && i < 16; i++ {
				p.Regs[i/4] |= uint32(regs[i]) << (24 - 8*(i%4))
			}
			h(p)
		}
	})
}
