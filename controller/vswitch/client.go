package vswitch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ovn-org/libovsdb/cache"
	"github.com/ovn-org/libovsdb/client"
	"github.com/ovn-org/libovsdb/model"
	"github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/ovsclient"
	ovs "govn/schema/vswitch"
)

// Times of the connection to ovsdb-server.
const (
	transactLimit = 10 * time.Second
	retryFirst    = 50 * time.Millisecond
	retryMax      = 2 * time.Second
	idleDelay     = time.Second // that ovn-nb-cfg may wait for another change
)

// Client follows the Open_vSwitch database and writes wishes into it.
type Client struct {
	remote  string
	log     *slog.Logger
	changed chan struct{}
	wake    chan struct{} // the writer has something to look at

	mu   sync.Mutex
	t    *table // nil before the first connection
	conn client.Client
	wish *Wish
	lost map[string]map[string]bool // table to uuids whose rows are to be read again
}

// NewClient makes a client of the database at remote, unix:PATH or
// tcp:HOST:PORT. It does nothing before Run.
func NewClient(remote string, log *slog.Logger) *Client {
	return &Client{remote: remote, log: log, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// Changed has a value when Take has something to return.
func (c *Client) Changed() <-chan struct{} { return c.changed }

// Take returns what changed since the last call. Before the first connection
// it is empty.
func (c *Client) Take() Delta {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.t == nil {
		return Delta{}
	}
	c.readLost()
	return c.t.take()
}

// Want replaces the wish. The caller does not change it afterwards.
func (c *Client) Want(w *Wish) {
	c.mu.Lock()
	if c.t != nil {
		c.t.todo.wishChanged(c.wish, w)
	}
	c.wish = w
	c.mu.Unlock()
	signal(c.wake)
}

// Run keeps the connection and writes until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	root, br, port, iface := &ovs.OpenVSwitch{}, &ovs.Bridge{}, &ovs.Port{}, &ovs.Interface{}
	return ovsclient.Keep(ctx, ovsclient.Options{
		Database: "Open_vSwitch", Remote: c.remote, Logger: c.log, Events: &handler{c: c},
		Models: map[string]model.Model{"Open_vSwitch": root, "Bridge": br, "Port": port, "Interface": iface},
		Monitors: []client.MonitorOption{
			client.WithTable(root, &root.Bridges, &root.IfaceTypes, &root.ExternalIDs),
			client.WithTable(br, &br.Name, &br.Ports, &br.FailMode, &br.DatapathType, &br.OtherConfig, &br.ExternalIDs),
			client.WithTable(port, &port.Name, &port.Interfaces, &port.Tag, &port.ExternalIDs),
			client.WithTable(iface, &iface.Name, &iface.Type, &iface.OFPort, &iface.Error, &iface.ExternalIDs, &iface.Options, &iface.BFD, &iface.BFDStatus),
		},
		Follow: func(ctx context.Context, conn client.Client, rows *cache.TableCache, ended <-chan struct{}) error {
			c.begin(conn, rows)
			defer c.end()
			return c.write(ctx, conn, ended)
		},
	})
}

// begin reads everything into a new table.
func (c *Client) begin(conn client.Client, rows *cache.TableCache) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.t, c.lost = conn, newTable(), map[string]map[string]bool{}
	for _, name := range []string{"Open_vSwitch", "Bridge", "Port", "Interface"} {
		c.lost[name] = map[string]bool{}
		for uuid := range rows.Table(name).RowsShallow() {
			c.lost[name][uuid] = true
		}
	}
	c.readLost()
	signal(c.changed)
	signal(c.wake)
}

func (c *Client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = nil
}

// write brings the database to the wish whenever either changes.
func (c *Client) write(ctx context.Context, conn client.Client, ended <-chan struct{}) error {
	delay := retryFirst
	var again, idle <-chan time.Time
	due := false
	for {
		c.mu.Lock()
		c.readLost()
		ops, what, later := plan(c.t, c.wish, time.Now().UnixMilli(), due)
		c.mu.Unlock()
		switch due = false; {
		case !later:
			idle = nil
		case idle == nil:
			idle = time.After(idleDelay)
		}
		if len(ops) > 0 && again == nil {
			c.log.Debug("Open_vSwitch transaction", "ops", len(ops), "what", what)
			limit, cancel := context.WithTimeout(ctx, transactLimit)
			results, err := conn.Transact(limit, ops...)
			cancel()
			for i, r := range results {
				if err == nil && r.Error != "" {
					err = fmt.Errorf("operation %d: %s (%s)", i, r.Error, r.Details)
				}
			}
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				c.log.Warn("Open_vSwitch transaction failed", "err", err, "what", what, "retry", delay)
				again = time.After(delay)
				delay = min(2*delay, retryMax)
			} else {
				// The cache has the update before the reply comes, but the
				// events that name its rows come later.
				delay = retryFirst
				c.reread(ops, results)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return errors.New("disconnected")
		case <-c.wake:
		case <-again:
			again = nil
		case <-idle:
			idle, due = nil, true
		}
	}
}

// reread marks the rows that a transaction wrote.
func (c *Client) reread(ops []ovsdb.Operation, results []ovsdb.OperationResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, op := range ops {
		rows := c.lost[op.Table]
		for _, cond := range op.Where {
			if u, ok := cond.Value.(ovsdb.UUID); ok && rows != nil {
				rows[u.GoUUID] = true
			}
		}
		if op.Op == ovsdb.OperationInsert && i < len(results) && rows != nil {
			rows[results[i].UUID.GoUUID] = true
		}
	}
	signal(c.changed)
}

// readLost reads the rows that events named. The caller holds mu.
func (c *Client) readLost() {
	if c.conn == nil {
		return
	}
	cache := c.conn.Cache()
	if cache == nil {
		return
	}
	for _, name := range []string{"Open_vSwitch", "Bridge", "Port", "Interface"} {
		rows := cache.Table(name)
		if rows == nil {
			continue
		}
		for uuid := range c.lost[name] {
			c.apply(name, uuid, rows.Row(uuid))
		}
		clear(c.lost[name])
	}
}

func (c *Client) apply(name, uuid string, m model.Model) {
	switch name {
	case "Open_vSwitch":
		if r, ok := m.(*ovs.OpenVSwitch); ok {
			c.t.setRoot(&rootRow{UUID: uuid, Bridges: r.Bridges, IfaceTypes: r.IfaceTypes, ExternalIDs: r.ExternalIDs})
		} else {
			c.t.setRoot(nil)
		}
	case "Bridge":
		if r, ok := m.(*ovs.Bridge); ok {
			c.t.setBridge(uuid, &bridgeRow{
				UUID: uuid, Name: r.Name, FailMode: deref(r.FailMode), DatapathType: r.DatapathType,
				Ports: r.Ports, ExternalIDs: r.ExternalIDs, OtherConfig: r.OtherConfig,
			})
		} else {
			c.t.setBridge(uuid, nil)
		}
	case "Port":
		if r, ok := m.(*ovs.Port); ok {
			c.t.setPort(uuid, &portRow{UUID: uuid, Name: r.Name, Interfaces: r.Interfaces, Tag: deref(r.Tag), ExternalIDs: r.ExternalIDs})
		} else {
			c.t.setPort(uuid, nil)
		}
	case "Interface":
		if r, ok := m.(*ovs.Interface); ok {
			c.t.setIface(uuid, &ifaceRow{
				UUID: uuid, Name: r.Name, Type: r.Type, OFPort: deref(r.OFPort), Error: deref(r.Error),
				ExternalIDs: r.ExternalIDs, Options: r.Options, BFD: r.BFD, BFDStatus: r.BFDStatus,
			})
		} else {
			c.t.setIface(uuid, nil)
		}
	}
}

// handler notes which rows changed; their contents are read when taken.
type handler struct{ c *Client }

func (h *handler) OnAdd(table string, m model.Model)       { h.note(table, m) }
func (h *handler) OnUpdate(table string, _, m model.Model) { h.note(table, m) }
func (h *handler) OnDelete(table string, m model.Model)    { h.note(table, m) }

func (h *handler) note(table string, m model.Model) {
	var uuid string
	switch r := m.(type) {
	case *ovs.OpenVSwitch:
		uuid = r.UUID
	case *ovs.Bridge:
		uuid = r.UUID
	case *ovs.Port:
		uuid = r.UUID
	case *ovs.Interface:
		uuid = r.UUID
	}
	h.c.mu.Lock()
	if rows := h.c.lost[table]; rows != nil {
		rows[uuid] = true
	}
	h.c.mu.Unlock()
	signal(h.c.changed)
	signal(h.c.wake)
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
