//go:build e2e

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"govn/sim/lab"
)

// Stock ovn-nbctl builds the topology; stock tools see on govn what they see on
// stock OVN.
func TestStockTools(t *testing.T) {
	const file = `
name: tools
chassis: [{name: hv1, datapath: dummy}, {name: hv2, datapath: dummy}]
`
	labs := map[lab.Control]*lab.Lab{}
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		labs[c] = up(t, parse(t, file), c)
	}
	// Both run each step before the next one, one transaction at a time, so
	// that keys are given out in the same order.
	both := func(run func(l *lab.Lab) (string, error)) (stock, ours string) {
		t.Helper()
		out := map[lab.Control]*string{lab.ControlStock: new(string), lab.ControlGovn: new(string)}
		var g errgroup.Group
		for c, l := range labs {
			g.Go(func() (err error) {
				*out[c], err = run(l)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		return *out[lab.ControlStock], *out[lab.ControlGovn]
	}
	for _, args := range []string{
		"--wait=sb ls-add sw0",
		"--wait=sb lsp-add sw0 vm1 -- lsp-set-addresses vm1 50:54:00:00:00:01\\ 10.0.0.11",
		"--wait=sb lsp-add sw0 vm2 -- lsp-set-addresses vm2 50:54:00:00:00:02\\ 10.0.0.12\\ fd00::12 -- lsp-set-port-security vm2 50:54:00:00:00:02\\ 10.0.0.12\\ fd00::12",
		"--wait=sb lsp-add sw0 vm3 -- lsp-set-addresses vm3 unknown",
		"--wait=sb lsp-add sw0 vm4 -- lsp-set-addresses vm4 50:54:00:00:00:04 -- lsp-set-enabled vm4 disabled",
		"--wait=sb ls-add sw1 -- lsp-add sw1 gone -- lsp-del gone",
		"--wait=sb set Logical_Switch_Port vm1 external_ids:owner=me",
		"--wait=sb --liveness fwd-group-add fwd sw0 10.0.0.100 00:11:22:33:44:55 vm1 vm2",
	} {
		words := words(args)
		both(func(l *lab.Lab) (string, error) { return l.Nbctl(t.Context(), words...) })
	}
	both(func(l *lab.Lab) (string, error) {
		for _, w := range []lab.Workload{{Name: "vm1", Chassis: "hv1"}, {Name: "vm2", Chassis: "hv2"}, {Name: "vm3", Chassis: "hv2"}} {
			if err := l.Attach(t.Context(), w); err != nil {
				return "", err
			}
		}
		return "", l.WaitUp(t.Context())
	})

	same := func(what string, run func(l *lab.Lab) (string, error)) {
		t.Helper()
		stock, ours := both(run)
		if strings.TrimSpace(stock) == "" {
			t.Errorf("%s: stock says nothing: the test sees too little", what)
		}
		if diff := cmp.Diff(normal(stock), normal(ours)); diff != "" {
			t.Errorf("%s: (-stock +govn)\n%s", what, diff)
		}
	}
	nb := func(args string) {
		t.Helper()
		same("ovn-nbctl "+args, func(l *lab.Lab) (string, error) { return l.Nbctl(t.Context(), words(args)...) })
	}
	sb := func(args string) {
		t.Helper()
		same("ovn-sbctl "+args, func(l *lab.Lab) (string, error) { return l.Sbctl(t.Context(), words(args)...) })
	}
	nb("--wait=hv sync -- show")
	nb("ls-list")
	nb("lsp-list sw0")
	nb("lsp-get-addresses vm2")
	nb("lsp-get-port-security vm2")
	nb("lsp-get-enabled vm4")
	nb("lsp-get-up vm1")
	nb("lsp-get-up vm4")
	nb("--bare --columns=name,up,enabled,addresses,external_ids list Logical_Switch_Port")
	sb("show")
	sb("get Datapath_Binding sw0 tunnel_key")
	sb("get Datapath_Binding sw1 tunnel_key")
	sb("--bare --columns=tunnel_key list Datapath_Binding")
	sb("--bare --columns=logical_port,mac,type,up,tunnel_key,external_ids list Port_Binding")
	sb("--bare --columns=name,hostname,nb_cfg list Chassis")
	sb("--bare --columns=type,ip,chassis_name,options list Encap")
	same("multicast groups of sw0", func(l *lab.Lab) (string, error) {
		sw0, err := l.Sbctl(t.Context(), "get", "Datapath_Binding", "sw0", "_uuid")
		if err != nil {
			return "", err
		}
		return l.Sbctl(t.Context(), "--bare", "--columns=name,tunnel_key", "find", "Multicast_Group", "datapath="+strings.TrimSpace(sw0))
	})

	for _, flow := range []string{
		`inport == "vm1" && eth.src == 50:54:00:00:00:01 && eth.dst == 50:54:00:00:00:02`,
		`inport == "vm1" && eth.src == 50:54:00:00:00:01 && eth.dst == ff:ff:ff:ff:ff:ff`,
		`inport == "vm1" && eth.src == 50:54:00:00:00:01 && eth.dst == 50:54:00:00:00:77`,
		`inport == "vm1" && eth.src == 50:54:00:00:00:01 && eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && arp.spa == 10.0.0.11 && arp.tpa == 10.0.0.12 && arp.sha == 50:54:00:00:00:01`,
		`inport == "vm2" && eth.src == 50:54:00:00:00:99 && eth.dst == 50:54:00:00:00:01`,
		`inport == "vm4" && eth.src == 50:54:00:00:00:04 && eth.dst == 50:54:00:00:00:01`,
		`inport == "vm1" && eth.src == 50:54:00:00:00:01 && eth.dst == 33:33:ff:00:00:12 && ip6.src == fd00::11 && ip6.dst == ff02::1:ff00:12 && ip.ttl == 255 && icmp6.type == 135 && icmp6.code == 0 && nd.target == fd00::12 && nd.sll == 50:54:00:00:00:01`,
	} {
		same("ovn-trace --minimal "+flow, func(l *lab.Lab) (string, error) { return l.Trace(t.Context(), "--minimal", "sw0", flow) })
		same("ovn-trace "+flow, func(l *lab.Lab) (string, error) {
			out, err := l.Trace(t.Context(), "sw0", flow)
			return tracePasses.ReplaceAllString(out, ""), err
		})
	}
	lflowList(t, labs)
}

// words splits a command line at blanks; a backslash keeps one.
func words(s string) []string {
	list := strings.Fields(strings.ReplaceAll(s, `\ `, "\x00"))
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], "\x00", " ")
	}
	return list
}

// tracePasses is what the traces of the two differ in: where in its source
// northd says that a flow is from, the beginning of its UUID, and the flows of
// lflowExceptions, which pass the packet on.
var tracePasses = regexp.MustCompile(`(?m) \(northd\.c:\d+\)|, uuid [0-9a-f]{8}$|^ *\d+\. ls_(in|out)_(pre_lb|acl_after_lb) .*\n|^ *next;\n`)

var lflowLine = regexp.MustCompile(`^  table=(\d+) *\((ls_(?:in|out)_[a-z0-9_]+) *\), priority=(\d+) *, match=\((.*)\), action=\((.*)\)$`)

// lflowExceptions are the flows that only one of the two has: what stock OVN
// prepares in every switch for ACLs and load balancers, which are not compiled
// here yet. They pass packets on, or are about registers that nobody sets, or
// about a MAC that no packet has.
var lflowExceptions = map[lab.Control]*regexp.Regexp{
	lab.ControlStock: regexp.MustCompile(`\$svc_monitor_mac` +
		`|^ls_(in|out)_pre_lb priority=110 .* action=\(next;\)$` +
		`|^ls_(in|out)_(acl|acl_hint|acl_after_lb) priority=6553[25] .* action=\(next;\)$` +
		`|^ls_(in|out)_(pre_stateful|stateful) priority=1[01]0 match=\(reg0\[[012]\] == 1\b`),
	lab.ControlGovn: regexp.MustCompile(`^ls_(in|out)_(acl|acl_hint) priority=0 match=\(1\) action=\(next;\)$`),
}

// lflowSpelling makes the spelling of stock OVN that of govn.
var lflowSpelling = strings.NewReplacer(" /* ARP reply */", "", `",childports=`, `", childports=`, `","`, `", "`)

// lflowList checks that ovn-sbctl lists the flows of both switches as on stock
// OVN, table numbers included.
func lflowList(t *testing.T, labs map[lab.Control]*lab.Lab) {
	t.Helper()
	for _, sw := range []string{"sw0", "sw1"} {
		flows, tables := map[lab.Control][]string{}, map[lab.Control]map[string]string{}
		for c, l := range labs {
			tables[c] = map[string]string{}
			for line := range strings.Lines(must(t)(l.Sbctl(t.Context(), "lflow-list", sw))) {
				line = strings.TrimRight(line, "\n")
				if strings.HasPrefix(line, "Datapath: ") {
					if !strings.Contains(line, `"`+sw+`"`) {
						t.Errorf("lflow-list %s on %s lists %q", sw, c, line)
					}
					continue
				}
				m := lflowLine.FindStringSubmatch(line)
				if m == nil {
					t.Errorf("lflow-list %s on %s: %q", sw, c, line)
					continue
				}
				tables[c][m[2]] = m[1]
				action := lflowSpelling.Replace(m[5])
				if text := m[2] + " priority=" + m[3] + " match=(" + m[4] + ") action=(" + action + ")"; !lflowExceptions[c].MatchString(text) {
					flows[c] = append(flows[c], text)
				}
			}
			slices.Sort(flows[c])
		}
		if diff := cmp.Diff(flows[lab.ControlStock], flows[lab.ControlGovn]); diff != "" {
			t.Errorf("lflow-list %s: (-stock +govn)\n%s", sw, diff)
		}
		if diff := cmp.Diff(tables[lab.ControlStock], tables[lab.ControlGovn]); diff != "" {
			t.Errorf("lflow-list %s: tables of the stages: (-stock +govn)\n%s", sw, diff)
		}
		if len(flows[lab.ControlStock]) < 30 {
			t.Errorf("lflow-list %s: only %d flows are compared", sw, len(flows[lab.ControlStock]))
		}
	}
}
