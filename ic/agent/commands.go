package agent

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"govn/proto/control"
)

// routesArg is the argument of ic/status that asks for every route.
const routesArg = "--routes"

// commands registers what the control socket answers.
func (a *agent) commands(handle func(name, usage string, min, max int, fn Command)) {
	if handle == nil {
		return
	}
	answer := func(name, usage string, most int, of func(s *Status, everything bool) control.Answer) {
		handle(name, "[--format=text|json|yaml] "+usage, 0, most, func(ctx context.Context, args []string) (string, error) {
			format, rest, err := control.TakeFormat(args)
			if err != nil {
				return "", err
			}
			everything := most > 2 && len(rest) > 0 && rest[0] == routesArg
			if everything {
				rest = rest[1:]
			}
			if len(rest) > 1 {
				return "", fmt.Errorf("%q: want %s", args, usage)
			}
			var s *Status
			if err := a.call(ctx, func() { s = a.status() }); err != nil {
				return "", err
			}
			s.arrange()
			if len(rest) > 0 {
				s.Links = slices.DeleteFunc(s.Links, func(l Link) bool { return l.Switch != rest[0] })
				if len(s.Links) == 0 {
					return "", fmt.Errorf("there is no transit switch %q", rest[0])
				}
			}
			return control.String(format, of(s, everything))
		})
	}
	answer("ic/status", "["+routesArg+"] [SWITCH]", 3, func(s *Status, everything bool) control.Answer {
		s.finish(everything)
		return s
	})
	answer("ic/conflicts", "[SWITCH]", 2, func(s *Status, _ bool) control.Answer {
		s.finish(true)
		return s.conflicts()
	})
	handle("connection-status", "", 0, 0, func(context.Context, []string) (string, error) {
		for _, r := range a.replicas {
			if !r.snapshot().Connected {
				return "not connected\n", nil
			}
		}
		if a.centre != nil && a.centre.current() == nil {
			return "not connected\n", nil
		}
		return "connected\n", nil
	})
}

// conflicts are the conflicts of all links.
func (s *Status) conflicts() Conflicts {
	list := Conflicts{}
	for _, l := range s.Links {
		for _, c := range l.Conflicts {
			list = append(list, LinkConflict{l.Switch, c})
		}
	}
	return list
}

// Conflicts are those of several links.
type Conflicts []LinkConflict

// LinkConflict is a conflict of a link.
type LinkConflict struct {
	Switch string `json:"switch"`
	Conflict
}

// WriteText writes a line for each.
func (c Conflicts) WriteText(w io.Writer) error {
	if len(c) == 0 {
		_, err := io.WriteString(w, "no conflicts\n")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "SWITCH\tROUTER\tTABLE\tKIND\tCONFLICT")
	for _, one := range c {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", one.Switch, one.Router, orNone(one.Table), one.Kind, one.Conflict)
	}
	return t.Flush()
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// WriteText writes the links for people.
func (s *Status) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "zone %q  id %s", s.Zone, orNone(s.ID))
	if s.Strict {
		b.WriteString("  strict")
	}
	b.WriteByte('\n')
	connection := func(name, remote string, connected bool, since time.Time, more string) {
		state := "connected"
		if !connected {
			state = "NOT CONNECTED"
		}
		if !since.IsZero() {
			state += " since " + since.UTC().Format("2006-01-02 15:04:05")
		}
		fmt.Fprintf(&b, "  %-18s %s  %s%s\n", name, remote, state, more)
	}
	if c := s.Centre; c != nil {
		more := ""
		if c.Connected {
			more = "  lease " + c.Lease
		} else if c.LastError != "" {
			more = "  " + c.LastError
		}
		connection("centre", c.Remote, c.Connected, c.Since, more)
	}
	for _, d := range s.Databases {
		more := ""
		if d.Busy {
			more = "  writing"
		}
		connection(d.Name, d.Remote, d.Connected, d.Since, more)
	}
	for i := range s.Links {
		if err := s.Links[i].writeText(&b); err != nil {
			return err
		}
	}
	if len(s.Problems) > 0 {
		fmt.Fprintf(&b, "\n%s:\n", counted(len(s.Problems), "problem"))
		for _, p := range s.Problems {
			fmt.Fprintf(&b, "  %s\n", p)
		}
	} else {
		b.WriteString("\nno problems\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (l *Link) writeText(b *strings.Builder) error {
	key := "no key yet"
	if l.Key != 0 {
		key = fmt.Sprintf("key %d (%#x)", l.Key, l.Key)
	}
	fmt.Fprintf(b, "\n%s  %s  %s\n", l.Switch, key, l.summary())
	t := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	head := func(n int, first, columns string) {
		if n > 0 {
			fmt.Fprintf(t, "  %s\t%s\n", first, columns)
		}
	}
	head(len(l.Gateways), "GATEWAY", "ZONE\tENCAPSULATION\tTUNNELS (BFD)")
	for _, g := range l.Gateways {
		var tunnels []string
		for _, one := range g.Tunnels {
			tunnels = append(tunnels, one.From+" "+one.State)
		}
		zone := g.Zone
		if g.Own {
			zone += " (own)"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", g.Name, zone, orNone(strings.Join(g.Encaps, " ")), orNone(strings.Join(tunnels, ", ")))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	head(len(l.Ports), "PORT", "ZONE\tKEY\tGATEWAY\tADDRESS\tROUTER")
	for _, p := range l.Ports {
		zone, key := p.Zone, "-"
		if p.Own {
			zone += " (own)"
		}
		if p.Key != 0 {
			key = fmt.Sprint(p.Key)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", p.Name, zone, key, orNone(p.Gateway), p.Address, strings.TrimSpace(orNone(p.Router)+"  "+p.Status))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(l.Out)+len(l.In) == 0 {
		head(len(l.Routes), "ROUTES", "COUNT\tROUTER\tZONE\tSTATUS")
		for _, c := range l.Routes {
			fmt.Fprintf(t, "  %s\t%d\t%s\t%s\t%s\n", c.Direction, c.Count, orNone(c.Router), c.Zone, c.Status.text(becomes[c.Direction], c.Detail))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	routes := func(title, used string, list []Route) error {
		head(len(list), title, "ROUTER\tVIA\tTABLE\tORIGIN\tZONE\tSTATUS")
		for _, r := range list {
			status := used
			if r.Status != Used {
				status = r.Status.text(used, r.Detail)
			}
			if r.Tag != "" {
				status += "  tag " + r.Tag
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Prefix, orNone(r.Router), orNone(r.Nexthop), orNone(r.Table), r.Origin, r.Zone, status)
		}
		return t.Flush()
	}
	if err := routes("ROUTE OUT", becomes[directionOut], l.Out); err != nil {
		return err
	}
	if err := routes("ROUTE IN", becomes[directionIn], l.In); err != nil {
		return err
	}
	for _, c := range l.Conflicts {
		if c.Kind != "same" { // that is a problem
			fmt.Fprintf(b, "  overlap: router %q: %s%s\n", c.Router, c, andMore(c.More, "govn ic conflicts"))
		}
	}
	return nil
}

// becomes is what becomes of a route if nothing is against it.
var becomes = map[string]string{directionOut: "told", directionIn: "used"}

// andMore tells of those that are left out, and what lists them.
func andMore(n int, command string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; and %d more (%s)", n, command)
}
