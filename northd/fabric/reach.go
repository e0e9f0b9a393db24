package fabric

import (
	"maps"
	"slices"

	"govn/proto"
)

// Holders names the chassis that a datapath is local to, in order.
func (s *Server) Holders(datapath uint32) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.zone.datapaths[datapath]
	if d == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(d.localTo))
}

// TakeHAUsers tells the users of the HA groups where they changed since the last
// call: in time with what changed, not with the number of groups or chassis.
func (s *Server) TakeHAUsers() []HAUsers {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.zone.takeHAUsers()
}

// Tunnels names, for each chassis, the others that it has tunnels to: those
// with ports in its local datapaths. It looks at all of them: for people, not
// for the way of a change.
func (s *Server) Tunnels() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string][]string, len(s.zone.chassis))
	for name, c := range s.zone.chassis {
		to := make(map[string]bool)
		for dp := range c.local {
			d := s.zone.datapaths[dp]
			if d == nil {
				continue
			}
			for k := range d.all.refs {
				if k.Kind == proto.Kind_KIND_CHASSIS && k.Key != name {
					to[k.Key] = true
				}
			}
		}
		out[name] = slices.Sorted(maps.Keys(to))
	}
	return out
}
