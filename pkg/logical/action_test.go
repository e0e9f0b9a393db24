package logical

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// Rule: the text of actions is the one of ovn-sb(5); prerequisites come from
// the fields and the actions, not from what is nested.
var actionRows = []struct {
	in, out string // out "": as in
	prereq  string // as a match; "": none
	since   bool   // newer than OVN 23.03
}{
	{in: "", out: ""},
	{in: " // nothing", out: ""},
	{in: "drop;"},
	{in: "next;"},
	{in: "next(5);"},
	{in: "next(table=5);", out: "next(5);"},
	{in: "next(pipeline=egress, table=3);", out: "next(pipeline=egress,table=3);"},
	{in: "next(table=3,pipeline=ingress);", out: "next(pipeline=ingress,table=3);"},
	{in: "output;"},
	{in: `outport = "vm1"; output;`},
	{in: `outport="_MC_flood";output;`, out: `outport = "_MC_flood"; output;`},
	{in: "reg0[0] = 1; flags.loopback = 1; next;"},
	{in: "eth.dst = 00:00:00:00:00:01;"},
	{in: "ip4.src = 10.0.0.1;", prereq: "ip4"},
	{in: "ip6.src = fd00::1;", prereq: "ip6"},
	{in: "vlan.pcp = 4/4;", prereq: "vlan.present"},
	{in: "vlan.pcp[2] = 1;", prereq: "vlan.present"},
	{in: "xxreg0 = 0;"},
	{in: "reg0 = ip4.dst;", prereq: "ip4"},
	{in: "tcp.dst = reg0[0..15];", prereq: "tcp"},
	{in: "ip4.src = ip6.src[0..31];", prereq: "0"},
	{in: "outport = inport;"},
	{in: "eth.src <-> eth.dst;"},
	{in: "inport <-> outport;"},
	{in: "arp.tha = arp.sha; arp.tpa <-> arp.spa;", prereq: "arp"},
	{in: "push(xxreg0); push(xxreg1[10..20]); pop(xxreg0[0..10]); pop(xxreg1);"},
	{in: "ip.ttl--; next;", prereq: "ip"},
	{in: "clone { ip4.dst = 1.2.3.4; output; }; next;"},
	{in: "clone { clone { output; }; }; next;"},
	{in: "arp { eth.dst = ff:ff:ff:ff:ff:ff; output; }; output;", prereq: "ip4"},
	{in: "arp { };", prereq: "ip4"},
	{in: "arp { drop; };", prereq: "ip4"},
	{in: "nd_na { eth.src = 12:34:56:78:9a:bc; nd.tll = 12:34:56:78:9a:bc; outport = inport; inport = \"\"; output; };", prereq: "nd_ns"},
	{in: "nd_na_router { output; };", prereq: "nd_ns"},
	{in: "nd_ns { nd.target = xxreg0; output; };", prereq: "ip6"},
	{in: "icmp4 { icmp4.type = 3; eth.dst <-> eth.src; output; };", prereq: "ip4"},
	{in: "icmp4_error { icmp4.frag_mtu = 1500; output; };", prereq: "ip4"},
	{in: "icmp6 { icmp6.code = 0; output; };", prereq: "ip6"},
	{in: "icmp6_error { icmp6.frag_mtu = 1500; output; };", prereq: "ip6"},
	{in: "tcp_reset { outport <-> inport; output; };", prereq: "tcp"},
	{in: "sctp_abort { outport <-> inport; output; };", prereq: "sctp"},
	{in: "reject { outport <-> inport; next(pipeline=egress,table=5); };"},
	{in: "get_arp(outport, ip4.dst);", prereq: "ip4"},
	{in: "put_arp(inport, arp.spa, arp.sha);", prereq: "arp"},
	{in: "reg0[0] = lookup_arp(inport, arp.spa, arp.sha);", prereq: "arp"},
	{in: "reg0[0] = lookup_arp_ip(inport, arp.spa);", prereq: "arp"},
	{in: "get_nd(outport, ip6.dst);", prereq: "ip6"},
	{in: "put_nd(inport, nd.target, nd.tll);", prereq: "nd_na"},
	{in: "reg0[0] = lookup_nd(inport, ip6.src, eth.src);", prereq: "ip6"},
	{in: "reg0[0] = lookup_nd_ip(inport, ip6.src);", prereq: "ip6"},
	{in: "put_fdb(inport, eth.src);"},
	{in: "outport = get_fdb(eth.dst);"},
	{in: "reg0[11] = lookup_fdb(inport, eth.src);"},
	{in: "reg0[15] = check_in_port_sec();"},
	{in: "reg0[15] = check_out_port_sec();"},
	{in: "reg9[1] = check_pkt_larger(1500);"},
	{in: "reg0[4] = dns_lookup();", prereq: "udp"},
	{in: "set_queue(61440);"},
	{in: "set_meter(100);"},
	{in: "set_meter(100, 1000);"},
	{in: "ct_next;", prereq: "ip"},
	{in: "ct_clear;"},
	{in: "ct_commit { };", prereq: "ip"},
	{in: "ct_commit { ct_mark = 1; };", prereq: "ip"},
	{in: "ct_commit { ct_mark.blocked = 1; ct_label[0..31] = reg0; };", prereq: "ip"},
	{in: "ct_dnat;", prereq: "ip"},
	{in: "ct_dnat(192.168.1.2);", prereq: "ip"},
	{in: "ct_dnat(fd00::2);", prereq: "ip"},
	{in: "ct_snat(192.168.1.2, 1-3000);", prereq: "ip"},
	{in: "ct_snat(192.168.1.2, 80);", prereq: "ip"},
	{in: "ct_snat;", prereq: "ip"},
	{in: "ct_dnat_in_czone(192.168.1.2);", prereq: "ip"},
	{in: "ct_snat_in_czone;", prereq: "ip"},
	{in: "ct_commit_nat;", prereq: "ip"},
	{in: "ct_snat_to_vip;", prereq: "ip"},
	{in: "ct_lb;", prereq: "ip"},
	{in: "ct_lb_mark;", prereq: "ip"},
	{in: "ct_lb_mark(backends=192.168.1.2:80,192.168.1.3:80);", prereq: "ip"},
	{in: "ct_lb_mark(backends=192.168.1.2, 192.168.1.3);", out: "ct_lb_mark(backends=192.168.1.2,192.168.1.3);", prereq: "ip"},
	{in: "ct_lb_mark(backends=[fd0f::2]:8080,[fd0f::3]:8080);", prereq: "ip"},
	{in: "ct_lb_mark(backends=fd0f::2,fd0f::3; hash_fields=\"eth_src,eth_dst\"; skip_snat);", prereq: "ip"},
	{in: "ct_lb_mark(backends=192.168.1.2:80; force_snat);", prereq: "ip"},
	{in: "reg8[16..31] = select(1=50, 2=100, 3);"},
	{in: "reg0[3] = put_dhcp_opts(offerip = 10.0.0.4, router = 10.0.0.1, netmask = 255.255.255.0, mtu = 1400, dns_server = {8.8.8.8, 7.7.7.7});"},
	{in: "reg0[3] = put_dhcpv6_opts(ia_addr = aef0::4, server_id = 00:00:00:00:10:02, dns_server = {ae70::1, ae70::10});"},
	{in: `reg0[5] = put_nd_ra_opts(addr_mode = "slaac", mtu = 1450, prefix = aef0::/64, slla = 00:00:00:00:10:02);`, prereq: "ip6"},
	{in: `log(name="acl1", verdict=allow, severity=info, meter="m1");`},
	{in: "sample(probability=65535, collector_set=200, obs_domain=0, obs_point=$cookie);"},
	{in: "sample(probability=65535, obs_point=@cookie);", since: true},
	{in: `trigger_event(event = "empty_lb_backends", vip = "10.0.0.1:80", protocol = "tcp", load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c");`},
	{in: `fwd_group(liveness="true", childports="p1", "p2");`},
	{in: `bind_vport("xyzzy", inport);`},
	{in: "handle_svc_check(inport);"},
	{in: "handle_dhcpv6_reply;"},
	{in: "igmp;", prereq: "igmp"},
	{in: "reg0[6] = chk_lb_hairpin();"},
	{in: "reg0[12] = chk_lb_hairpin_reply();"},
	{in: "reg9[6] = chk_lb_aff();"},
	{in: "reg9[5] = chk_ecmp_nh();"},
	{in: "reg9[5] = chk_ecmp_nh_mac();"},
	{in: `commit_ecmp_nh(ipv6 = true, proto = tcp);`},
	{in: `commit_lb_aff(vip = "172.16.0.123:8080", backend = "10.0.0.3:8080", proto = tcp, timeout = 30);`},
	{in: "mac_cache_use;", since: true},
	{in: "ct_commit_to_zone(dnat);", prereq: "ip", since: true},
	{in: "flood_remote;", since: true},
	{in: `mirror("lp1");`, since: true},
	{in: "reg4[0..7] = ct_state_save();", since: true},
	{in: "outport = get_remote_fdb(eth.dst);", since: true},
}

func TestActionText(t *testing.T) {
	for _, row := range actionRows {
		acts, err := ParseActions(row.in, Default())
		if err != nil {
			t.Errorf("%s: %v", row.in, err)
			continue
		}
		want := row.out
		if want == "" && !strings.Contains(row.in, "nothing") {
			want = row.in
		}
		if got := FormatActions(acts); got != want {
			t.Errorf("%s: printed as %s, want %s", row.in, got, want)
		}
		again, err := ParseActions(FormatActions(acts), Default())
		if err != nil || !reflect.DeepEqual(acts, again) {
			t.Errorf("%s: reads as %s, %v", row.in, FormatActions(again), err)
		}
		prereq := "1"
		if row.prereq != "" {
			prereq = text(normal(t, row.prereq))
		}
		if got := text(Prerequisites(acts)); got != prereq {
			t.Errorf("%s: prerequisites %s, want %s", row.in, got, prereq)
		}
	}
}

// Rule: what ovn-trace cannot parse is not printed.
func TestStockOVNReadsActions(t *testing.T) {
	ops := []any{insert("SB_Global", row{}), datapathRow(0)}
	for i, o := range []struct{ name, typ string }{{"offerip", "ipv4"}, {"router", "ipv4"}, {"netmask", "ipv4"}, {"mtu", "uint16"}, {"dns_server", "ipv4"}} {
		ops = append(ops, insert("DHCP_Options", row{"name": o.name, "code": []int{0, 3, 1, 26, 6}[i], "type": o.typ}))
	}
	for i, o := range []struct{ name, typ string }{{"ia_addr", "ipv6"}, {"server_id", "mac"}, {"dns_server", "ipv6"}} {
		ops = append(ops, insert("DHCPv6_Options", row{"name": o.name, "code": []int{5, 2, 23}[i], "type": o.typ}))
	}
	n := 0
	for i, r := range actionRows {
		acts, err := ParseActions(r.in, Default())
		if err != nil {
			t.Fatal(err)
		}
		if !r.since {
			n++
			ops = append(ops, flowRow(0, 0, i, "1", FormatActions(acts)))
		}
	}
	ops = append(ops, flowRow(0, 0, 1000, "1", "nonsense;"))
	o := startOracle(t, ops)
	complaints := o.complaints()
	if len(complaints) != 1 || !strings.Contains(complaints[0], "nonsense") {
		t.Errorf("ovn-trace does not read:\n%s", strings.Join(complaints, ""))
	}
	if n < 80 {
		t.Errorf("only %d actions tried", n)
	}
}

func TestActionErrors(t *testing.T) {
	for _, row := range []struct {
		in       string
		pos, end int
		msg      string
	}{
		{"nonsense;", 0, 8, `no action or field "nonsense"`},
		{"next", 4, 4, "expecting `;'"},
		{"next; drop;", 0, 11, "only action"},
		{"5;", 0, 1, "expecting an action"},
		{"next(64);", 5, 7, "larger than 63"},
		{"next(pipeline=up);", 14, 16, "ingress or egress"},
		{"eth.type = 0x800;", 0, 8, "read-only"},
		{"ip4 = 1;", 0, 3, "predicate ip4 cannot be assigned"},
		{"ip.ttl[0] = 1;", 0, 9, "nominal"},
		{"ct_mark = 1;", 0, 7, "cannot be assigned here"},
		{"ct_commit { reg0 = 1; };", 12, 16, "cannot be assigned here"},
		{"ct_commit { next; };", 0, 19, "only assignments"},
		{"icmp4 { icmp4.frag_mtu = 5; };", 8, 22, "cannot be assigned here"},
		{"reg0 = icmp4.frag_mtu;", 7, 21, "cannot be used here"},
		{"reg0 = 0x100000000;", 0, 18, "33-bit"},
		{"reg0 = \"a\";", 0, 10, "not compatible"},
		{"outport = 1;", 0, 11, "not compatible"},
		{"outport = @pg;", 0, 13, "set to a set"},
		{"reg0 = eth.src;", 0, 14, "differ in width"},
		{"reg0 <-> inport;", 0, 15, "string and integer"},
		{"reg0--;", 0, 6, "only ip.ttl"},
		{"reg0 == 1;", 5, 7, "expecting `='"},
		{"reg0 = put_fdb(inport, eth.src);", 7, 14, "no result"},
		{"lookup_fdb(inport, eth.src);", 0, 10, "must be assigned"},
		{"reg0 = lookup_fdb(inport, eth.src);", 7, 17, "does not fit field reg0"},
		{"put_fdb(eth.src, inport);", 8, 15, "expecting a string field"},
		{"put_fdb(inport, ip4.src);", 16, 23, "expecting a field of 48 bits"},
		{"put_fdb(inport);", 14, 15, "expecting `,'"},
		{"reg0[0] = check_in_port_sec;", 27, 28, "expecting `('"},
		{"set_queue(61441);", 10, 15, "larger than 61440"},
		{"ct_dnat(10.0.0.0/8);", 8, 18, "expecting an address"},
		{"ct_dnat(1.2.3.4, a);", 17, 18, "expecting a number"},
		{"ct_lb_mark(foo);", 11, 14, "expecting backends"},
		{"reg0[3] = put_dhcp_opts(router = 10.0.0.1);", 10, 42, `argument "offerip"`},
		{"log(foo=1);", 4, 7, `no argument "foo"`},
		{"reg0 = select(1);", 7, 16, "two values"},
		{"arp { next;", 11, 11, "expecting `}'"},
		{strings.Repeat("clone { ", 200), 800, 805, "nested"},
		{"outport = {port};", 10, 11, "expecting a constant"},
	} {
		_, err := ParseActions(row.in, Default())
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v", row.in, err)
			continue
		}
		if !strings.Contains(e.Msg, row.msg) || e.Pos != row.pos || e.End != row.end {
			t.Errorf("%s: %d..%d %s, want %d..%d %q", row.in, e.Pos, e.End, e.Msg, row.pos, row.end, row.msg)
		}
	}
}
