package sim

import (
	"fmt"
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Summary says in a few words what a frame is.
func Summary(frame []byte) string {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	eth, ok := p.LinkLayer().(*layers.Ethernet)
	if !ok {
		return fmt.Sprintf("%d bytes", len(frame))
	}
	if arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok {
		from, to := net.IP(arp.SourceProtAddress), net.IP(arp.DstProtAddress)
		if arp.Operation == layers.ARPReply {
			return fmt.Sprintf("ARP %v is at %v", from, net.HardwareAddr(arp.SourceHwAddress))
		}
		return fmt.Sprintf("ARP who has %v? tell %v", to, from)
	}
	var src, dst net.IP
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		src, dst = ip.SrcIP, ip.DstIP
	case *layers.IPv6:
		src, dst = ip.SrcIP, ip.DstIP
	default:
		return fmt.Sprintf("Ethernet type %#04x from %v to %v, %d bytes", uint16(eth.EthernetType), eth.SrcMAC, eth.DstMAC, len(frame))
	}
	between := fmt.Sprintf("%v to %v", src, dst)
	if ns, ok := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation); ok {
		return fmt.Sprintf("ND who has %v? tell %v", ns.TargetAddress, src)
	}
	if na, ok := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement); ok {
		for _, o := range na.Options {
			if o.Type == layers.ICMPv6OptTargetAddress {
				return fmt.Sprintf("ND %v is at %v", na.TargetAddress, net.HardwareAddr(o.Data))
			}
		}
		return fmt.Sprintf("ND advertisement of %v", na.TargetAddress)
	}
	if icmp, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok {
		switch icmp.TypeCode.Type() {
		case layers.ICMPv4TypeEchoRequest:
			return fmt.Sprintf("ICMP echo request %s, seq %d", between, icmp.Seq)
		case layers.ICMPv4TypeEchoReply:
			return fmt.Sprintf("ICMP echo reply %s, seq %d", between, icmp.Seq)
		}
		return fmt.Sprintf("ICMP %v %s", icmp.TypeCode, between)
	}
	if echo, ok := p.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo); ok {
		what := "request"
		if icmp, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok && icmp.TypeCode.Type() == layers.ICMPv6TypeEchoReply {
			what = "reply"
		}
		return fmt.Sprintf("ICMPv6 echo %s %s, seq %d", what, between, echo.SeqNumber)
	}
	switch l4 := p.TransportLayer().(type) {
	case *layers.UDP:
		return fmt.Sprintf("UDP %v:%d to %v:%d", src, uint16(l4.SrcPort), dst, uint16(l4.DstPort))
	case *layers.TCP:
		return fmt.Sprintf("TCP %v:%d to %v:%d", src, uint16(l4.SrcPort), dst, uint16(l4.DstPort))
	}
	return fmt.Sprintf("IP %s, %d bytes", between, len(frame))
}
