package vswitch

import (
	"hash/maphash"
	"maps"
	"strconv"
	"strings"

	"govn/pkg/treap"
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
	BFDStatus   map[string]string // of a tunnel with BFD; see [Interface.BFDState]
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

// Activated is the iface-id that the controller wrote down with Keys.Activated.
func (i *Interface) Activated() string { return i.ExternalIDs[KeyActivated] }

// Usable tells whether packets can be sent to the interface.
func (i *Interface) Usable() bool { return i.OFPort > 0 && i.OFPort < 0xff00 }

// Equal tells whether two states of an interface are the same.
func (i *Interface) Equal(j *Interface) bool {
	return i.Name == j.Name && i.UUID == j.UUID && i.PortUUID == j.PortUUID && i.Type == j.Type &&
		i.OFPort == j.OFPort && i.Error == j.Error && i.PortName == j.PortName &&
		maps.Equal(i.ExternalIDs, j.ExternalIDs) && maps.Equal(i.Options, j.Options) && maps.Equal(i.BFDStatus, j.BFDStatus) && maps.Equal(i.PortIDs, j.PortIDs)
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
	BFD     BFD
}

// ID is external_ids:ovn-chassis-id of its port.
func (t Tunnel) ID() string { return t.Chassis + "@" + t.IP }

// Patch is a wish for a pair of patch ports between the integration bridge and
// the bridge of a physical network.
type Patch struct {
	Bridge  string // of the network
	Gateway bool   // of an l2gateway port
}

// key is the key of external_ids that tells what the patch port is of.
func (p Patch) key() string {
	if p.Gateway {
		return KeyL2GatewayPort
	}
	return KeyLocalnetPort
}

// Keys are what the controller keeps in external_ids of an interface.
type Keys struct {
	Installed bool   // ovn-installed, with ovn-installed-ts: its flows are in
	Since     int64  // govn-since: when it was first seen, in unix milliseconds; 0: leave
	Activated string // govn-activated: the iface-id whose workload runs here though its port is moving
}

// The parts of a wish that may be large share what did not change with the wish
// before, so that a difference costs what differs.
type (
	Tunnels    = tree[Tunnel] // by Tunnel.ID
	Patches    = tree[Patch]  // by localnet or l2gateway port
	Zones      = tree[int]    // external_ids:ct-zone-NAME of the bridge
	Interfaces = tree[Keys]   // by interface name; not named: none
)

type tree[V comparable] = treap.Tree[string, V, named[V]]

// named are the operations on trees by name.
type named[V comparable] struct{}

var seed = maphash.MakeSeed()

func (named[V]) Compare(a, b string) int         { return strings.Compare(a, b) }
func (named[V]) Priority(name string) uint64     { return maphash.String(seed, name) }
func (named[V]) Hash(string, V) (none treap.Sum) { return none }
func (named[V]) Equal(a, b V) bool               { return a == b }

// Wish is what the controller wants of Open_vSwitch.
type Wish struct {
	Bridge       string
	DatapathType string
	// Ports tells that Tunnels and Patches are what is wanted, Settled that Zones
	// and Keys.Installed are; until then they are not touched.
	Ports, Settled bool
	Tunnels        Tunnels
	Patches        Patches
	Zones          Zones
	Interfaces     Interfaces
	// NbCfg is external_ids:ovn-nb-cfg of the bridge; 0: leave. It goes with
	// another change, or up to a second later: Open vSwitch looks at all of its
	// configuration whenever any of it changes.
	NbCfg int64
}

// Same tells whether two wishes are the same; it may say no of equal ones whose
// trees were made apart.
func (w *Wish) Same(o *Wish) bool { return o != nil && *w == *o }

// Keys of external_ids that the controller owns.
const (
	KeyChassisID     = "ovn-chassis-id"     // Port: a tunnel of ours
	KeyLocalnetPort  = "ovn-localnet-port"  // Port: a patch port of ours
	KeyL2GatewayPort = "ovn-l2gateway-port" // Port: likewise
	KeyInstalled     = "ovn-installed"      // Interface
	KeyInstalledTS   = "ovn-installed-ts"   // Interface: unix milliseconds
	KeySince         = "govn-since"         // Interface: unix milliseconds
	KeyActivated     = "govn-activated"     // Interface: its iface-id
	KeyNbCfg         = "ovn-nb-cfg"         // Bridge
	PrefixZone       = "ct-zone-"           // Bridge
)
