package vswitch

import (
	"maps"
	"strconv"
)

// Interface is an interface of the integration bridge.
type Interface struct {
	Name        string
	UUID        string
	PortUUID    string
	Type        string // "", internal, geneve, patch ...
	OFPort      int    // 0: not assigned yet; -1: Open vSwitch could not make it
	Error       string // why, as Open vSwitch says
	ExternalIDs map[string]string
	Options     map[string]string
	PortName    string
	PortIDs     map[string]string // external_ids of its Port
}

// IfaceID is the logical port that the interface asks to be.
func (i *Interface) IfaceID() string { return i.ExternalIDs["iface-id"] }

// Since is when the interface was first seen, in unix milliseconds, where that
// was written down; else 0.
func (i *Interface) Since() int64 {
	n, _ := strconv.ParseInt(i.ExternalIDs[KeySince], 10, 64)
	return n
}

// Usable tells whether packets can be sent to the interface.
func (i *Interface) Usable() bool { return i.OFPort > 0 && i.OFPort < 0xff00 }

// Equal tells whether two states of an interface are the same.
func (i *Interface) Equal(j *Interface) bool {
	return i.Name == j.Name && i.UUID == j.UUID && i.PortUUID == j.PortUUID && i.Type == j.Type &&
		i.OFPort == j.OFPort && i.Error == j.Error && i.PortName == j.PortName &&
		maps.Equal(i.ExternalIDs, j.ExternalIDs) && maps.Equal(i.Options, j.Options) && maps.Equal(i.PortIDs, j.PortIDs)
}

// Bridge is the integration bridge.
type Bridge struct {
	Name         string
	UUID         string
	FailMode     string
	DatapathType string
	ExternalIDs  map[string]string
	OtherConfig  map[string]string
}

// Delta is what changed since the last one.
type Delta struct {
	// Full is set after a (re)connection: what is not named is not there.
	Full bool
	// Config is the configuration now, where it changed.
	Config *Config
	// Problems of the configuration; see [ParseConfig].
	Problems []string
	// Bridge is the integration bridge now, where it changed; BridgeGone is
	// set where there is none any more.
	Bridge     *Bridge
	BridgeGone bool
	// Interfaces by name; nil: gone.
	Interfaces map[string]*Interface
}

// Empty tells whether nothing changed.
func (d *Delta) Empty() bool {
	return !d.Full && d.Config == nil && d.Bridge == nil && !d.BridgeGone && len(d.Interfaces) == 0
}

// Tunnel is a wish for a tunnel port.
type Tunnel struct {
	Chassis string // name of the other side
	IP      string // of the other side
	Csum    bool
}

// ID is external_ids:ovn-chassis-id of its port.
func (t Tunnel) ID() string { return t.Chassis + "@" + t.IP }

// Patch is a wish for a pair of patch ports between the integration bridge and
// the bridge of a provider network.
type Patch struct {
	Port   string // logical port of type localnet
	Bridge string // bridge that its network is mapped to
}

// Wish is what the controller wants of Open_vSwitch. Nil maps mean that nothing
// is known yet and nothing is touched.
type Wish struct {
	Bridge       string
	DatapathType string
	Tunnels      map[Tunnel]bool
	Patches      map[Patch]bool
	Zones        map[string]int   // external_ids:ct-zone-NAME of the bridge
	Installed    map[string]bool  // interface name: its flows are in
	Since        map[string]int64 // interface name: when it was first seen
	NbCfg        int64            // external_ids:ovn-nb-cfg of the bridge; 0: leave
}

// Equal tells whether two wishes are the same.
func (w *Wish) Equal(o *Wish) bool {
	return w.Bridge == o.Bridge && w.DatapathType == o.DatapathType && w.NbCfg == o.NbCfg &&
		equalMaps(w.Tunnels, o.Tunnels) && equalMaps(w.Patches, o.Patches) && equalMaps(w.Zones, o.Zones) &&
		equalMaps(w.Installed, o.Installed) && equalMaps(w.Since, o.Since)
}

// equalMaps tells nil, which means unknown, from empty.
func equalMaps[K, V comparable](a, b map[K]V) bool {
	return (a == nil) == (b == nil) && maps.Equal(a, b)
}

// Keys of external_ids that the controller owns.
const (
	KeyChassisID    = "ovn-chassis-id"    // Port: a tunnel of ours
	KeyLocalnetPort = "ovn-localnet-port" // Port: a patch port of ours
	KeyInstalled    = "ovn-installed"     // Interface
	KeyInstalledTS  = "ovn-installed-ts"  // Interface: unix milliseconds
	KeySince        = "govn-since"        // Interface: unix milliseconds
	KeyNbCfg        = "ovn-nb-cfg"        // Bridge
	PrefixZone      = "ct-zone-"          // Bridge
)
