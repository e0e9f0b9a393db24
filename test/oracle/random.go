package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"govn/sim/lab"
)

// Random makes a topology of switches and routers, the same for the same seed, as
// a lab file and as its text: several routers, joined by switches and by peer
// ports, with routes, policies, gateways and options of all kinds.
func Random(seed uint64) (*lab.Config, string, error) {
	r := &topology{r: rand.New(rand.NewPCG(seed, 1))}
	text := r.text(seed)
	cfg, err := lab.Parse(fmt.Sprintf("random %d", seed), []byte(text))
	return cfg, text, err
}

type topology struct {
	r         *rand.Rand
	chassis   []string
	workloads strings.Builder
	switches  strings.Builder
	nbctl     []string
	macs      int
	routers   []*randomRouter
	nets      []randomNet
}

// randomNet is a network that routes can lead to: 10.N.0.0/24, fd00:0:0:N::/64.
type randomNet struct {
	n        int
	stations []string // IPv4 addresses of workloads
}

type randomRouter struct {
	name       string
	gateway    bool // a gateway router
	at         []string
	neighbours []string // IPv4 addresses of other routers
	hosted     bool     // it has a distributed gateway port
}

func (t *topology) chance(p int) bool { return t.r.IntN(100) < p }

func (t *topology) mac() string {
	t.macs++
	return fmt.Sprintf("0a:00:00:00:%02x:%02x", t.macs>>8, t.macs&255)
}

func (t *topology) add(format string, args ...any) {
	t.nbctl = append(t.nbctl, fmt.Sprintf(format, args...))
}

func (t *topology) text(seed uint64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: random\ncontrol: stock\nchassis:\n")
	for i := range 2 + t.r.IntN(2) {
		name := fmt.Sprint("hv", i+1)
		t.chassis = append(t.chassis, name)
		fmt.Fprintf(&b, "  - {name: %s, datapath: dummy, external-ids: {ovn-bridge-mappings: \"physnet1:br-ext\"}}\n", name)
	}
	for i := range 1 + t.r.IntN(3) {
		t.router(i)
	}
	for n := range 2 + t.r.IntN(3) {
		t.network(n)
	}
	for i := 1; i < len(t.routers); i++ {
		t.join(i)
	}
	for _, r := range t.routers {
		t.routes(r)
		t.policies(r)
	}
	fmt.Fprintf(&b, "workloads:\n%stopology:\n  switches:\n%s  nbctl:\n", t.workloads.String(), t.switches.String())
	for _, line := range t.nbctl {
		fmt.Fprintf(&b, "    - %s\n", line)
	}
	return b.String()
}

func (t *topology) router(i int) {
	r := &randomRouter{name: fmt.Sprint("r", i), gateway: t.chance(20)}
	t.routers = append(t.routers, r)
	options := ""
	if r.gateway {
		options += " options:chassis=" + pick(t.r, t.chassis)
	}
	if t.chance(15) {
		options += " options:dynamic_neigh_routers=true"
	}
	if t.chance(15) {
		options += " options:always_learn_from_arp_request=false"
	}
	if t.chance(5) {
		options += " enabled=false"
	}
	t.add("create Logical_Router name=%s%s", r.name, options)
}

// network is a switch with workloads, at one or two routers.
func (t *topology) network(n int) {
	net := randomNet{n: n}
	fmt.Fprintf(&t.switches, "    - name: sw%d\n      ports:\n", n)
	for k := range 1 + t.r.IntN(3) {
		name, mac := fmt.Sprintf("p%d-%d", n, k), t.mac()
		fmt.Fprintf(&t.workloads, "  - {name: %s, chassis: %s, mac: \"%s\"}\n", name, pick(t.r, t.chassis), mac)
		addr := mac
		if t.chance(90) {
			ip := fmt.Sprintf("10.%d.0.%d", n, k+1)
			net.stations = append(net.stations, ip)
			addr += " " + ip
		}
		if t.chance(70) {
			addr += fmt.Sprintf(" fd00:0:0:%x::%x", n, k+1)
		}
		extra := ""
		if t.chance(25) {
			extra += fmt.Sprintf(", port-security: [%q]", addr)
		}
		if t.chance(15) {
			extra += ", unknown: true"
		}
		fmt.Fprintf(&t.switches, "        - {name: %s, addresses: [%q]%s}\n", name, addr, extra)
	}
	first := t.r.IntN(len(t.routers))
	t.attach(t.routers[first], n, 254)
	if len(t.routers) > 1 && t.chance(25) {
		t.attach(t.routers[(first+1)%len(t.routers)], n, 253)
	}
	t.nets = append(t.nets, net)
}

// attach connects a switch to a router.
func (t *topology) attach(r *randomRouter, n, host int) {
	lrp, mac := fmt.Sprintf("%s-sw%d", r.name, n), t.mac()
	nets := fmt.Sprintf("10.%d.0.%d/24", n, host)
	if t.chance(70) {
		nets += fmt.Sprintf(" fd00:0:0:%x::%x/64", n, host)
	}
	if t.chance(15) {
		nets += fmt.Sprintf(" 10.%d.1.%d/24", n, host)
	}
	t.add("lrp-add %s %s %s %s", r.name, lrp, mac, nets)
	r.at = append(r.at, lrp)
	addresses := "router"
	if t.chance(20) {
		addresses = mac
	}
	options := "router-port: " + lrp
	if t.chance(10) {
		options += fmt.Sprintf(", arp_proxy: \"10.%d.0.128/28\"", n)
	}
	fmt.Fprintf(&t.switches, "        - {name: sw%d-%s, type: router, addresses: [%q], options: {%s}}\n", n, r.name, addresses, options)
	switch {
	case host == 254 && !r.gateway && !r.hosted && t.chance(25):
		// Without a physical network, stock OVN sends what another chassis has for
		// this port nowhere, not even to ports with unknown addresses.
		r.hosted = true
		fmt.Fprintf(&t.switches, "        - {name: net%d, type: localnet, tag: %d, unknown: true, options: {network_name: physnet1}}\n", n, 10+n)
		t.add("lrp-set-gateway-chassis %s %s", lrp, pick(t.r, t.chassis))
	case t.chance(15):
		t.add("set Logical_Router_Port %s ipv6_ra_configs:address_mode=%s", lrp, pick(t.r, []string{"slaac", "dhcpv6_stateful", "dhcpv6_stateless"}))
	case t.chance(5):
		t.add("lrp-set-enabled %s disabled", lrp)
	}
	if t.chance(10) {
		t.add("set Logical_Router_Port %s options:gateway_mtu=1400", lrp)
	}
	if t.chance(10) {
		t.add("static-mac-binding-add %s 10.%d.0.%d 0a:00:00:00:99:99", lrp, n, 70+t.r.IntN(4))
	}
}

// join connects router i to one before it: by a switch, or by peer ports.
func (t *topology) join(i int) {
	a, b := t.routers[t.r.IntN(i)], t.routers[i]
	pa, pb := fmt.Sprintf("%s-%s", a.name, b.name), fmt.Sprintf("%s-%s", b.name, a.name)
	ipA, ipB := fmt.Sprintf("100.64.%d.1", i), fmt.Sprintf("100.64.%d.2", i)
	six := t.chance(70)
	nets := func(host int) string {
		s := fmt.Sprintf("100.64.%d.%d/29", i, host)
		if six {
			s += fmt.Sprintf(" fd00:64:0:%x::%x/64", i, host)
		}
		return s
	}
	peers := !a.gateway && !b.gateway && t.chance(50)
	peer := func(name string) string {
		if peers {
			return " peer=" + name
		}
		return ""
	}
	t.add("lrp-add %s %s %s %s%s", a.name, pa, t.mac(), nets(1), peer(pb))
	t.add("lrp-add %s %s %s %s%s", b.name, pb, t.mac(), nets(2), peer(pa))
	if !peers {
		fmt.Fprintf(&t.switches, "    - name: join%d\n      ports:\n", i)
		for _, lrp := range []string{pa, pb} {
			fmt.Fprintf(&t.switches, "        - {name: join-%s, type: router, addresses: [router], options: {router-port: %s}}\n", lrp, lrp)
		}
	}
	a.neighbours, b.neighbours = append(a.neighbours, ipB), append(b.neighbours, ipA)
}

// nexthop is an address that a route may lead to: of another router, of a
// workload, or of nobody.
func (t *topology) nexthop(r *randomRouter) string {
	switch {
	case len(r.neighbours) > 0 && t.chance(65):
		return pick(t.r, r.neighbours)
	case t.chance(75):
		if net := pick(t.r, t.nets); len(net.stations) > 0 {
			return pick(t.r, net.stations)
		}
	}
	return fmt.Sprintf("10.%d.0.%d", t.r.IntN(len(t.nets)), 60+t.r.IntN(20))
}

func (t *topology) routes(r *randomRouter) {
	for _, net := range t.nets {
		if !t.chance(60) {
			continue
		}
		prefix, flags := fmt.Sprintf("10.%d.0.0/%d", net.n, pick(t.r, []int{16, 24, 25, 32})), "--may-exist "
		switch {
		case t.chance(15):
			flags = "--policy=src-ip "
		case t.chance(20):
			flags = "--ecmp "
			t.add("--ecmp lr-route-add %s %s %s", r.name, prefix, t.nexthop(r))
		case t.chance(10):
			t.add("--may-exist lr-route-add %s %s discard", r.name, prefix)
			continue
		}
		if strings.Contains(flags, "ecmp") {
			flags = "--may-exist --ecmp "
		}
		t.add("%slr-route-add %s %s %s", flags, r.name, prefix, t.nexthop(r))
	}
	if t.chance(50) {
		t.add("lr-route-add %s 0.0.0.0/0 %s", r.name, t.nexthop(r))
	}
	if t.chance(40) {
		hop := fmt.Sprintf("fd00:0:0:%x::%x", t.r.IntN(len(t.nets)), 1+t.r.IntN(3))
		t.add("lr-route-add %s %s %s", r.name, pick(t.r, []string{"::/0", "fd00:172::/32"}), hop)
	}
}

func (t *topology) policies(r *randomRouter) {
	if !t.chance(40) {
		return
	}
	for k := range 1 + t.r.IntN(3) {
		match := pick(t.r, []string{
			fmt.Sprintf("ip4.dst == 10.%d.0.0/24", t.r.IntN(len(t.nets))),
			fmt.Sprintf("ip4.src == 10.%d.0.1", t.r.IntN(len(t.nets))),
			fmt.Sprintf("ip6.dst == fd00:0:0:%x::/64 && icmp6", t.r.IntN(len(t.nets))),
			"tcp.dst == 8080", "ip4.dst == 8.8.0.0/16", "icmp4 && ip.ttl == 2",
		})
		action := pick(t.r, []string{"allow", "drop", "allow", "reroute " + t.nexthop(r)})
		if strings.HasPrefix(action, "reroute") {
			match = pick(t.r, []string{"ip4.dst == 8.8.0.0/16", fmt.Sprintf("ip4.dst == 10.%d.0.0/25", t.r.IntN(len(t.nets)))})
			if t.chance(30) {
				action += "," + t.nexthop(r)
			}
		}
		t.add("--may-exist lr-policy-add %s %d %q %s", r.name, 100+k, match, action)
	}
}
