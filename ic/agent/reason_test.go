package agent

import (
	"encoding/json"
	"testing"
)

// Each reason that a route of another zone is not used, or one of ours not told.
func TestReasons(t *testing.T) {
	in := func(edit func(*icRoute)) *icRoute {
		r := &icRoute{UUID: "x", TransitSwitch: "ts0", AvailabilityZone: "az7", IPPrefix: "11.7.0.0/24", Nexthop: "169.254.100.9", Origin: originConnected}
		if edit != nil {
			edit(r)
		}
		return r
	}
	options := func(key, value string) func(b *bed) {
		return func(b *bed) {
			g := *b.rows["g"].(*nbGlobal)
			g.Options = map[string]string{optionAdv: "true", optionLearn: "true", key: value}
			b.set(&g)
		}
	}
	router := func(key, value string) func(b *bed) {
		return func(b *bed) {
			r := *b.rows["r1"].(*nbRouter)
			r.Options = map[string]string{key: value}
			b.set(&r)
		}
	}
	port := func(key, value string) func(b *bed) {
		return func(b *bed) {
			r := *b.rows["r1-ts0-uuid"].(*nbRouterPort)
			r.Options = map[string]string{key: value}
			b.set(&r)
		}
	}
	prefix := func(p string) *icRoute { return in(func(r *icRoute) { r.IPPrefix = p }) }
	for name, tt := range map[string]struct {
		with  func(*bed)
		route *icRoute
		want  Reason
	}{
		"nothing":             {nil, in(nil), Used},
		"not learning":        {options(optionLearn, "false"), in(nil), Off},
		"no prefix":           {nil, prefix("11.7.0"), Malformed},
		"no next hop":         {nil, in(func(r *icRoute) { r.Nexthop = "" }), Malformed},
		"default route":       {nil, prefix("0.0.0.0/0"), DefaultRoute},
		"default route asked": {options(optionLearnDefault, "true"), prefix("0.0.0.0/0"), Used},
		"link-local":          {nil, prefix("169.254.3.0/24"), LinkLocal},
		"load balancer":       {nil, in(func(r *icRoute) { r.Origin = originLoadBalancer }), LoadBalancer},
		"load balancer asked": {options(optionLearnLB, "true"), in(func(r *icRoute) { r.Origin = originLoadBalancer }), Used},
		"denylist":            {options(optionDenylist, "10.0.0.0/8, 11.0.0.0/8"), in(nil), Denied},
		"blacklist":           {options(optionBlacklist, "11.7.0.0/16"), in(nil), Denied},
		"denied longer":       {options(optionDenylist, "11.7.0.0/25"), in(nil), Used},
		"denied by router":    {router(optionDenyLearn, "11.0.0.0/8 le 24"), in(nil), Denied},
		"denied by port":      {port(optionDenyLearn, "11.0.0.0/8"), in(nil), Denied},
		"filter":              {router(optionFilterLearn, "11.8.0.0/16"), in(nil), Filtered},
		"filter lets pass":    {router(optionFilterLearn, "11.8.0.0/16,11.7.0.0/16"), in(nil), Used},
		"filter of lengths":   {router(optionFilterLearn, "11.0.0.0/8 ge 25"), in(nil), Filtered},
		"filter that is bad":  {port(optionFilterLearn, "11.0.0.0/99"), in(nil), Filtered},
		"filter of the other": {router(optionFilterAdv, "11.8.0.0/16"), in(nil), Used},
		"strict":              {options(optionStrict, "true"), in(nil), Strict},
		"strict by centre":    {func(b *bed) { b.in.setStrict(true) }, in(nil), Strict},
		"strict with filter":  {func(b *bed) { b.in.setStrict(true); router(optionFilterLearn, "11.0.0.0/8")(b) }, in(nil), Used},
		"tag":                 {port(optionFilterTag, "red"), in(func(r *icRoute) { r.ExternalIDs = map[string]string{keyTag: "red"} }), Tagged},
		"another tag":         {port(optionFilterTag, "red"), in(func(r *icRoute) { r.ExternalIDs = map[string]string{keyTag: "blue"} }), Used},
		"table":               {nil, in(func(r *icRoute) { r.RouteTable = "t1" }), WrongTable},
		"same table":          {port("route_table", "t1"), in(func(r *icRoute) { r.RouteTable = "t1" }), Used},
		"loop":                {nil, in(func(r *icRoute) { r.Nexthop = "169.254.100.1" }), Loop},
		"unreachable":         {nil, in(func(r *icRoute) { r.Nexthop = "169.254.101.1" }), Unreachable},
		"link-local next hop": {nil, in(func(r *icRoute) { r.IPPrefix, r.Nexthop = "fd07::/64", "fe80::7" }), Unreachable}, // as with ovn-ic
		"own network":         {nil, prefix("10.0.1.0/24"), OwnNetwork},
		"own route": {func(b *bed) {
			r := *b.rows["r1"].(*nbRouter)
			r.StaticRoutes = setOf([]string{"own"})
			b.set(&r, &nbRoute{UUID: "own", IPPrefix: "11.7.0.0/24", Nexthop: "10.0.1.9"})
		}, in(nil), OwnRoute},
	} {
		b := newBed(t)
		b.in.first = true
		b.zone()
		b.set(&icZone{UUID: "az7", Name: "az7"})
		if tt.with != nil {
			tt.with(b)
		}
		b.set(tt.route)
		b.run()
		got, refused := b.p.unused.Get(unusedKey{"r1", "ts0-r1-uuid", "x"})
		if _, used := b.p.routes.Get(learnedKey{"r1", "x"}); got.reason != tt.want || used == refused {
			t.Errorf("%s: %v %q, want %v", name, got.reason, got.detail, tt.want)
		}
	}
	// What is told, and what is not.
	for name, tt := range map[string]struct {
		with    func(*bed)
		network string
		want    Reason
	}{
		"nothing":       {nil, "10.0.1.1/24", Used},
		"not told":      {options(optionAdv, ""), "10.0.1.1/24", Off},
		"denied":        {router(optionDenyAdv, "10.0.0.0/16"), "10.0.1.1/24", Denied},
		"filter":        {port(optionFilterAdv, "10.1.0.0/16"), "10.0.1.1/24", Filtered},
		"both filters":  {func(b *bed) { port(optionFilterAdv, "10.1.0.0/16")(b); router(optionFilterAdv, "10.0.0.0/16")(b) }, "10.0.1.1/24", Used},
		"filter learn":  {port(optionFilterLearn, "10.1.0.0/16"), "10.0.1.1/24", Used},
		"strict":        {options(optionStrict, "true"), "10.0.1.1/24", Strict},
		"link-local":    {nil, "fe80::1/64", LinkLocal},
		"no next hop":   {nil, "fd00::1/64", NoNextHop},
		"not a network": {nil, "10.0.1", Malformed},
	} {
		b := newBed(t)
		b.zone()
		net := *b.rows["r1-net-uuid"].(*nbRouterPort)
		net.Networks = []string{tt.network}
		up := *b.rows["r1-ts0-uuid"].(*nbRouterPort)
		if tt.want == NoNextHop {
			up.MAC = ""
		}
		b.set(&net, &up)
		if tt.with != nil {
			tt.with(b)
		}
		b.run()
		got, kept := b.p.kept.Get(keptKey{"ts0-r1-uuid", "r1-net-uuid", tt.network})
		if told := b.p.icRoutes.Len() == 1; got.reason != tt.want || told == kept {
			t.Errorf("told, %s: %v %q, want %v", name, got.reason, got.detail, tt.want)
		}
	}
	// A tag goes with the route.
	b := newBed(t)
	b.zone()
	port(keyTag, "red")(b)
	b.run()
	if w, ok := b.p.icRoutes.Get(routeKey{"ts0", "", "10.0.1.1/24", "169.254.100.1"}); !ok || w.ids()[keyTag] != "red" {
		t.Errorf("tag: %+v", w)
	}
	for r := range reasons {
		b, err := json.Marshal(r)
		var back Reason
		if err != nil || json.Unmarshal(b, &back) != nil || back != r || r != Used && r.text("used", "x") == r.String() {
			t.Errorf("%d: %s, %v", r, b, err)
		}
	}
}

// Of several zones the first one with a route that may be learned has a prefix;
// routers that share use all, a zone's own routes are never divided.
func TestFirstZone(t *testing.T) {
	route := func(id, az string, since uint64, nexthop string) *icRoute {
		return &icRoute{UUID: id, TransitSwitch: "ts0", AvailabilityZone: az, IPPrefix: "11.0.0.0/24", Nexthop: nexthop, Since: since}
	}
	b := newBed(t)
	b.in.first = true
	b.zone()
	b.set(route("a1", "az1", 5, "169.254.100.11"), route("a2", "az1", 6, "169.254.100.12"), route("b", "az2", 3, "169.254.100.13"),
		route("c", "az3", 1, "169.254.101.1"), route("mine", "az", 0, "169.254.100.1")) // one that is not reached, and ours, do not count
	used := func() (list string) {
		b.run()
		for _, id := range []string{"a1", "a2", "b", "c", "d", "mine"} {
			if _, ok := b.p.routes.Get(learnedKey{"r1", id}); ok {
				list += id + " "
			}
		}
		return list
	}
	set := func(key, value string) {
		r := *b.rows["r1"].(*nbRouter)
		r.Options = map[string]string{key: value}
		b.set(&r)
	}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "b "},
		{func() { b.unset("b") }, "a1 a2 "},
		{func() { b.set(route("b", "az2", 7, "169.254.100.13")) }, "a1 a2 "},
		{func() { b.set(route("c", "az3", 1, "169.254.100.14")) }, "c "},
		{func() { b.set(route("d", "az4", 0, "169.254.100.15")) }, "d "}, // one that nobody knew
		{func() { b.unset("d") }, "c "},
		{func() { set(optionECMP, "true") }, "a1 a2 b c "},
		{func() { set(optionECMP, "false") }, "c "},
		{func() { b.in.first = false; set(optionECMP, "") }, "a1 a2 b c "},
	} {
		if step.do(); used() != step.want {
			t.Errorf("%q are used, want %q", used(), step.want)
		}
	}
}
