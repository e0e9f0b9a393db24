package physical

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

const optionRedirectType = "redirect-type" // of a chassisredirect port

// Types of ports that several chassis may host (ovn-sb(5), Port_Binding, type).
const (
	typeRedirect  = "chassisredirect"
	typeExternal  = "external"
	typeL3Gateway = "l3gateway"
)

// HAPort is a port that one of several chassis hosts.
type HAPort struct {
	ID    PortID
	Port  *proto.Port
	Group *proto.HAGroup // nil: not received
}

// SetHosting tells whether this chassis hosts the ports of an HA group now. It
// is the controller that decides, by what it sees of the other members.
func (h *Host) SetHosting(group string, hosting bool) {
	if h.in.hosting[group] == hosting {
		return
	}
	if hosting {
		h.in.hosting[group] = true
	} else {
		delete(h.in.hosting, group)
	}
	h.e.Touch(cellHosting(group))
}

// Hosting tells what SetHosting said last.
func (h *Host) Hosting(group string) bool { return h.in.hosting[group] }

func cellHAGroup(key string) incr.Cell { return incr.CellOf("ha-group", key) }
func cellHosting(key string) incr.Cell { return incr.CellOf("hosting", key) }

func (h *Host) haGroupItem(key string, value []byte) error {
	m, err := decode(value, &proto.HAGroup{})
	put(h.in.haGroups, key, m)
	h.haChanged = true
	h.e.Touch(cellHAGroup(key))
	return err
}

func (h *Host) haUserItem(key string, value []byte) error {
	dp, chassis, ok := state.ParseHAUserKey(key)
	if !ok {
		return fmt.Errorf("HA_USER item with a key of %d bytes", len(key))
	}
	users := h.haUsers[dp]
	if value == nil {
		if delete(users, chassis); len(users) == 0 {
			delete(h.haUsers, dp)
		}
	} else {
		if users == nil {
			users = map[string]bool{}
			h.haUsers[dp] = users
		}
		users[chassis] = true
	}
	h.haChanged = true
	return nil
}

// haPort keeps track of the ports that name an HA group.
func (h *Host) haPort(id PortID, port *proto.Port) {
	if len(port.GetHaGroup()) > 0 {
		h.haPorts[id] = true
	} else if h.haPorts[id] {
		delete(h.haPorts, id)
	} else {
		return
	}
	h.haChanged = true
}

// TakeHA tells whether HA groups, their ports, who uses them or the other chassis
// changed since the last call.
func (h *Host) TakeHA() bool {
	changed := h.haChanged
	h.haChanged = false
	return changed
}

// Member tells whether this chassis is one of several that may host a port.
func (h *Host) Member() bool {
	return slices.ContainsFunc(h.HAPorts(), func(p HAPort) bool {
		return len(p.Group.GetMembers()) > 1 && slices.ContainsFunc(p.Group.Members, func(m *proto.HAMember) bool { return m.Chassis == h.in.self })
	})
}

// Announcers are the ports whose addresses are announced.
func (h *Host) Announcers() map[PortID]*proto.Port { return h.announcers }

func (h *Host) announcer(id PortID, port *proto.Port) {
	if len(port.GetAnnounce()) == 0 {
		port = nil
	}
	put(h.announcers, id, port)
}

// HAPorts are the ports that one of several chassis hosts, in order.
func (h *Host) HAPorts() []HAPort {
	var out []HAPort
	for id := range h.haPorts {
		p := h.in.ports[id]
		out = append(out, HAPort{id, p, h.in.haGroups[string(p.HaGroup)]})
	}
	slices.SortFunc(out, func(a, b HAPort) int { return comparePortID(a.ID, b.ID) })
	return out
}

// Monitored are the chassis that this one and they have to watch each other, as
// whose port may move between chassis, and how: the other members of the HA
// groups that it uses and, of a member, the chassis that use the group. A group
// of one has nothing to decide, and an external port is reached by nobody else
// than its members.
func (h *Host) Monitored() map[string]*proto.Bfd {
	out := map[string]*proto.Bfd{}
	for _, p := range h.HAPorts() {
		if len(p.Group.GetMembers()) < 2 {
			continue
		}
		member := slices.ContainsFunc(p.Group.Members, func(m *proto.HAMember) bool { return m.Chassis == h.in.self })
		if !member && p.Port.Type == typeExternal {
			continue
		}
		add := func(name string) {
			if name != h.in.self && h.in.chassis[name] != nil {
				out[name] = fastest(out[name], p.Group.Bfd)
			}
		}
		for _, m := range p.Group.Members {
			add(m.Chassis)
		}
		if member && p.Port.Type != typeExternal {
			for name := range h.haUsers[p.ID.Datapath] {
				add(name)
			}
		}
	}
	return out
}

// fastest is the quicker of two ways to run BFD, for a tunnel that two groups
// want watched.
func fastest(a, b *proto.Bfd) *proto.Bfd {
	if a == nil || b != nil && cmp.Or(b.MinRx, ^uint32(0)) < cmp.Or(a.MinRx, ^uint32(0)) {
		return b
	}
	return a
}

// shared places a port of an HA group here, while this chassis hosts it.
func (h *Host) shared(c *incr.Ctx, id PortID, port *proto.Port, p *Placement) bool {
	c.Read(cellHosting(string(port.HaGroup)))
	if !h.in.hosting[string(port.HaGroup)] {
		return false
	}
	if p.Kind == KindL3Gateway {
		h.crossing(c, id, port, p)
	} else {
		p.Where = Here
	}
	return true
}

// behind places a port of an HA group behind the tunnels to the other members,
// best first.
func (h *Host) behind(c *incr.Ctx, port *proto.Port, p *Placement) {
	key := string(port.HaGroup)
	c.Read(cellSelf)
	c.Read(cellHAGroup(key))
	h.behindAny(c, h.in.haGroups[key].GetMembers(), p)
}

// behindAny places a port behind the tunnels to some chassis; false: there are none.
func (h *Host) behindAny(c *incr.Ctx, members []*proto.HAMember, p *Placement) bool {
	var ofports []string
	for _, m := range members {
		if m.Chassis == h.in.self {
			continue
		}
		if ofport := h.reach(c, m.Chassis, ""); ofport > 0 {
			ofports = append(ofports, strconv.Itoa(ofport))
			if p.OFPort == 0 {
				p.OFPort, p.Chassis = ofport, m.Chassis
			}
		}
	}
	if len(ofports) > 0 {
		p.Where, p.Backups = Remote, strings.Join(ofports[1:], " ")
	}
	return len(ofports) > 0
}

// bridgedGateway places a chassisredirect port to which the physical network
// leads (options:redirect-type=bridged): behind the localnet port, on this chassis,
// of the switch that the distributed port is on. Nothing is left of the router
// there: the packet has its addresses already.
func (h *Host) bridgedGateway(c *incr.Ctx, id PortID, port *proto.Port, p *Placement) (bool, error) {
	if port.Options[optionRedirectType] != "bridged" {
		return false, nil
	}
	at := PortID{id.Datapath, port.Distributed}
	c.Read(cellPort(at))
	peer := h.in.ports[at]
	if peer.GetPeerDatapath() == 0 {
		return false, nil
	}
	via, err := h.bridged.Get(c, peer.PeerDatapath)
	if err != nil || via == 0 {
		return false, err
	}
	p.Where, p.Via, p.Peer = Bridged, via, PortID{peer.PeerDatapath, peer.PeerPort}
	return true, nil
}

// toNetwork is the flow to such a port: the packet goes on in the switch, as if it
// had come in by the router's port there, and leaves by the localnet port.
func (b *builder) toNetwork(id PortID, p Placement) {
	actions := []openflow.Action{
		openflow.SetUint(openflow.FieldMetadata, uint64(p.Peer.Datapath)),
		setReg(abi.RegInport, p.Peer.Port), setReg(abi.RegOutport, p.Via), setReg(abi.RegFlags, 0),
	}
	for n := range abi.LogicalRegs {
		actions = append(actions, setReg(abi.RegLogical0+n, 0))
	}
	b.add(abi.TableLocalOutput, prioMatch, onOutport(id.Datapath, id.Port), append(actions, resubmit(abi.TableLocalOutput))...)
}

// redirect is the flow to a chassisredirect port that is here: the packet goes
// on to the distributed port that it stands for. The router allowed it to leave
// where it came from; of a packet that came by a tunnel, that was forgotten on the
// way, and it could not go back by that tunnel to a port on the network behind the
// gateway.
func (b *builder) redirect(id PortID, distributed uint32) {
	b.add(abi.TableLocalOutput, prioMatch, onOutport(id.Datapath, id.Port),
		setReg(abi.RegOutport, distributed), setFlag(abi.FlagAllowLoopback), resubmit(abi.TableLocalOutput))
}

// relieved sends what starts here to the better members of the group already,
// while this chassis goes on with what the others send: a port that moves away
// must not be heard from two places at once.
func (h *Host) relieved(c *incr.Ctx, b *builder, id PortID) {
	port := h.in.ports[id]
	key := string(port.HaGroup)
	if c.Read(cellYielding(key)); !h.in.yielding[key] || port.Options[optionRedirectType] == "bridged" {
		return
	}
	c.Read(cellSelf)
	c.Read(cellHAGroup(key))
	members := h.in.haGroups[key].GetMembers()
	at := slices.IndexFunc(members, func(m *proto.HAMember) bool { return m.Chassis == h.in.self })
	if p := (Placement{}); at > 0 && h.behindAny(c, members[:at], &p) {
		b.sharedPort(id, p, h.option(c))
	}
}

// sharedPort is the flow to a port that another chassis of its HA group hosts: to
// the first tunnel that works. Open vSwitch, which runs BFD on them, decides
// packet by packet.
func (b *builder) sharedPort(id PortID, p Placement, option *openflow.Field) {
	members := []uint16{uint16(p.OFPort)}
	for one := range strings.FieldsSeq(p.Backups) {
		if n, err := strconv.ParseUint(one, 10, 16); err == nil {
			members = append(members, uint16(n))
		}
	}
	b.add(abi.TableRemoteOutput, prioMatch, onOutport(id.Datapath, id.Port),
		append(tunnelKeys(id.Datapath, id.Port, option), openflow.Bundle{Members: members})...)
}
