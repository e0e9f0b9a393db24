package agent

import (
	"fmt"
	"slices"
)

// bad are states of tunnels by which nothing gets through. That BFD is off, or
// that nobody tells, is none.
var bad = []string{"down", "init"}

// worth are the reasons for which a route is not used that nobody decided: what
// filters, options and route tables leave out is as it should be, conflicts and
// refusals are told by themselves.
var worth = []Reason{Malformed, Unreachable, NoNextHop}

// findProblems is what is not as it should be, each in a line that says what it is
// about; of links, the switch is named first.
func (s *Status) findProblems() (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if c := s.Centre; c != nil && !c.Connected {
		why := ""
		if c.LastError != "" {
			why = ": " + c.LastError
		}
		add("the centre %s is not connected%s; what it told last counts", c.Remote, why)
	}
	for _, d := range s.Databases {
		if !d.Connected {
			add("%s at %s is not connected; what it held last counts", d.Name, d.Remote)
		}
	}
	if s.Zone == "" {
		add("the zone has no name: set NB_Global . name=NAME")
	}
	for _, r := range firstRefusals(s.Refusals) {
		add("the centre refuses %s %q: %s%s", r.Kind, r.Name, r.Reason, andMore(r.More, "govn ic status --routes"))
	}
	for i := range s.Links {
		s.Links[i].findProblems(func(format string, args ...any) { add(s.Links[i].Switch+": "+format, args...) })
	}
	return list
}

func (l *Link) findProblems(add func(format string, args ...any)) {
	if l.Key == 0 {
		add("the switch has no key yet")
	}
	for _, p := range l.Ports {
		switch {
		case p.Gateway != "":
		case p.Own:
			add("port %q is on no gateway: no chassis has bound the port of router %q", p.Name, p.Router)
		default:
			add("port %q of zone %q is on no gateway", p.Name, p.Zone)
		}
		if p.Own && p.Key == 0 && p.Status == "" {
			add("port %q has no key yet", p.Name)
		}
	}
	for _, g := range l.Gateways {
		if len(g.Encaps) == 0 && g.Own {
			add("gateway %q is no gateway of this zone: it needs external_ids:ovn-is-interconn=true", g.Name)
		} else if len(g.Encaps) == 0 {
			add("gateway %q of zone %q is not known: its zone does not tell of it", g.Name, g.Zone)
		}
		for _, t := range g.Tunnels {
			if slices.Contains(bad, t.State) {
				add("the tunnel from %s to %s of zone %q is %s", t.From, g.Name, g.Zone, t.State)
			}
		}
	}
	for _, c := range firstConflicts(l.Conflicts) {
		if c.Kind == "same" {
			add("conflict: router %q: %s%s", c.Router, c, andMore(c.More, "govn ic conflicts"))
		}
	}
	for _, r := range firstRoutes(l.Out) {
		add("%s of router %q is not told: %s%s", r.Prefix, r.Router, r.Status.why(r.Detail), andMore(r.more, "govn ic status --routes"))
	}
	for _, r := range firstRoutes(l.In) {
		add("%s of zone %q is not used by router %q: %s%s", r.Prefix, r.Zone, r.Router, r.Status.why(r.Detail), andMore(r.more, "govn ic status --routes"))
	}
}

// notUsed is a route whose reason nobody decided, and how many more there are like
// it.
type notUsed struct {
	Route
	more int
}

// firstRoutes are the first one of each router, zone and reason in worth.
func firstRoutes(routes []Route) []notUsed {
	var list []notUsed
	for _, r := range routes {
		if slices.Contains(worth, r.Status) {
			list = append(list, notUsed{Route: r})
		}
	}
	return firsts(list, func(r notUsed) RouteCount { return RouteCount{Router: r.Router, Zone: r.Zone, Status: r.Status} },
		func(r *notUsed, n int) { r.more = n })
}

// summary counts what the link has.
func (l *Link) summary() string {
	count := func(direction string, used bool) (n int) {
		for _, c := range l.Routes {
			if c.Direction == direction && (c.Status == Used) == used {
				n += c.Count
			}
		}
		return n
	}
	s := fmt.Sprintf("%s, %s; routes: %d told", counted(len(l.Gateways), "gateway"), counted(len(l.Ports), "port"), count(directionOut, true))
	if n := count(directionOut, false); n > 0 {
		s += fmt.Sprintf(", %d kept back", n)
	}
	s += fmt.Sprintf("; %d used", count(directionIn, true))
	if n := count(directionIn, false); n > 0 {
		s += fmt.Sprintf(", %d not", n)
	}
	return s
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
