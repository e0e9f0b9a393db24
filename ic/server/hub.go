package server

import (
	"maps"
	"slices"
	"sync"

	"govn/pkg/ovsdb"
)

// hub is what zones may be told, kept by differences: for each change it notes
// with each stream whether that stream's zone is concerned.
type hub struct {
	c *columns

	mu       sync.Mutex
	items    map[key]*item
	switches map[string]*transit // by name
	zones    map[ovsdb.UUID]*zone
	streams  map[*stream]bool
	strict   bool
	revision uint64 // of the store, up to which all is taken in
	settling bool   // numbers that were given are not stored yet
	since    uint64 // of the last route
	seen     map[ovsdb.UUID]uint64

	conflicts *conflicts
	number    [kindRoute + 1]int // of items, by kind
	work      work
}

// work counts what the hub did, for metrics and tests.
type work struct {
	changes uint64 // rows taken in
	marks   uint64 // items noted with a stream
	wholes  uint64 // streams that get everything again
}

// zone is a zone as others see it.
type zone struct {
	row  ovsdb.UUID
	name string
	id   string // 32 hexadecimal digits; "" for zones of OVN
}

// transit is a transit switch, or what is left of one.
type transit struct {
	name   string
	row    ovsdb.UUID // zero: there is none
	access access
	keys   map[ovsdb.UUID]uint32 // by row of Datapath_Binding
	items  map[key]bool          // its ports and routes
}

// key of the switch in all zones; 0: it has none yet.
func (t *transit) key() uint32 {
	if t.row.IsZero() || len(t.keys) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Values(t.keys)))
}

func newHub(c *columns) *hub {
	return &hub{
		c: c, items: make(map[key]*item), switches: make(map[string]*transit), zones: make(map[ovsdb.UUID]*zone),
		streams: make(map[*stream]bool), seen: make(map[ovsdb.UUID]uint64), conflicts: newConflicts(),
	}
}

// transit is the switch of a name. h.mu is held, here and below.
func (h *hub) transit(name string) *transit {
	t := h.switches[name]
	if t == nil {
		t = &transit{name: name, keys: make(map[ovsdb.UUID]uint32), items: make(map[key]bool)}
		h.switches[name] = t
	}
	return t
}

// tidy forgets a switch of which nothing is left.
func (h *hub) tidy(t *transit) {
	if t.row.IsZero() && len(t.keys)+len(t.items) == 0 {
		delete(h.switches, t.name)
	}
}

// allowed tells whether a zone may join a switch, which is there and has a key.
func (h *hub) allowed(t *transit, zone ovsdb.UUID) bool {
	if t.row.IsZero() || len(t.keys) == 0 {
		return false
	}
	z := h.zones[zone]
	if z == nil {
		return t.access.allows(h.strict, "", "")
	}
	return t.access.allows(h.strict, z.name, z.id)
}

// visible tells whether a zone is told of an item. In strict mode it knows only
// zones that it may meet on a switch.
func (h *hub) visible(it *item, viewer ovsdb.UUID) bool {
	if it.kind == kindZone || it.kind == kindGateway {
		return it.zone == viewer || !h.strict || h.meet(it.zone, viewer)
	}
	t := h.switches[it.transit]
	return t != nil && h.allowed(t, viewer) && (it.kind == kindSwitch || it.zone == viewer || h.allowed(t, it.zone))
}

func (h *hub) meet(a, b ovsdb.UUID) bool {
	for _, t := range h.switches {
		if h.allowed(t, a) && h.allowed(t, b) {
			return true
		}
	}
	return false
}

// set makes an item what it is now; nil is gone.
func (h *hub) set(k key, now *item) {
	old := h.items[k]
	if old == nil && now == nil {
		return
	}
	for st := range h.streams {
		had := old != nil && h.visible(old, st.zone)
		if had || now != nil && h.visible(now, st.zone) {
			h.mark(st, k, had)
		}
	}
	for _, it := range []*item{old, now} {
		if it == nil || it.kind != kindPort && it.kind != kindRoute {
			continue
		}
		t := h.transit(it.transit)
		if it == now {
			t.items[k] = true
		} else if delete(t.items, k); now == nil || now.transit != it.transit {
			h.tidy(t)
		}
	}
	if now != nil {
		h.items[k] = now
	} else {
		delete(h.items, k)
	}
	if old == nil {
		h.number[k.kind]++
	} else if now == nil {
		h.number[k.kind]--
	}
	h.conflicts.set(old, now)
}

// restructure makes a change that may show or hide items which do not change
// themselves: those of some switches and, where zones may be hidden, of all zones.
func (h *hub) restructure(switches []*transit, change func()) {
	var list []*item
	for _, t := range switches {
		for k := range t.items {
			list = append(list, h.items[k])
		}
		if it := h.items[key{kindSwitch, t.row}]; it != nil {
			list = append(list, it)
		}
	}
	wasStrict := h.strict
	if h.strict {
		list = append(list, h.publicItems()...)
	}
	had := make(map[*stream][]bool, len(h.streams))
	for st := range h.streams {
		seen := make([]bool, len(list))
		for i, it := range list {
			seen[i] = h.visible(it, st.zone)
		}
		had[st] = seen
	}
	change()
	if h.strict != wasStrict {
		h.showAll()
		return
	}
	for st, seen := range had {
		for i, it := range list {
			if seen[i] != h.visible(it, st.zone) {
				h.mark(st, it.key, seen[i])
			}
		}
	}
}

// publicItems are those that are on no switch.
func (h *hub) publicItems() (list []*item) {
	for _, it := range h.items {
		if it.kind == kindZone || it.kind == kindGateway {
			list = append(list, it)
		}
	}
	return list
}

// showAll has all streams get everything again.
func (h *hub) showAll() {
	for st := range h.streams {
		h.again(st)
	}
}

// mark notes that a stream is to be told of an item. had tells whether its zone
// knows of one.
func (h *hub) mark(st *stream, k key, had bool) {
	h.work.marks++
	if st.whole {
		return
	}
	if _, noted := st.dirty[k]; noted {
		return
	}
	if len(st.dirty) >= st.centre.o.MaxBacklog {
		h.again(st)
		return
	}
	st.dirty[k] = had
}

// again has a stream get everything.
func (h *hub) again(st *stream) {
	if !st.whole {
		h.work.wholes++
	}
	st.whole = true
	clear(st.dirty)
}
