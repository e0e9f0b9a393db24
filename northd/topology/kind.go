package topology

import (
	"errors"
	"fmt"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Port types that the compiler knows (ovn-nb(5), Logical_Switch_Port, type).
const (
	TypeVIF       = ""          // the interface of a workload, or nested in one
	TypeLocalnet  = "localnet"  // a physical network
	TypeLocalport = "localport" // an interface that every chassis may have
	TypeL2Gateway = "l2gateway" // a physical network, seen from one chassis
	TypeVirtual   = "virtual"   // an address that one of several ports has
	TypeExternal  = "external"  // a machine on a physical network
	TypeRouter    = "router"    // the peer of a router port
	TypeSwitch    = "switch"    // the peer of a port of another switch
	TypeRemote    = "remote"    // a port of a transit switch that is in another zone
)

// laterTypes are types of ovn-nb(5) that the compiler does not know yet.
var laterTypes = map[string]bool{
	"vtep": true,
}

// Errors of the type of a port.
var (
	// ErrLater is returned, wrapped, for a type that is not there yet.
	ErrLater = errors.New("ports of this type are not there yet")
	// ErrType is returned, wrapped, for a type that ovn-nb(5) does not have.
	ErrType = errors.New("is not a type that can be used")
)

// Keys of other_config and options.
const (
	configPassthru = "vlan-passthru"
	optionPeer     = "peer"
)

// Bound reports whether the port is bound to a chassis, because that claims its
// interface, is named by its options, or is what a client wrote (the
// interconnection, for ports of other zones). Other ports are wherever a chassis
// has what they need.
func (p *Port) Bound() bool {
	switch p.Type {
	case TypeVIF, TypeL2Gateway, TypeVirtual, TypeExternal, TypeRemote:
		return true
	}
	return false
}

// Physical reports whether the port stands for a physical network.
func (p *Port) Physical() bool { return p.Type == TypeLocalnet || p.Type == TypeL2Gateway }

// Patch reports whether the port leads to a port of another datapath.
func (p *Port) Patch() bool { return p.Type == TypeRouter || p.Type == TypeSwitch }

// peerOfSwitchPort is the port of type switch in another switch that the port
// names in options:peer, and that names it.
func (r *Reader) peerOfSwitchPort(c *incr.Ctx, p *Port) Peer {
	l := &r.C.LSP
	name, _ := r.Option(c, l.Options, p.UUID, optionPeer)
	other, ok := r.Named(c, l.Name, name)
	if !ok || r.Str(c, l.Type, other) != TypeSwitch {
		return Peer{}
	}
	ls, ok := r.Holder(c, r.C.LS.Ports, other)
	if back, _ := r.Option(c, l.Options, other, optionPeer); !ok || back != p.Name || ls == p.Switch {
		return Peer{}
	}
	return r.peer(c, name, ls, other, false)
}

// Interface is the iface-id of the interface that the port is behind.
func (p *Port) Interface() string {
	if p.Parent != "" {
		return p.Parent
	}
	return p.Name
}

// readKind reads the type of a port and the columns that only some types have.
func (r *Reader) readKind(c *incr.Ctx, p *Port, row *ovsdb.Row) error {
	l := &r.C.LSP
	p.Passthru = r.Passthru(c, p.Switch)
	switch p.Type {
	case TypeVIF:
		if v, there := row.Opt(l.ParentName); there {
			p.Parent = v.(string)
		}
		p.Activation = row.Map(l.Options).Str(optionActivation)
		p.readTag(r, row)
	case TypeLocalnet, TypeL2Gateway:
		return r.readProvider(p, row)
	case TypeExternal:
		if u, there := row.Opt(l.HAChassisGroup); there {
			p.HAGroup = HAGroupID{HAGroupRow, u.(ovsdb.UUID)}
		}
	case TypeVirtual:
		r.readVirtual(c, p)
	case TypeLocalport, TypeRemote:
	case TypeRouter:
		options := row.Map(l.Options)
		p.RouterPort = options.Str(optionRouterPort)
		if text, there := options.Get(optionProxy); there {
			p.Proxy, _ = ParseProxy(text.(string)) // lint says what is wrong with it
		}
	case TypeSwitch:
		p.Crossing = r.peerOfSwitchPort(c, p)
	default:
		if laterTypes[p.Type] {
			return r.fieldError(p, "type", fmt.Errorf("%q: %w", p.Type, ErrLater))
		}
		return r.fieldError(p, "type", fmt.Errorf("%q %w", p.Type, ErrType))
	}
	return nil
}

func (p *Port) readTag(r *Reader, row *ovsdb.Row) {
	if v, there := row.Opt(r.C.LSP.Tag); there {
		p.Tag = uint32(v.(int64))
	}
}

// Passthru reports whether a switch lets frames with VLAN tags pass.
func (r *Reader) Passthru(c *incr.Ctx, ls ovsdb.UUID) bool {
	v, _ := r.Option(c, r.C.LS.OtherConfig, ls, configPassthru)
	return v == "true"
}
