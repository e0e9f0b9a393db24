package topology

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Switch is what the pipeline knows of a logical switch.
type Switch struct {
	UUID       ovsdb.UUID
	Key        uint32 // tunnel key
	Name       string
	HasUnknown bool // some enabled port accepts unknown addresses
	Passthru   bool // other_config:vlan-passthru
}

// Port is what the pipeline knows of a logical switch port.
type Port struct {
	UUID, Switch ovsdb.UUID
	Datapath     uint32 // tunnel key of the switch
	Key          uint32 // tunnel key of the port
	Name         string
	Type         string
	Enabled      bool
	Unknown      bool // "unknown" is among its addresses
	Addresses    []Addresses
	PortSecurity []PortSecurity
	Mac          []string  // addresses as written, for Port_Binding:mac
	Dynamic      string    // the addresses that northd gave, if it asks for some
	Security     []string  // port_security as written
	Parent       string    // of a nested port: the port whose interface it is behind
	Tag          uint32    // VLAN of a nested port or on a physical network; 0: none
	Network      string    // of a localnet or l2gateway port: the physical network
	EthType      string    // of a localnet port: options:ethtype
	Gateway      string    // of an l2gateway port: the chassis that it is on
	HAGroup      HAGroupID // of an external port: the chassis that may host it
	Virtual      *Virtual  // of a virtual port
	Activation   string    // options:activation-strategy of a VIF
	LearnFDB     bool      // of a localnet port: options:localnet_learn_fdb
	Passthru     bool      // other_config:vlan-passthru of its switch
	RouterPort   string    // of a router port's peer: options:router-port
	FromRouter   bool      // "router" is among its addresses: it has those of its peer
	Crossing     Peer      // the port of another datapath that it leads to
	// Proxy are the further addresses that a router port's peer answers for,
	// with their own MAC if that is not zero.
	Proxy Addresses
	// Peer is the router port that a port of type router leads to; nil: there is
	// none that can be used.
	Peer *RouterPort
}

// PortSecurity is one element of Logical_Switch_Port:port_security.
type PortSecurity struct {
	Addresses
}

// FieldError names the object and the column that cannot be used.
type FieldError struct {
	Table, Column string
	Object        string
	UUID          ovsdb.UUID
	Err           error
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s %q, %s: %v", e.Table, e.Object, e.Column, e.Err)
}

// Unwrap is what is wrong with the column.
func (e *FieldError) Unwrap() error { return e.Err }

// ReadPort reads a port of a switch. A port whose key is not allocated yet, or
// whose row is gone, is reported by ok = false. A column that cannot be used is
// a *FieldError: such a port is left out as a whole.
func (r *Reader) ReadPort(c *incr.Ctx, m Member, datapath uint32) (p *Port, ok bool, err error) {
	l := &r.C.LSP
	u := m.Elem
	row := r.Row(c, l.Table, u)
	if row == nil {
		return nil, false, nil
	}
	key, ok := r.Key(c, KindPort, m.Row, u)
	if !ok {
		if _, waits := r.Key(c, KindWaiting, m.Row, u); waits {
			return nil, false, r.fieldError(&Port{UUID: u, Name: row.Str(l.Name)}, "tunnel_key", ErrExhausted)
		}
		return nil, false, nil
	}
	p = &Port{UUID: u, Switch: m.Row, Datapath: datapath, Key: key, Enabled: true,
		Name: row.Str(l.Name), Type: row.Str(l.Type)}
	if v, there := row.Opt(l.Enabled); there {
		p.Enabled = v.(bool)
	}
	if err := r.readKind(c, p, row); err != nil {
		return nil, false, err
	}
	for a := range row.Set(l.Addresses).All() {
		text := a.(string)
		p.Mac = append(p.Mac, text)
		if strings.TrimSpace(text) == "unknown" {
			p.Unknown = true
			continue
		}
		if strings.TrimSpace(text) == "router" && p.Type == TypeRouter {
			p.FromRouter = true
			continue
		}
		if _, asks, err := ParseDynamic(text); err != nil {
			return nil, false, r.fieldError(p, "addresses", err)
		} else if asks {
			if err := r.readDynamic(p, row); err != nil {
				return nil, false, err
			}
			continue
		}
		addr, err := ParseAddresses(text)
		if err != nil {
			return nil, false, r.fieldError(p, "addresses", err)
		}
		p.Addresses = append(p.Addresses, addr)
	}
	for a := range row.Set(l.PortSecurity).All() {
		text := a.(string)
		p.Security = append(p.Security, text)
		addr, err := ParseAddresses(text)
		if err != nil {
			return nil, false, r.fieldError(p, "port_security", err)
		}
		p.PortSecurity = append(p.PortSecurity, PortSecurity{addr})
	}
	return p, true, nil
}

// readDynamic adds the addresses that the port was given, if it was. A port that
// asks twice is given them once.
func (r *Reader) readDynamic(p *Port, row *ovsdb.Row) error {
	v, there := row.Opt(r.C.LSP.DynamicAddresses)
	if !there || p.Dynamic != "" {
		return nil
	}
	addr, err := ParseAddresses(v.(string))
	if err != nil {
		return r.fieldError(p, "dynamic_addresses", err)
	}
	p.Dynamic = v.(string)
	p.Addresses = append(p.Addresses, addr)
	return nil
}

func (r *Reader) fieldError(p *Port, column string, err error) error {
	return &FieldError{Table: "Logical_Switch_Port", Column: column, Object: p.Name, UUID: p.UUID, Err: err}
}

// AppendHash appends all that the port says in a form that differs for ports
// that differ.
func (p *Port) AppendHash(b []byte) []byte {
	b = append(b, p.UUID[:]...)
	b = append(b, p.Switch[:]...)
	b = binary.BigEndian.AppendUint32(b, p.Datapath)
	b = binary.BigEndian.AppendUint32(b, p.Key)
	b = binary.BigEndian.AppendUint32(b, p.Tag)
	b = appendText(b, p.Name)
	b = appendText(b, p.Type)
	b = appendText(b, p.Parent)
	b = appendText(b, p.Network)
	b = appendText(b, p.EthType)
	b = appendText(b, p.Gateway)
	b = appendText(b, p.Activation)
	b = p.Virtual.appendHash(b)
	b = append(append(b, byte(p.HAGroup.Kind)), p.HAGroup.Row[:]...)
	b = appendText(b, p.Dynamic)
	b = append(b, boolByte(p.Enabled), boolByte(p.Unknown), boolByte(p.LearnFDB), boolByte(p.Passthru))
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Mac)))
	for _, s := range p.Mac {
		b = appendText(b, s)
	}
	b = appendTexts(b, p.Security)
	b = appendText(b, p.RouterPort)
	b = append(b, boolByte(p.FromRouter), boolByte(p.Peer != nil))
	b = p.Crossing.appendHash(b)
	b = p.Proxy.appendHash(b)
	if p.Peer != nil {
		b = p.Peer.AppendHash(b)
	}
	return b
}

// Connect gives a port of type router the router port that it leads to. Its
// address router stands for those of the peer.
func (p *Port) Connect(peer *RouterPort) {
	p.Peer = peer
	p.Crossing = Peer{Name: peer.Name, Port: peer.UUID, Owner: peer.Router, Datapath: peer.Datapath, Key: peer.Key, Router: true}
	if p.FromRouter {
		p.Addresses = append(p.Addresses, peer.Addresses)
	}
}

// FieldError is an error of a column of the port.
func (p *Port) FieldError(column string, err error) error {
	return &FieldError{Table: "Logical_Switch_Port", Column: column, Object: p.Name, UUID: p.UUID, Err: err}
}

// HashPort is the hash of a port by which the compiler tells whether it
// changed. The hash of no port is zero.
func HashPort(p *Port) incr.Hash {
	if p == nil {
		return incr.Hash{}
	}
	var space [1024]byte
	sum := sha256.Sum256(p.AppendHash(space[:0]))
	return incr.Hash(sum[:16])
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// HostPart reports whether the address of the prefix is a host's, rather than
// that of the network: 10.0.0.5/24 and 10.0.0.5/32, but not 10.0.0.0/24.
func HostPart(p netip.Prefix) bool {
	return p.Bits() == p.Addr().BitLen() || p.Masked().Addr() != p.Addr()
}
