package lab

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Control says which control plane a lab runs.
type Control string

const (
	ControlGovn  Control = "govn"  // govn northd and govn controller
	ControlStock Control = "stock" // ovn-northd and ovn-controller
)

// Datapath says what kind of Open vSwitch a chassis is.
type Datapath string

const (
	DatapathNetdev Datapath = "netdev" // userspace datapath in a namespace: packets flow
	DatapathDummy  Datapath = "dummy"  // dummy datapath: real tables, no packets
)

// Config is a lab as its file describes it, complete: Parse has checked it and
// filled in what the file left out.
type Config struct {
	Name       string     // prefix of the namespaces; at most 32 of [a-z0-9-]
	File       string     // where it was read from; for messages
	Control    Control    // of a lab with zones: that of zones which do not say
	Underlay   Network    // the tunnels' network
	Management Network    // northd to chassis
	Chassis    []Chassis  // of all zones
	Workloads  []Workload // of all zones
	Topology   Topology   // of a lab without zones
	Zones      []Zone     // none: the lab is one zone without a name
	IC         *Interconnection
}

// Network is one of the two networks between the hypervisors.
type Network struct {
	Subnet netip.Prefix
	MTU    int // bytes; Geneve with the OVN option costs 58 over IPv4
}

// Chassis is a hypervisor.
type Chassis struct {
	Name        string     // system-id, hostname and namespace; unique in the lab
	Zone        string     // "" in a lab without zones
	EncapIP     netip.Addr // tunnel address
	MgmtIP      netip.Addr // management address; not of dummy chassis
	Datapath    Datapath
	ExternalIDs map[string]string // added to Open_vSwitch external_ids
}

// Workload is a virtual machine: a namespace behind a port of br-int.
type Workload struct {
	Name     string
	Chassis  string
	Port     string // iface-id: the logical switch port; the name if not given
	Bridge   string // that it is plugged into: br-int, or that of a physical network
	VLAN     int    // of its port on the bridge of a physical network, an access port; 0: none
	MAC      string // aa:bb:cc:dd:ee:ff
	IPs      []netip.Prefix
	Gateways []netip.Addr // default routes
	MTU      int
}

// Topology is what goes into the northbound database.
type Topology struct {
	Switches []Switch
	Nbctl    []string // further ovn-nbctl commands, one per entry, run in order
}

// Switch is a logical switch.
type Switch struct {
	Name        string
	Ports       []Port
	OtherConfig map[string]string
}

// Port is a logical switch port.
type Port struct {
	Name         string
	Type         string   // "" for a VIF
	Addresses    []string // "MAC [IP...]", or one of OVN's words
	PortSecurity []string // "MAC [IP...]"
	Unknown      bool     // adds "unknown" to the addresses
	Disabled     bool     // enabled=false
	Parent       string   // of a nested port: the port of the workload that it is in
	Tag          int      // VLAN of a nested or localnet port; of a nested one, 0 asks for a free one
	Options      map[string]string
}

// Dummy tells whether every chassis is a dummy chassis: such a lab needs no
// namespaces and no privileges.
func (c *Config) Dummy() bool {
	for i := range c.Chassis {
		if c.Chassis[i].Datapath != DatapathDummy {
			return false
		}
	}
	return true
}

// PhysBridge is the bridge of every chassis that joins the underlay's wire. A
// physical network that is mapped to it is one Ethernet segment for all chassis.
const PhysBridge = "br-phys"

// OnWire tells whether a chassis has a physical network or a workload on
// PhysBridge.
func (c *Config) OnWire(ch *Chassis) bool {
	for one := range strings.SplitSeq(ch.ExternalIDs["ovn-bridge-mappings"], ",") {
		if _, bridge, ok := strings.Cut(one, ":"); ok && bridge == PhysBridge {
			return true
		}
	}
	return slices.ContainsFunc(c.Workloads, func(w Workload) bool { return w.Chassis == ch.Name && w.Bridge == PhysBridge })
}

// Bridges are the bridges of the physical networks that a chassis maps by
// external_ids:ovn-bridge-mappings, but not the one of the underlay.
func (ch *Chassis) Bridges() []string {
	var list []string
	for one := range strings.SplitSeq(ch.ExternalIDs["ovn-bridge-mappings"], ",") {
		if _, bridge, ok := strings.Cut(one, ":"); ok && bridge != physBridge && !slices.Contains(list, bridge) {
			list = append(list, bridge)
		}
	}
	return list
}

// chassis finds a chassis by name.
func (c *Config) chassis(name string) *Chassis {
	for i := range c.Chassis {
		if c.Chassis[i].Name == name {
			return &c.Chassis[i]
		}
	}
	return nil
}

// Port finds a logical port of the structured topology by name; nil: none.
func (t *Topology) Port(name string) *Port {
	for i := range t.Switches {
		for j := range t.Switches[i].Ports {
			if p := &t.Switches[i].Ports[j]; p.Name == name {
				return p
			}
		}
	}
	return nil
}

// local tells whether a port is of type localport: one of many chassis, and
// never up.
func (t *Topology) local(port string) bool {
	p := t.Port(port)
	return p != nil && p.Type == "localport"
}

// moving tells whether a port may be on several chassis, because its workload
// moves from one to another.
func (t *Topology) moving(port string) bool {
	p := t.Port(port)
	return p != nil && strings.Contains(p.Options["requested-chassis"], ",")
}

// workload finds a workload by name.
func (c *Config) workload(name string) *Workload {
	for i := range c.Workloads {
		if c.Workloads[i].Name == name {
			return &c.Workloads[i]
		}
	}
	return nil
}

// hostAddr is the n-th address of a subnet (n=1: the first host).
func hostAddr(p netip.Prefix, n int) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := len(b) - 1; i >= 0 && n > 0; i-- {
		n += int(b[i])
		b[i] = byte(n)
		n >>= 8
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// nbctlArgs renders the structured part as one ovn-nbctl command line, a "--"
// before each command. Each switch and port is its own command in file order.
func (t *Topology) nbctlArgs() []string {
	var args []string
	add := func(a ...string) {
		args = append(args, "--")
		args = append(args, a...)
	}
	for _, sw := range t.Switches {
		args = append(args, sw.Args()...)
		for i := range sw.Ports {
			p := &sw.Ports[i]
			if p.Parent != "" {
				add("lsp-add", sw.Name, p.Name, p.Parent, strconv.Itoa(p.Tag))
			} else {
				add("lsp-add", sw.Name, p.Name)
			}
			args = append(args, p.Args()...)
		}
	}
	return args
}

// Args renders the switch itself, without ports, as ovn-nbctl commands, each
// preceded by "--".
func (sw *Switch) Args() []string {
	args := []string{"--", "ls-add", sw.Name}
	for _, k := range sortedKeys(sw.OtherConfig) {
		args = append(args, "--", "set", "Logical_Switch", sw.Name, "other_config:"+k+"="+ovsString(sw.OtherConfig[k]))
	}
	return args
}

// Args renders what sets up an existing port as ovn-nbctl commands, each
// preceded by "--".
func (p *Port) Args() []string {
	var args []string
	add := func(a ...string) {
		args = append(args, "--")
		args = append(args, a...)
	}
	if p.Type != "" {
		add("lsp-set-type", p.Name, p.Type)
	}
	if p.Parent == "" && p.Tag != 0 {
		add("set", "Logical_Switch_Port", p.Name, "tag_request="+strconv.Itoa(p.Tag))
	}
	addrs := p.Addresses
	if p.Unknown {
		addrs = append(append([]string{}, addrs...), "unknown")
	}
	if len(addrs) > 0 {
		add(append([]string{"lsp-set-addresses", p.Name}, addrs...)...)
	}
	if len(p.PortSecurity) > 0 {
		add(append([]string{"lsp-set-port-security", p.Name}, p.PortSecurity...)...)
	}
	if p.Disabled {
		add("lsp-set-enabled", p.Name, "disabled")
	}
	for _, k := range sortedKeys(p.Options) {
		add("set", "Logical_Switch_Port", p.Name, "options:"+k+"="+ovsString(p.Options[k]))
	}
	return args
}
