package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"govn/proto/control"
)

// crowded is a zone whose router has ten thousand routes from each of two zones, as
// many of which nobody can use, and as many refusals.
func crowded() *Status {
	s := linked()
	l := &s.Links[0]
	l.Out, l.In = nil, nil
	for i := range 10_000 {
		prefix := fmt.Sprintf("10.%d.%d.0/24", i>>8, i&0xff)
		one := Route{Prefix: prefix, Nexthop: "169.254.100.2", Origin: "static", Zone: "west", Router: "router_east"}
		two := one
		two.Zone, two.Status, two.Detail = "north", Contested, "west"
		out := one
		out.Zone, out.Status = "east", NoNextHop
		lost := one
		lost.Prefix, lost.Status = fmt.Sprintf("11.%d.%d.0/24", i>>8, i&0xff), Unreachable
		l.In = append(l.In, two, one, lost)
		l.Out = append(l.Out, out)
		s.Refusals = append(s.Refusals, Refusal{Kind: "route", Name: prefix, Reason: "the tenant may not", Since: time.Unix(0, 0)})
	}
	return s
}

// However many routes there are, the status is a page; every route is there when
// asked for.
func TestCrowdedStatus(t *testing.T) {
	got := text(t, crowded(), false)
	if n := strings.Count(got, "\n"); n > 30 {
		t.Errorf("%d lines:\n%s", n, got[:2000])
	}
	for _, want := range []string{
		"; routes: 0 told, 10000 kept back; 10000 used, 20000 not\n",
		"\n  in      10000  router_east  north  not used: CONFLICT, zone west was first\n",
		"\n  in      10000  router_east  west   used\n",
		"\n4 problems:\n",
		"\n  the centre refuses route \"10.0.0.0/24\": the tenant may not; and 9999 more (govn ic status --routes)\n",
		"\n  ts1: conflict: router \"router_east\": 10.0.0.0/24 of west is used, that of north is not; and 9999 more (govn ic conflicts)\n",
		"\n  ts1: 10.0.0.0/24 of router \"router_east\" is not told: the port has no address of that family; and 9999 more (govn ic status --routes)\n",
		"\n  ts1: 11.0.0.0/24 of zone \"west\" is not used by router \"router_east\": the next hop is in no network of the port; and 9999 more (govn ic status --routes)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	s := crowded()
	s.arrange()
	s.finish(false)
	if out, err := control.String(control.JSON, s); err != nil || strings.Count(out, "\n") > 150 {
		t.Errorf("JSON: %v, %d lines", err, strings.Count(out, "\n"))
	}
	s = crowded()
	out := text(t, s, true)
	if n := strings.Count(out, "\n  1"); n != 40_000 || len(s.Refusals) != 10_000 || len(s.Links[0].Conflicts) != 10_000 {
		t.Errorf("%d routes, %d refusals, %d conflicts", n, len(s.Refusals), len(s.Links[0].Conflicts))
	}
}

// One prefix that a router has from two zones is a conflict, also where each comes
// by a transit switch of its own.
func TestConflictOfTwoLinks(t *testing.T) {
	for status, want := range map[Reason]string{
		Contested: "10.0.0.0/24 of west by ts1 is used, that of north is not",
		Used:      "10.0.0.0/24 of west by ts1 and that of north are both used",
	} {
		route := Route{Prefix: "10.0.0.0/24", Nexthop: "169.254.100.2", Zone: "west", Router: "r"}
		other := route
		other.Zone, other.Status = "north", status
		s := &Status{Links: []Link{{Switch: "ts1", In: []Route{route}}, {Switch: "ts2", In: []Route{other}}}}
		s.arrange()
		list := s.conflicts()
		if len(list) != 1 || list[0].Switch != "ts2" || list[0].Conflict.String() != want {
			t.Errorf("%v: %+v, want %q", status, list, want)
		}
	}
}

// Routes are in the order of their prefixes, those that are none first.
func TestSortRoutes(t *testing.T) {
	var list []Route
	for _, p := range []string{"fd00::/64", "9.0.0.0/8", "10.0.0.0/24", "bad", "10.0.0.0/8", "also bad"} {
		list = append(list, Route{Prefix: p})
	}
	sortRoutes(list)
	var got []string
	for _, r := range list {
		got = append(got, r.Prefix)
	}
	if want := "also bad, bad, 9.0.0.0/8, 10.0.0.0/8, 10.0.0.0/24, fd00::/64"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
