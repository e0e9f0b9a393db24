package physical

import (
	"strconv"
	"strings"

	"slices"

	"govn/pkg/abi"
)

// members of a multicast group, as far as this chassis needs them: its own
// ports one by one, the others by the chassis that they are on. Another zone does
// not know the group: its ports get their copies one by one.
type members struct {
	local  map[uint32]localMember // by port key
	remote map[string]int         // chassis to number of members there
	zones  map[uint32]int         // by port key of a port in another zone: the tunnel to it
}

// localMember is a member on this chassis.
type localMember struct {
	name   string
	sender bool // gets only what was sent on this chassis
}

func (m *members) empty() bool { return len(m.local)+len(m.remote)+len(m.zones) == 0 }

// groupsText is the form in which groups are part of a comparable value.
func groupsText(groups []uint32) string {
	if len(groups) == 0 {
		return ""
	}
	var b strings.Builder
	for i, g := range slices.Sorted(slices.Values(groups)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatUint(uint64(g), 10))
	}
	return b.String()
}

func parseGroups(text string) []uint32 {
	var groups []uint32
	for one := range strings.FieldsSeq(text) {
		if g, err := strconv.ParseUint(one, 10, 32); err == nil && g >= abi.MinGroupKey && g <= abi.MaxGroupKey {
			groups = append(groups, uint32(g))
		}
	}
	return slices.Compact(groups)
}

// regroup moves a port between groups and returns those that changed in a way
// that shows in their flows.
func (h *Host) regroup(id PortID, old, now Placement) (changed []GroupID) {
	for _, g := range parseGroups(old.Groups) {
		if gid := (GroupID{id.Datapath, g}); h.leave(gid, id.Port, old) {
			changed = append(changed, gid)
		}
	}
	for _, g := range parseGroups(now.Groups) {
		if gid := (GroupID{id.Datapath, g}); h.join(gid, id.Port, now) {
			changed = append(changed, gid)
		}
	}
	return changed
}

// join makes a port a member as it is placed. What is bridged gets its copy from
// the physical network.
func (h *Host) join(g GroupID, port uint32, p Placement) (changed bool) {
	others := p.elsewhere()
	if p.Where != Here && len(others) == 0 {
		return false
	}
	m := h.in.groups[g]
	if m == nil {
		m = &members{local: map[uint32]localMember{}, remote: map[string]int{}, zones: map[uint32]int{}}
		h.in.groups[g] = m
		h.groupUnit.Root(g)
	}
	if p.Where == Here {
		// What comes by a tunnel has crossed patches where it came from.
		m.local[port] = localMember{p.Name, p.Kind == KindLocalport || p.Kind == KindPatch}
		changed = true
	}
	if p.Kind == KindRemote {
		m.zones[port] = p.OFPort
		return true
	}
	for _, chassis := range others {
		m.remote[chassis]++
		changed = changed || m.remote[chassis] == 1
	}
	return changed
}

func (h *Host) leave(g GroupID, port uint32, p Placement) (changed bool) {
	m := h.in.groups[g]
	others := p.elsewhere()
	if m == nil || p.Where != Here && len(others) == 0 {
		return false
	}
	if p.Where == Here {
		delete(m.local, port)
		changed = true
	}
	if p.Kind == KindRemote {
		delete(m.zones, port)
		changed, others = true, nil
	}
	for _, chassis := range others {
		if m.remote[chassis]--; m.remote[chassis] <= 0 {
			delete(m.remote, chassis)
			changed = true
		}
	}
	if m.empty() {
		delete(h.in.groups, g)
		h.groupUnit.Unroot(g)
	}
	return changed
}
