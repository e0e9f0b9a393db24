package ovsdb

import (
	"net"
)

// Authorizer decides which rows the clients of a server may write, beyond the
// owners of columns and the roles of RBAC: where it depends on what a connection
// did before, or on other rows. Its methods are called by many goroutines. Where
// there is one, only clients on unix sockets may convert a database.
type Authorizer interface {
	// Connected is called when a client connects, Closed when its connection has
	// ended. In between c stands for it.
	Connected(c *Client)
	Closed(c *Client)
	// Authorize is called for a transaction of a client that changes something, when
	// all its operations have succeeded and before it is committed; it sees the rows
	// as the transaction leaves them, in tx. An error, preferably an *Error, refuses
	// the whole transaction, as one that is found at commit. committed is called
	// once the rows are visible, and not if the commit fails; it may be nil. Both
	// hold up all writers, and must not call the store.
	Authorize(c *Client, tx *Txn, rows []RowWrite) (committed func(), err error)
}

// Client is a connection to a Server, as an Authorizer sees it.
type Client struct {
	// Name is the common name of the peer's certificate; empty without one.
	Name string
	// Host is where the peer connects from, without the port; empty for a unix
	// socket.
	Host string
	// Local tells that the peer connects to a unix socket.
	Local bool
}

// RowWrite is what a transaction's operations did to a row. What follows from that
// at commit, as garbage collection, is not among it.
type RowWrite struct {
	Table    *TableSchema
	Old, New *Row // nil: inserted, deleted
}

// Columns are those that differ; all of a row that was inserted or deleted.
func (w *RowWrite) Columns() (list []*ColumnSchema) {
	for _, c := range w.Table.Columns {
		if w.Old == nil || w.New == nil || !ValuesEqual(w.Old.Get(c), w.New.Get(c)) {
			list = append(list, c)
		}
	}
	return list
}

func clientOf(conn net.Conn, name string) *Client {
	c := &Client{Name: name}
	switch a := conn.RemoteAddr().(type) {
	case *net.UnixAddr:
		c.Local = true
	case *net.TCPAddr:
		c.Host = a.IP.String()
	default:
		c.Host = a.String()
	}
	return c
}

// written are the rows that the operations changed, in the order of tables.
func (t *Txn) written() (list []RowWrite) {
	for id, tt := range t.tables {
		if tt == nil {
			continue
		}
		table := t.state.schema.tables[id].public()
		for _, r := range tt.rows.All() {
			if r.new != r.old && (r.new == nil || r.old == nil || !r.new.Equal(r.old)) {
				r.lent = true
				list = append(list, RowWrite{Table: table, Old: r.old, New: r.new})
			}
		}
	}
	return list
}

// asker is who asks for a transaction; without an Authorizer nobody decides.
type asker struct {
	from       *Client
	authorizer Authorizer
}

// commit commits what may be written.
func (x *executor) commit() (uint64, error) {
	committed := func() {}
	if x.authorizer != nil {
		if rows := x.txn.written(); len(rows) > 0 {
			done, err := x.authorizer.Authorize(x.from, x.txn, rows)
			if err != nil {
				return 0, err
			}
			if done != nil {
				committed = done
			}
		}
	}
	rev, err := x.store.commit(x.txn)
	if err == nil {
		committed()
	}
	return rev, err
}
