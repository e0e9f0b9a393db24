package interop

import (
	"strings"
	"testing"
)

// Values that cannot be used are pointed at before they are sent: an error where
// the stock program refuses them, a warning where it accepts them.
func TestCarets(t *testing.T) {
	remote := govnServer(t)
	must(t, remote, "ls-add", "sw0", "--", "lsp-add", "sw0", "p1", "--", "lr-add", "r0", "--", "lrp-add", "r0", "rp1", "00:00:00:00:01:01", "10.0.0.254/24")
	for _, tt := range []struct {
		line   string
		status int
		want   string // the text, and in the next line what is below it
	}{
		{`acl-add sw0 to-lport 1 "ip4.dest == 10.0.0.1" drop`, 0, "ip4.dest == 10.0.0.1\n^^^^^^^^ no symbol"},
		{`qos-add sw0 to-lport 1 "ip4 && tcp.dst == {80, 81" dscp=1`, 0, "ip4 && tcp.dst == {80, 81\n                         ^"},
		{`lr-policy-add r0 1 "ip4.src == 10.0.0.0/33" drop`, 0, "ip4.src == 10.0.0.0/33\n                    ^^"},
		{`--id=@a create ACL direction=to-lport action=drop priority=7 match=ip5 -- add Logical_Switch sw0 acls @a`, 0, "ip5\n^^^ no symbol"},
		{`lsp-set-addresses p1 "00:00:00:00:00:01 10.0.0.300"`, 0, "00:00:00:00:00:01 10.0.0.300\n                         ^^^ not a number"},
		{`lsp-set-addresses p1 10.0.0.3`, 1, "10.0.0.3\n^^^^^^^^ an Ethernet address has to stand before"},
		{`lsp-set-port-security p1 "00:00:00:00:00:01 10.0.0.0/40"`, 0, "00:00:00:00:00:01 10.0.0.0/40\n                           ^^ not a prefix length"},
		{`lrp-add r0 rp2 00:00:00:00:00:0g 10.0.0.1/24`, 1, "00:00:00:00:00:0g\n               ^^ not two"},
		{`lrp-add r0 rp2 00:00:00:00:00:01 10.0.0.1/33`, 1, "10.0.0.1/33\n         ^^ not a prefix length"},
		{`lr-route-add r0 10.1.0.300/16 10.0.0.1`, 1, "10.1.0.300/16\n       ^^^ not a number"},
		{`lr-route-add r0 10.1.0.0/16 10.0.0.x`, 1, "10.0.0.x\n       ^ not a number"},
		{`lr-route-add r0 10.1.0.0/16 fd00::1`, 1, "fd00::1\n^^^^^^^ not an IPv4 address"},
		{`lr-policy-add r0 2 ip4 reroute 10.0.0.1,10.0.0.y`, 1, "10.0.0.y\n       ^"},
		{`lr-nat-add r0 snat 1.1.1 10.0.0.0/24`, 1, "1.1.1\n     ^"},
		{`lr-nat-add r0 snat 1.1.1.1 10.0.0.0/x`, 1, "10.0.0.0/x\n         ^"},
		{`--portrange lr-nat-add r0 dnat 1.1.1.1 10.0.0.1 9-5`, 1, "9-5\n  ^ the range ends"},
		{`lb-add lb0 1.1.1.1:99999 10.0.0.1:80`, 1, "1.1.1.1:99999\n        ^^^^^ not a port"},
		{`lb-add lb0 1.1.1.1:80 10.0.0.1:80,10.0.0.2:0`, 1, "10.0.0.2:0\n         ^ not a port"},
		{`static-mac-binding-add rp1 10.0.0.1 00:00:00:00:00`, 1, "00:00:00:00:00\n              ^ not an Ethernet address"},
		{`mirror-add m gre 1 to-lport 10.0.0`, 1, "10.0.0\n      ^"},
		{`dhcp-options-create 10.0.0.0/99`, 1, "10.0.0.0/99\n         ^^"},
		{`create DHCP_Options cidr=10.0.0.0/24 options:router="10.0.0.1x"`, 0, "10.0.0.1x\n       ^^ not a number"},
		{`create DHCP_Options cidr=10.0.0.0/24 options:lease_time="x"`, 0, "x\n^ not an integer"},
		{`set Logical_Switch sw0 other_config:mcast_snoop=on`, 0, "on\n^^ not true or false"},
		{`fwd-group-add g sw0 10.0.0 00:00:00:00:00:01 p1`, 1, "10.0.0\n      ^"},
		// What is right, and what was wrong before.
		{`set Logical_Switch sw0 other_config:mcast_querier=true`, 0, ""},
		{`lsp-set-addresses p1 "00:00:00:00:00:01 10.0.0.3"`, 0, ""},
		{`acl-add sw0 to-lport 2 "ip4 && tcp.dst == 80" drop`, 0, ""},
		{`set Logical_Switch sw0 other_config:anything=x`, 0, ""},
	} {
		_, stderr, status := ours(remote)(t.Context(), "nb", words(t, tt.line))
		_, drawn, _ := strings.Cut(stderr, "\n")
		drawn = strings.ReplaceAll("\n"+drawn, "\n  ", "\n")
		if status != tt.status || !strings.HasPrefix(drawn, "\n"+tt.want) || tt.want == "" && stderr != "" {
			t.Errorf("%s: status %d\n%s\nwant status %d and\n%s", tt.line, status, stderr, tt.status, tt.want)
		}
	}
}
