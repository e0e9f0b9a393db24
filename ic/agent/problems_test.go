package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"govn/proto/control"
)

// linked is a zone with one link, as it should be.
func linked() *Status {
	since := time.Date(2026, 11, 21, 23, 15, 0, 0, time.UTC)
	return &Status{
		Zone: "east", ID: "0123456789abcdef0123456789abcdef",
		Centre:    &Centre{Remote: "tcp:192.0.2.1:6648", Connected: true, Since: since, Lease: "15s"},
		Databases: []Database{{Name: "OVN_Northbound", Remote: "unix:/nb", Connected: true, Since: since}, {Name: "OVN_Southbound", Remote: "unix:/sb", Connected: true}},
		Links: []Link{{
			Switch: "ts1", Key: 0xff0002,
			Gateways: []Gateway{
				{Name: "gw_east", Zone: "east", Own: true, Hostname: "h1", Encaps: []string{"geneve:10.0.0.1"}},
				{Name: "gw_west", Zone: "west", Hostname: "h2", Encaps: []string{"geneve:10.0.0.2"}, Tunnels: []Tunnel{{From: "gw_east", State: "up"}}},
			},
			Ports: []Port{
				{Name: "ts1-east", Zone: "east", Own: true, Key: 1, Gateway: "gw_east", Address: "0a:00:00:00:ff:01 169.254.100.1/24", Router: "router_east"},
				{Name: "ts1-west", Zone: "west", Key: 2, Gateway: "gw_west", Address: "0a:00:00:00:ff:02 169.254.100.2/24"},
			},
			Out: []Route{
				{Prefix: "0.0.0.0/0", Origin: "static", Zone: "east", Router: "router_east", Status: DefaultRoute, Detail: "ic-route-adv-default"},
				{Prefix: "192.168.1.0/24", Nexthop: "169.254.100.1", Origin: "connected", Zone: "east", Router: "router_east"},
			},
			In: []Route{
				{Prefix: "10.2.0.0/16", Nexthop: "169.254.100.2", Origin: "static", Zone: "west", Router: "router_east", Status: Denied, Detail: "ic-route-denylist"},
				{Prefix: "192.168.2.0/24", Nexthop: "169.254.100.2", Origin: "connected", Zone: "west", Router: "router_east", Tag: "t1"},
			},
		}},
	}
}

func text(t *testing.T, s *Status, everything bool) string {
	t.Helper()
	s.arrange()
	s.finish(everything)
	out, err := control.String(control.Text, s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What options and filters keep back is no problem. Routes are counted, unless they
// are asked for.
func TestStatusText(t *testing.T) {
	const head = `zone "east"  id 0123456789abcdef0123456789abcdef
  centre             tcp:192.0.2.1:6648  connected since 2026-11-21 23:15:00  lease 15s
  OVN_Northbound     unix:/nb  connected since 2026-11-21 23:15:00
  OVN_Southbound     unix:/sb  connected

ts1  key 16711682 (0xff0002)  2 gateways, 2 ports; routes: 1 told, 1 kept back; 1 used, 1 not
  GATEWAY  ZONE        ENCAPSULATION    TUNNELS (BFD)
  gw_east  east (own)  geneve:10.0.0.1  -
  gw_west  west        geneve:10.0.0.2  gw_east up
  PORT      ZONE        KEY  GATEWAY  ADDRESS                             ROUTER
  ts1-east  east (own)  1    gw_east  0a:00:00:00:ff:01 169.254.100.1/24  router_east
  ts1-west  west        2    gw_west  0a:00:00:00:ff:02 169.254.100.2/24  -
`
	const counted = `  ROUTES  COUNT  ROUTER       ZONE  STATUS
  out     1      router_east  east  told
  out     1      router_east  east  not told: a default route, and ic-route-adv-default is not true
  in      1      router_east  west  used
  in      1      router_east  west  not used: denied by ic-route-denylist
`
	const listed = `  ROUTE OUT       ROUTER       VIA            TABLE  ORIGIN     ZONE  STATUS
  0.0.0.0/0       router_east  -              -      static     east  not told: a default route, and ic-route-adv-default is not true
  192.168.1.0/24  router_east  169.254.100.1  -      connected  east  told
  ROUTE IN        ROUTER       VIA            TABLE  ORIGIN     ZONE  STATUS
  10.2.0.0/16     router_east  169.254.100.2  -      static     west  not used: denied by ic-route-denylist
  192.168.2.0/24  router_east  169.254.100.2  -      connected  west  used  tag t1
`
	for want, everything := range map[string]bool{head + counted + "\nno problems\n": false, head + listed + "\nno problems\n": true} {
		if diff := cmp.Diff(want, text(t, linked(), everything)); diff != "" {
			t.Errorf("everything %v: -want +got:\n%s", everything, diff)
		}
	}
}

// Each thing that is not as it should be is told once, with what it is about.
func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		change func(s *Status, l *Link)
		want   string // "": none
	}{
		{func(s *Status, _ *Link) { s.Centre.Connected, s.Centre.LastError = false, "connection refused" }, "the centre tcp:192.0.2.1:6648 is not connected: connection refused; what it told last counts"},
		{func(s *Status, _ *Link) { s.Databases[1].Connected = false }, "OVN_Southbound at unix:/sb is not connected; what it held last counts"},
		{func(s *Status, _ *Link) { s.Zone = "" }, "the zone has no name: set NB_Global . name=NAME"},
		{func(s *Status, _ *Link) {
			s.Refusals = []Refusal{{Kind: "port", Name: "ts1-east", Reason: "zone west has it"}}
			s.Links[0].Ports[0].Key, s.Links[0].Ports[0].Status = 0, "zone west has it"
		}, `the centre refuses port "ts1-east": zone west has it`},
		{func(_ *Status, l *Link) { l.Key = 0 }, "ts1: the switch has no key yet"},
		{func(_ *Status, l *Link) { l.Ports[0].Key = 0 }, `ts1: port "ts1-east" has no key yet`},
		{func(_ *Status, l *Link) { l.Ports[0].Gateway = "" }, `ts1: port "ts1-east" is on no gateway: no chassis has bound the port of router "router_east"`},
		{func(_ *Status, l *Link) { l.Ports[1].Gateway = "" }, `ts1: port "ts1-west" of zone "west" is on no gateway`},
		{func(_ *Status, l *Link) { l.Gateways[0].Encaps = nil }, `ts1: gateway "gw_east" is no gateway of this zone: it needs external_ids:ovn-is-interconn=true`},
		{func(_ *Status, l *Link) { l.Gateways[1].Encaps = nil }, `ts1: gateway "gw_west" of zone "west" is not known: its zone does not tell of it`},
		{func(_ *Status, l *Link) { l.Gateways[1].Tunnels[0].State = "down" }, `ts1: the tunnel from gw_east to gw_west of zone "west" is down`},
		{func(_ *Status, l *Link) { l.Gateways[1].Tunnels[0].State = "admin_down" }, ""},
		{func(_ *Status, l *Link) { l.Gateways[1].Tunnels[0].State = "unknown" }, ""},
		{func(_ *Status, l *Link) {
			l.In[1].Status, l.In[1].Detail = Contested, "north"
			l.Conflicts = []Conflict{{Prefix: "192.168.2.0/24", Zone: "north", OtherPrefix: "192.168.2.0/24", OtherZone: "west", Router: "router_east", Kind: "same"}}
		}, `ts1: conflict: router "router_east": 192.168.2.0/24 of north is used, that of west is not`},
		{func(_ *Status, l *Link) {
			l.Conflicts = []Conflict{{Prefix: "192.168.0.0/16", Zone: "north", OtherPrefix: "192.168.2.0/24", OtherZone: "west", Router: "router_east", Kind: "within"}}
		}, ""},
		{func(_ *Status, l *Link) { l.In[1].Status = Unreachable }, `ts1: 192.168.2.0/24 of zone "west" is not used by router "router_east": the next hop is in no network of the port`},
		{func(_ *Status, l *Link) { l.Out[1].Status = NoNextHop }, `ts1: 192.168.1.0/24 of router "router_east" is not told: the port has no address of that family`},
		{func(_ *Status, l *Link) { l.In[1].Status, l.In[1].Detail = Loop, "router_east" }, ""},
		{func(_ *Status, l *Link) { l.Out[1].Status, l.Out[1].Detail = Filtered, "ic-route-filter-adv" }, ""},
	} {
		s := linked()
		tt.change(s, &s.Links[0])
		out := text(t, s, false)
		if tt.want == "" {
			if len(s.Problems) != 0 || !strings.HasSuffix(out, "\n\nno problems\n") {
				t.Errorf("%q", s.Problems)
			}
			continue
		}
		if diff := cmp.Diff([]string{tt.want}, s.Problems); diff != "" || !strings.HasSuffix(out, "\n\n1 problem:\n  "+tt.want+"\n") {
			t.Errorf("-want +got:\n%s\n%s", diff, out)
		}
	}
}

// What is printed as JSON reads back, reasons by name.
func TestStatusJSON(t *testing.T) {
	s := linked()
	s.arrange()
	s.finish(true)
	out, err := control.String(control.JSON, s)
	if err != nil || !strings.Contains(out, `"status": "default-route"`) {
		t.Fatalf("%v\n%s", err, out)
	}
	var back Status
	if err := json.Unmarshal([]byte(out), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, &back); diff != "" {
		t.Error(diff)
	}
}
