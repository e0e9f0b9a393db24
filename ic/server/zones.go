package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// principal is who speaks for a zone.
type principal struct {
	cert  string // name of the certificate; "": none
	addr  string // host; "" of a unix socket
	local bool   // by a unix socket

	nameless bool // the certificate has no common name
}

// String is for people.
func (p principal) String() string {
	switch {
	case p.cert != "":
		return "certificate " + p.cert + " at " + p.addr
	case p.local:
		return "unix socket"
	}
	return "address " + p.addr
}

func principalOf(ctx context.Context) (p principal) {
	remote, ok := peer.FromContext(ctx)
	if !ok {
		return p
	}
	switch a := remote.Addr.(type) {
	case *net.TCPAddr:
		p.addr = a.IP.String()
	case *net.UnixAddr:
		p.local = true
	default:
		p.addr = a.String()
	}
	if info, ok := remote.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
		p.cert = info.State.PeerCertificates[0].Subject.CommonName
		p.nameless = p.cert == ""
	}
	return p
}

// joined is a zone that somebody speaks, or spoke, for.
type joined struct {
	row  ovsdb.UUID // in Availability_Zone
	id   string     // 32 hexadecimal digits; "": of OVN
	cert string     // that it is bound to; "": to none
	addr string     // where it was last written from; "": never by a network

	stream  *stream                // nil: none
	writers map[*ovsdb.Client]bool // clients that wrote as the zone
	lostAt  time.Time              // when the last of them ended
	lapsed  bool                   // the lease ran out
	refused uint32                 // writes
}

// leased tells whether the zone's routes go when nobody speaks for it.
func (z *joined) leased() bool { return z.id != "" || z.cert != "" || z.addr != "" }

func (z *joined) live() bool { return z.stream != nil || len(z.writers) > 0 }

// owner is for people.
func (z *joined) owner() string {
	switch {
	case z.cert != "":
		return "certificate " + z.cert
	case z.addr != "":
		return "address " + z.addr
	}
	return ""
}

// registry knows who speaks for which zone. Its lock is the innermost but for
// those of streams.
type registry struct {
	mu      sync.Mutex
	zones   map[ovsdb.UUID]*joined
	byID    map[string]*joined
	clients map[*ovsdb.Client]*client
	unsaved map[*joined]bool // zones of OVN whose record is to be stored
	wake    chan struct{}    // holds one token when a lease may end earlier
	trusted time.Time        // no lease is counted from before
}

func newRegistry() *registry {
	return &registry{zones: make(map[ovsdb.UUID]*joined), byID: make(map[string]*joined), clients: make(map[*ovsdb.Client]*client), unsaved: make(map[*joined]bool), wake: make(chan struct{}, 1)}
}

// load takes in what was stored. Every zone has a whole lease from now on.
func (r *registry) load(c *columns, sn *ovsdb.Snapshot, now time.Time) {
	t := &c.record
	for row := range sn.Rows(t.table) {
		u, _ := row.Ref(t.zone)
		z := &joined{row: u, id: row.Str(t.id), cert: row.Str(t.certificate), addr: row.Str(t.address), lostAt: now, writers: make(map[*ovsdb.Client]bool)}
		r.zones[u] = z
		if z.id != "" {
			r.byID[z.id] = z
		}
	}
}

func (r *registry) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// streamOf is the stream of a zone, or nil.
func (r *registry) streamOf(zone ovsdb.UUID) *stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	if z := r.zones[zone]; z != nil {
		return z.stream
	}
	return nil
}

// current tells whether a stream is that of its zone.
func (r *registry) current(st *stream) bool { return r.streamOf(st.zone) == st }

// refuse counts a write of a zone that was refused.
func (r *registry) refuse(zone ovsdb.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if z := r.zones[zone]; z != nil {
		z.refused++
	}
}

// claim makes a stream that of its zone, if it may be. undo takes that back.
func (r *registry) claim(c *columns, sn *ovsdb.Snapshot, st *stream, name string) (z *joined, old *stream, undo func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	az := sn.Lookup(c.zone.table, byName, name)
	z = r.byID[st.id]
	if z == nil {
		row := ovsdb.NewUUID()
		if az != nil {
			row = az.UUID()
		}
		if z = r.zones[row]; z == nil {
			z = &joined{row: row, writers: make(map[*ovsdb.Client]bool)}
		}
	}
	switch {
	case z.id != "" && z.id != st.id:
		return nil, nil, nil, status.Errorf(codes.AlreadyExists, "the name %q is that of another zone", name)
	case z.cert != "" && z.cert != st.who.cert:
		return nil, nil, nil, status.Errorf(codes.PermissionDenied, "zone %q is bound to the certificate of %q", name, z.cert)
	case az != nil && az.UUID() != z.row:
		return nil, nil, nil, status.Errorf(codes.AlreadyExists, "the name %q is that of another zone", name)
	case len(z.writers) > 0:
		return nil, nil, nil, status.Errorf(codes.AlreadyExists, "zone %q is written by an OVSDB client at %s", name, z.addr)
	case z.stream != nil && z.cert == "" && !st.who.local && z.stream.who.addr != st.who.addr:
		return nil, nil, nil, status.Errorf(codes.AlreadyExists, "zone %q has a stream from %s", name, z.stream.who.addr)
	}
	before, known := *z, r.zones[z.row] != nil
	if zones := sn.Len(c.zone.table); az == nil && !known && zones >= st.centre.o.MaxZones {
		return nil, nil, nil, status.Errorf(codes.ResourceExhausted, "there are %d zones already", zones)
	}
	undo = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if z.stream == st {
			z.id, z.cert, z.addr, z.stream, z.lapsed, z.lostAt = before.id, before.cert, before.addr, nil, before.lapsed, before.lostAt
			if old != nil { // it has been ended
				z.lostAt = old.lastHeard()
			}
			if before.id == "" {
				delete(r.byID, st.id)
			}
			if !known {
				delete(r.zones, z.row)
			}
		}
	}
	old, z.stream, z.id, z.lapsed = z.stream, st, st.id, false
	if z.addr = st.who.addr; st.who.cert != "" {
		z.cert = st.who.cert
	}
	r.zones[z.row], r.byID[z.id] = z, z
	st.zone = z.row
	r.signal()
	return z, old, undo, nil
}

// admit has a stream join, and says what it is welcomed with.
func (c *Centre) admit(ctx context.Context, st *stream, h *ic.Hello) (*ic.Welcome, error) {
	c.joining.Lock()
	defer c.joining.Unlock()
	st.id, st.called = hex.EncodeToString(h.Zone), h.Name
	z, old, undo, err := c.zones.claim(c.columns, c.store.Snapshot(), st, h.Name)
	if err != nil {
		return nil, err
	}
	if old != nil {
		old.End(errReplaced)
	}
	revision, err := c.storeZone(ctx, z, h.Name)
	if err == nil {
		err = c.store.WaitDurable(ctx, revision)
	}
	if err != nil {
		undo()
		if _, ok := status.FromError(err); ok {
			return nil, err
		}
		return nil, status.Errorf(codes.Unavailable, "zone %q cannot be stored: %v", h.Name, err)
	}
	c.log.Info("a zone joined", "zone", h.Name, "id", st.id, "remote", st.who.String())
	centre := c.store.ClusterID()
	return &ic.Welcome{
		Centre: centre[:], Row: z.row.String(), LeaseMs: uint32(c.o.Lease.Milliseconds()), Strict: c.columns.strictIn(c.store.Snapshot()),
	}, nil
}

// storeZone stores who a zone is, and its row.
func (c *Centre) storeZone(ctx context.Context, z *joined, name string) (uint64, error) {
	if _, err := c.storeRecord(ctx, z); err != nil {
		return 0, err
	}
	t := &c.columns.zone
	return c.store.Update(ctx, c.columns.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		if other := tx.Lookup(t.table, byName, name); other != nil && other.UUID() != z.row {
			return status.Errorf(codes.AlreadyExists, "the name %q is that of another zone", name)
		}
		if tx.Row(t.table, z.row) == nil {
			tx.Insert(t.table, z.row, map[string]ovsdb.Value{"name": name})
		} else {
			tx.SetColumn(t.table, z.row, t.name.Name, name)
		}
		return tx.Err()
	})
}

// storeRecord stores to whom a zone belongs.
func (c *Centre) storeRecord(ctx context.Context, z *joined) (uint64, error) {
	t := &c.columns.record
	rev, err := c.store.Update(ctx, c.columns.private, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		c.zones.mu.Lock()
		values := map[string]ovsdb.Value{"zone": z.row, "id": z.id, "certificate": z.cert, "address": z.addr}
		c.zones.mu.Unlock()
		row := tx.Lookup(t.table, byZone, z.row)
		if row == nil {
			tx.Insert(t.table, ovsdb.UUID{}, values)
			return tx.Err()
		}
		for col, v := range values {
			tx.SetColumn(t.table, row.UUID(), col, v)
		}
		return tx.Err()
	})
	if err != nil {
		return 0, fmt.Errorf("to whom a zone belongs: %w", err)
	}
	return rev, nil
}

// dropRecord forgets to whom a zone belonged.
func (c *Centre) dropRecord(ctx context.Context, zone ovsdb.UUID) error {
	t := &c.columns.record
	_, err := c.store.Update(ctx, c.columns.private, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		if row := tx.Lookup(t.table, byZone, zone); row != nil {
			tx.Delete(t.table, row.UUID())
		}
		return tx.Err()
	})
	return err
}

// forget drops a zone that nobody speaks for; st is the stream of one that has one.
func (r *registry) forget(row ovsdb.UUID) (st *stream, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	z := r.zones[row]
	if z == nil || z.stream != nil {
		if z != nil {
			st = z.stream
		}
		return st, false
	}
	for cl := range z.writers {
		r.clients[cl].zone = ovsdb.UUID{}
	}
	delete(r.zones, row)
	delete(r.byID, z.id)
	return nil, true
}

// leave ends what admit began.
func (c *Centre) leave(st *stream) {
	r := c.zones
	r.mu.Lock()
	if z := r.zones[st.zone]; z != nil && z.stream == st {
		z.stream, z.lostAt = nil, st.lastHeard()
	}
	r.signal()
	r.mu.Unlock()
	c.log.Info("a zone's stream ended", "id", st.id, "remote", st.who.String(), "err", st.Err())
}

// idBytes is an id as messages have it.
func idBytes(id string) []byte {
	b, _ := hex.DecodeString(id) // only what was encoded is stored
	return b
}
