package vswitch

import (
	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// learn adds or renews a flow made from the packet.
func (x *execution) learn(a openflow.Learn) {
	k := &x.cur.Key
	var m openflow.Match
	var actions []openflow.Action
	for _, s := range a.Specs {
		v := packet.Number(s.Value)
		if s.Src.Field != nil {
			v = k.Subfield(s.Src)
		}
		switch s.Kind {
		case openflow.LearnMatch:
			addMatch(&m, s.Dst, v)
		case openflow.LearnLoad:
			var one packet.Key
			var mask packet.Key
			one.SetSubfield(s.Dst, v)
			mask.SetSubfield(s.Dst, packet.U128{Hi: ^uint64(0), Lo: ^uint64(0)})
			n := s.Dst.Field.Size()
			actions = append(actions, openflow.SetBytes(s.Dst.Field, one.Get(s.Dst.Field).Bytes(n), mask.Get(s.Dst.Field).Bytes(n)))
		case openflow.LearnOutput:
			if v.Lo <= 0xffff {
				actions = append(actions, openflow.Output{Port: packet.PortTo32(uint16(v.Lo))})
			}
		}
	}
	mod := &openflow.FlowMod{
		Command: openflow.FlowModifyStrict, IdleTimeout: a.IdleTimeout, HardTimeout: a.HardTimeout,
		Flow: openflow.Flow{Table: a.Table, Priority: a.Priority, Cookie: a.Cookie, Match: m.Encode(), Actions: openflow.EncodeActions(actions)},
	}
	if a.SendFlowRemoved {
		mod.Flags |= openflow.FlagSendFlowRemoved
	}
	learned := x.learned(mod, m, a)
	if a.Limit != 0 && a.Result.Field != nil {
		v := packet.U128{}
		if learned {
			v.Lo = 1
		}
		k.SetSubfield(a.Result, v)
	}
}

// learned puts the flow into its table; false when the limit is reached.
func (x *execution) learned(mod *openflow.FlowMod, m openflow.Match, a openflow.Learn) bool {
	if a.Table > lastTable {
		return false
	}
	c := &compiledMod{match: m, compiled: compileMatch(&m)}
	var err error
	if c.prog, err = newProgram(mod.Flow.Actions, nil); err != nil {
		x.tr.note("the flow cannot be learned: " + err.Error())
		return false
	}
	t := &x.b.tables[a.Table]
	key := mod.Flow.Key()
	old := t.Find(a.Priority, &c.compiled)
	again := false
	if old == nil && a.Limit != 0 {
		n := uint32(0)
		for r := range t.All() {
			if r.Value.Cookie == a.Cookie {
				n++
			}
		}
		for _, p := range *x.pending {
			again = again || p.key == key
			if p.key.Table == a.Table && p.cookie == a.Cookie {
				n++
			}
		}
		if n >= a.Limit && !again {
			return false
		}
	}
	if old != nil && string(old.Value.Actions) == string(mod.Flow.Actions) && old.Value.Cookie == mod.Flow.Cookie {
		// Only its time begins again.
		old.Value.used, old.Value.created = x.now, x.now
		return true
	}
	mod.Command = openflow.FlowAdd
	*x.pending = append(*x.pending, pendingFlow{key, a.Cookie})
	// This packet still sees the tables without the flow.
	b := x.b
	*x.results = append(*x.results, result{notify: func() {
		var j journal
		if err := b.addFlow(mod, c, &j); err != nil {
			b.log.Warn("flow not learned", "table", a.Table, "err", err)
			return
		}
		if r := t.Find(a.Priority, &c.compiled); r != nil {
			r.Value.finIdle, r.Value.finHard = a.FinIdleTimeout, a.FinHardTimeout
		}
		j.commit()
	}})
	return true
}

// pendingFlow is a flow that is learned but not there yet.
type pendingFlow struct {
	key    openflow.FlowKey
	cookie uint64
}

// addMatch matches bits of a field, beside others of it that are matched.
func addMatch(m *openflow.Match, s openflow.Subfield, v packet.U128) {
	var value, mask packet.Key
	if ov, om, ok := m.Get(s.Field); ok {
		value.Set(s.Field, packet.Number(ov))
		mask.Set(s.Field, packet.Number(om))
	}
	value.SetSubfield(s, v)
	mask.SetSubfield(s, packet.U128{Hi: ^uint64(0), Lo: ^uint64(0)})
	n := s.Field.Size()
	if s.Field == openflow.FieldInPortNXM {
		m.Set(openflow.FieldInPort, uint64(packet.PortTo32(uint16(v.Lo))))
		return
	}
	m.SetBytes(s.Field, value.Get(s.Field).Bytes(n), mask.Get(s.Field).Bytes(n))
}
