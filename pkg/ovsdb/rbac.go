package ovsdb

import (
	"slices"
	"strings"
)

// access is what a connection may do, as its remote says at the moment of a
// request.
type access struct {
	// readOnly refuses all operations that may change something.
	readOnly bool
	// role restricts what may be changed, if it is not empty and the database has
	// a table RBAC_Role (ovsdb-server(7), 4.1.3).
	role string
	// id is the common name of the peer's certificate; empty without one, and then
	// a role permits nothing.
	id string
}

// access of the session at this moment.
func (s *session) access() access {
	o := s.remote.options.Load()
	return access{readOnly: o.readOnly, role: o.role, id: s.peer}
}

// client names the peer in errors, as ovsdb-server does.
func (a *access) client() string {
	if a.id == "" {
		return "(null)"
	}
	return a.id
}

// mayConvert returns an error where a role forbids to convert a database.
func (a *access) mayConvert(db string) error {
	if a.role == "" {
		return nil
	}
	return errorf(ErrPermission, "RBAC rules for client %q role %q prohibit \"convert\" of database %s (only the root role may convert databases)", a.client(), a.role, db)
}

// allowed refuses, after the fact, an operation that a read-only connection may
// not do. The transaction is given up with it.
func (a *access) allowed(v *jsonValue) error {
	if !a.readOnly {
		return nil
	}
	op, _ := v.member("op")
	switch op.text {
	case "insert", "update", "mutate", "delete", "commit":
		return errorf(ErrNotAllowed, "%s operation not allowed when database server is in read only mode", op.text)
	}
	return nil
}

// errReadOnlyLock is the answer to lock, steal and unlock on a read-only
// connection.
const errReadOnlyLock = plainError("lock and unlock methods not allowed, DB server is read only.")

// rule is what a role permits in a table: a row of RBAC_Permission (ovn-sb(5)).
// A nil rule permits everything.
type rule struct {
	denied        error
	id            string
	authorization []string // columns and column:key that hold the id; "": anyone
	insertDelete  bool
	update        []string // columns
}

// rule finds what the connection may do in a table. what ends the error, such as
// "row insertion into". Roles are read as they were before the transaction.
func (x *executor) rule(t *TableSchema, what string) (*rule, error) {
	roles := x.txn.state.schema.Tables["RBAC_Role"]
	if x.role == "" || roles == nil {
		return nil, nil
	}
	r := &rule{id: x.id, denied: errorf(ErrPermission, "RBAC rules for client %q role %q prohibit %s table %q.", x.client(), x.role, what, t.Name)}
	permission := findPermission(x.txn.base, roles, x.role, t.Name)
	if x.id == "" || permission == nil {
		return nil, r.denied
	}
	r.authorization = stringsOf(permission, "authorization")
	r.insertDelete = optional[bool](permission, "insert_delete")
	r.update = stringsOf(permission, "update")
	return r, nil
}

// findPermission is the row that a role has for a table, or nil.
func findPermission(sn *Snapshot, roles *TableSchema, role, table string) *Row {
	name, permissions := roles.lookup("name"), roles.lookup("permissions")
	if name == nil || permissions == nil || !permissions.Type.IsMap() || permissions.Type.Value.Target == nil {
		return nil
	}
	for row := range sn.Rows(roles) {
		if !slices.Contains(atoms(row, name), Atom(role)) {
			continue
		}
		if u, ok := row.Map(permissions).Get(table); ok {
			return sn.Row(permissions.Type.Value.Target, u.(UUID))
		}
		return nil
	}
	return nil
}

func stringsOf(row *Row, column string) (list []string) {
	c := row.table.lookup(column)
	if c == nil {
		return nil
	}
	for _, a := range atoms(row, c) {
		if s, ok := a.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// authorized tells whether the row is the client's, or anyone's.
func (r *rule) authorized(row *Row) bool {
	return slices.ContainsFunc(r.authorization, func(where string) bool {
		if where == "" {
			return true
		}
		column, key, isMap := strings.Cut(where, ":")
		c := row.table.lookup(column)
		if c == nil {
			return false
		}
		if isMap {
			return c.Type.IsMap() && key != "" && row.Map(c).Str(key) == r.id
		}
		if c.Type.IsMap() || c.Type.Max != 1 {
			return false
		}
		s, ok := lookup[string](row, column)
		return ok && s == r.id
	})
}

// insertsOrDeletes checks an insertion or deletion of a row.
func (r *rule) insertsOrDeletes(row *Row) error {
	if r != nil && !(r.authorized(row) && r.insertDelete) {
		return r.denied
	}
	return nil
}

// changes checks a change of columns of a row.
func (r *rule) changes(row *Row, columns []*ColumnSchema) error {
	if r == nil {
		return nil
	}
	if !r.authorized(row) || slices.ContainsFunc(columns, func(c *ColumnSchema) bool { return !slices.Contains(r.update, c.Name) }) {
		return r.denied
	}
	return nil
}
