package lab

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	defaultWorkloadMTU = 1500
	centralHost        = 250 // the last part of northd's management address in a /24
	geneveOverhead     = 58  // Geneve with the OVN option over IPv4, bytes
)

func (d *decoder) config(n *yaml.Node, c *Config) {
	d.mapping(n, "", []string{"name"}, map[string]fieldFunc{
		"name":       d.name(&c.Name),
		"control":    d.control(&c.Control),
		"underlay":   d.network(&c.Underlay),
		"management": d.network(&c.Management),
		"chassis":    d.chassisList(&c.Chassis),
		"workloads":  d.workloads(&c.Workloads),
		"topology":   func(n *yaml.Node, field string) { d.topology(n, field, &c.Topology) },
		"zones":      d.zones(c),
		"ic":         d.interconnection(&c.IC),
	})
	if n := alias(n); n.Kind == yaml.MappingNode && d.lines["chassis"] == nil && d.lines["zones"] == nil {
		d.errorf(n, "chassis", "is missing")
	}
}

func (d *decoder) chassisList(dst *[]Chassis) fieldFunc {
	return func(n *yaml.Node, field string) {
		d.list(n, field, func(n *yaml.Node, field string) {
			ch := Chassis{Datapath: DatapathNetdev}
			d.chassis(n, field, &ch)
			*dst, d.chassisAt = append(*dst, ch), append(d.chassisAt, field)
		})
	}
}

func (d *decoder) workloads(dst *[]Workload) fieldFunc {
	return func(n *yaml.Node, field string) {
		d.list(n, field, func(n *yaml.Node, field string) {
			w := Workload{MTU: defaultWorkloadMTU}
			d.workload(n, field, &w)
			*dst, d.workloadAt = append(*dst, w), append(d.workloadAt, field)
		})
	}
}

func (d *decoder) control(dst *Control) fieldFunc {
	return func(n *yaml.Node, field string) {
		s, ok := d.scalar(n, field)
		if !ok {
			return
		}
		if c := Control(s); c == ControlGovn || c == ControlStock {
			*dst = c
			return
		}
		d.errorf(n, field, "%q is neither govn nor stock", s)
	}
}

func (d *decoder) network(dst *Network) fieldFunc {
	return func(n *yaml.Node, field string) {
		d.mapping(n, field, nil, map[string]fieldFunc{
			"mtu": d.number(&dst.MTU, 576, 65535),
			"subnet": func(n *yaml.Node, field string) {
				p, ok := d.prefix(n, field)
				if !ok {
					return
				}
				if !p.Addr().Is4() || p.Bits() > 24 || p.Bits() < 8 {
					d.errorf(n, field, "%q must be an IPv4 subnet between /8 and /24", p)
					return
				}
				dst.Subnet = p.Masked()
			},
		})
	}
}

func (d *decoder) chassis(n *yaml.Node, field string, ch *Chassis) {
	d.mapping(n, field, []string{"name"}, map[string]fieldFunc{
		"name":         d.name(&ch.Name),
		"encap-ip":     d.addr(&ch.EncapIP),
		"management":   d.addr(&ch.MgmtIP),
		"external-ids": d.textMap(&ch.ExternalIDs),
		"datapath": func(n *yaml.Node, field string) {
			s, ok := d.scalar(n, field)
			if !ok {
				return
			}
			if dp := Datapath(s); dp == DatapathNetdev || dp == DatapathDummy {
				ch.Datapath = dp
				return
			}
			d.errorf(n, field, "%q is neither netdev nor dummy", s)
		},
	})
}

func (d *decoder) workload(n *yaml.Node, field string, w *Workload) {
	d.mapping(n, field, []string{"name", "chassis", "mac"}, map[string]fieldFunc{
		"name":    d.name(&w.Name),
		"chassis": d.text(&w.Chassis),
		"port":    d.text(&w.Port),
		"bridge":  d.word(&w.Bridge),
		"vlan":    d.number(&w.VLAN, 1, 4094),
		"mac":     d.mac(&w.MAC),
		"mtu":     d.number(&w.MTU, 576, 65535),
		"ip": d.oneOrMany(func(n *yaml.Node, field string) {
			if p, ok := d.prefix(n, field); ok {
				w.IPs = append(w.IPs, p)
			}
		}),
		"gw": d.oneOrMany(func(n *yaml.Node, field string) {
			var a netip.Addr
			d.addr(&a)(n, field)
			w.Gateways = append(w.Gateways, a)
		}),
	})
}

func (d *decoder) topology(n *yaml.Node, field string, t *Topology) {
	d.mapping(n, field, nil, map[string]fieldFunc{
		"nbctl": d.commands(&t.Nbctl),
		"switches": func(n *yaml.Node, field string) {
			d.list(n, field, func(n *yaml.Node, field string) {
				var sw Switch
				d.mapping(n, field, []string{"name"}, map[string]fieldFunc{
					"name":         d.word(&sw.Name),
					"other-config": d.textMap(&sw.OtherConfig),
					"ports": func(n *yaml.Node, field string) {
						d.list(n, field, func(n *yaml.Node, field string) {
							var p Port
							d.port(n, field, &p)
							sw.Ports = append(sw.Ports, p)
						})
					},
				})
				t.Switches = append(t.Switches, sw)
			})
		},
	})
}

func (d *decoder) port(n *yaml.Node, field string, p *Port) {
	d.mapping(n, field, []string{"name"}, map[string]fieldFunc{
		"name":          d.word(&p.Name),
		"type":          d.text(&p.Type),
		"addresses":     d.texts(&p.Addresses),
		"port-security": d.texts(&p.PortSecurity),
		"unknown":       d.flag(&p.Unknown),
		"disabled":      d.flag(&p.Disabled),
		"parent":        d.word(&p.Parent),
		"tag":           d.number(&p.Tag, 0, 4095),
		"options":       d.textMap(&p.Options),
	})
}

// word takes a name that goes on an ovn-nbctl command line: not empty, and not
// to be taken for an option.
func (d *decoder) word(dst *string) fieldFunc {
	return func(n *yaml.Node, field string) {
		s, ok := d.scalar(n, field)
		if !ok {
			return
		}
		if s == "" || strings.HasPrefix(s, "-") {
			d.errorf(n, field, "%q cannot be a name", s)
			return
		}
		*dst = s
	}
}

// complete fills in defaults and checks what spans several fields.
func (d *decoder) complete(root *yaml.Node, c *Config) {
	bad := func(field, format string, args ...any) { d.errorf(d.at(root, field), field, format, args...) }
	if len(c.Chassis) == 0 && len(c.Zones) == 0 {
		bad("chassis", "a lab needs at least one")
	}
	if c.Underlay.Subnet.Overlaps(c.Management.Subnet) {
		field := "management.subnet"
		if d.lines[field] == nil {
			field = "underlay.subnet"
		}
		bad(field, "the underlay's %v and the management's %v overlap", c.Underlay.Subnet, c.Management.Subnet)
		return
	}
	used := map[netip.Addr]string{}
	nodes := map[string]string{"central": "the control plane", "fabric": "the networks between the hypervisors"}
	unique := func(field, name, what string) {
		if other, ok := nodes[name]; ok {
			bad(field, "the name %q is taken by %s", name, other)
			return
		}
		nodes[name] = what
	}
	if d.lines["zones"] == nil {
		used[central(c)] = "northd"
		d.checkPorts(bad, "topology", &c.Topology)
		if c.IC != nil {
			bad("ic", "an interconnection is for zones, and there are none")
		}
	} else {
		d.completeZones(bad, c, unique, used)
	}
	for i := range c.Chassis {
		ch := &c.Chassis[i]
		at := d.chassisAt[i]
		unique(at+".name", ch.Name, "a chassis")
		d.place(bad, at+".encap-ip", "underlay", c.Underlay.Subnet, &ch.EncapIP, i+1, ch.Name, used)
		if ch.Datapath == DatapathNetdev {
			d.place(bad, at+".management", "management", c.Management.Subnet, &ch.MgmtIP, i+1, ch.Name, used)
		}
	}
	type portOf struct{ zone, port string }
	ports := map[portOf]string{}
	for i := range c.Workloads {
		w := &c.Workloads[i]
		at := d.workloadAt[i]
		unique(at+".name", w.Name, "a workload")
		if w.Port == "" {
			w.Port = w.Name
		}
		if w.Bridge == "" {
			w.Bridge = intBridge
		}
		if w.VLAN != 0 && w.Bridge == intBridge {
			bad(at+".vlan", "a port of %s has no VLAN; the bridge of a physical network is needed", intBridge)
		}
		ch, t := c.chassis(w.Chassis), c.topologyOf(w)
		zone, _ := c.ZoneOf(w.Chassis)
		if other, ok := ports[portOf{zone, w.Port}]; ok && !t.local(w.Port) && !t.moving(w.Port) {
			bad(at+".port", "port %q is already that of %q", w.Port, other)
		}
		ports[portOf{zone, w.Port}] = w.Name
		if ch == nil {
			bad(at+".chassis", "no chassis is named %q", w.Chassis)
		} else if ch.Datapath == DatapathNetdev && w.MTU+geneveOverhead > c.Underlay.MTU {
			bad(at+".mtu", "%d bytes and %d of Geneve do not fit the underlay's MTU of %d", w.MTU, geneveOverhead, c.Underlay.MTU)
		}
		for _, gw := range w.Gateways {
			if !onLink(w, gw) {
				bad(at+".gw", "%v is not on a subnet of the workload", gw)
			}
		}
	}
}

// checkPorts looks for names that are given twice.
func (d *decoder) checkPorts(bad func(string, string, ...any), field string, t *Topology) {
	switches, lports := map[string]bool{}, map[string]bool{}
	for i := range t.Switches {
		sw := &t.Switches[i]
		at := fmt.Sprintf("%s.switches[%d]", field, i)
		if switches[sw.Name] {
			bad(at+".name", "switch %q is there twice", sw.Name)
		}
		switches[sw.Name] = true
		for j := range sw.Ports {
			p := &sw.Ports[j]
			if lports[p.Name] {
				bad(at+".ports["+strconv.Itoa(j)+"].name", "port %q is there twice", p.Name)
			}
			lports[p.Name] = true
		}
	}
}

// place gives a chassis its address in a subnet, or checks the one it has.
func (d *decoder) place(bad func(string, string, ...any), field, network string, subnet netip.Prefix, addr *netip.Addr, n int, name string, used map[netip.Addr]string) {
	if !addr.IsValid() {
		*addr = hostAddr(subnet, n)
	}
	if !subnet.Contains(*addr) {
		bad(field, "%v is not in the %s subnet %v", *addr, network, subnet)
		return
	}
	if other, ok := used[*addr]; ok {
		bad(field, "%v is the address of %q", *addr, other)
		return
	}
	used[*addr] = name
}

func onLink(w *Workload, a netip.Addr) bool {
	if a.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range w.IPs {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// central is the management address of the control plane.
func central(c *Config) netip.Addr { return hostAddr(c.Management.Subnet, centralHost) }
