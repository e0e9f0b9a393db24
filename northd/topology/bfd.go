package topology

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"govn/pkg/bfd"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// KindBFD is the kind of allocated numbers of BFD sessions. They have no scope.
const KindBFD = "bfd"

// maxSessions is how many BFD sessions a zone may have: each has a UDP source
// port of its own (RFC 5881, section 4).
const maxSessions = bfd.MaxSourcePort - bfd.MinSourcePort + 1

// Defaults of a session, in milliseconds and packets (ovn-nb(5), BFD).
const (
	defaultMinTx = 1000
	defaultMinRx = 1000
	defaultMult  = 5
)

// Errors of BFD sessions.
var (
	// ErrNoBFD is returned, wrapped, when there are as many sessions as source ports.
	ErrNoBFD = errors.New("all UDP source ports of BFD sessions are used")
	// ErrNotNear is the problem of a peer that is in no network of the port: BFD
	// is for neighbours (RFC 5881).
	ErrNotNear = errors.New("is in no network of the router port")
	// ErrNoHost is the problem of a session of a port that every chassis has.
	ErrNoHost = errors.New("no one chassis hosts the port: BFD runs on ports of gateway routers and on distributed gateway ports")
	// ErrNoRouterPort is the problem of a session of a port that no router has.
	ErrNoRouterPort = errors.New("no router has this port")
)

// BFDSession is a row of BFD that can be used.
type BFDSession struct {
	UUID         ovsdb.UUID
	Port         string
	Peer         netip.Addr
	Discr        uint32 // discriminator
	SourcePort   uint32
	MinTx, MinRx uint32 // milliseconds
	Mult         uint32
}

// ReadBFD reads a row; ok is false as long as it has no number. With an error
// the peer is not set.
func (r *Reader) ReadBFD(c *incr.Ctx, u ovsdb.UUID) (s *BFDSession, ok bool, err error) {
	t := &r.C.BFD
	if !r.Has(c, t.Table, u) {
		return nil, false, nil
	}
	number, ok := r.Key(c, KindBFD, ovsdb.UUID{}, u)
	if !ok {
		return nil, false, nil
	}
	s = &BFDSession{UUID: u, Port: r.Str(c, t.LogicalPort, u),
		Discr: discriminator(u, number), SourcePort: bfd.MinSourcePort + number - 1,
		MinTx: r.milliseconds(c, t.MinTx, u, defaultMinTx), MinRx: r.milliseconds(c, t.MinRx, u, defaultMinRx),
		Mult: min(r.milliseconds(c, t.DetectMult, u, defaultMult), math.MaxUint8),
	}
	text := r.Str(c, t.DstIP, u)
	peer, err := netip.ParseAddr(text)
	if err != nil || peer.Zone() != "" {
		return s, true, &FieldError{Table: t.Table.Name, Column: "dst_ip", Object: s.Port, UUID: u, Err: fmt.Errorf("%q is no IP address", text)}
	}
	s.Peer = peer
	return s, true, nil
}

// milliseconds is an optional column; what is too large for a packet is cut.
func (r *Reader) milliseconds(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID, otherwise int64) uint32 {
	v, there := r.Opt(c, col, u)
	if !there {
		v = otherwise
	}
	return uint32(min(max(v.(int64), 0), bfd.MaxInterval.Milliseconds()))
}

// MinBFDInterval is the shortest time in milliseconds that chassis promise to
// send or take BFD packets in.
const MinBFDInterval = 10

// BFDLimits are the columns of a row that ask for what there is not.
func (r *Reader) BFDLimits(c *incr.Ctx, u ovsdb.UUID) (list []*FieldError) {
	t := &r.C.BFD
	for _, l := range []struct {
		col       *ovsdb.ColumnSchema
		low, high int64
		unit      string
	}{
		{t.MinTx, MinBFDInterval, bfd.MaxInterval.Milliseconds(), " ms"}, {t.MinRx, MinBFDInterval, bfd.MaxInterval.Milliseconds(), " ms"},
		{t.DetectMult, 1, math.MaxUint8, ""},
	} {
		v, there := r.Opt(c, l.col, u)
		if !there || l.col == t.MinRx && v.(int64) == 0 { // the neighbour need not send
			continue
		}
		if n := v.(int64); n < l.low || n > l.high {
			list = append(list, &FieldError{Table: t.Table.Name, Column: l.col.Name, Object: r.Str(c, t.LogicalPort, u), UUID: u,
				Err: fmt.Errorf("%d%s is not of %d to %d%s; the nearest counts", n, l.unit, l.low, l.high, l.unit)})
		}
	}
	return list
}

// discriminator is that of a session: it differs from those of all others, is not
// zero, does not change and is hard to guess.
//
//	| 1 | 17 bits of the row's UUID | number, 14 bits |
func discriminator(u ovsdb.UUID, number uint32) uint32 {
	return 1<<31 | binary.BigEndian.Uint32(u[12:])&0x1ffff<<14 | (number - 1)
}

// Sessions gives numbers to the rows of BFD. It is no part of the compile; like
// an [Allocator] it writes what the compile reads.
type Sessions struct {
	c       *Columns
	db      *ovsdb.DatabaseSchema
	numbers map[ovsdb.UUID]uint32
	used    map[uint32]bool
	last    uint32
}

// NewSessions reads what was allocated before.
func NewSessions(c *Columns, private *ovsdb.DatabaseSchema, sn *ovsdb.Snapshot) *Sessions {
	b := &Sessions{c: c, db: private, numbers: make(map[ovsdb.UUID]uint32), used: make(map[uint32]bool)}
	t := &c.Allocation
	for row := range sn.Rows(t.Table) {
		if row.Str(t.Kind) != KindBFD {
			continue
		}
		owner, _ := row.Ref(t.Owner)
		n := uint32(row.Int(t.Key))
		b.numbers[owner], b.used[n] = n, true
		b.last = max(b.last, n)
	}
	return b
}

// All makes the table agree with the whole northbound database. It reports
// whether it wrote.
func (b *Sessions) All(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot) (bool, error) {
	var touched []ovsdb.UUID
	for u := range b.numbers {
		touched = append(touched, u)
	}
	for row := range sn.Rows(b.c.BFD.Table) {
		touched = append(touched, row.UUID())
	}
	return b.write(ctx, s, sn, touched)
}

// Follow makes the table agree with the commits. It reports whether it wrote.
func (b *Sessions) Follow(ctx context.Context, s *ovsdb.Store, commits []ovsdb.Commit, sn *ovsdb.Snapshot) (bool, error) {
	var touched []ovsdb.UUID
	for _, commit := range commits {
		for i := range commit.Changes {
			if ch := &commit.Changes[i]; ch.Table == b.c.BFD.Table && (ch.Old == nil || ch.New == nil) {
				touched = append(touched, ch.UUID)
			}
		}
	}
	return b.write(ctx, s, sn, touched)
}

// write frees the numbers of rows that are gone and gives others to new ones. A
// number that was freed is the last to be given again: a peer may remember it.
func (b *Sessions) write(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot, touched []ovsdb.UUID) (bool, error) {
	slices.SortFunc(touched, ovsdb.UUID.Compare)
	var gone, came []ovsdb.UUID
	for _, u := range slices.Compact(touched) {
		there := sn.Row(b.c.BFD.Table, u) != nil
		switch {
		case there && b.numbers[u] == 0:
			came = append(came, u)
		case !there && b.numbers[u] != 0:
			gone = append(gone, u)
		}
	}
	if len(gone)+len(came) == 0 {
		return false, nil
	}
	var full error
	t := &b.c.Allocation
	_, err := s.Update(ctx, b.db, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, u := range gone {
			if row := tx.Lookup(t.Table, 0, KindBFD, "", u); row != nil {
				tx.Delete(t.Table, row.UUID())
			}
			delete(b.used, b.numbers[u])
			delete(b.numbers, u)
		}
		for _, u := range came {
			if len(b.used) >= maxSessions {
				full = fmt.Errorf("%d BFD sessions: %w", len(b.used), ErrNoBFD)
				break
			}
			for b.last = b.last%maxSessions + 1; b.used[b.last]; b.last = b.last%maxSessions + 1 {
			}
			b.numbers[u], b.used[b.last] = b.last, true
			tx.Insert(t.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"kind": KindBFD, "scope": "", "owner": u, "key": int64(b.last), "retired": false})
		}
		return tx.Err()
	})
	if err != nil {
		return false, fmt.Errorf("allocation table: %w", err)
	}
	return true, full
}
