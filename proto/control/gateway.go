package control

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Gateway is a port that a chassis hosts without an interface for it: the
// gateway end of a router port, a port of a gateway router, a gateway to a
// physical network, an external port.
type Gateway struct {
	Port    string   `json:"port"`    // as in Port_Binding:logical_port
	Type    string   `json:"type"`    // as in Port_Binding:type
	Active  string   `json:"active"`  // chassis that says it hosts the port; "": none does
	Members []Member `json:"members"` // chassis that may, the preferred one first; none: the port is pinned
}

// Member is a chassis of an HA group.
type Member struct {
	Chassis    string `json:"chassis"`
	Priority   int64  `json:"priority"`
	Registered bool   `json:"registered"` // there is such a chassis
}

// String is the member in a few words.
func (m Member) String() string {
	s := fmt.Sprintf("%s %d", m.Chassis, m.Priority)
	if !m.Registered {
		s += " (NOT THERE)"
	}
	return s
}

func (s *Status) gateways(w io.Writer) error {
	if len(s.Gateways) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nGATEWAY\tTYPE\tACTIVE\tMEMBERS")
	for _, g := range s.Gateways {
		var members []string
		for _, m := range g.Members {
			members = append(members, m.String())
		}
		active := g.Active
		if active == "" {
			active = "NONE"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", g.Port, g.Type, active, dash(strings.Join(members, ", ")))
	}
	return t.Flush()
}

// count is a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
