package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

var (
	// ErrNoRemote is returned by Remotes.Remove; it is worded as ovsdb-server words
	// it.
	ErrNoRemote = errors.New("no such remote")
	// errReconnect ends the sessions that Remotes.Reconnect drops.
	errReconnect = errors.New("all connections are dropped by command")
)

// Configured are the remotes of the options and those added since, less those
// removed, in order. Those that a column has are not among them, only the column.
func (rs *Remotes) Configured() []string {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return slices.Clone(rs.configured)
}

// Add adds a remote as if the options had named it; one that is there already is
// no error. Nor is one that cannot be opened, which is logged and tried again, as
// ovsdb-server does; but a column must exist. It needs Run.
func (rs *Remotes) Add(ctx context.Context, name string) error {
	ref, ok, err := parseColumnRef(name)
	if err != nil {
		return fmt.Errorf("\"%s\": invalid syntax", name)
	}
	if ok {
		if err := ref.explain(rs.srv.store.Snapshot(), name); err != nil {
			return err
		}
	}
	return rs.ask(ctx, func() error {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		if i, found := slices.BinarySearch(rs.configured, name); !found {
			rs.configured = slices.Insert(rs.configured, i, name)
		}
		return nil
	})
}

// Remove ends a remote that the options named or that was added, and its
// connections, after their last answers. It needs Run.
func (rs *Remotes) Remove(ctx context.Context, name string) error {
	return rs.ask(ctx, func() error {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		i, found := slices.BinarySearch(rs.configured, name)
		if !found {
			return ErrNoRemote
		}
		rs.configured = slices.Delete(rs.configured, i, i+1)
		return nil
	})
}

// Reconnect drops all connections. Listeners stay; peers that the server connects
// to are connected to again.
func (rs *Remotes) Reconnect() {
	for _, r := range rs.list() {
		r.mu.Lock()
		for s := range r.sessions {
			s.codec.fail(errReconnect)
		}
		r.mu.Unlock()
	}
}

// ask changes what is configured in the goroutine of Run, which then acts on it.
func (rs *Remotes) ask(ctx context.Context, change func() error) error {
	answer := make(chan error, 1)
	select {
	case rs.requests <- func() {
		err := change()
		if err == nil {
			rs.sort()
			rs.reconfigure()
		}
		answer <- err
	}:
		return <-answer
	case <-rs.ended:
		return errors.New("the server is ending")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sort tells columns from connection methods.
func (rs *Remotes) sort() {
	var refs []columnRef
	rs.fixed = nil
	for _, name := range rs.Configured() {
		if ref, ok, _ := parseColumnRef(name); ok {
			refs = append(refs, ref)
		} else {
			rs.fixed = append(rs.fixed, name)
		}
	}
	rs.refs.Store(&refs)
}

// explain says as ovsdb-server does why a column cannot have remotes.
func (ref columnRef) explain(sn *Snapshot, name string) error {
	for _, d := range sn.dbs {
		if d.schema.Name != ref.db {
			continue
		}
		switch t := d.schema.Tables[ref.table]; {
		case t == nil:
			return fmt.Errorf("%q: no table named %s", name, ref.table)
		case t.lookup(ref.column) == nil:
			return fmt.Errorf("%q: table %q has no column %q", name, ref.table, ref.column)
		}
		return nil
	}
	return fmt.Errorf("%q: no database named %s", name, ref.db)
}
