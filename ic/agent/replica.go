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
// until the next one has told everything. The rows come from the connection's
// guard, as differences; libovsdb, which asks for them, has none.
//
//	server -- rows --> guard -- told --> rows -- take --> taken
//	       <-- transactions, replies -->  libovsdb  <--> transact
type replica struct {
	name, remote string
	keys         *certs.Loader
	tables       map[string]model.Model
	log          *slog.Logger
	wake         func()

	mu    sync.Mutex
	conn  client.Client
	begun bool
	since time.Time                  // of being connected, or not
	made  *decoder                   // while rows may be told
	rows  map[string]map[string]row  // as the connection has told them
	taken map[string]map[string]row  // as take told them
	lost  map[string]map[string]bool // rows that may differ in the two; nil: all may
}

// run keeps the connection until ctx ends.
func (r *replica) run(ctx context.Context) error {
	var monitors []client.MonitorOption
	for _, t := range r.tables {
		monitors = append(monitors, client.WithConditionalTable(t, conditions(t), columns(t)...))
	}
	return ovsclient.Keep(ctx, ovsclient.Options{
		Database: r.name, Remote: r.remote, Models: r.tables, Monitors: monitors, Logger: r.log,
		Guard: checked.GuardOptions{NoIndexes: true, Keys: r.keys, Rows: r.told},
		Follow: func(ctx context.Context, conn client.Client, _ *cache.TableCache, ended <-chan struct{}) error {
			r.begin(conn)
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

// told takes in what the server told of rows.
func (r *replica) told(t checked.RowsTold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.First {
		r.made, r.rows, r.lost = newDecoder(r.tables), make(map[string]map[string]row), nil
		for name := range r.tables {
			r.rows[name] = make(map[string]row)
		}
	}
	if r.made == nil {
		return // the connection has ended
	}
	for i := range t.Rows {
		one := &t.Rows[i]
		uuid := one.UUID.String()
		rows := r.rows[one.Table]
		old := rows[uuid]
		if old != nil {
			uuid = old.id() // which is kept already
		}
		now, err := r.made.decode(old, one, uuid)
		switch {
		case err != nil:
			r.log.Warn("a row cannot be read", "db", r.name, "err", err)
			continue
		case now == nil:
			delete(rows, uuid)
		case rows != nil:
			rows[uuid] = now
		}
		if r.lost != nil && r.lost[one.Table] != nil {
			r.lost[one.Table][uuid] = true
		}
	}
	if r.lost != nil {
		r.wake()
	}
}

// begin has all rows looked at again: those that are there, and those that were.
func (r *replica) begin(conn client.Client) {
	r.mu.Lock()
	r.conn, r.begun, r.lost = conn, true, make(map[string]map[string]bool)
	r.since = time.Now()
	for name := range r.tables {
		lost := make(map[string]bool, len(r.rows[name]))
		for uuid := range r.rows[name] {
			lost[uuid] = true
		}
		for uuid := range r.taken[name] {
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
	r.conn, r.made, r.rows, r.lost, r.since = nil, nil, nil, nil, time.Now()
}

// seen tells whether the database was seen whole once.
func (r *replica) seen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun
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
	if r.taken == nil {
		r.taken = make(map[string]map[string]row)
	}
	for table, lost := range r.lost {
		if len(lost) == 0 {
			continue
		}
		taken := r.taken[table]
		if taken == nil {
			taken = make(map[string]row)
			r.taken[table] = taken
		}
		for uuid := range lost {
			old, now := taken[uuid], r.rows[table][uuid]
			if now == nil {
				delete(taken, uuid)
			} else {
				taken[uuid] = now
			}
			if old != now {
				changed(old, now)
			}
		}
		r.lost[table] = make(map[string]bool) // which does not remember how large it was
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
