package southbound

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// ErrNoName is returned by Hello for a chassis without a system-id.
var ErrNoName = errors.New("the chassis has no system-id")

// Registry keeps what the chassis say about themselves. It is safe for
// concurrent use: each stream of the fabric calls it from its own goroutine.
type Registry struct {
	ctx   context.Context
	store *ovsdb.Store
	sb    *ovsdb.DatabaseSchema
	c     *topology.Columns
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	claims  map[string]map[string]int64  // iface-id -> chassis -> since, unix milliseconds
	encaps  map[string]map[string]string // likewise -> IP of the encapsulation that the interface asks for
	hosting hosting
	chassis map[string]*session
	crowd   crowd

	// Rows of Port_Binding by what leads to them; a row may be gone or have
	// changed since.
	nested    map[string]map[ovsdb.UUID]bool // by parent_port
	requested map[string]map[ovsdb.UUID]bool // by the chassis that options:requested-chassis or l2gateway-chassis names
	virtuals  map[string]map[ovsdb.UUID]bool // by the parents that options:virtual-parents names

	bfd bfdStates
}

// session is what a chassis last said.
type session struct {
	connected  bool
	lost       time.Time
	interfaces map[string]bool
}

// NewRegistry makes a registry without any chassis. Updates of the store end
// with the context.
func NewRegistry(ctx context.Context, store *ovsdb.Store, sb *ovsdb.DatabaseSchema, c *topology.Columns, log *slog.Logger) *Registry {
	return &Registry{ctx: ctx, store: store, sb: sb, c: c, log: log, now: time.Now,
		claims: make(map[string]map[string]int64), encaps: make(map[string]map[string]string), chassis: make(map[string]*session),
		nested: make(map[string]map[ovsdb.UUID]bool), requested: make(map[string]map[ovsdb.UUID]bool), bfd: newBFDStates(),
		virtuals: make(map[string]map[ovsdb.UUID]bool), hosting: make(hosting)}
}

// ChassisUUID is the identity of a chassis' rows, which follows from its name.
func ChassisUUID(name string) ovsdb.UUID { return named("chassis", name) }

func named(kind, name string) ovsdb.UUID {
	h := sha256.Sum256([]byte("govn\x00" + kind + "\x00" + name))
	u := ovsdb.UUID(h[:16])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}

// Hello registers a chassis, or says why it cannot be.
func (r *Registry) Hello(name string, h *proto.Hello) error {
	if name == "" {
		return ErrNoName
	}
	_, err := r.store.Update(r.ctx, r.sb, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
		r.putChassis(tx, name, h)
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("registering chassis %q: %w", name, err)
	}
	var touched []string
	r.mu.Lock()
	s := r.chassis[name]
	if s == nil {
		s = &session{interfaces: make(map[string]bool)}
		r.chassis[name] = s
	}
	s.connected = true
	now := make(map[string]bool, len(h.Interfaces))
	for _, i := range h.Interfaces {
		now[i.IfaceId] = true
		r.claim(name, i)
		touched = append(touched, i.IfaceId)
	}
	for port := range s.interfaces {
		if !now[port] {
			r.unclaim(name, port)
			touched = append(touched, port)
		}
	}
	s.interfaces = now
	r.mu.Unlock()
	if err := r.bind(name, touched, true); err != nil {
		return err
	}
	if err := r.sessions(name, h.Bfd); err != nil {
		return err
	}
	if err := r.host(name, h.Claims, nil, true); err != nil {
		return err
	}
	return r.learn(learned{fdbPut: h.Fdb, put: h.Neighbours})
}

func (r *Registry) claim(chassis string, i *proto.Interface) {
	c := r.claims[i.IfaceId]
	if c == nil {
		c = make(map[string]int64)
		r.claims[i.IfaceId] = c
	}
	c[chassis] = i.Since
	switch e := r.encaps[i.IfaceId]; {
	case i.EncapIp == "":
		r.forgetEncap(chassis, i.IfaceId)
	case e == nil:
		r.encaps[i.IfaceId] = map[string]string{chassis: i.EncapIp}
	default:
		e[chassis] = i.EncapIp
	}
}

func (r *Registry) unclaim(chassis, port string) {
	r.forgetEncap(chassis, port)
	delete(r.claims[port], chassis)
	if len(r.claims[port]) == 0 {
		delete(r.claims, port)
	}
}

// Report takes in what changed on a chassis.
func (r *Registry) Report(name string, rep *proto.Report) {
	if rep.Config != nil {
		_, err := r.store.Update(r.ctx, r.sb, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
			r.putChassis(tx, name, rep.Config)
			return tx.Err()
		})
		r.complain(name, err)
	}
	var touched []string
	r.mu.Lock()
	if s := r.chassis[name]; s != nil {
		if rep.Config != nil { // ports may ask for its new hostname
			touched = slices.Collect(maps.Keys(s.interfaces))
		}
		for _, i := range rep.InterfacesPut {
			s.interfaces[i.IfaceId] = true
			r.claim(name, i)
			touched = append(touched, i.IfaceId)
		}
		for _, port := range rep.InterfacesGone {
			delete(s.interfaces, port)
			r.unclaim(name, port)
			touched = append(touched, port)
		}
	}
	r.mu.Unlock()
	r.complain(name, r.bind(name, touched, false))
	if len(rep.ClaimsPut)+len(rep.ClaimsGone) > 0 {
		r.complain(name, r.host(name, rep.ClaimsPut, rep.ClaimsGone, false))
	}
	r.complain(name, r.sessions(name, rep.Bfd))
	r.complain(name, r.learn(learned{rep.FdbPut, rep.FdbGone, rep.FdbSeen, rep.NeighboursPut, rep.NeighboursGone, rep.NeighboursSeen}))
}

func (r *Registry) complain(chassis string, err error) {
	if err != nil && r.ctx.Err() == nil {
		r.log.Error("a report could not be stored", "chassis", chassis, "err", err)
	}
}

// index is the number of the unique index on one column.
func index(t *ovsdb.TableSchema, column string) int {
	for i, cols := range t.Indexes {
		if len(cols) == 1 && cols[0].Name == column {
			return i
		}
	}
	panic("southbound: " + t.Name + " has no index on " + column)
}

// putChassis writes the rows of a chassis where they differ.
func (r *Registry) putChassis(tx *ovsdb.Txn, name string, h *proto.Hello) {
	t, u := r.c.Chassis.Table, ChassisUUID(name)
	config := ovsdb.MapOf()
	for k, v := range h.OtherConfig {
		config = config.With(k, v)
	}
	encaps := make([]ovsdb.Atom, 0, len(h.Encaps))
	for _, e := range h.Encaps {
		encaps = append(encaps, r.putEncap(tx, name, e))
	}
	values := map[string]ovsdb.Value{
		"name": name, "hostname": h.Hostname, "encaps": ovsdb.NewSet(encaps...), "other_config": config,
	}
	before := tx.Row(t, u)
	putRow(tx, t, u, values)
	if before == nil || before.Str(r.c.Chassis.Hostname) != h.Hostname {
		names := []string{name, h.Hostname}
		if before != nil {
			names = append(names, before.Str(r.c.Chassis.Hostname))
		}
		r.requestedOf(tx, names)
	}
	putRow(tx, r.c.ChassisPrivate.Table, named("chassis-private", name), map[string]ovsdb.Value{
		"name": name, "chassis": ovsdb.NewSet(u),
	})
}

func (r *Registry) putEncap(tx *ovsdb.Txn, chassis string, e *proto.Encap) ovsdb.UUID {
	u := encapUUID(chassis, e.Type, e.Ip)
	options := ovsdb.MapOf()
	for k, v := range e.Options {
		options = options.With(k, v)
	}
	putRow(tx, r.c.Encap.Table, u, map[string]ovsdb.Value{
		"type": e.Type, "ip": e.Ip, "options": options, "chassis_name": chassis,
	})
	return u
}

func putRow(tx *ovsdb.Txn, t *ovsdb.TableSchema, u ovsdb.UUID, values map[string]ovsdb.Value) {
	row := tx.Row(t, u)
	if row == nil {
		tx.Insert(t, u, values)
		return
	}
	for name, v := range values {
		if !sameValue(row.Get(t.Column(name)), v) {
			tx.SetColumn(t, u, name, v)
		}
	}
}

// Lost notes that the stream of a chassis ended. Its ports stay bound: Open
// vSwitch goes on without its controller.
func (r *Registry) Lost(name string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.chassis[name]; s != nil {
		s.connected, s.lost = false, at
	}
}

// Liveness says whether the stream of a chassis is there, and if not, since
// when; known is false for a chassis that was not seen since the start.
func (r *Registry) Liveness(name string) (connected bool, lost time.Time, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.chassis[name]
	if s == nil {
		return false, time.Time{}, false
	}
	return s.connected, s.lost, true
}

// SetClock makes the registry go by another clock than time.Now. For tests.
func (r *Registry) SetClock(now func() time.Time) { r.now = now }
