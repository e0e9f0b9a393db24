package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"govn/pkg/certs"
)

// RemotesOptions of Server.OpenRemotes.
type RemotesOptions struct {
	// Remotes are connection methods (see Address), and
	// "db:DATABASE,TABLE,COLUMN" for those that a column has: they come and go with
	// its contents.
	Remotes []string
	// Keys are the files for ssl and pssl. A name may be
	// "db:DATABASE,TABLE,COLUMN" too; see KeysFrom.
	Keys certs.Files
}

// Remotes are the ways by which peers reach a server.
//
//	flags ----------------------.
//	Connection rows --commits--> wanted --difference--> remotes: listeners, active ones
//	SSL rows -------------------> certs.Loader            | every 2.5 s
//	Connection:is_connected,status <----------------------'
type Remotes struct {
	srv  *Server
	o    RemotesOptions
	log  *slog.Logger
	keys *certs.Loader
	// changed has a token when a commit may have changed what is wanted, until unwatch.
	changed chan struct{}
	unwatch func()
	ending  sync.WaitGroup
	// requests are changes of what is configured, for Run to make; it closes ended.
	requests chan func()
	ended    chan struct{}
	// refs are those of configured with "db:"; a new slice for each change.
	refs atomic.Pointer[[]columnRef]

	// Used by OpenRemotes, then by Run; others take mu for what it guards, which
	// those two change.
	fixed  []string // of configured, those without "db:"
	rows   []connectionRow
	wanted map[string]remoteOptions

	mu         sync.Mutex
	configured []string           // o.Remotes, and changes of it; sorted
	active     map[string]*remote // by name
	failing    map[string]error   // wanted, but cannot be opened, and why
}

// statusInterval is how often status columns are brought up to date, as
// ovsdb-server does, and how often a remote that cannot be opened is tried again.
const statusInterval = 2500 * time.Millisecond

// OpenRemotes opens what the options name. A remote that is named itself and
// cannot be opened is an error; one from the database is logged and tried again.
// Run must be called, or Close.
func (srv *Server) OpenRemotes(o RemotesOptions) (*Remotes, error) {
	rs := &Remotes{
		srv: srv, o: o, log: srv.log, failing: make(map[string]error), active: make(map[string]*remote),
		requests: make(chan func()), ended: make(chan struct{}), changed: make(chan struct{}, 1),
		configured: slices.Compact(slices.Sorted(slices.Values(o.Remotes))),
	}
	for _, name := range o.Remotes {
		_, ok, err := parseColumnRef(name)
		if !ok {
			_, err = ParseAddress(name)
		}
		if err != nil {
			return nil, fmt.Errorf("ovsdb: remote: %w", err)
		}
	}
	rs.sort()
	snapshot, unwatch := srv.store.watch(rs.watcher())
	for _, ref := range *rs.refs.Load() {
		if _, err := ref.find(snapshot); err != nil {
			unwatch()
			return nil, fmt.Errorf("ovsdb: remote %q: %w", "db:"+ref.db+","+ref.table+","+ref.column, err)
		}
	}
	rs.unwatch = unwatch
	files, err := keyFiles(snapshot, o.Keys)
	if err != nil {
		unwatch()
		return nil, fmt.Errorf("ovsdb: TLS: %w", err)
	}
	rs.keys = certs.NewLoader(files, rs.log)
	rs.plan(snapshot)
	for name := range rs.wanted {
		err := rs.open(name)
		// Without keys in the database yet, what needs them waits for them.
		if err != nil && slices.Contains(rs.fixed, name) && !(errors.Is(err, certs.ErrNotConfigured) && o.Keys != files) {
			rs.Close()
			return nil, err
		}
		if err != nil {
			rs.failed(name, err)
		}
	}
	srv.remotes.Store(rs)
	return rs, nil
}

// Close ends what OpenRemotes opened where Run is not called.
func (rs *Remotes) Close() {
	rs.unwatch()
	for _, r := range rs.list() {
		rs.drop(r)
	}
	rs.ending.Wait()
}

func (rs *Remotes) list() []*remote {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return slices.Collect(maps.Values(rs.active))
}

// defaults are the options of a remote about which no row says anything.
func (rs *Remotes) defaults(a Address) remoteOptions {
	o := remoteOptions{maxBackoff: greatestBackoff}
	if !a.Local() {
		o.probe = max(0, rs.srv.opts.ProbeInterval)
	}
	return o
}

// plan reads what is wanted.
func (rs *Remotes) plan(sn *Snapshot) {
	rs.wanted, rs.rows = make(map[string]remoteOptions), nil
	for _, name := range rs.fixed {
		a, _ := ParseAddress(name)
		rs.wanted[name] = rs.defaults(a)
	}
	for _, ref := range *rs.refs.Load() {
		rows, err := ref.connections(sn, rs.defaults)
		if err != nil {
			rs.srv.complain(rs.log, "remotes of the database cannot be read", ref.db, err)
		}
		for _, row := range rows {
			rs.wanted[row.target] = row.options
		}
		rs.rows = append(rs.rows, rows...)
	}
}

// open begins a remote that is wanted.
func (rs *Remotes) open(name string) error {
	a, err := ParseAddress(name)
	if err != nil {
		return fmt.Errorf("ovsdb: remote: %w", err)
	}
	o := rs.wanted[name]
	r := newRemote(rs.srv, name, a, o)
	if r.keys = rs.keys; a.TLS() {
		if err := rs.keys.Check(); err != nil {
			return fmt.Errorf("ovsdb: remote %q: %w", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	run := r.call
	if a.Passive() {
		if r.listener, err = a.listen(o.dscp, rs.beside(a)); err != nil {
			cancel()
			return fmt.Errorf("ovsdb: remote %q: %w", name, err)
		}
		run = func(ctx context.Context) {
			if err := r.accept(ctx); err != nil {
				r.log.Error("the listener ended", "error", err)
			}
		}
		r.log.Info("listening", "addr", r.listener.Addr().String())
	} else {
		r.connect = func(ctx context.Context) (net.Conn, error) { return a.dial(ctx, r.options.Load().dscp) }
	}
	go func() {
		defer close(r.done)
		run(ctx)
	}()
	rs.mu.Lock()
	rs.active[name] = r
	rs.mu.Unlock()
	return nil
}

// beside are the listeners that have an address' port at another address.
func (rs *Remotes) beside(a Address) (list []*net.TCPListener) {
	for _, r := range rs.list() {
		l, ok := r.listener.(*net.TCPListener)
		if ok && l.Addr().(*net.TCPAddr).Port == int(a.Port) && r.addr.Host != a.Host {
			list = append(list, l)
		}
	}
	return list
}

// drop ends a remote; its last answers are sent by and by.
func (rs *Remotes) drop(r *remote) {
	rs.mu.Lock()
	delete(rs.active, r.name)
	rs.mu.Unlock()
	r.leave()
	rs.ending.Go(r.close)
}

// failed notes that a remote cannot be opened, and logs it when that is new.
func (rs *Remotes) failed(name string, err error) {
	if before := rs.failing[name]; before == nil || before.Error() != err.Error() {
		rs.log.Error("a remote cannot be opened", "remote", name, "error", err)
	}
	rs.mu.Lock()
	rs.failing[name] = err
	rs.mu.Unlock()
}

// apply makes the remotes those that are wanted. What did not change is not
// touched, nor are its connections.
func (rs *Remotes) apply() {
	for _, r := range rs.list() {
		o, ok := rs.wanted[r.name]
		switch {
		case !ok:
			r.log.Info("remote deconfigured")
			rs.drop(r)
		case o.dscp != r.options.Load().dscp:
			rs.drop(r) // a socket is marked when it is made
		default:
			r.set(o)
		}
	}
	rs.mu.Lock()
	maps.DeleteFunc(rs.failing, func(name string, _ error) bool { _, ok := rs.wanted[name]; return !ok })
	rs.mu.Unlock()
	rs.retry()
}

// retry opens what is wanted and not open.
func (rs *Remotes) retry() {
	for _, name := range slices.Sorted(maps.Keys(rs.wanted)) {
		rs.mu.Lock()
		open := rs.active[name] != nil
		rs.mu.Unlock()
		if open {
			continue
		}
		if err := rs.open(name); err != nil {
			rs.failed(name, err)
		} else {
			rs.mu.Lock()
			delete(rs.failing, name)
			rs.mu.Unlock()
		}
	}
}

// Run serves until ctx ends, then closes all remotes and their connections.
func (rs *Remotes) Run(ctx context.Context) error {
	defer close(rs.ended)
	// The status is written, and what failed is tried again, when that is due and
	// there is something to tell or to try: at once after a change, unless the last
	// time is too near.
	last := time.Now()
	due := func() time.Duration {
		if len(rs.rows)+len(rs.failing) == 0 {
			return time.Hour
		}
		return max(0, statusInterval-time.Since(last))
	}
	t := time.NewTimer(due())
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, r := range rs.list() {
				r.stop()
			}
			rs.Close()
			return nil
		case <-rs.changed:
			rs.reconfigure()
		case change := <-rs.requests:
			change()
		case <-t.C:
			if rs.converted() {
				rs.reconfigure()
			}
			rs.retry()
			rs.writeStatus(ctx)
			last = time.Now()
		}
		t.Reset(due())
	}
}

// reconfigure makes keys and remotes what the database says now.
func (rs *Remotes) reconfigure() {
	sn := rs.srv.store.Snapshot()
	files, err := keyFiles(sn, rs.o.Keys)
	if err != nil {
		rs.srv.complain(rs.log, "TLS", "", err)
	}
	rs.keys.Set(files)
	rs.plan(sn)
	rs.apply()
}

// converted tells whether the rows at hand are of a schema that the database has
// no more.
func (rs *Remotes) converted() bool {
	sn := rs.srv.store.Snapshot()
	return slices.ContainsFunc(rs.rows, func(c connectionRow) bool {
		return c.row != nil && !slices.ContainsFunc(sn.dbs, func(d *dbState) bool { return d.schema == c.row.table.DB })
	})
}

// watcher returns a function that leaves a token for those commits that change a table
// in which remotes or keys are. The others, which are nearly all, wake nobody.
func (rs *Remotes) watcher() func(*Commit) {
	refs, known := rs.refs.Load(), make(map[*TableSchema]bool)
	reads := func(t *TableSchema) bool {
		yes, ok := known[t]
		if !ok {
			yes = rs.reads(*refs, t)
			known[t] = yes
		}
		return yes
	}
	return func(c *Commit) {
		if now := rs.refs.Load(); now != refs {
			refs = now
			clear(known)
		}
		if concerns(publicChanges(c.Changes), reads) {
			token(rs.changed)
		}
	}
}

// concerns tells whether the changes of a commit may change what is wanted, which is
// in some tables. Our own status is none of it.
func concerns(changes []Change, reads func(*TableSchema) bool) bool {
	return slices.ContainsFunc(changes, func(ch Change) bool {
		if !reads(ch.Table) {
			return false
		}
		for _, col := range ch.Table.Columns {
			if !isStatus(col) && (ch.Old == nil || ch.New == nil || !ValuesEqual(ch.Old.Get(col), ch.New.Get(col))) {
				return true
			}
		}
		return false
	})
}

// reads tells whether remotes or keys are in a table.
func (rs *Remotes) reads(refs []columnRef, t *TableSchema) bool {
	for _, ref := range refs {
		if t.DB.Name != ref.db {
			continue
		}
		if t.Name == ref.table {
			return true
		}
		for _, r := range t.referrers {
			if r.column.Table.Name == ref.table && r.column.Name == ref.column {
				return true
			}
		}
	}
	k := &rs.o.Keys
	for _, name := range []string{k.PrivateKey, k.Certificate, k.CACert, k.PeerCACert, k.Protocols, k.Ciphers} {
		if ref, ok, _ := parseColumnRef(name); ok && t.DB.Name == ref.db && t.Name == ref.table {
			return true
		}
	}
	return false
}
