package punt

import (
	"bytes"
	"encoding/hex"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// solicitation is a neighbour solicitation from src for target.
func solicitation(t testing.TB, src, target string) []byte {
	t.Helper()
	ip := layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP(src), DstIP: net.ParseIP("ff02::1:ff00:11")}
	icm := layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborSolicitation, 0)}
	if err := icm.SetNetworkLayerForChecksum(&ip); err != nil {
		t.Fatal(err)
	}
	mac, _ := net.ParseMAC("50:54:00:00:00:02")
	group, _ := net.ParseMAC("33:33:ff:00:00:11")
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: mac, DstMAC: group, EthernetType: layers.EthernetTypeIPv6}, &ip, &icm,
		&layers.ICMPv6NeighborSolicitation{TargetAddress: net.ParseIP(target)})
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestNDNA(t *testing.T) {
	for _, tt := range []struct {
		src, target, dst string
		flags            uint8
	}{
		{"fd00::12", "fd00::11", "fd00::12", naSolicited | naOverride},
		{"::", "fd00::11", "ff02::1", naOverride},
	} {
		var sent []byte
		var acts []openflow.Action
		h := NDNA{Send: func(data []byte, a []openflow.Action) { sent, acts = data, a }}
		inner := []openflow.Action{openflow.ToTable(37)}
		ok := h.Handle(&Packet{Userdata: append(make([]byte, 6), openflow.EncodeActions(inner)...),
			Data: solicitation(t, tt.src, tt.target), Datapath: 5, Inport: 7})
		if !ok || sent == nil {
			t.Fatalf("%s asks for %s: no answer", tt.src, tt.target)
		}
		p := gopacket.NewPacket(sent, layers.LayerTypeEthernet, gopacket.Default)
		ip, _ := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		na, _ := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
		if ip == nil || na == nil {
			t.Fatalf("not an advertisement: %v", p)
		}
		if ip.SrcIP.String() != tt.target || ip.DstIP.String() != tt.dst || ip.HopLimit != 255 ||
			na.TargetAddress.String() != tt.target || na.Flags != tt.flags || len(na.Options) != 1 {
			t.Errorf("%s asks for %s: got %v", tt.src, tt.target, p)
		}
		want := openflow.FormatActions([]openflow.Action{
			openflow.SetUint(openflow.FieldMetadata, 5), openflow.SetUint(openflow.FieldReg(abi.RegInport), 7), openflow.ToTable(37)})
		if got := openflow.FormatActions(acts); got != want {
			t.Errorf("actions %s, want %s", got, want)
		}
	}
}

// FuzzNDNA feeds packets and userdata of a peer.
func FuzzNDNA(f *testing.F) {
	f.Add(make([]byte, 6), solicitation(f, "fd00::12", "fd00::11"))
	arp, _ := hex.DecodeString("ffffffffffff505400000001080600010800060400015054000000010a00000b0000000000000a00000c")
	f.Add([]byte{}, arp)
	f.Fuzz(func(t *testing.T, userdata, frame []byte) {
		h := NDNA{Send: func(data []byte, _ []openflow.Action) {
			if len(data) < 14+40+24 || bytes.Equal(data, frame) {
				t.Errorf("answered with %x", data)
			}
		}}
		h.Handle(&Packet{Userdata: userdata, Data: frame, Datapath: 1, Inport: 1})
	})
}
