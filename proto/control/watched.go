package control

import "strings"

// HostGateway is an HA group as a chassis sees it that uses it.
type HostGateway struct {
	Group   string   `json:"group"`
	Active  string   `json:"active"`  // chassis that packets to its ports are sent to; empty: none works
	Members []string `json:"members"` // by falling priority
	Ports   []string `json:"ports"`
}

// Watched is a chassis that BFD on the tunnels to it watches.
type Watched struct {
	Chassis    string `json:"chassis"`
	Up         bool   `json:"up"`         // it is heard
	Forwarding bool   `json:"forwarding"` // it may be sent to
}

// String is the state in a few words.
func (w Watched) String() string {
	switch {
	case w.Up && w.Forwarding:
		return w.Chassis + " up"
	case w.Up:
		return w.Chassis + " up, not ready"
	}
	return w.Chassis + " DOWN"
}

// writeWatched writes where gateways are, and which other chassis are watched.
func (h *Host) writeWatched(e *errWriter) {
	for _, g := range h.Gateways {
		e.printf("gateway: %s, active on %s, of %s, ports %s\n", g.Group, dash(g.Active), strings.Join(g.Members, " "), strings.Join(g.Ports, " "))
	}
	if len(h.BFD) > 0 {
		list := make([]string, len(h.BFD))
		for i, w := range h.BFD {
			list[i] = w.String()
		}
		e.printf("bfd: %s\n", strings.Join(list, "; "))
	}
}
