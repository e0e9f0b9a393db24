package flows

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"govn/pkg/openflow"
	"govn/test/ovstest"
)

// Open vSwitch has a map of Geneve options for each bridge, not for the datapath
// that bridges share: what is mapped on one is not on the other, one field may
// stand for two options, and a packet's options are those of the bridge whose
// port it arrives at.
func TestOptionsOfTwoBridges(t *testing.T) {
	ovs := ovstest.Start(t, ovstest.Options{Tunnels: true})
	ovs.Vsctl("add-br", "br-two", "--", "set", "bridge", "br-two", "datapath_type=dummy", "fail_mode=secure")
	two := *ovs
	two.Mgmt = "unix:" + ovs.RunDir + "/br-two.mgmt"
	port := func(bridge, name, remote string) {
		ovs.Vsctl("add-port", bridge, name, "--", "set", "interface", name, "type=geneve", "options:remote_ip="+remote, "options:key=flow")
	}
	port("br-int", "g1", "203.0.113.1")
	port("br-two", "g2", "203.0.113.2")

	// Somebody else has the other bridge's first field, for another option, and
	// this bridge's.
	two.Ofctl("add-tlv-map", "{class=0x103,type=0x80,len=4}->tun_metadata0")
	if n := mapped(t, ovs.Mgmt); n != 0 {
		t.Errorf("the option is mapped to tun_metadata%d of br-int, though only br-two's field 0 is taken", n)
	}
	if n := mapped(t, two.Mgmt); n != 1 {
		t.Errorf("the option is mapped to tun_metadata%d of br-two, whose field 0 is taken", n)
	}
	if n := mapped(t, two.Mgmt); n != 1 {
		t.Errorf("the second time it is mapped to tun_metadata%d", n)
	}

	ovs.Ofctl("add-flow", "in_port=g1,tun_metadata0=7,actions=drop")
	two.Ofctl("add-flow", "in_port=g2,tun_metadata0=7,actions=drop")
	two.Ofctl("add-flow", "in_port=g2,tun_metadata1=7,actions=drop")
	arrival := regexp.MustCompile(`g1 \d+/(\d+)`).FindStringSubmatch(ovs.Appctl("dpif/show"))
	if arrival == nil {
		t.Fatal("no datapath port of the tunnel")
	}
	for _, tt := range []struct{ class, remote, hit string }{
		{"0x102", "203.0.113.1", "tun_metadata0=0x7"},
		{"0x103", "203.0.113.2", "tun_metadata0=0x7"},
		{"0x102", "203.0.113.2", "tun_metadata1=0x7"},
	} {
		out := ovs.Appctl("ofproto/trace", "ovs-dummy", fmt.Sprintf("tunnel(tun_id=0x1,src=%s,dst=203.0.113.9,ttl=64,tp_src=1,tp_dst=6081,"+
			"geneve({class=%s,type=0x80,len=4,0x7}),flags(key)),in_port(%s),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x1234)",
			tt.remote, tt.class, arrival[1]))
		_, table, _ := strings.Cut(out, " 0. ")
		if first, _, _ := strings.Cut(table, "\n"); !strings.Contains(first, tt.hit) {
			t.Errorf("option of class %s from %s: want %s\n%s", tt.class, tt.remote, tt.hit, out)
		}
	}
}

// mapped runs mapOption on a bridge.
func mapped(t *testing.T, mgmt string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := openflow.Dial(ctx, mgmt, openflow.ConnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n, err := mapOption(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A map that a packet's option does not fit into, or that package openflow has
// no field for, is an error that says so.
func TestOptionElsewhere(t *testing.T) {
	ovs := ovstest.Start(t, ovstest.Options{})
	try := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		conn, err := openflow.Dial(ctx, ovs.Mgmt, openflow.ConnOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = mapOption(ctx, conn)
		return err
	}
	ovs.Ofctl("add-tlv-map", "{class=0x102,type=0x80,len=8}->tun_metadata0")
	if err := try(); err == nil || !strings.Contains(err.Error(), "another length") {
		t.Errorf("8 bytes: %v", err)
	}
	ovs.Ofctl("del-tlv-map")
	ovs.Ofctl("add-tlv-map", "{class=0x102,type=0x80,len=4}->tun_metadata9")
	if err := try(); err == nil || !strings.Contains(err.Error(), "tun_metadata9") {
		t.Errorf("field 9: %v", err)
	}
}
