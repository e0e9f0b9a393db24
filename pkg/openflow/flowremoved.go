package openflow

// Reasons of FlowRemoved.
const (
	RemovedIdleTimeout = 0
	RemovedHardTimeout = 1
	RemovedDelete      = 2
	RemovedGroupDelete = 3
	RemovedMeterDelete = 4
)

// FlowRemoved tells that a flow with FlagSendFlowRemoved has gone. Of the flow
// there are key and cookie, no actions.
type FlowRemoved struct {
	Reason uint8
	Stats  FlowStats
}

// Type is TypeFlowRemoved.
func (*FlowRemoved) Type() uint8 { return TypeFlowRemoved }

func (m *FlowRemoved) appendBody(b []byte) []byte {
	f := &m.Stats
	b = put16(append(b, f.Table, m.Reason), f.Priority)
	b = put64(put16(put16(b, f.IdleTimeout), f.HardTimeout), f.Cookie)
	return f.appendOXS(appendMatch(b, f.Match))
}

func decodeFlowRemoved(r *reader) Message {
	m := &FlowRemoved{}
	f := &m.Stats
	f.Table, m.Reason, f.Priority = r.u8(), r.u8(), r.u16()
	f.IdleTimeout, f.HardTimeout, f.Cookie = r.u16(), r.u16(), r.u64()
	f.Match = r.match()
	r.skip(2)
	size := int(r.u16())
	stats := reader{what: r.what}
	stats.b, stats.err = r.take(size-4), r.err
	if r.err == nil {
		r.err = stats.oxs(f)
	}
	return m
}
