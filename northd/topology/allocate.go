package topology

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"govn/pkg/abi"
	"govn/pkg/ovsdb"
)

// Kinds of allocated keys.
const (
	KindDatapath = "datapath" // tunnel key of a logical switch or router; no scope
	KindPort     = "port"     // tunnel key of a port; the scope is its switch or router
	KindWaiting  = "waiting"  // no key was left; the number is the place in the queue
)

// ErrExhausted is the status of an object for which no key was left.
var ErrExhausted = errors.New("no free key")

// Allocator gives out tunnel keys. It is no part of the compile: what it wrote
// is an input of it. It belongs to the goroutine that runs the compiler.
type Allocator struct {
	c       *Columns
	db      *ovsdb.DatabaseSchema
	kinds   [2]datapathKind
	scopes  map[ovsdb.UUID]*keys // zero: datapaths; else the ports of one
	resting map[identity]uint64  // retired keys and the revision since when
	patient map[identity]bool    // objects that ask for a key that rests

	// Problems are the requests for keys that are not fulfilled.
	Problems Problems
}

// datapathKind is where the datapaths of a kind and their ports are.
type datapathKind struct {
	table, ports          *ovsdb.TableSchema
	name, members, config *ovsdb.ColumnSchema // config has requested-tnl-key
	portName, portConfig  *ovsdb.ColumnSchema
}

func datapathKinds(c *Columns) [2]datapathKind {
	return [2]datapathKind{
		{c.LS.Table, c.LSP.Table, c.LS.Name, c.LS.Ports, c.LS.OtherConfig, c.LSP.Name, c.LSP.Options},
		{c.LR.Table, c.LRP.Table, c.LR.Name, c.LR.Ports, c.LR.Options, c.LRP.Name, c.LRP.Options},
	}
}

// keys are the keys of one scope. A key of an owner that is gone stays in
// owners until it is released.
type keys struct {
	owners  map[ovsdb.UUID]uint32
	used    map[uint32]ovsdb.UUID // owners by key
	last    uint32
	waiting map[ovsdb.UUID]uint32 // owners that got none: places in the queue; nil: nobody waits
	queued  uint32                // the last place given out
	asked   map[ovsdb.UUID]uint32 // keys that owners ask for; nil: none does
	askers  map[uint32][]ovsdb.UUID
}

type identity struct{ scope, owner ovsdb.UUID }

// need is a change to make in the table.
type need struct {
	identity
	name string // for the order in which keys are given out
	drop bool
	asks bool // for a certain key
}

// place is a key in a scope.
type place struct {
	scope ovsdb.UUID
	key   uint32
}

func (p place) compare(q place) int {
	return cmp.Or(p.scope.Compare(q.scope), cmp.Compare(p.key, q.key))
}

// NewAllocator reads what was allocated before.
func NewAllocator(c *Columns, private *ovsdb.DatabaseSchema, sn *ovsdb.Snapshot) *Allocator {
	a := &Allocator{c: c, db: private, kinds: datapathKinds(c), scopes: make(map[ovsdb.UUID]*keys), resting: make(map[identity]uint64),
		patient: make(map[identity]bool)}
	t := &c.Allocation
	for row := range sn.Rows(t.Table) {
		switch row.Str(t.Kind) {
		case KindGroup, KindRouteTable, KindRouteGroup, KindPolicyGroup, KindBFD:
			continue // of Groups, RouteNumbers and Sessions
		}
		scope, _ := ovsdb.ParseUUID(row.Str(t.Scope))
		owner, _ := row.Ref(t.Owner)
		k := a.scope(scope)
		key := uint32(row.Int(t.Key))
		if row.Str(t.Kind) == KindWaiting {
			k.enqueue(owner, key)
			continue
		}
		k.owners[owner], k.used[key] = key, owner
		k.last = max(k.last, key)
		if row.Bool(t.Retired) {
			a.resting[identity{scope, owner}] = sn.Revision()
		}
	}
	return a
}

func (a *Allocator) scope(s ovsdb.UUID) *keys {
	k := a.scopes[s]
	if k == nil {
		k = &keys{owners: make(map[ovsdb.UUID]uint32), used: make(map[uint32]ovsdb.UUID)}
		a.scopes[s] = k
	}
	return k
}

// All makes the table agree with the whole northbound database: what a start
// does once.
func (a *Allocator) All(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot) error {
	var needs []need
	live := make(map[identity]bool)
	for i := range a.kinds {
		k := &a.kinds[i]
		for row := range sn.Rows(k.table) {
			id := identity{owner: row.UUID()}
			live[id] = true
			needs = append(needs, need{identity: id, name: row.Str(k.name)})
			for p := range row.Set(k.members).All() {
				id := identity{row.UUID(), p.(ovsdb.UUID)}
				live[id] = true
				needs = append(needs, need{identity: id, name: a.portName(sn, id.owner)})
				if a.c.isGatewayPort(sn.Row(k.ports, id.owner)) {
					id.owner = RedirectUUID(id.owner)
					live[id] = true
					needs = append(needs, need{identity: id, name: RedirectName(needs[len(needs)-1].name)})
				}
			}
		}
	}
	for scope, k := range a.scopes {
		for owner := range k.owners {
			if id := (identity{scope, owner}); !live[id] {
				needs = append(needs, need{identity: id, drop: true})
			}
		}
	}
	return a.write(ctx, s, needs, sn)
}

func (a *Allocator) portName(sn *ovsdb.Snapshot, u ovsdb.UUID) string {
	_, row := a.find(sn, identity{owner: u}, true)
	if row == nil {
		return ""
	}
	return row.Str(row.Table().Column("name"))
}

// find is the row that an identity stands for, a datapath or a port, and its
// kind; the first kind if it is gone.
func (a *Allocator) find(sn *ovsdb.Snapshot, id identity, port bool) (*datapathKind, *ovsdb.Row) {
	for i := range a.kinds {
		k := &a.kinds[i]
		t := k.table
		if port {
			t = k.ports
		}
		if row := sn.Row(t, id.owner); row != nil {
			return k, row
		}
	}
	return &a.kinds[0], nil
}

// Follow makes the table agree with the commits. It reports whether it wrote.
// Of several new ports in one commit the one whose name sorts first gets the
// lowest key.
func (a *Allocator) Follow(ctx context.Context, s *ovsdb.Store, commits []ovsdb.Commit, sn *ovsdb.Snapshot) (bool, error) {
	var needs []need
	for _, commit := range commits {
		for i := range commit.Changes {
			ch := &commit.Changes[i]
			for j := range a.kinds {
				switch k := &a.kinds[j]; ch.Table {
				case k.table:
					needs = a.follow(needs, k, ch, sn)
				case k.ports:
					needs = a.followPort(needs, k, ch, sn)
				}
			}
		}
	}
	if len(needs) == 0 {
		return false, nil
	}
	return true, a.write(ctx, s, needs, sn)
}

func (a *Allocator) follow(needs []need, k *datapathKind, ch *ovsdb.Change, sn *ovsdb.Snapshot) []need {
	var old, new ovsdb.Set
	if ch.Old != nil {
		old = ch.Old.Set(k.members)
		if ch.New != nil && asksOtherwise(ch, k.name, k.config) {
			needs = append(needs, need{identity: identity{owner: ch.UUID}, name: ch.New.Str(k.name)})
		}
	} else {
		needs = append(needs, need{identity: identity{owner: ch.UUID}, name: ch.New.Str(k.name)})
	}
	if ch.New != nil {
		new = ch.New.Set(k.members)
	} else {
		needs = append(needs, need{identity: identity{owner: ch.UUID}, drop: true})
	}
	removed, added := ovsdb.DiffSets(old, new)
	for _, p := range removed {
		needs = append(needs, need{identity: identity{ch.UUID, p.(ovsdb.UUID)}, drop: true})
		needs = a.followRedirect(needs, identity{ch.UUID, p.(ovsdb.UUID)}, nil)
	}
	for _, p := range added {
		id := identity{ch.UUID, p.(ovsdb.UUID)}
		needs = append(needs, need{identity: id, name: a.portName(sn, id.owner)})
		needs = a.followRedirect(needs, id, sn.Row(k.ports, id.owner))
	}
	return needs
}

// followRedirect looks at whether a port, of which the row is given, has a
// chassisredirect port, which has a key of its own.
func (a *Allocator) followRedirect(needs []need, port identity, row *ovsdb.Row) []need {
	id := identity{port.scope, RedirectUUID(port.owner)}
	if a.c.isGatewayPort(row) {
		return append(needs, need{identity: id, name: RedirectName(row.Str(a.c.LRP.Name))})
	}
	if k := a.scopes[id.scope]; k != nil {
		_, has := k.owners[id.owner]
		if _, waits := k.waiting[id.owner]; has || waits {
			return append(needs, need{identity: id, drop: true})
		}
	}
	return needs
}

// followPort looks at what a port asks for, in the datapaths that it is in.
func (a *Allocator) followPort(needs []need, k *datapathKind, ch *ovsdb.Change, sn *ovsdb.Snapshot) []need {
	if ch.Old != nil && ch.New != nil && a.c.isGatewayPort(ch.Old) != a.c.isGatewayPort(ch.New) {
		for u := range sn.Referrers(k.members, ch.UUID) {
			needs = a.followRedirect(needs, identity{u, ch.UUID}, ch.New)
		}
	}
	if ch.Old == nil || ch.New == nil || !asksOtherwise(ch, k.portName, k.portConfig) {
		return needs // its datapaths tell
	}
	for u := range sn.Referrers(k.members, ch.UUID) {
		needs = append(needs, need{identity: identity{u, ch.UUID}, name: ch.New.Str(k.portName)})
	}
	return needs
}

// asksOtherwise reports whether a row asks for another key than before, or has
// another name and asks for one.
func asksOtherwise(ch *ovsdb.Change, name, config *ovsdb.ColumnSchema) bool {
	old, new := stringAt(ch.Old, config, keyRequest), stringAt(ch.New, config, keyRequest)
	return old != new || new != "" && ch.Old.Str(name) != ch.New.Str(name)
}

// write does what is needed in one transaction. Who asks for a certain key
// comes first. Newcomers to a scope that ran out of keys wait for one, in order;
// the others are served.
func (a *Allocator) write(ctx context.Context, s *ovsdb.Store, needs []need, sn *ovsdb.Snapshot) error {
	rev := sn.Revision()
	// Later needs win over earlier ones of the same owner, removals go first.
	last := make(map[identity]int, len(needs))
	for i, n := range needs {
		last[n.identity] = i
	}
	order := make([]need, 0, len(last))
	touched := make(map[place]bool)
	for _, i := range last {
		n := needs[i]
		key := uint32(0)
		if n.drop {
			a.Problems.Report(n.problem(), nil)
			delete(a.patient, n.identity)
		} else {
			key = a.request(sn, n.identity)
		}
		n.asks = key != 0
		for _, key := range a.scope(n.scope).ask(n.owner, key) {
			touched[place{n.scope, key}] = true
		}
		order = append(order, n)
	}
	slices.SortFunc(order, func(x, y need) int {
		if x.drop != y.drop {
			if x.drop {
				return -1
			}
			return 1
		}
		if x.asks != y.asks {
			if x.asks {
				return -1
			}
			return 1
		}
		if c := CompareNatural(x.name, y.name); c != 0 {
			return c
		}
		if c := strings.Compare(string(x.scope[:]), string(y.scope[:])); c != 0 {
			return c
		}
		return strings.Compare(string(x.owner[:]), string(y.owner[:]))
	})
	t := &a.c.Allocation
	_, err := s.Update(ctx, a.db, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, n := range order {
			kind := KindPort
			if n.scope.IsZero() {
				kind = KindDatapath
			}
			row := tx.Lookup(t.Table, 0, kind, scopeText(n.scope), n.owner)
			switch {
			case n.drop && row != nil && !row.Bool(t.Retired):
				tx.SetColumn(t.Table, row.UUID(), "retired", true)
				a.resting[n.identity] = rev
				touched[place{n.scope, uint32(row.Int(t.Key))}] = true
			case n.drop:
				a.leaveQueue(tx, n.identity)
			case row == nil:
				k := a.scope(n.scope)
				key, ok := k.takeAsked(n.owner)
				if !ok {
					key, ok = k.take(n.owner, kind)
				}
				if ok {
					a.leaveQueue(tx, n.identity)
				} else {
					if _, waits := k.waiting[n.owner]; waits {
						continue
					}
					kind, key = KindWaiting, k.queued+1
					k.enqueue(n.owner, key)
				}
				a.insert(tx, kind, n.identity, key)
			case row.Bool(t.Retired):
				tx.SetColumn(t.Table, row.UUID(), "retired", false)
				delete(a.resting, n.identity)
				touched[place{n.scope, uint32(row.Int(t.Key))}] = true
			}
		}
		for _, at := range slices.SortedFunc(maps.Keys(touched), place.compare) {
			a.decide(tx, at.scope, at.key, rev)
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("allocation table: %w", err)
	}
	return nil
}

func (a *Allocator) insert(tx *ovsdb.Txn, kind string, id identity, key uint32) {
	tx.Insert(a.c.Allocation.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
		"kind": kind, "scope": scopeText(id.scope), "owner": id.owner, "key": int64(key), "retired": false})
}

// enqueue puts an owner into the queue for a key.
func (k *keys) enqueue(owner ovsdb.UUID, place uint32) {
	if k.waiting == nil {
		k.waiting = make(map[ovsdb.UUID]uint32)
	}
	k.waiting[owner] = place
	k.queued = max(k.queued, place)
}

// leaveQueue removes an owner that waits for a key, if it does.
func (a *Allocator) leaveQueue(tx *ovsdb.Txn, id identity) {
	k := a.scopes[id.scope]
	if k == nil {
		return
	}
	if _, waits := k.waiting[id.owner]; !waits {
		return
	}
	delete(k.waiting, id.owner)
	if row := tx.Lookup(a.c.Allocation.Table, 0, KindWaiting, scopeText(id.scope), id.owner); row != nil {
		tx.Delete(a.c.Allocation.Table, row.UUID())
	}
}

// serve gives the keys that became free to those that waited longest.
func (a *Allocator) serve(tx *ovsdb.Txn, scope ovsdb.UUID) {
	k := a.scopes[scope]
	if k == nil || len(k.waiting) == 0 {
		return
	}
	queue := slices.SortedFunc(maps.Keys(k.waiting), func(x, y ovsdb.UUID) int { return cmp.Compare(k.waiting[x], k.waiting[y]) })
	kind := KindPort
	if scope.IsZero() {
		kind = KindDatapath
	}
	for _, owner := range queue {
		key, ok := k.take(owner, kind)
		if !ok {
			return
		}
		id := identity{scope, owner}
		a.leaveQueue(tx, id)
		a.insert(tx, kind, id, key)
	}
}

// takeAsked gives owner the key that it asks for, if that is free.
func (k *keys) takeAsked(owner ovsdb.UUID) (uint32, bool) {
	key, asks := k.asked[owner]
	if _, used := k.used[key]; !asks || used {
		return 0, false
	}
	k.used[key], k.owners[owner] = owner, key
	return key, true
}

// take gives owner the first free key after the last one given out that nobody
// asks for.
func (k *keys) take(owner ovsdb.UUID, kind string) (uint32, bool) {
	low, high := uint32(abi.MinPortKey), uint32(abi.MaxPortKey)
	if kind == KindDatapath {
		low, high = abi.MinDatapathKey, abi.MaxDatapathKeyLocal
	}
	if uint32(len(k.used)) > high-low {
		return 0, false
	}
	for range high - low + 1 {
		k.last++
		if k.last > high {
			k.last = low
		}
		if _, used := k.used[k.last]; !used && len(k.askers[k.last]) == 0 {
			k.used[k.last] = owner
			k.owners[owner] = k.last
			return k.last, true
		}
	}
	return 0, false
}

// Release frees the keys that rest since before the revision, which every
// chassis that could hold them has acknowledged.
func (a *Allocator) Release(ctx context.Context, s *ovsdb.Store, acked uint64) error {
	rev := s.Snapshot().Revision()
	var free []identity
	for id, since := range a.resting {
		if since < acked {
			free = append(free, id)
		}
	}
	if len(free) == 0 {
		return nil
	}
	t := &a.c.Allocation
	_, err := s.Update(ctx, a.db, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, id := range free {
			kind := KindPort
			if id.scope.IsZero() {
				kind = KindDatapath
			}
			if row := tx.Lookup(t.Table, 0, kind, scopeText(id.scope), id.owner); row != nil {
				tx.Delete(t.Table, row.UUID())
			}
			k := a.scope(id.scope)
			key := k.owners[id.owner]
			delete(k.used, key)
			delete(k.owners, id.owner)
			delete(a.resting, id)
			a.decide(tx, id.scope, key, rev)
		}
		for _, id := range free {
			a.serve(tx, id.scope)
			if k := a.scopes[id.scope]; k != nil && len(k.owners) == 0 && !id.scope.IsZero() {
				delete(a.scopes, id.scope)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("allocation table: %w", err)
	}
	return nil
}

// Resting is the number of keys that wait for their release.
func (a *Allocator) Resting() int { return len(a.resting) }

// CompareNatural orders names as people count: vm2 before vm10.
func CompareNatural(a, b string) int {
	for len(a) > 0 && len(b) > 0 {
		da, db := digits(a), digits(b)
		if da > 0 && db > 0 {
			x, y := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
			a, b = a[da:], b[db:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
