//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

// zoneLab is a zone with a worker and a gateway: %[1]s its name, %[2]d its number.
const zoneLab = `
name: %[1]s
management: {subnet: 198.18.%[2]d.0/24}
chassis:
  - {name: worker-%[1]s, encap-ip: 203.0.113.%[2]d1}
  - {name: gw-%[1]s, encap-ip: 203.0.113.%[2]d2, external-ids: {ovn-is-interconn: "true"}}
workloads:
  - {name: vm%[2]d, chassis: worker-%[1]s, mac: "0a:00:00:00:0%[2]d:10", ip: 192.168.%[2]d.10/24, gw: 192.168.%[2]d.1}
topology:
  switches:
    - name: net_%[1]s
      ports:
        - {name: net-router, type: router, addresses: [router], options: {router-port: router-net}}
        - {name: vm%[2]d, addresses: ["0a:00:00:00:0%[2]d:10 192.168.%[2]d.10"]}
  nbctl:
    - lr-add router_%[1]s
    - lrp-add router_%[1]s router-net 0a:00:00:00:0%[2]d:01 192.168.%[2]d.1/24
    - set NB_Global . name=%[1]s options:ic-route-adv=true options:ic-route-learn=true
`

// zone is a zone of an interconnection at work.
type zone struct {
	*lab.Lab
	name   string
	number int
}

// join connects the wires of two zones' tunnels.
func join(t *testing.T, a, b *zone) {
	t.Helper()
	other := strings.TrimSpace(must(t)(b.Exec(t.Context(), "fabric", "ip", "netns", "identify")))
	must(t)(a.Exec(t.Context(), "fabric", "ip", "link", "add", "zones", "mtu", "1600", "type", "veth", "peer", "name", "zones", "netns", other))
	for _, z := range []*zone{a, b} {
		must(t)(z.Exec(t.Context(), "fabric", "ip", "link", "set", "zones", "mtu", "1600", "master", "br-u", "up"))
		must(t)(z.Exec(t.Context(), "fabric", "ethtool", "-K", "zones", "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off"))
	}
}

// attach gives a zone's router a port on the transit switch, hosted by its gateway.
func (z *zone) attach(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, z.name+" has the transit switch", func() (bool, string) {
		out := must(t)(z.Nbctl(t.Context(), "ls-list"))
		return strings.Contains(out, "(ts1)"), out
	})
	router, port := "router_"+z.name, "router-ts1-"+z.name
	must(t)(z.Nbctl(t.Context(), words(fmt.Sprintf("lrp-add %[1]s %[2]s 0a:00:00:00:ff:0%[3]d 169.254.100.%[3]d/24 "+
		"-- lsp-add ts1 ts1-%[4]s -- lsp-set-type ts1-%[4]s router -- lsp-set-addresses ts1-%[4]s router -- lsp-set-options ts1-%[4]s router-port=%[2]s "+
		"-- lrp-set-gateway-chassis %[2]s gw-%[4]s 1", router, port, z.number, z.name))...))
}
