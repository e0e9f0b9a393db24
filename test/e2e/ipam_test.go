//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"govn/sim/lab"
)

// Ports get the same addresses from govn as from stock ovn-northd, step by step,
// and the keys that they ask for.
func TestStockIPAM(t *testing.T) {
	const file = `
name: ipam
chassis: [{name: hv1, datapath: dummy}]
`
	labs := map[lab.Control]*lab.Lab{}
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		labs[c] = up(t, parse(t, file), c)
	}
	// Ports of a switch are added one at a time, and only one port
	// loses its addresses in a step: stock OVN serves several in the order of
	// their random UUIDs.
	steps := []string{
		"set NB_Global . options:mac_prefix=0a:00:00",
		"ls-add s -- set Logical_Switch s other_config:subnet=10.0.0.0/24 other_config:exclude_ips=10.0.0.3",
		"lsp-add s a -- lsp-set-addresses a dynamic",
		"lsp-add s b -- lsp-set-addresses b dynamic",
		`lsp-add s c -- lsp-set-addresses c 50:54:00:00:00:03\ dynamic`,
		`lsp-add s d -- lsp-set-addresses d dynamic\ 10.0.0.77`,
		`lsp-add s e -- set Logical_Switch_Port e addresses=["50:54:00:00:00:05\ 10.0.0.4"]`, // of b
		`lsp-add s f -- lsp-set-addresses f unknown dynamic`,
		"lsp-set-addresses e unknown", // its address is free again, and b stays where it is
		"lsp-add s g -- lsp-set-addresses g dynamic",
		"lsp-del a", "lsp-add s h -- lsp-set-addresses h dynamic",
		`lsp-add s w -- lsp-set-addresses w dynamic\ 20.0.0.1`, "lsp-del w", // none of the subnet
		`lsp-set-addresses d dynamic\ 10.0.0.88`,
		"lsp-set-addresses d dynamic", // keeps it
		"set Logical_Switch s other_config:exclude_ips=10.0.0.3\\ 10.0.0.80..10.0.0.90",
		"set Logical_Switch s other_config:ipv6_prefix=aef0::",
		`lsp-set-addresses d dynamic\ aef0::77`,
		`lsp-set-addresses d dynamic\ 10.0.0.99\ aef0::78`,
		`lsp-set-addresses d dynamic\ 10.0.0.98\ bef0::78`,
		"set Logical_Switch s other_config:ipv6_prefix=bef0::", // those that say no more than dynamic stay
		`lsp-set-addresses g 0a:00:00:00:00:77\ dynamic`,
		"lsp-set-addresses g dynamic",
		`lsp-set-addresses h 50:54:00:00:00:08`,
		"lsp-set-addresses h dynamic",
		// a router's port
		"lr-add r -- lrp-add r rp 0a:00:00:00:00:0a 10.0.0.10/24",
		"lsp-add s s-r -- lsp-set-type s-r router -- lsp-set-addresses s-r router -- lsp-set-options s-r router-port=rp",
		`lsp-add s i -- lsp-set-addresses i dynamic\ 10.0.0.10`,
		`lsp-add s j -- lsp-set-addresses j dynamic\ 10.0.0.9`, // whose MAC is the router's
		// no subnet any more
		"remove Logical_Switch s other_config subnet",
		"remove Logical_Switch s other_config ipv6_prefix",
		// other switches
		"ls-add m -- set Logical_Switch m other_config:mac_only=true",
		"lsp-add m m1 -- lsp-set-addresses m1 dynamic",
		`lsp-set-addresses m1 dynamic\ 10.0.0.9`,
		"ls-add v6 -- set Logical_Switch v6 other_config:ipv6_prefix=fd00:1:2:3::/64",
		"lsp-add v6 v1 -- lsp-set-addresses v1 dynamic",
		"ls-add tiny -- set Logical_Switch tiny other_config:subnet=10.0.9.0/30",
		"lsp-add tiny t1 -- lsp-set-addresses t1 dynamic",
		"lsp-add tiny t2 -- lsp-set-addresses t2 dynamic", // exhausted
		"lsp-del t1", // now t2 has one
		"set Logical_Switch tiny other_config:subnet=10.0.8.0/255.255.255.0",
		"set Logical_Switch tiny other_config:subnet=10.0.8.0/33",
		"lsp-del m1", "set NB_Global . options:mac_prefix=0c:11:22",
	}
	for _, step := range steps {
		var g errgroup.Group
		for _, l := range labs {
			g.Go(func() error {
				_, err := l.Nbctl(t.Context(), append([]string{"--wait=sb"}, words(step)...)...)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		// Stock OVN thinks again about what it wrote.
		eventually(t, 10*time.Second, step, func() (bool, string) {
			stock, ours := addresses(t, labs[lab.ControlStock]), addresses(t, labs[lab.ControlGovn])
			return stock == ours, "stock:\n" + stock + "govn:\n" + ours
		})
	}
	if out := addresses(t, labs[lab.ControlGovn]); strings.Count(out, "0c:11:22") < 1 {
		t.Errorf("the test sees too little:\n%s", out)
	}

	for _, step := range []string{
		"ls-add k -- set Logical_Switch k other_config:requested-tnl-key=4711",
		"lsp-add k k1", "lsp-add k k2 -- set Logical_Switch_Port k2 options:requested-tnl-key=9",
		"lsp-add k k3 -- set Logical_Switch_Port k3 options:requested-tnl-key=1", // of k1, which makes room
	} {
		for _, l := range labs {
			must(t)(l.Nbctl(t.Context(), append([]string{"--wait=hv"}, words(step)...)...))
		}
	}
	for _, l := range labs {
		for _, want := range [][4]string{{"Port_Binding", "k2", "tunnel_key", "9"}, {"Port_Binding", "k3", "tunnel_key", "1"}, {"Datapath_Binding", "k", "tunnel_key", "4711"}} {
			eventually(t, 10*time.Second, "the key of "+want[1], func() (bool, string) {
				out, err := l.Sbctl(t.Context(), "get", want[0], want[1], want[2])
				return err == nil && strings.TrimSpace(out) == want[3], out
			})
		}
	}
}

// addresses are the addresses of all ports that are no router's, a line each.
func addresses(t *testing.T, l *lab.Lab) string {
	t.Helper()
	var lines []string
	list := func(what, out string) {
		for block := range strings.SplitSeq(strings.TrimSpace(out), "\n\n") {
			if line := strings.Join(strings.Fields(block), " "); !strings.HasPrefix(line, "s-r") {
				lines = append(lines, what+" "+line)
			}
		}
	}
	list("dynamic", must(t)(l.Nbctl(t.Context(), "--bare", "--columns=name,dynamic_addresses", "list", "Logical_Switch_Port")))
	list("bound", must(t)(l.Sbctl(t.Context(), "--bare", "--columns=logical_port,mac", "list", "Port_Binding")))
	lines = slices.DeleteFunc(lines, func(s string) bool { return strings.HasPrefix(s, "bound rp") })
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
