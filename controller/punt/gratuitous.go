package punt

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// ErrAddresses is returned for what is not "MAC [IP...]".
var ErrAddresses = errors.New("not an Ethernet address with IP addresses")

// Gratuitous are the frames that tell a network where addresses, "MAC [IP...]",
// are now: for IPv4 an ARP request for the address itself (RFC 5227, 3), for
// IPv6 an unsolicited neighbour advertisement to all nodes (RFC 4861, 7.2.6),
// and without any a reverse ARP request, by which switches learn (RFC 903).
func Gratuitous(addresses string) ([][]byte, error) {
	words := strings.Fields(addresses)
	if len(words) == 0 {
		return nil, fmt.Errorf("%q: %w", addresses, ErrAddresses)
	}
	mac, err := net.ParseMAC(words[0])
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("%q: %w", addresses, ErrAddresses)
	}
	var frames [][]byte
	for _, word := range words[1:] {
		ip, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("%q: %w: %w", addresses, ErrAddresses, err)
		}
		var frame []byte
		if ip.Is4() {
			frame, err = requestFrame(mac, layers.EthernetTypeARP, layers.ARPRequest, net.IP(ip.AsSlice()))
		} else {
			frame, err = advertFrame(mac, net.IP(ip.AsSlice()))
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", addresses, err)
		}
		frames = append(frames, frame)
	}
	if len(frames) > 0 {
		return frames, nil
	}
	frame, err := requestFrame(mac, etherTypeRARP, rarpRequest, net.IPv4zero.To4())
	return [][]byte{frame}, err
}

const (
	etherTypeRARP = 0x8035
	rarpRequest   = 3
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// requestFrame is an ARP or reverse ARP request for the sender's own addresses.
func requestFrame(mac net.HardwareAddr, kind layers.EthernetType, op uint16, ip net.IP) ([]byte, error) {
	target := []byte{0, 0, 0, 0, 0, 0}
	if op == rarpRequest {
		target = mac
	}
	return gratuitousFrame(
		&layers.Ethernet{SrcMAC: mac, DstMAC: broadcast, EthernetType: kind},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: op, SourceHwAddress: mac, SourceProtAddress: ip, DstHwAddress: target, DstProtAddress: ip})
}

// advertFrame is an unsolicited neighbour advertisement of a router.
func advertFrame(mac net.HardwareAddr, ip net.IP) ([]byte, error) {
	const router, override = 0x80, 0x20
	out := layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: ip, DstIP: net.IPv6linklocalallnodes}
	na := layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborAdvertisement, 0)}
	if err := na.SetNetworkLayerForChecksum(&out); err != nil {
		return nil, err
	}
	return gratuitousFrame(
		&layers.Ethernet{SrcMAC: mac, DstMAC: net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, EthernetType: layers.EthernetTypeIPv6}, &out, &na,
		&layers.ICMPv6NeighborAdvertisement{Flags: router | override, TargetAddress: ip,
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: mac}}})
}

func gratuitousFrame(list ...gopacket.SerializableLayer) ([]byte, error) {
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
