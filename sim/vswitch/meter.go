package vswitch

import (
	"maps"
	"slices"
	"time"

	"govn/pkg/openflow"
)

// meter is a token bucket for every band. The lowest rate that a packet exceeds
// decides, and every band drops, so that any band that is empty drops it.
type meter struct {
	mod    openflow.MeterMod
	bands  []bucketState
	filled time.Time
}

// bucketState is in thousandths of a packet or of a kilobit.
type bucketState struct{ tokens, size uint64 }

func (b *Bridge) meterMod(m *openflow.MeterMod) error {
	old := b.meters[m.ID]
	switch m.Command {
	case openflow.MeterAdd, openflow.MeterModify:
		switch {
		case m.ID == 0 || m.ID > 0xffff0000:
			return refuse(etMeterMod, mmfcInvalid)
		case m.Command == openflow.MeterAdd && old != nil:
			return refuse(etMeterMod, mmfcExists)
		case m.Command == openflow.MeterModify && old == nil:
			return refuse(etMeterMod, mmfcUnknown)
		case m.Flags&(openflow.MeterKbps|openflow.MeterPktps) == 0 || m.Flags&(openflow.MeterKbps|openflow.MeterPktps) == openflow.MeterKbps|openflow.MeterPktps:
			return refuse(etMeterMod, mmfcBadFlags)
		}
		n := &meter{mod: *m, filled: b.opts.Now()}
		n.mod.Command = openflow.MeterAdd
		for _, k := range m.Bands {
			// Without a burst a second's worth may come at once.
			size := max(uint64(k.Burst), uint64(k.Rate))
			if m.Flags&openflow.MeterBurst == 0 {
				size = uint64(k.Rate)
			}
			n.bands = append(n.bands, bucketState{1000 * size, 1000 * size})
		}
		b.meters[m.ID] = n
	case openflow.MeterDelete:
		ids := []uint32{m.ID}
		if m.ID == openflow.MeterAll {
			ids = slices.Sorted(maps.Keys(b.meters))
		}
		for _, id := range ids {
			b.deleteMeter(id)
		}
	default:
		return refuse(etMeterMod, mmfcBadCommand)
	}
	return nil
}

// deleteMeter removes a meter and the flows that use it.
func (b *Bridge) deleteMeter(id uint32) {
	if b.meters[id] == nil {
		return
	}
	delete(b.meters, id)
	var j journal
	var users []*flow
	for i := range b.tables {
		for r := range b.tables[i].All() {
			for _, a := range r.Value.prog.all() {
				m, isMeter := a.(openflow.Meter)
				c, isCtl := a.(openflow.Controller)
				if isMeter && m.ID == id || isCtl && c.MeterID == id {
					users = append(users, r.Value)
					break
				}
			}
		}
	}
	for _, f := range users {
		b.remove(f, openflow.RemovedMeterDelete, &j)
	}
	j.commit()
}

func (b *Bridge) meterList() (list []openflow.MeterMod) {
	for _, id := range slices.Sorted(maps.Keys(b.meters)) {
		list = append(list, b.meters[id].mod)
	}
	return list
}

// meterPass tells whether a packet passes a meter; one that is not there passes
// everything.
func (b *Bridge) meterPass(id uint32, now time.Time, size int) bool {
	m := b.meters[id]
	if m == nil {
		return true
	}
	elapsed := uint64(max(0, now.Sub(m.filled)) / time.Microsecond)
	m.filled = now
	cost := uint64(1000)
	if m.mod.Flags&openflow.MeterKbps != 0 {
		cost = uint64(size) * 8
	}
	pass := true
	for i := range m.bands {
		k := &m.bands[i]
		k.tokens = min(k.size, k.tokens+elapsed*uint64(m.mod.Bands[i].Rate)/1000)
		if k.tokens < cost {
			pass = false
		} else {
			k.tokens -= cost
		}
	}
	return pass
}
