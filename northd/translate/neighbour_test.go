package translate

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/northd/pipeline"
	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// compiled is the OpenFlow actions of logical actions.
func compiled(t *testing.T, text string) ([]openflow.Action, error) {
	t.Helper()
	acts, err := logical.ParseActions(text, logical.Default())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	c := &compiler{stage: &pipeline.Stage{ID: 1, Name: "test"}, keys: func(string) (uint32, error) { return 7, nil }}
	err = c.all(acts)
	return c.out, err
}

func TestNeighbourActions(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		// Arguments that are in their places already stay.
		{"get_arp(outport, reg0);", "set_field:00:00:00:00:00:00->eth_dst,resubmit(,66)"},
		{"get_arp(outport, ip4.dst);", "push:NXM_NX_REG0[],push:NXM_OF_IP_DST[],pop:NXM_NX_REG0[],set_field:00:00:00:00:00:00->eth_dst,resubmit(,66),pop:NXM_NX_REG0[]"},
		{"get_nd(outport, xxreg0);", "set_field:00:00:00:00:00:00->eth_dst,resubmit(,66)"},
		{"get_arp(inport, reg0);", "push:NXM_NX_REG15[],push:NXM_NX_REG14[],pop:NXM_NX_REG15[],set_field:00:00:00:00:00:00->eth_dst,resubmit(,66),pop:NXM_NX_REG15[]"},
		{"put_arp(inport, arp.spa, arp.sha);", "push:NXM_NX_REG0[],push:NXM_OF_ETH_SRC[],push:NXM_NX_ARP_SHA[],push:NXM_OF_ARP_SPA[],pop:NXM_NX_REG0[],pop:NXM_OF_ETH_SRC[]," +
			"controller(userdata=00.05.00.00.00.00.00.00),pop:NXM_OF_ETH_SRC[],pop:NXM_NX_REG0[]"},
		{"put_nd(inport, nd.target, eth.src);", "push:NXM_NX_XXREG0[],push:NXM_NX_ND_TARGET[],pop:NXM_NX_XXREG0[],controller(userdata=00.06.00.00.00.00.00.00),pop:NXM_NX_XXREG0[]"},
		{"reg9[2] = lookup_arp(inport, arp.spa, arp.sha);", "push:NXM_NX_REG0[],push:NXM_OF_ETH_SRC[],push:NXM_NX_ARP_SHA[],push:NXM_OF_ARP_SPA[],pop:NXM_NX_REG0[],pop:NXM_OF_ETH_SRC[]," +
			"set_field:0/0x40->reg10,resubmit(,67),pop:NXM_OF_ETH_SRC[],pop:NXM_NX_REG0[],move:NXM_NX_REG10[6]->NXM_NX_REG9[2]"},
		{"reg9[3] = lookup_nd_ip(inport, ip6.src);", "push:NXM_NX_XXREG0[],push:NXM_NX_IPV6_SRC[],pop:NXM_NX_XXREG0[]," +
			"set_field:0/0x4000000->reg10,resubmit(,67),pop:NXM_NX_XXREG0[],move:NXM_NX_REG10[26]->NXM_NX_REG9[3]"},
		{"reg9[1] = check_pkt_larger(1414);", "check_pkt_larger(1414)->NXM_NX_REG9[1]"},
	} {
		out, err := compiled(t, tt.text)
		if got := openflow.FormatActions(out); err != nil || got != tt.want {
			t.Errorf("%s\n got %s, %v\nwant %s", tt.text, got, err, tt.want)
		}
	}
}

// TestNests looks into the userdata of the actions that make a packet.
func TestNests(t *testing.T) {
	for _, tt := range []struct {
		text, inner string
		opcode      byte
		argument    uint32
	}{
		{"arp { eth.dst = ff:ff:ff:ff:ff:ff; arp.spa = reg1; arp.tpa = reg0; arp.op = 1; output; };",
			"set_field:ff:ff:ff:ff:ff:ff->eth_dst,move:NXM_NX_REG1[]->NXM_OF_ARP_SPA[],move:NXM_NX_REG0[]->NXM_OF_ARP_TPA[],set_field:1->arp_op,resubmit(,37)", abi.PuntARP, 0},
		{"nd_ns { nd.target = xxreg0; output; };", "move:NXM_NX_XXREG0[]->NXM_NX_ND_TARGET[],resubmit(,37)", abi.PuntNDNS, 0},
		{"nd_na_router { nd.tll = 00:00:00:00:00:01; output; };", "set_field:00:00:00:00:00:01->nd_tll,resubmit(,37)", abi.PuntNDNARouter, 0},
		{"icmp4 { icmp4.type = 11; icmp4.code = 0; output; };", "set_field:11->icmp_type,set_field:0->icmp_code,resubmit(,37)", abi.PuntICMP4, 0},
		{"icmp4_error { reg9[0] = 1; icmp4.frag_mtu = 1400; next(pipeline=ingress, table=0); };", "set_field:0x1/0x1->reg9,resubmit(,8)", abi.PuntICMP4, 1400},
		{"icmp6_error { icmp6.type = 2; icmp6.frag_mtu = 1400; output; };", "set_field:2->icmpv6_type,resubmit(,37)", abi.PuntICMP6, 1400},
		{"tcp_reset { outport <-> inport; output; };", "push:NXM_NX_REG15[],push:NXM_NX_REG14[],pop:NXM_NX_REG15[],pop:NXM_NX_REG14[],resubmit(,37)", abi.PuntTCPReset, 0},
		{"sctp_abort { outport <-> inport; output; };", "push:NXM_NX_REG15[],push:NXM_NX_REG14[],pop:NXM_NX_REG15[],pop:NXM_NX_REG14[],resubmit(,37)", abi.PuntSCTPAbort, 0},
	} {
		out, err := compiled(t, tt.text)
		if err != nil || len(out) != 1 {
			t.Errorf("%s: %v, %v", tt.text, out, err)
			continue
		}
		u := out[0].(openflow.Controller).UserData
		argument := uint32(u[4])<<24 | uint32(u[5])<<16 | uint32(u[6])<<8 | uint32(u[7])
		inner, err := openflow.DecodeActions(u[8:])
		if got := openflow.FormatActions(inner); err != nil || got != tt.inner || u[1] != tt.opcode || argument != tt.argument {
			t.Errorf("%s\n got %d(%d) %s, %v\nwant %d(%d) %s", tt.text, u[1], argument, got, err, tt.opcode, tt.argument, tt.inner)
		}
	}
	for _, bad := range []string{"icmp4 { output; fwd_group(childports=\"a\"); };", "icmp6 { reg8[16] = dns_lookup(); };"} {
		acts, err := logical.ParseActions(bad, logical.Default())
		if err == nil {
			err = (&compiler{stage: &pipeline.Stage{}}).all(acts)
		}
		if err == nil {
			t.Errorf("%s compiles", bad)
		}
	}
}

// TestRouterAdvertisement has another implementation read what was made.
func TestRouterAdvertisement(t *testing.T) {
	out, err := compiled(t, `reg0[5] = put_nd_ra_opts(addr_mode = "dhcpv6_stateless", slla = 00:00:00:00:00:01, mtu = 1450, router_preference = "LOW", `+
		`rdnss = fd01::53, dnssl = "a.b,c.d", route_info = "HIGH-aef1::/48,LOW-aef2::/96", prefix = fd01::/64, prefix = fd02::/64);`)
	if err != nil {
		t.Fatal(err)
	}
	to := out[0].(openflow.Controller)
	head := []byte{0, abi.PuntNDRAOpts, 0, 0, 0, 0, 0, 5}
	if !to.Pause || !bytes.HasPrefix(to.UserData, head) {
		t.Fatalf("%v", to)
	}
	body := to.UserData[8:]
	p := gopacket.NewPacket(body, layers.LayerTypeICMPv6, gopacket.Default)
	ra, _ := p.Layer(layers.LayerTypeICMPv6RouterAdvertisement).(*layers.ICMPv6RouterAdvertisement)
	if ra == nil {
		t.Fatalf("no advertisement: %v", p)
	}
	if ra.HopLimit != 255 || ra.Flags != 0x40|3<<3 || ra.RouterLifetime != 0xffff || ra.ReachableTime != 0 || ra.RetransTimer != 0 {
		t.Errorf("advertisement %+v", ra)
	}
	var got []string
	for _, o := range ra.Options {
		got = append(got, o.Type.String()+" "+hex.EncodeToString(o.Data))
	}
	want := []string{
		"SourceAddress 000000000001",
		"MTU 0000000005aa",
		"RecursiveDNSServer 0000ffffffff" + "fd010000000000000000000000000053",
		"Unknown(31) 0000ffffffff" + "0161016200" + "0163016400" + "000000000000",
		"Unknown(24) 3008ffffffff" + "aef1000000000000",
		"Unknown(24) 6018ffffffff" + "aef20000000000000000000000000000",
		"PrefixInfo 40c0ffffffffffffffff00000000" + "fd010000000000000000000000000000",
		"PrefixInfo 40c0ffffffffffffffff00000000" + "fd020000000000000000000000000000",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("options\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	out, err = compiled(t, `reg0[5] = put_nd_ra_opts(addr_mode = "dhcpv6_stateful", slla = 00:00:00:00:00:01, mtu = 1000, prefix = fd01::/64);`)
	if err != nil {
		t.Fatal(err)
	}
	body = out[0].(openflow.Controller).UserData[8:]
	if body[5] != 0xc0 || len(body) != 16+8+32 || body[16+8+3] != 0x80 {
		t.Errorf("stateful, small MTU: %x", body)
	}
	for _, bad := range []string{`addr_mode = "x"`, `rdnss = 10.0.0.1`, `prefix = 10.0.0.0/8`, `dnssl = "a..b"`, `dnssl = "` + strings.Repeat("a", 64) + `"`,
		`route_info = "aef1::/48"`, `route_info = "HIGH-x"`, `router_preference = "high"`, `mtu = "many"`, `other = 1`} {
		if _, err := compiled(t, "reg0[5] = put_nd_ra_opts("+bad+");"); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
