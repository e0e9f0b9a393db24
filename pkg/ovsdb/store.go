package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Owner is who may write a column, and who writes.
type Owner uint8

const (
	// OwnerClient is any OVSDB client; what it owns, everybody may write.
	OwnerClient Owner = iota
	// OwnerNorthd is the compiler in this process.
	OwnerNorthd
	// OwnerChassis is a chassis' report, written on its behalf in this process.
	OwnerChassis
)

// String names the owner in errors.
func (o Owner) String() string {
	switch o {
	case OwnerClient:
		return "clients"
	case OwnerNorthd:
		return "northd"
	case OwnerChassis:
		return "the chassis"
	}
	return fmt.Sprintf("owner %d", uint8(o))
}

// Database is one database of a store.
type Database struct {
	// Schema is required.
	Schema *DatabaseSchema
	// Private databases are not listed. A server serves one only if its options name
	// it, and nobody may write it but programs inside the process.
	Private bool
	// Owner says who writes a column. Optional; nil: clients write all.
	Owner func(*ColumnSchema) Owner
	// InsertDelete says who inserts and deletes rows. Optional, as Owner.
	InsertDelete func(*TableSchema) Owner
	// Check refuses what the schema cannot: it sees the state after the changes,
	// which nobody else does yet. Optional; its error is that of the transaction.
	// It holds up all writers, and must not call the store.
	Check func(after *Snapshot, changes []Change, who Owner) error
	// AnySchema allows conversions that take away what Schema has: the program
	// does not read or write rows itself.
	AnySchema bool
	// Virtual are tables whose rows are not stored but rendered on demand, by
	// name. Optional.
	Virtual map[string]VirtualTable
}

type database struct {
	Database
	// now is the schema that rows have; Database.Schema is the program's, which
	// stays the database's identity. Changed under Store.writing.
	now atomic.Pointer[DatabaseSchema]
	// recorded tells that the log has the schema. Under Store.writing.
	recorded bool
	volatile bool // not logged
	virtual  map[string]*virtualHub
}

// Options of a store.
type Options struct {
	// Logger is optional; the default is slog.Default().
	Logger *slog.Logger
	// History is how many of the last transactions monitor_cond_since can
	// replay. Default 1024.
	History int
	// CompactAt is the size of the log in bytes at which it is replaced by a
	// snapshot, unless the last snapshot is larger. Default 16 MiB.
	CompactAt int64
	// FollowDelay is how long a commit may wait for what comes of it; see
	// Settled. Default 1 ms.
	FollowDelay time.Duration
	// AsStored leaves databases with the schemas that they were stored with, rather
	// than to bring them to those of the program: for tools.
	AsStored bool
	// Registry is where metrics go. Optional.
	Registry prometheus.Registerer
}

// Commit is one transaction that changed something.
type Commit struct {
	// Revision is one more than that of the commit before.
	Revision uint64
	DB       *DatabaseSchema
	// Changes are in the order of tables and UUIDs.
	Changes []Change
	Who     Owner
}

// Store holds databases in memory and their changes in an Engine. All methods
// may be called by any goroutine.
type Store struct {
	log     *slog.Logger
	opts    Options
	engine  Engine
	cluster UUID
	dbs     []*database

	// writing serialises transactions. It guards texts and entries.
	writing sync.Mutex
	texts   *interner
	entries entryWriter
	// heavy has a token while a transaction of a client is heavy; see effort. It is
	// taken before writing.
	heavy chan struct{}
	// publish guards tail and current together; held for moments only.
	publish   sync.Mutex
	current   atomic.Pointer[Snapshot]
	tail      *commitNode
	history   history
	interests interests
	watchers  []*func(*Commit) // see watch

	// converted are told of conversions; see onConvert.
	converted []func(*database, uint64)

	durable    durability
	compacting sync.Mutex   // one compaction at a time
	logged     atomic.Int64 // bytes of log since the last snapshot
	snapped    atomic.Int64 // bytes of the last snapshot
	trim       atomic.Bool  // give memory back after a compaction
	metrics    *storeMetrics
	stop       chan struct{}
	workers    sync.WaitGroup
	once       sync.Once
	closing    error
}

// Open reads the databases from the engine, which the store then owns and
// closes. A database whose stored schema is older than the given one is converted
// to that, as Convert does; a newer one is kept if it has what the given one has,
// and otherwise an error that wraps ErrSchema. ctx bounds the loading.
func Open(ctx context.Context, e Engine, dbs []Database, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.History == 0 {
		o.History = 1024
	}
	if o.CompactAt == 0 {
		o.CompactAt = 16 << 20
	}
	if o.FollowDelay == 0 {
		o.FollowDelay = time.Millisecond
	}
	s := &Store{log: o.Logger, opts: o, engine: e, stop: make(chan struct{}), tail: newCommitNode(), texts: newInterner(1024), heavy: make(chan struct{}, 1)}
	s.history.limit = o.History
	snapshot := &Snapshot{}
	for _, db := range dbs {
		s.addDatabase(snapshot, db, false)
	}
	var err error
	if s.cluster, err = e.Identity(ctx, NewUUID()); err != nil {
		return nil, errors.Join(fmt.Errorf("ovsdb: cluster id: %w", err), e.Close())
	}
	if snapshot, err = s.load(ctx, snapshot); err != nil {
		return nil, errors.Join(fmt.Errorf("ovsdb: load: %w", err), e.Close())
	}
	s.current.Store(snapshot)
	if err := s.upgrade(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if err := s.addServerDatabase(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	s.durable.init(s.current.Load().revision)
	s.metrics = newStoreMetrics(s, o.Registry)
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.writeLog()
	}()
	return s, nil
}

func (s *Store) addDatabase(snapshot *Snapshot, db Database, volatile bool) *database {
	d := &database{Database: db, volatile: volatile, virtual: make(map[string]*virtualHub)}
	d.now.Store(db.Schema)
	for name, v := range db.Virtual {
		d.virtual[name] = newVirtualHub(db.Schema.Table(name), v)
	}
	s.dbs = append(s.dbs, d)
	snapshot.dbs = append(snapshot.dbs, newDBState(db.Schema))
	return d
}

func (s *Store) database(schema *DatabaseSchema) *database {
	for _, d := range s.dbs {
		if d.Schema == schema.identity() {
			return d
		}
	}
	panic(fmt.Sprintf("ovsdb: database %q is not in the store", schema.Name))
}

// ClusterID is the identity of the stored data, chosen at its creation.
func (s *Store) ClusterID() UUID { return s.cluster }

// Snapshot returns the present state of all databases.
func (s *Store) Snapshot() *Snapshot { return s.current.Load() }

// Update runs fn on the present state, one writer at a time, and commits what
// it wrote, with all checks that a client's transaction has. It returns the
// revision at which the writes are visible (the present one if there are none),
// not yet durable; see WaitDurable. If fn returns an error, nothing is written
// and Update returns that error (none for ErrUnchanged). fn must not call
// Update. ctx ends the waiting for other writers only before fn begins.
func (s *Store) Update(ctx context.Context, db *DatabaseSchema, who Owner, fn func(*Txn) error) (uint64, error) {
	d := s.database(db)
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	t := newTxn(s.current.Load(), d, who)
	if err := fn(t); err != nil && t.err == nil {
		if errors.Is(err, ErrUnchanged) {
			return t.base.revision, nil
		}
		return 0, err
	}
	return s.commit(t)
}

// commit makes a transaction visible and hands it to the log. s.writing is held.
func (s *Store) commit(t *Txn) (uint64, error) {
	if err := s.durable.failed(); err != nil {
		return 0, err
	}
	rev := t.base.revision + 1
	state, changes, err := t.build(rev)
	if err != nil {
		return 0, err
	}
	if state == nil {
		return t.base.revision, nil
	}
	if check := t.db.Check; check != nil {
		if err := check(s.after(rev, t.db.Schema, state), publicChanges(changes), t.who); err != nil {
			return 0, err
		}
	}
	c := Commit{Revision: rev, DB: t.db.Schema, Changes: changes, Who: t.who}
	var data []byte
	if t.db.recorded || t.db.volatile {
		data = s.entries.entry(&c, t.db.volatile)
	} else {
		data = s.entries.schemaEntry(rev, state.schema, changes)
		t.db.recorded = true
	}
	s.show(&c, state, nextTxnID(t.base.txid, data), len(data))
	s.logged.Add(int64(len(data)))
	s.durable.add(Entry{Revision: rev, Data: data}, t.leads)
	return rev, nil
}

// after is the present state with another one of a database.
func (s *Store) after(rev uint64, db *DatabaseSchema, state *dbState) *Snapshot {
	before := s.current.Load()
	next := &Snapshot{revision: rev, dbs: slices.Clone(before.dbs)}
	for i := range next.dbs {
		if next.dbs[i].schema.identity() == db {
			next.dbs[i] = state
		}
	}
	return next
}

// show makes a commit the present state; size is that of its entry in the log.
func (s *Store) show(c *Commit, state *dbState, txid UUID, size int) {
	next := s.after(c.Revision, c.DB, state)
	next.txid = txid
	s.publish.Lock()
	defer s.publish.Unlock()
	s.current.Store(next)
	node := newCommitNode()
	node.commit, node.txid, node.size = *c, txid, size
	s.history.add(node)
	s.tail.next = node
	close(s.tail.ready)
	s.tail = node
	s.interests.tell(node)
	for _, tell := range s.watchers {
		(*tell)(&node.commit)
	}
}

// WaitDurable blocks until revision rev and all before it survive a crash. An
// error of the engine is returned by this and all later calls.
func (s *Store) WaitDurable(ctx context.Context, rev uint64) error {
	return s.durable.wait(ctx, rev)
}

// Close writes what is pending and closes the engine. Subscriptions end.
// Servers of the store must have returned from Serve.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.writing.Lock()
		s.durable.close()
		s.writing.Unlock()
		close(s.stop)
		s.workers.Wait()
		for _, d := range s.dbs {
			for _, hub := range d.virtual {
				hub.idle.Wait()
			}
		}
		s.closing = s.engine.Close()
	})
	return s.closing
}
