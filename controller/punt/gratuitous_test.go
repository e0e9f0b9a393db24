package punt

import (
	"errors"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func TestGratuitous(t *testing.T) {
	frames, err := Gratuitous("50:54:00:00:00:01 10.0.0.1 2001:db8::1")
	if err != nil || len(frames) != 2 {
		t.Fatal(frames, err)
	}
	p := gopacket.NewPacket(frames[0], layers.LayerTypeEthernet, gopacket.Default)
	arp, _ := p.Layer(layers.LayerTypeARP).(*layers.ARP)
	eth, _ := p.LinkLayer().(*layers.Ethernet)
	if arp == nil || arp.Operation != layers.ARPRequest || string(arp.SourceProtAddress) != string(arp.DstProtAddress) ||
		string(arp.SourceHwAddress) != string(eth.SrcMAC) || eth.DstMAC.String() != "ff:ff:ff:ff:ff:ff" || arp.DstProtAddress[3] != 1 {
		t.Errorf("got %v", p)
	}
	p = gopacket.NewPacket(frames[1], layers.LayerTypeEthernet, gopacket.Default)
	na, _ := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	if na == nil || na.TargetAddress.String() != "2001:db8::1" || na.Flags != 0xa0 || p.ErrorLayer() != nil {
		t.Errorf("got %v", p)
	}
	frames, err = Gratuitous("50:54:00:00:00:01")
	if err != nil || len(frames) != 1 || frames[0][12] != 0x80 || frames[0][13] != 0x35 {
		t.Errorf("reverse ARP: %x, %v", frames, err)
	}
	for _, bad := range []string{"", "10.0.0.1", "50:54:00:00:00:01 10.0.0", "50:54:00:00:00:00:00:01 10.0.0.1"} {
		if frames, err := Gratuitous(bad); !errors.Is(err, ErrAddresses) || frames != nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %x, %v", bad, frames, err)
		}
	}
}

// Whatever comes from northd, it is frames or an error.
func FuzzGratuitous(f *testing.F) {
	f.Add("50:54:00:00:00:01 10.0.0.1")
	f.Add("50:54:00:00:00:01 fe80::1%eth0 ::ffff:10.0.0.1")
	f.Fuzz(func(t *testing.T, s string) {
		frames, err := Gratuitous(s)
		if (err == nil) == (len(frames) == 0) {
			t.Errorf("%d frames and %v", len(frames), err)
		}
	})
}
