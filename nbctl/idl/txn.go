package idl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/ovsdb"
)

// ErrTryAgain is returned when what the transaction verified has changed.
// Wait for the change and build the transaction again.
var ErrTryAgain = errors.New("the database has changed meanwhile")

// TransactionError is the first error that the server reports for a
// transaction, as JSON.
type TransactionError struct{ JSON string }

// Error is worded as the OVN tools word it.
func (e *TransactionError) Error() string { return "transaction error: " + e.JSON }

// Txn is a transaction in progress. There is one at a time; Begin forgets the
// one before.
type Txn struct {
	// DryRun lets the server check the transaction and change nothing.
	DryRun bool
	// Comment goes to the server's log, if the transaction changes something.
	Comment string

	db        *DB
	touched   []*Row
	inserted  map[UUID]*Row
	increment *increment
}

// increment raises an integer and reads the result back.
type increment struct {
	row    *Row
	column string
	force  bool
}

// Result is what a transaction did.
type Result struct {
	// Unchanged says that there was nothing to send.
	Unchanged bool
	// UUIDs are the identities that the server gave to inserted rows, by ours.
	UUIDs map[UUID]UUID
	// Incremented is the value after Increment, 0 when that had no effect.
	Incremented int64
}

// Changed are the rows that the transaction inserts or changes so far.
func (t *Txn) Changed() (out []*Row) {
	for _, r := range t.touched {
		if !r.deleted && (len(r.new) > 0 || len(r.partial) > 0) {
			out = append(out, r)
		}
	}
	return out
}

// Begin starts a transaction on what the replica holds.
func (db *DB) Begin() *Txn {
	if db.txn != nil {
		for _, r := range db.txn.touched {
			r.reset()
		}
	}
	db.err = nil
	db.txn = &Txn{db: db, inserted: map[UUID]*Row{}}
	return db.txn
}

func (db *DB) touch(r *Row) {
	if db.txn != nil && !r.touched {
		r.touched = true
		db.txn.touched = append(db.txn.touched, r)
	}
}

// Err returns what went wrong in the transaction so far.
func (db *DB) Err() error { return db.err }

// Insert inserts a row. Its UUID serves within the program; the server may give
// it another.
func (t *Txn) Insert(table string) *Row { return t.insert(table, ovsdb.NewUUID(), false) }

// InsertAs inserts a row under a UUID of the program; fixed says that the server
// must take it too.
func (t *Txn) InsertAs(table string, u UUID, fixed bool) *Row { return t.insert(table, u, fixed) }

func (t *Txn) insert(table string, u UUID, fixed bool) *Row {
	t.db.Need(table)
	replica := t.db.tables[table]
	if replica == nil {
		t.db.fail(fmt.Errorf("the database has no table %s", table))
		replica = &Table{db: t.db, Schema: &ovsdb.TableSchema{Name: table}, rows: map[UUID]*Row{}}
	}
	r := replica.newRow(u)
	r.inserted, r.fixed = true, fixed
	replica.rows[u] = r
	t.inserted[u] = r
	t.db.touch(r)
	return r
}

// Increment adds one to an integer when the transaction is sent, and in any
// case if force.
func (t *Txn) Increment(r *Row, column string, force bool) {
	t.increment = &increment{r, column, force}
}

// Commit sends the transaction.
func (t *Txn) Commit(ctx context.Context) (*Result, error) {
	if t.db.err != nil {
		return nil, t.db.err
	}
	ops, changes := t.operations()
	at := -1
	if inc := t.increment; inc != nil && (changes || inc.force) && !inc.row.deleted {
		changes = true
		at = len(ops) + 1
		where := t.where(inc.row)
		ops = append(ops,
			libovsdb.Operation{Op: libovsdb.OperationMutate, Table: inc.row.Table.Schema.Name, Where: where,
				Mutations: []libovsdb.Mutation{*libovsdb.NewMutation(inc.column, libovsdb.MutateOperationAdd, 1)}},
			libovsdb.Operation{Op: libovsdb.OperationSelect, Table: inc.row.Table.Schema.Name, Where: where,
				Columns: []string{inc.column}})
	}
	if !changes {
		return &Result{Unchanged: true}, nil
	}
	if t.Comment != "" {
		ops = append(ops, libovsdb.Operation{Op: libovsdb.OperationComment, Comment: &t.Comment})
	}
	if t.DryRun {
		ops = append(ops, libovsdb.Operation{Op: libovsdb.OperationAbort})
	}
	reply, err := t.db.conn.call(ctx, "transact", libovsdb.NewTransactArgs(t.db.Schema.Name, ops...)...)
	if err != nil {
		var refused *ReplyError
		if errors.As(err, &refused) {
			return nil, &TransactionError{refused.JSON}
		}
		return nil, err
	}
	return t.result(ops, reply, at)
}

// result reads the results of the operations; at is the position of the select
// after an increment.
func (t *Txn) result(ops []libovsdb.Operation, reply []byte, at int) (*Result, error) {
	var answers []struct {
		Error string           `json:"error"`
		UUID  []string         `json:"uuid"`
		Rows  []map[string]any `json:"rows"`
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(reply, &raw); err != nil {
		return nil, fmt.Errorf("%w: result of the transaction: %w", ErrSyntax, err)
	}
	if err := json.Unmarshal(reply, &answers); err != nil {
		return nil, fmt.Errorf("%w: result of the transaction: %w", ErrSyntax, err)
	}
	for i, a := range answers {
		switch {
		case a.Error == "":
		case a.Error == "aborted" && t.DryRun:
		case a.Error == "timed out" && i < len(ops) && ops[i].Op == libovsdb.OperationWait:
			return nil, ErrTryAgain
		default:
			return nil, &TransactionError{sortedJSON(raw[i])}
		}
	}
	out := &Result{UUIDs: map[UUID]UUID{}}
	for i, op := range ops {
		if i >= len(answers) || op.Op != libovsdb.OperationInsert || len(answers[i].UUID) != 2 {
			continue
		}
		u, err := ovsdb.ParseUUID(answers[i].UUID[1])
		if err != nil {
			return nil, fmt.Errorf("%w: result of an insert: %w", ErrSyntax, err)
		}
		out.UUIDs[ours(op)] = u
	}
	if at >= 0 && at < len(answers) && len(answers[at].Rows) == 1 {
		if n, ok := answers[at].Rows[0][t.increment.column].(float64); ok {
			out.Incremented = int64(n)
		}
	}
	return out, nil
}

// sortedJSON prints an object as the OVS library does: members by name, without
// white space.
func sortedJSON(raw []byte) string {
	var members map[string]any
	if json.Unmarshal(raw, &members) != nil {
		return string(raw)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(members) != nil {
		return string(raw)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// rowName is the uuid-name of an inserted row.
func rowName(u UUID) string { return "row" + strings.ReplaceAll(u.String(), "-", "_") }

func ours(op libovsdb.Operation) UUID {
	s := op.UUID
	if s == "" {
		s = strings.ReplaceAll(strings.TrimPrefix(op.UUIDName, "row"), "_", "-")
	}
	u, _ := ovsdb.ParseUUID(s)
	return u
}

// operations returns the transaction, and whether it does more than to verify.
func (t *Txn) operations() (ops []libovsdb.Operation, changes bool) {
	for _, r := range t.touched {
		if op, ok := t.verification(r); ok {
			ops = append(ops, op)
		}
	}
	for _, r := range t.touched {
		table := r.Table.Schema.Name
		switch {
		case r.inserted && r.deleted:
		case r.deleted && !r.Table.Schema.IsRoot:
			// The server deletes it with the last reference, and refuses to before.
		case r.deleted:
			ops = append(ops, libovsdb.Operation{Op: libovsdb.OperationDelete, Table: table, Where: t.where(r)})
			changes = true
		case r.inserted:
			op := libovsdb.Operation{Op: libovsdb.OperationInsert, Table: table, Row: t.row(r)}
			if r.fixed {
				op.UUID = r.UUID.String()
			} else {
				op.UUIDName = rowName(r.UUID)
			}
			ops = append(ops, op)
			changes = true
		default:
			if row := t.row(r); len(row) > 0 {
				ops = append(ops, libovsdb.Operation{Op: libovsdb.OperationUpdate, Table: table, Where: t.where(r), Row: row})
				changes = true
			}
			if m := t.mutations(r); len(m) > 0 {
				ops = append(ops, libovsdb.Operation{Op: libovsdb.OperationMutate, Table: table, Where: t.where(r), Mutations: m})
				changes = true
			}
		}
	}
	return ops, changes
}

// verification waits, without patience, for the values that decided something.
func (t *Txn) verification(r *Row) (op libovsdb.Operation, ok bool) {
	if len(r.verified) == 0 || r.inserted {
		return op, false
	}
	now := 0
	op = libovsdb.Operation{Op: libovsdb.OperationWait, Table: r.Table.Schema.Name, Where: t.where(r),
		Timeout: &now, Until: string(libovsdb.WaitConditionEqual), Rows: []libovsdb.Row{{}}}
	for i, c := range r.Table.Schema.Columns {
		if r.verified[i] {
			op.Columns = append(op.Columns, c.Name)
			op.Rows[0][c.Name] = t.value(c, r.old[i])
		}
	}
	return op, true
}

func (t *Txn) where(r *Row) []libovsdb.Condition {
	return []libovsdb.Condition{libovsdb.NewCondition("_uuid", libovsdb.ConditionEqual, t.atom(r.UUID))}
}

// row returns the columns that were replaced.
func (t *Txn) row(r *Row) libovsdb.Row {
	row := libovsdb.Row{}
	for i, d := range r.new {
		c := r.Table.Schema.Columns[i]
		if _, partly := r.partial[i]; partly || !r.inserted && r.Table.needed[i] && r.old[i].Equal(d) {
			continue
		}
		if r.inserted && d.Equal(Default(&c.Type)) {
			continue
		}
		row[c.Name] = t.value(c, d)
	}
	// libovsdb leaves out an empty row, which the server does not accept.
	if r.inserted && len(row) == 0 && len(r.Table.Schema.Columns) > 0 {
		for _, c := range r.Table.Schema.Columns {
			if d := Default(&c.Type); c.Type.Min == 0 || c.Type.Key.Enum.Len() == 0 && c.Type.Key.Ref == ovsdb.RefNone {
				row[c.Name] = t.value(c, d)
				break
			}
		}
	}
	return row
}

// mutations returns the columns that were added to and removed from.
func (t *Txn) mutations(r *Row) (out []libovsdb.Mutation) {
	for i, c := range r.Table.Schema.Columns {
		p, ok := r.partial[i]
		if !ok {
			continue
		}
		keys, old := p.remove, Datum{} // of what was not read, nothing is known
		if r.Table.needed[i] {
			old = r.old[i]
			keys = presentKeys(old, keys)
		}
		if len(keys.Keys) > 0 {
			set := *c
			set.Type.Value = ovsdb.BaseType{} // of a map, keys alone say what goes
			out = append(out, *libovsdb.NewMutation(c.Name, libovsdb.MutateOperationDelete, t.value(&set, keys)))
		}
		if add := absent(old, p); len(add.Keys) > 0 {
			out = append(out, *libovsdb.NewMutation(c.Name, libovsdb.MutateOperationInsert, t.value(c, add)))
		}
	}
	return out
}

// presentKeys returns the keys of d that old has.
func presentKeys(old, d Datum) (out Datum) {
	for _, k := range d.Keys {
		if old.Has(k) {
			out.Keys = append(out.Keys, k)
		}
	}
	return out
}

// absent returns what is to be added and is not there after the removal.
func absent(old Datum, p change) (out Datum) {
	for i, k := range p.add.Keys {
		if old.Has(k) && !p.remove.Has(k) {
			continue
		}
		out.Keys = append(out.Keys, k)
		if p.add.Values != nil {
			out.Values = append(out.Values, p.add.Values[i])
		}
	}
	return out
}

// value is a value on the wire. References to rows that the transaction inserts
// are named UUIDs.
func (t *Txn) value(c *ovsdb.ColumnSchema, d Datum) any {
	if c.Type.IsMap() {
		b := []byte(`["map",[`)
		for i, k := range d.Keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(append(b, '['), t.atom(k)...), ',')
			b = append(append(b, t.atom(d.Values[i])...), ']')
		}
		return json.RawMessage(append(b, "]]"...))
	}
	if len(d.Keys) == 1 {
		return t.atom(d.Keys[0])
	}
	b := []byte(`["set",[`)
	for i, k := range d.Keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, t.atom(k)...)
	}
	return json.RawMessage(append(b, "]]"...))
}

func (t *Txn) atom(a Atom) json.RawMessage {
	if u, ok := a.(UUID); ok {
		if r := t.inserted[u]; r != nil && !r.deleted && !r.fixed {
			return append(append([]byte(`["named-uuid","`), rowName(u)...), `"]`...)
		}
	}
	return appendAtom(nil, a)
}
