package controller

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"govn/controller/flows"
	"govn/controller/physical"
	"govn/pkg/incr"
	"govn/proto"
	"govn/proto/state"
)

// barredOwner is an object of the host whose flows are left out.
type barredOwner struct {
	note  string // what its flows were
	error string
}

// noteOf stands for the content of flows.
func noteOf(f *physical.Flows) string {
	h := incr.CellOf("content")
	for i := range f.List {
		h = incr.CellOf(h, f.List[i].Cookie)
	}
	return h.String()
}

// quarantine leaves out the body, or the object of the host, that a flow is of.
// It comes back when its content changes: a body has another hash then.
func (c *controller) quarantine(bad *flows.BadFlow) {
	c.m.refused.Inc()
	if owner, ok := c.owners[bad.Source]; ok {
		c.log.Error("flow of this host is refused; its owner is left out", "owner", fmt.Sprint(owner), "flow", bad.Flow.String(), "err", bad.Err)
		f := c.host.Flows(owner)
		note := ""
		if f != nil {
			note = noteOf(f)
		}
		c.barred[owner] = barredOwner{note: note, error: bad.Error()}
		c.table.Set(bad.Source, nil)
		return
	}
	id := physical.UnitID(bad.Source)
	u := c.host.Unit(id)
	if u == nil || len(u.Body) != 16 {
		c.log.Error("flow of nobody is refused", "flow", bad.Flow.String(), "err", bad.Err)
		c.table.Set(bad.Source, nil)
		return
	}
	hash := state.Hash(u.Body)
	c.log.Error("flow is refused; its body is in quarantine", "body", fmt.Sprintf("%x", hash), "unit", fmt.Sprintf("%x", id[:]),
		"flow", bad.Flow.String(), "index", bad.Index, "err", bad.Err, "objects", objectNames(u))
	c.bar(hash, &proto.Failure{
		Unit: bytes.Clone(id[:]), Body: bytes.Clone(hash[:]), Flow: bad.Index, Error: bad.Err.Error(), Cookie: bad.Flow.Cookie,
	})
}

// bar puts a body into quarantine.
func (c *controller) bar(hash state.Hash, f *proto.Failure) {
	c.failures[hash] = f
	c.host.SetQuarantined(hash, true)
}

// unbar forgets the quarantine of a body that is gone.
func (c *controller) unbar(hash state.Hash) {
	if c.failures[hash] != nil {
		delete(c.failures, hash)
		c.host.SetQuarantined(hash, false)
	}
}

// retryBarred gives everything in quarantine another try: to another Open
// vSwitch, or one that was restarted.
func (c *controller) retryBarred() {
	for _, hash := range slices.SortedFunc(maps.Keys(c.failures), func(a, b state.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		if b := c.host.Body(hash); b != nil && b.Err == nil {
			c.unbar(hash)
		}
	}
	for owner := range c.barred {
		delete(c.barred, owner)
		c.table.Set(flows.Source(owner.Source()), ownerFlows(c.host.Flows(owner)))
	}
}

// failed is the level that an ack reports.
func (c *controller) failed() []*proto.Failure {
	out := c.state.Refused()
	for _, hash := range slices.SortedFunc(maps.Keys(c.failures), func(a, b state.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		out = append(out, c.failures[hash])
	}
	for _, key := range sortedKeys(c.badItems) {
		out = append(out, c.badItems[key])
	}
	out = append(out, c.failedGroups()...)
	for _, o := range slices.SortedFunc(maps.Keys(c.barred), physical.CompareOwner) {
		out = append(out, &proto.Failure{Error: fmt.Sprintf("%v: %s", o, c.barred[o].error)})
	}
	return out
}

func objectNames(u *proto.Unit) []string {
	var out []string
	for _, o := range u.Objects {
		out = append(out, fmt.Sprintf("%s %q", o.Table, o.Name))
	}
	return out
}
