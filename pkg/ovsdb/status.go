package ovsdb

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"
)

// isStatus tells whether a column of a Connection table is one that the server
// writes.
func isStatus(c *ColumnSchema) bool { return c.Name == "is_connected" || c.Name == "status" }

// remoteStatus is what a Connection row says about its remote: is_connected and
// status (ovn-sb(5)).
func (r *remote) status(now time.Time) (connected bool, status map[string]string) {
	r.mu.Lock()
	n := len(r.sessions)
	a := r.active
	var one *session
	for s := range r.sessions {
		one = s
	}
	r.mu.Unlock()
	status = make(map[string]string)
	if r.listener != nil {
		// ovsdb-server tells these of listeners too.
		status["sec_since_connect"], status["sec_since_disconnect"] = "0", "0"
		if t, ok := r.listener.Addr().(*net.TCPAddr); ok {
			status["bound_port"] = strconv.Itoa(t.Port)
		}
		if n > 1 {
			status["n_connections"] = strconv.Itoa(n)
		}
		return n > 0, status
	}
	status["state"] = a.state
	if a.state == stateActive && one != nil && one.codec.probing.Load() {
		status["state"] = stateIdle
	}
	for key, at := range map[string]time.Time{"sec_since_connect": a.connected, "sec_since_disconnect": a.disconnected} {
		if !at.IsZero() {
			status[key] = strconv.Itoa(int(now.Sub(at) / time.Second))
		}
	}
	if a.err != nil {
		status["last_error"] = errorText(a.err)
	}
	if one != nil {
		held, waiting, lost := r.srv.locks.of(one)
		for key, names := range map[string][]string{"locks_held": held, "locks_waiting": waiting, "locks_lost": lost} {
			if len(names) > 0 {
				status[key] = strings.Join(names, " ")
			}
		}
	}
	return a.state == stateActive, status
}

// statusChange is what a row is to say.
type statusChange struct {
	row       *Row
	connected bool
	status    Map
}

func (c *statusChange) differs() bool {
	t := c.row.table
	if col := t.lookup("is_connected"); col != nil && c.row.Bool(col) != c.connected {
		return true
	}
	col := t.lookup("status")
	return col != nil && !c.row.Map(col).Equal(c.status)
}

// writeStatus brings the status columns of the Connection rows up to date, in a
// transaction if any differs.
func (rs *Remotes) writeStatus(ctx context.Context) {
	now := time.Now()
	changes := make(map[*DatabaseSchema][]statusChange)
	sn := rs.srv.store.Snapshot()
	for _, c := range rs.rows {
		if c.row == nil {
			continue
		}
		row := sn.Row(c.row.table, c.row.uuid)
		if row == nil {
			continue
		}
		rs.mu.Lock()
		r := rs.active[c.target]
		rs.mu.Unlock()
		next := statusChange{row: row}
		if r != nil {
			connected, status := r.status(now)
			next.connected, next.status = connected, StringMap(status)
		} else {
			status := map[string]string{"sec_since_connect": "0", "sec_since_disconnect": "0"}
			if err := rs.failing[c.target]; err != nil {
				status["last_error"] = err.Error()
			}
			next.status = StringMap(status)
		}
		if next.differs() {
			changes[row.table.DB] = append(changes[row.table.DB], next)
		}
	}
	for db, list := range changes {
		_, err := rs.srv.store.Update(ctx, db, OwnerNorthd, func(tx *Txn) error {
			for _, c := range list {
				t := c.row.table
				if tx.Row(t, c.row.uuid) == nil {
					continue
				}
				if t.lookup("is_connected") != nil {
					tx.SetColumn(t, c.row.uuid, "is_connected", c.connected)
				}
				if t.lookup("status") != nil {
					tx.SetColumn(t, c.row.uuid, "status", c.status)
				}
			}
			return tx.Err()
		})
		if err != nil && ctx.Err() == nil {
			rs.srv.complain(rs.log, "the status of remotes could not be written", db.Name, err)
		}
	}
}
