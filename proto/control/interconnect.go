package control

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Interconnection is what the centre of an interconnection knows of the zones
// that it links.
type Interconnection struct {
	Centre    string       `json:"centre"` // id of its databases, 32 hexadecimal digits
	Zones     []ICZone     `json:"zones"`
	Switches  []ICSwitch   `json:"switches"`
	Conflicts []ICConflict `json:"conflicts"`
	// Problems are what is not as it should be, a line each.
	Problems []string `json:"problems,omitempty"`
}

// ICZone is how a zone is joined.
type ICZone struct {
	Name  string `json:"name"`
	Row   string `json:"row"`             // UUID in Availability_Zone
	ID    string `json:"id,omitempty"`    // 32 hexadecimal digits; of zones of govn
	Owner string `json:"owner,omitempty"` // certificate or connection that its rows belong to
	Alive bool   `json:"alive"`
	// ExpiresMS is what is left of the lease of a zone that is not alive, in
	// milliseconds. Expired says that it is over, and the routes are gone.
	ExpiresMS uint64 `json:"expires_ms,omitempty"`
	Expired   bool   `json:"expired,omitempty"`
	Gateways  uint32 `json:"gateways"`
	Ports     uint32 `json:"ports"`
	Routes    uint32 `json:"routes"`
	Refused   uint32 `json:"refused"` // writes, since the centre began
}

// ICSwitch is a transit switch.
type ICSwitch struct {
	Name    string   `json:"name"`
	Key     uint32   `json:"key"`               // 0: none yet
	Allowed []string `json:"allowed,omitempty"` // zones that may join; none: all
	Joined  []string `json:"joined"`            // zones that have a port
	Closed  bool     `json:"closed,omitempty"`  // open to nobody: in strict mode, without a list
}

// ICConflict is a prefix that several zones advertise, or that lies within
// another's.
type ICConflict struct {
	Switch      string `json:"switch"`
	Table       string `json:"table,omitempty"`
	Prefix      string `json:"prefix"`
	Zone        string `json:"zone"` // whose route is used
	OtherPrefix string `json:"other_prefix"`
	OtherZone   string `json:"other_zone"` // whose is not, or is used for the rest
	Kind        string `json:"kind"`       // same, within
}

// String is the conflict in a sentence.
func (c *ICConflict) String() string {
	if c.Kind == "same" {
		return fmt.Sprintf("%s of %s is used, that of %s is not", c.Prefix, c.Zone, c.OtherZone)
	}
	return fmt.Sprintf("%s of %s is within %s of %s: both are used", c.Prefix, c.Zone, c.OtherPrefix, c.OtherZone)
}

// inTable names a route table that is not the main one.
func inTable(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" in route table %q", name)
}

// FindProblems fills in Problems.
func (s *Interconnection) FindProblems() {
	s.Problems = nil
	add := func(format string, args ...any) { s.Problems = append(s.Problems, fmt.Sprintf(format, args...)) }
	for i := range s.Zones {
		z := &s.Zones[i]
		switch {
		case z.Alive:
		case z.Expired:
			add("the lease of zone %q has expired, and its routes are gone", z.Name)
		case z.ExpiresMS > 0:
			add("zone %q is lost; its routes go in %s", z.Name, z.left())
		}
		if z.Refused > 0 {
			add("zone %q: %s refused since the centre began", z.Name, count(int(z.Refused), "write", "writes"))
		}
	}
	for _, w := range s.Switches {
		if w.Key == 0 {
			add("%s: the switch has no key yet", w.Name)
		}
		if w.Closed {
			add("%s: nobody may join: other_config:zones names no zone, or is missing in strict mode", w.Name)
		}
	}
	for i := range s.Conflicts {
		if c := &s.Conflicts[i]; c.Kind == "same" {
			add("%s: conflict%s: %v", c.Switch, inTable(c.Table), c)
		}
	}
}

// left is what is left of the lease.
func (z *ICZone) left() time.Duration {
	return (time.Duration(z.ExpiresMS) * time.Millisecond).Round(100 * time.Millisecond)
}

func (z *ICZone) state() string {
	switch {
	case z.Alive:
		return "alive"
	case z.Expired:
		return "EXPIRED"
	case z.ExpiresMS > 0:
		return "LOST, " + z.left().String() + " left"
	}
	return "unknown" // nobody of it has spoken since the centre began
}

// WriteText writes the interconnection as tables.
func (s *Interconnection) WriteText(w io.Writer) error {
	e := errWriter{w: w}
	e.printf("centre %s: %s, %s\n", dash(s.Centre), count(len(s.Zones), "zone", "zones"), count(len(s.Switches), "transit switch", "transit switches"))
	if e.err != nil {
		return e.err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(s.Zones) > 0 {
		fmt.Fprintln(t, "\nZONE\tSTATE\tGATEWAYS\tPORTS\tROUTES\tREFUSED\tOWNER\tID")
	}
	for i := range s.Zones {
		z := &s.Zones[i]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", z.Name, z.state(), z.Gateways, z.Ports, z.Routes, z.Refused, dash(z.Owner), dash(z.ID))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(s.Switches) > 0 {
		fmt.Fprintln(t, "\nSWITCH\tKEY\tMAY JOIN\tHAVE A PORT")
	}
	for _, sw := range s.Switches {
		key, allowed := "-", "all"
		if sw.Key != 0 {
			key = fmt.Sprintf("%d (%#x)", sw.Key, sw.Key)
		}
		switch {
		case len(sw.Allowed) > 0:
			allowed = strings.Join(sw.Allowed, ", ")
		case sw.Closed:
			allowed = "NONE"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", sw.Name, key, allowed, dash(strings.Join(sw.Joined, ", ")))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	first := "\n"
	for i := range s.Conflicts {
		if c := &s.Conflicts[i]; c.Kind != "same" { // that is a problem
			e.printf("%s%s: overlap%s: %v\n", first, c.Switch, inTable(c.Table), c)
			first = ""
		}
	}
	if len(s.Problems) == 0 {
		e.printf("\nno problems\n")
		return e.err
	}
	e.printf("\n%s:\n", count(len(s.Problems), "problem", "problems"))
	for _, p := range s.Problems {
		e.printf("  %s\n", p)
	}
	return e.err
}

// ICConflicts are the conflicts of an interconnection.
type ICConflicts []ICConflict

// WriteText writes a line for each.
func (c ICConflicts) WriteText(w io.Writer) error {
	if len(c) == 0 {
		_, err := io.WriteString(w, "no conflicts\n")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "SWITCH\tTABLE\tKIND\tCONFLICT")
	for i := range c {
		fmt.Fprintf(t, "%s\t%s\t%s\t%v\n", c[i].Switch, dash(c[i].Table), c[i].Kind, &c[i])
	}
	return t.Flush()
}
