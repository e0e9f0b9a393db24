package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/ovn-org/libovsdb/cache"
	"github.com/ovn-org/libovsdb/client"
	"github.com/ovn-org/libovsdb/model"
	"github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/certs"
	"govn/pkg/ovsclient"
	checked "govn/pkg/ovsdb"
)

// transactLimit is how long a transaction may take.
const transactLimit = 5 * time.Second

// errAway is the error of a transaction while there is no connection.
var errAway = errors.New("not connected")

// replica follows one database. What it had when the connection ended it keeps
// until the next one has told everything.
type replica struct {
	name, remote string
	keys         *certs.Loader
	tables       map[string]model.Model
	log          *slog.Logger
	wake         func()

	mu    sync.Mutex
	conn  client.Client
	cache *cache.TableCache
	begun bool
	since time.Time                  // of being connected, or not
	rows  map[string]map[string]row  // as take told them
	lost  map[string]map[string]bool // rows to be read again
}

// run keeps the connection until ctx ends.
func (r *replica) run(ctx context.Context) error {
	var monitors []client.MonitorOption
	for _, t := range r.tables {
		monitors = append(monitors, client.WithConditionalTable(t, conditions(t), columns(t)...))
	}
	return ovsclient.Keep(ctx, ovsclient.Options{
		Database: r.name, Remote: r.remote, Models: r.tables, Monitors: monitors, Events: &handler{r}, Logger: r.log,
		Guard: checked.GuardOptions{NoIndexes: true, Keys: r.keys},
		Follow: func(ctx context.Context, conn client.Client, rows *cache.TableCache, ended <-chan struct{}) error {
			r.begin(conn, rows)
			defer r.end()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-ended:
				return errors.New("disconnected")
			}
		},
	})
}

// begin has all rows read again: those that are there, and those that were.
func (r *replica) begin(conn client.Client, rows *cache.TableCache) {
	r.mu.Lock()
	r.conn, r.cache, r.begun, r.lost = conn, rows, true, make(map[string]map[string]bool)
	r.since = time.Now()
	for name := range r.tables {
		lost := make(map[string]bool)
		for uuid := range rows.Table(name).RowsShallow() {
			lost[uuid] = true
		}
		for uuid := range r.rows[name] {
			lost[uuid] = true
		}
		r.lost[name] = lost
	}
	r.mu.Unlock()
	r.wake()
}

func (r *replica) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conn, r.cache, r.lost, r.since = nil, nil, nil, time.Now()
}

// snapshot is the state of the connection.
func (r *replica) snapshot() Database {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Database{Name: r.name, Remote: r.remote, Connected: r.conn != nil, Since: r.since}
}

// take tells what changed since the last call. ready is false as long as the
// database was never seen whole.
func (r *replica) take(changed func(old, now row)) (ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows == nil {
		r.rows = make(map[string]map[string]row)
	}
	for table, lost := range r.lost {
		held := r.rows[table]
		if held == nil {
			held = make(map[string]row)
			r.rows[table] = held
		}
		for uuid := range lost {
			var now row
			if m := r.cache.Table(table).Row(uuid); m != nil {
				now, _ = m.(row)
			}
			old := held[uuid]
			if now == nil {
				delete(held, uuid)
			} else {
				held[uuid] = now
			}
			if old != nil || now != nil {
				changed(old, now)
			}
		}
		clear(lost)
	}
	return r.begun
}

// transact runs operations. When it returns without an error, take tells of what
// they did.
func (r *replica) transact(ctx context.Context, ops []ovsdb.Operation) error {
	r.mu.Lock()
	conn := r.conn
	r.mu.Unlock()
	if conn == nil {
		return errAway
	}
	limit, cancel := context.WithTimeout(ctx, transactLimit)
	defer cancel()
	results, err := conn.Transact(limit, ops...)
	if err != nil {
		return err
	}
	for i, res := range results {
		if res.Error == "" {
			continue
		}
		err := &opError{database: r.name, op: -1, text: res.Error, details: res.Details}
		if i < len(ops) {
			err.op = i
			err.what = fmt.Sprintf("%s of %s", ops[i].Op, ops[i].Table)
		}
		return err
	}
	// The cache has the update before the reply comes, but the events that name
	// its rows come later.
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, op := range ops {
		rows := r.lost[op.Table]
		for _, cond := range op.Where {
			if u, ok := cond.Value.(ovsdb.UUID); ok && rows != nil {
				rows[u.GoUUID] = true
			}
		}
		if op.Op == ovsdb.OperationInsert && i < len(results) && rows != nil {
			rows[results[i].UUID.GoUUID] = true
		}
	}
	return nil
}

// opError is what a database refused.
type opError struct {
	database, what string
	op             int // index; -1: the commit
	text, details  string
}

func (e *opError) Error() string {
	if e.what == "" {
		return fmt.Sprintf("%s: commit: %s (%s)", e.database, e.text, e.details)
	}
	return fmt.Sprintf("%s: %s: %s (%s)", e.database, e.what, e.text, e.details)
}

// handler notes which rows changed; their contents are read when taken.
type handler struct{ r *replica }

func (h *handler) OnAdd(table string, m model.Model)       { h.note(table, m) }
func (h *handler) OnUpdate(table string, _, m model.Model) { h.note(table, m) }
func (h *handler) OnDelete(table string, m model.Model)    { h.note(table, m) }

func (h *handler) note(table string, m model.Model) {
	one, ok := m.(row)
	if !ok {
		return
	}
	h.r.mu.Lock()
	rows := h.r.lost[table]
	if rows != nil {
		rows[one.id()] = true
	}
	h.r.mu.Unlock()
	if rows != nil {
		h.r.wake()
	}
}

// columns are the columns of a model: a client that names none gets all that the
// server has.
func columns(m model.Model) (fields []any) {
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("ovsdb"); tag != "" && tag != "_uuid" {
			fields = append(fields, v.Field(i).Addr().Interface())
		}
	}
	return fields
}

// conditions are which rows of a table are followed, any of them; none: all. Ports
// of workloads are none of the agent's business.
func conditions(m model.Model) (list []model.Condition) {
	any := func(field *string, values ...string) {
		for _, v := range values {
			list = append(list, model.Condition{Field: field, Function: ovsdb.ConditionEqual, Value: v})
		}
	}
	switch m := m.(type) {
	case *nbPort:
		any(&m.Type, "router", "remote")
	case *sbPort:
		any(&m.Type, "patch", "chassisredirect", "remote")
	}
	return list
}
