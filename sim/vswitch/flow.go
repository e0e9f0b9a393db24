package vswitch

import (
	"slices"
	"time"

	"govn/pkg/openflow"
	"govn/sim/vswitch/classifier"
	"govn/sim/vswitch/packet"
)

// flow is a flow of a table. Its rule and actions do not change while it is
// there: a modification puts another flow in its place.
type flow struct {
	openflow.Flow
	rule classifier.Rule[*flow]
	prog program

	created, used    time.Time
	packets, bytes   uint64
	idle, hard       uint16
	finIdle, finHard uint16
	importance       uint16
	flags            uint16
	instructions     []byte
	deleteLearned    []learnedBy // learn actions of it whose flows go with it
}

// learnedBy names the flows that a learn action made.
type learnedBy struct {
	cookie uint64
	table  uint8
}

// shorten lowers the timeouts of a learned flow when its TCP connection ends.
func (f *flow) shorten(k *packet.Key) {
	const finOrReset = 0x01 | 0x04
	if f.finIdle == 0 && f.finHard == 0 || k.Proto() != packet.ProtoTCP || k.TCPFlags()&finOrReset == 0 {
		return
	}
	if f.finIdle != 0 && (f.idle == 0 || f.finIdle < f.idle) {
		f.idle = f.finIdle
	}
	if f.finHard != 0 && (f.hard == 0 || f.finHard < f.hard) {
		f.hard = f.finHard
	}
}

func (f *flow) stats(now time.Time) openflow.FlowStats {
	return openflow.FlowStats{
		Flow: f.Flow, Duration: now.Sub(f.created), Idle: now.Sub(f.used), Packets: f.packets, Bytes: f.bytes,
		IdleTimeout: f.idle, HardTimeout: f.hard, Importance: f.importance, Flags: f.flags, Instructions: f.instructions,
	}
}

// compileMatch makes a match of the classifier.
func compileMatch(m *openflow.Match) classifier.Match {
	var value, mask packet.Key
	m.Entries(func(f *openflow.Field, v, k []byte) {
		if f == nil {
			return
		}
		if f == openflow.FieldInPort {
			mask.Set(openflow.FieldInPortNXM, packet.Number([]byte{0xff, 0xff}))
			value.Set(f, packet.Number(v))
			return
		}
		mask.Or(f, packet.Number(k))
		value.Or(f, packet.Number(v))
	})
	return classifier.Compile(&value, &mask)
}

// journal collects what undoes a transaction, and what is told to controllers
// when it has succeeded.
type journal struct {
	undo []func()
	done []func()
}

func (j *journal) rollback() {
	for _, u := range slices.Backward(j.undo) {
		u()
	}
	j.undo, j.done = nil, nil
}

func (j *journal) commit() {
	for _, d := range j.done {
		d()
	}
	j.undo, j.done = nil, nil
}

// insert puts a flow into its table, in place of the one of its key.
func (b *Bridge) insert(f *flow, j *journal) (old *flow) {
	t := &b.tables[f.Table]
	f.rule.Value = f
	if r := t.Insert(&f.rule); r != nil {
		old = r.Value
	}
	j.undo = append(j.undo, func() {
		if old != nil {
			t.Insert(&old.rule)
		} else {
			t.Remove(&f.rule)
		}
	})
	return old
}

// remove takes a flow out of its table.
func (b *Bridge) remove(f *flow, reason uint8, j *journal) {
	t := &b.tables[f.Table]
	t.Remove(&f.rule)
	j.undo = append(j.undo, func() { t.Insert(&f.rule) })
	if f.flags&openflow.FlagSendFlowRemoved != 0 {
		j.done = append(j.done, func() { b.tellRemoved(f, reason) })
	}
	for _, l := range f.deleteLearned {
		b.removeLearned(l, j)
	}
}

// removeLearned removes the flows of a learn action whose flow has gone, unless
// another flow has the same learn action.
func (b *Bridge) removeLearned(l learnedBy, j *journal) {
	for i := range b.tables {
		for r := range b.tables[i].All() {
			if slices.Contains(r.Value.deleteLearned, l) {
				return
			}
		}
	}
	var gone []*flow
	if int(l.table) >= len(b.tables) {
		return
	}
	for r := range b.tables[l.table].All() {
		if r.Value.Cookie == l.cookie {
			gone = append(gone, r.Value)
		}
	}
	for _, f := range gone {
		b.remove(f, openflow.RemovedDelete, j)
	}
}

// flowMod carries out a modification; the message has been checked.
func (b *Bridge) flowMod(m *openflow.FlowMod, c *compiledMod, j *journal) error {
	if err := b.references(c.prog.all()); err != nil {
		return err
	}
	switch m.Command {
	case openflow.FlowAdd:
		return b.addFlow(m, c, j)
	case openflow.FlowModify, openflow.FlowModifyStrict:
		// From OpenFlow 1.2 on a modification neither changes cookies nor adds a
		// flow.
		for _, f := range b.selected(m, c) {
			n := *f
			n.rule = classifier.Rule[*flow]{Priority: f.rule.Priority, Match: f.rule.Match}
			b.setActions(&n, m, c)
			if m.Flags&openflow.FlagResetCounts != 0 {
				n.packets, n.bytes = 0, 0
			}
			b.insert(&n, j)
		}
	case openflow.FlowDelete, openflow.FlowDeleteStrict:
		for _, f := range b.selected(m, c) {
			b.remove(f, openflow.RemovedDelete, j)
		}
	}
	return nil
}

func (b *Bridge) setActions(f *flow, m *openflow.FlowMod, c *compiledMod) {
	f.Actions, f.instructions, f.prog = m.Flow.Actions, m.Instructions, c.prog
	f.rule.Conjunctions = c.prog.conjunctions()
	f.deleteLearned = nil
	for _, a := range c.prog.all() {
		if l, ok := a.(openflow.Learn); ok && l.DeleteLearned {
			f.deleteLearned = append(f.deleteLearned, learnedBy{l.Cookie, l.Table})
		}
	}
}

func (b *Bridge) addFlow(m *openflow.FlowMod, c *compiledMod, j *journal) error {
	if m.Flow.Table == lastTable+1 {
		return refuse(etBadRequest, brcEPerm) // Open vSwitch's own
	}
	if m.Flow.Table > lastTable {
		return refuse(etFlowMod, fmfcBadTable)
	}
	now := b.opts.Now()
	f := &flow{
		Flow:    openflow.Flow{Table: m.Flow.Table, Priority: m.Flow.Priority, Cookie: m.Flow.Cookie, Match: c.match.Encode()},
		rule:    classifier.Rule[*flow]{Priority: m.Flow.Priority, Match: c.compiled},
		created: now, used: now, idle: m.IdleTimeout, hard: m.HardTimeout, importance: m.Importance, flags: m.Flags,
	}
	b.setActions(f, m, c)
	if m.Flags&openflow.FlagCheckOverlap != 0 {
		for r := range b.tables[f.Table].All() {
			if r.Priority == f.Priority && r.Match.Overlaps(&c.compiled) && !r.Match.Equal(&c.compiled) {
				return refuse(etFlowMod, fmfcOverlap)
			}
		}
	}
	old := b.insert(f, j)
	if old != nil && m.Flags&openflow.FlagResetCounts == 0 {
		f.packets, f.bytes, f.used = old.packets, old.bytes, old.used
	}
	return nil
}

// selected lists the flows that a modification or deletion is about.
func (b *Bridge) selected(m *openflow.FlowMod, c *compiledMod) (list []*flow) {
	strict := m.Command == openflow.FlowModifyStrict || m.Command == openflow.FlowDeleteStrict
	del := m.Command == openflow.FlowDelete || m.Command == openflow.FlowDeleteStrict
	take := func(f *flow) {
		if (f.Cookie^m.Flow.Cookie)&m.CookieMask != 0 {
			return
		}
		if del && (m.OutPort != 0 && !f.prog.outputs(m.OutPort) || m.OutGroup != 0 && !f.prog.usesGroup(m.OutGroup)) {
			return
		}
		list = append(list, f)
	}
	for i := range b.tables {
		if m.Flow.Table != openflow.TableAll && int(m.Flow.Table) != i {
			continue
		}
		t := &b.tables[i]
		if strict {
			if r := t.Find(m.Flow.Priority, &c.compiled); r != nil {
				take(r.Value)
			}
			continue
		}
		for r := range t.All() {
			if c.compiled.Covers(&r.Match) {
				take(r.Value)
			}
		}
	}
	return list
}

// Expire removes the flows whose time is over and tells the controllers that
// want to know; connections and learned addresses that are too old go too. Call
// it about once a second.
func (b *Bridge) Expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.opts.Now()
	b.ct.Expire(now)
	for s, seen := range b.stations {
		if now.Sub(seen.at) >= stationAge {
			delete(b.stations, s)
		}
	}
	var j journal
	type expired struct {
		f      *flow
		reason uint8
	}
	var gone []expired
	for i := range b.tables {
		for r := range b.tables[i].All() {
			f := r.Value
			switch {
			case f.hard != 0 && now.Sub(f.created) >= time.Duration(f.hard)*time.Second:
				gone = append(gone, expired{f, openflow.RemovedHardTimeout})
			case f.idle != 0 && now.Sub(f.used) >= time.Duration(f.idle)*time.Second:
				gone = append(gone, expired{f, openflow.RemovedIdleTimeout})
			}
		}
	}
	for _, e := range gone {
		b.remove(e.f, e.reason, &j)
	}
	j.commit()
}
