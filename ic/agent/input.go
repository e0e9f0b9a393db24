package agent

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"govn/pkg/incr"
	checked "govn/pkg/ovsdb"
)

// table is the rows of one table as queries read them, by identity and by a key.
type table[T row] struct {
	name  string
	e     *incr.Engine
	rows  map[string]T
	key   func(T) string      // what named finds rows by; "" for none
	byKey map[string][]string // identities, in order
	lists func(T) bool        // which rows all has; nil: every one
	all   *incr.Collection[string]
}

// allRows is the key under which collections have all rows of a table.
var allRows incr.Hash

func newTable[T row](e *incr.Engine, name string, key func(T) string) *table[T] {
	t := &table[T]{name: name, e: e, rows: make(map[string]T), key: key, byKey: make(map[string][]string)}
	t.all = incr.NewCollection(e, name, func(incr.Hash) iter.Seq[string] {
		return func(yield func(string) bool) {
			for uuid, r := range t.rows {
				if t.listed(r) && !yield(uuid) {
					return
				}
			}
		}
	})
	return t
}

func (t *table[T]) listed(r T) bool { return t.lists == nil || t.lists(r) }

func (t *table[T]) cell(uuid string) incr.Cell { return incr.CellOf(t.name, uuid) }

func (t *table[T]) cellNamed(key string) incr.Cell { return incr.CellOf(t.name, "by", key) }

// set takes in a row, or that it is gone.
func (t *table[T]) set(uuid string, now T, there bool) {
	old, was := t.rows[uuid]
	if there {
		t.rows[uuid] = now
	} else {
		delete(t.rows, uuid)
	}
	if before, after := was && t.listed(old), there && t.listed(now); before != after {
		t.all.Change(allRows, uuid, after)
	}
	t.e.Touch(t.cell(uuid))
	if t.key == nil {
		return
	}
	before, after := "", ""
	if was {
		before = t.key(old)
	}
	if there {
		after = t.key(now)
	}
	if before == after {
		return
	}
	if before != "" {
		list := t.byKey[before]
		if i, there := slices.BinarySearch(list, uuid); there {
			list = slices.Delete(list, i, i+1)
		}
		if t.byKey[before] = list; len(list) == 0 {
			delete(t.byKey, before)
		}
		t.e.Touch(t.cellNamed(before))
	}
	if after != "" {
		list := t.byKey[after]
		if i, there := slices.BinarySearch(list, uuid); !there {
			t.byKey[after] = slices.Insert(list, i, uuid)
		}
		t.e.Touch(t.cellNamed(after))
	}
}

// get reads a row.
func (t *table[T]) get(c *incr.Ctx, uuid string) (r T, ok bool) {
	c.Read(t.cell(uuid))
	r, ok = t.rows[uuid]
	return r, ok
}

// named reads the row with a key; of several, that with the lowest identity.
func (t *table[T]) named(c *incr.Ctx, key string) (r T, ok bool) {
	c.Read(t.cellNamed(key))
	if uuid := t.first(key); uuid != "" {
		return t.get(c, uuid)
	}
	return r, false
}

// peek is named outside queries.
func (t *table[T]) peek(key string) (r T, ok bool) {
	r, ok = t.rows[t.first(key)]
	return r, ok
}

func (t *table[T]) first(key string) string {
	if list := t.byKey[key]; len(list) > 0 {
		return list[0]
	}
	return ""
}

// holders are which row has an element in a set column. It is one as a rule; of
// several the first one counts for queries.
type holders struct {
	name   string
	e      *incr.Engine
	holder map[string]string   // element to row, the first one
	others map[string][]string // element to the other rows that have it, in order
}

func newHolders(e *incr.Engine, name string) *holders {
	return &holders{name: name, e: e, holder: make(map[string]string), others: make(map[string][]string)}
}

// set takes in which elements a row lost and got.
func (h *holders) set(row string, gone, come []string) {
	for _, el := range come {
		h.change(el, row, true)
	}
	for _, el := range gone {
		h.change(el, row, false)
	}
}

func (h *holders) change(el, row string, has bool) {
	list := h.all(el)
	i, there := slices.BinarySearch(list, row)
	switch {
	case there == has:
		return
	case has:
		list = slices.Insert(list, i, row)
	default:
		list = slices.Delete(list, i, i+1)
	}
	delete(h.holder, el)
	delete(h.others, el)
	if len(list) > 0 {
		h.holder[el] = list[0]
	}
	if len(list) > 1 {
		h.others[el] = list[1:]
	}
	h.e.Touch(incr.CellOf(h.name, el))
}

// all are the rows that have an element, in order: a new list.
func (h *holders) all(element string) []string {
	first, there := h.holder[element]
	if !there {
		return nil
	}
	return append([]string{first}, h.others[element]...)
}

func (h *holders) of(c *incr.Ctx, element string) string {
	c.Read(incr.CellOf(h.name, element))
	return h.holder[element]
}

// Keys of columns that the interconnection uses (ovn-nb(5), ovn-sb(5)).
const (
	keyTransit   = "interconn-ts"
	keyTunnelKey = "requested-tnl-key"
	keyRemote    = "is-remote"
	keyInterconn = "is-interconn"
	keyLearned   = "ic-learned-route"
	keyOrigin    = "origin"
	keyRouterID  = "router-id"
	keyNBID      = "nb-id"
	keyZoneID    = "govn-ic-zone" // NB_Global:external_ids: what the zone is for ever
	keyZoneRow   = "govn-ic-row"  // likewise: its row in Availability_Zone
)

// learned tells whether a route was learned from another zone.
func (r *nbRoute) learned() bool { return r.ExternalIDs[keyLearned] != "" }

// input is all that the agent knows.
type input struct {
	e       *incr.Engine
	global  *nbGlobal         // nil: there is none
	options map[string]string // NB_Global:options
	own     string            // row of the zone in Availability_Zone
	strict  bool              // the centre wants it
	first   bool              // of several zones with one prefix, the first one has it

	ls       *table[*nbSwitch] // by the transit switch that it stands for
	lsp      *table[*nbPort]   // by name
	lr       *table[*nbRouter]
	lrp      *table[*nbRouterPort] // by name
	route    *table[*nbRoute]      // by the route that it was learned from
	chassis  *table[*sbChassis]    // by name
	encap    *table[*sbEncap]
	pb       *table[*sbPort] // by logical_port
	dp       *table[*sbDatapath]
	ts       *table[*icSwitch]  // by name
	az       *table[*icZone]    // by name
	gateway  *table[*icGateway] // by name
	icEncap  *table[*icEncap]
	icDP     *table[*icDatapath] // by transit switch
	icPB     *table[*icPort]     // by logical_port
	icRoute  *table[*icRoute]    // by routeKey
	routerOf *holders            // of a router port
	routeAt  *holders            // router of a static route

	contenders map[incr.Cell][]contender // routes of others by table and prefix

	keys map[string]map[int]int // transit switch to the port keys in use, and how often
}

func newInput(e *incr.Engine) *input {
	in := &input{
		e:       e,
		ls:      newTable(e, "nb-switch", func(r *nbSwitch) string { return r.OtherConfig[keyTransit] }),
		lsp:     newTable(e, "nb-port", func(r *nbPort) string { return r.Name }),
		lr:      newTable[*nbRouter](e, "nb-router", nil),
		lrp:     newTable(e, "nb-router-port", func(r *nbRouterPort) string { return r.Name }),
		route:   newTable(e, "nb-route", func(r *nbRoute) string { return r.ExternalIDs[keyLearned] }),
		chassis: newTable(e, "sb-chassis", func(r *sbChassis) string { return r.Name }),
		encap:   newTable[*sbEncap](e, "sb-encap", nil),
		pb:      newTable(e, "sb-port", func(r *sbPort) string { return r.LogicalPort }),
		dp:      newTable[*sbDatapath](e, "sb-datapath", nil),
		ts:      newTable(e, "ic-switch", func(r *icSwitch) string { return r.Name }),
		az:      newTable(e, "ic-zone", func(r *icZone) string { return r.Name }),
		gateway: newTable(e, "ic-gateway", func(r *icGateway) string { return r.Name }),
		icEncap: newTable[*icEncap](e, "ic-encap", nil),
		icDP:    newTable(e, "ic-datapath", func(r *icDatapath) string { return r.TransitSwitch }),
		icPB:    newTable(e, "ic-port", func(r *icPort) string { return r.LogicalPort }),
		icRoute: newTable(e, "ic-route", func(r *icRoute) string {
			return routeKey{r.TransitSwitch, r.RouteTable, r.IPPrefix, r.Nexthop}.in(r.AvailabilityZone)
		}),
		routerOf: newHolders(e, "router-of-port"), routeAt: newHolders(e, "router-of-route"),
		keys: make(map[string]map[int]int), contenders: make(map[incr.Cell][]contender),
	}
	in.route.lists = func(r *nbRoute) bool { return !r.learned() } // of those nothing follows
	return in
}

// set takes in what changed of a row; now is nil where it is gone.
func (in *input) set(old, now row) {
	one := now
	if one == nil {
		one = old
	}
	switch r := one.(type) {
	case *nbGlobal:
		in.setGlobal(now)
	case *nbSwitch:
		in.ls.set(r.UUID, r, now != nil)
	case *nbPort:
		in.lsp.set(r.UUID, r, now != nil)
	case *nbRouter:
		was, _ := old.(*nbRouter)
		is, _ := now.(*nbRouter)
		if was == nil {
			was = &nbRouter{}
		}
		if is == nil {
			is = &nbRouter{}
		}
		in.lr.set(r.UUID, r, now != nil)
		if !maps.Equal(was.Options, is.Options) {
			in.e.Touch(cellRouterOptions(r.UUID))
		}
		if !slices.Equal(was.Ports, is.Ports) {
			gone, come := checked.DiffSets(setOf(was.Ports), setOf(is.Ports))
			in.routerOf.set(r.UUID, textsOf(gone), textsOf(come))
		}
		gone, come := checked.DiffSets(was.StaticRoutes, is.StaticRoutes)
		in.routeAt.set(r.UUID, textsOf(gone), textsOf(come))
	case *nbRouterPort:
		in.lrp.set(r.UUID, r, now != nil)
	case *nbRoute:
		in.route.set(r.UUID, r, now != nil)
	case *sbChassis:
		in.chassis.set(r.UUID, r, now != nil)
	case *sbEncap:
		in.encap.set(r.UUID, r, now != nil)
	case *sbPort:
		in.pb.set(r.UUID, r, now != nil)
	case *sbDatapath:
		in.dp.set(r.UUID, r, now != nil)
	case *icSwitch:
		in.ts.set(r.UUID, r, now != nil)
	case *icZone:
		in.az.set(r.UUID, r, now != nil)
	case *icGateway:
		in.gateway.set(r.UUID, r, now != nil)
	case *icEncap:
		in.icEncap.set(r.UUID, r, now != nil)
	case *icDatapath:
		in.icDP.set(r.UUID, r, now != nil)
	case *icPort:
		in.count(old, -1)
		in.count(now, +1)
		in.icPB.set(r.UUID, r, now != nil)
	case *icRoute:
		in.contend(old, now)
		in.icRoute.set(r.UUID, r, now != nil)
	}
}

// contender is a zone's route for a prefix.
type contender struct {
	since    uint64
	az, uuid string
}

func (a contender) compare(b contender) int {
	return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.az, b.az), cmp.Compare(a.uuid, b.uuid))
}

// contend keeps who has a prefix, the first one first.
func (in *input) contend(old, now row) {
	if r, ok := old.(*icRoute); ok {
		if key, ok := r.contested(); ok {
			list := in.contenders[key]
			if i, there := slices.BinarySearchFunc(list, r.contender(), contender.compare); there {
				list = slices.Delete(list, i, i+1)
			}
			if in.contenders[key] = list; len(list) == 0 {
				delete(in.contenders, key)
			}
			in.e.Touch(key)
		}
	}
	if r, ok := now.(*icRoute); ok {
		if key, ok := r.contested(); ok {
			list := in.contenders[key]
			if i, there := slices.BinarySearchFunc(list, r.contender(), contender.compare); !there {
				list = slices.Insert(list, i, r.contender())
			}
			in.contenders[key] = list
			in.e.Touch(key)
		}
	}
}

func (r *icRoute) contender() contender { return contender{r.Since, r.AvailabilityZone, r.UUID} }

// contested is the cell of a route's prefix, in its table.
func (r *icRoute) contested() (incr.Cell, bool) {
	prefix, ok := parsePrefix(r.IPPrefix)
	if !ok {
		return incr.Cell{}, false
	}
	return cellContest(r.RouteTable, prefix.Masked().String()), true
}

func cellContest(table, prefix string) incr.Cell { return incr.CellOf("contest", table, prefix) }

func cellRouterOptions(uuid string) incr.Cell { return incr.CellOf("router-options", uuid) }

// routerOption reads a key of Logical_Router:options.
func (in *input) routerOption(c *incr.Ctx, router, key string) string {
	c.Read(cellRouterOptions(router))
	if r := in.lr.rows[router]; r != nil {
		return r.Options[key]
	}
	return ""
}

// count keeps which keys the ports of transit switches have.
func (in *input) count(r row, n int) {
	p, ok := r.(*icPort)
	if !ok {
		return
	}
	keys := in.keys[p.TransitSwitch]
	if keys == nil {
		keys = make(map[int]int)
		in.keys[p.TransitSwitch] = keys
	}
	if keys[p.TunnelKey] += n; keys[p.TunnelKey] == 0 {
		delete(keys, p.TunnelKey)
	}
}

// setGlobal takes in NB_Global, option by option.
func (in *input) setGlobal(now row) {
	g, _ := now.(*nbGlobal)
	in.global = g
	if g == nil {
		g = &nbGlobal{}
	}
	for k, v := range in.options {
		if g.Options[k] != v {
			in.e.Touch(cellOption(k))
		}
	}
	for k := range g.Options {
		if _, had := in.options[k]; !had {
			in.e.Touch(cellOption(k))
		}
	}
	in.options = g.Options
}

// name is NB_Global:name.
func (in *input) name() string {
	if in.global == nil {
		return ""
	}
	return in.global.Name
}

// externalID is a key of NB_Global:external_ids.
func (in *input) externalID(key string) string {
	if in.global == nil {
		return ""
	}
	return in.global.ExternalIDs[key]
}

// setOwn says which row is the zone's.
func (in *input) setOwn(az string) {
	if az != in.own {
		in.own = az
		in.e.Touch(cellOwn)
	}
}

// setStrict says whether the centre wants strict mode.
func (in *input) setStrict(on bool) {
	if on != in.strict {
		in.strict = on
		in.e.Touch(cellStrict)
	}
}

var (
	cellOwn    = incr.CellOf("own zone")
	cellStrict = incr.CellOf("strict")
)

func cellOption(key string) incr.Cell { return incr.CellOf("option", key) }

// option reads one key of NB_Global:options.
func (in *input) option(c *incr.Ctx, key string) string {
	c.Read(cellOption(key))
	return in.options[key]
}

// mine tells whether a row of OVN_IC_Southbound is of this zone.
func (in *input) mine(c *incr.Ctx, az string) bool {
	c.Read(cellOwn)
	return az == in.own && az != ""
}
