package flows

import (
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// Source identifies who wants a flow: a unit of northd, or an object of the
// host.
type Source = [16]byte

// Indexed is a flow and its number within its source.
type Indexed struct {
	Index uint32
	Flow  openflow.Flow
}

// have is what Open vSwitch has for a key. Of flows that were read, the actions
// are not known in our form.
type have struct {
	cookie  uint64
	actions uint32 // checksum
	known   bool   // actions is valid
}

func haveOf(f *openflow.Flow) have {
	return have{cookie: f.Cookie, actions: crc32.ChecksumIEEE(f.Actions), known: true}
}

// Table knows what is wanted and what is installed. It is for one goroutine.
type Table struct {
	set       *openflow.FlowSet
	sources   map[Source][]uint32 // indexes of its flows, in order
	installed map[openflow.FlowKey]have
	pending   map[openflow.FlowKey]struct{} // may differ
	sent      []openflow.Message
	keys      []openflow.FlowKey // of sent
}

// NewTable returns a table that wants nothing, of a switch that has nothing.
func NewTable() *Table {
	return &Table{
		set: openflow.NewFlowSet(), sources: map[Source][]uint32{},
		installed: map[openflow.FlowKey]have{}, pending: map[openflow.FlowKey]struct{}{},
	}
}

// Set replaces what a source wants; nothing: it wants no flows. The flows are
// in order of their indexes, and their bytes are not changed afterwards.
func (t *Table) Set(src Source, flows []Indexed) {
	var now []uint32
	for _, f := range flows {
		now = append(now, f.Index)
		t.set.Put(openflow.FlowID{Unit: src, Index: f.Index}, f.Flow)
	}
	for _, i := range t.sources[src] {
		if _, stays := slices.BinarySearch(now, i); !stays {
			t.set.Remove(openflow.FlowID{Unit: src, Index: i})
		}
	}
	if len(now) == 0 {
		delete(t.sources, src)
	} else {
		t.sources[src] = now
	}
}

// Reset takes what a new connection found installed. Flows that are not ours do
// not count; it returns how many are.
func (t *Table) Reset(dump []openflow.FlowStats) int {
	clear(t.installed)
	clear(t.pending)
	t.sent, t.keys = nil, nil
	t.set.Changes()
	for i := range dump {
		f := &dump[i].Flow
		if !ours(f.Cookie) {
			continue
		}
		h := have{cookie: f.Cookie}
		if len(dump[i].Instructions) > 0 || dump[i].IdleTimeout != 0 || dump[i].HardTimeout != 0 {
			h.cookie = 0 // never what is wanted
		}
		key := f.Key()
		t.installed[key] = h
		t.pending[key] = struct{}{}
	}
	for _, f := range t.set.Flows() {
		t.pending[f.Key()] = struct{}{}
	}
	return len(t.installed)
}

// ours tells whether a cookie is that of a flow that a controller of govn made.
func ours(cookie uint64) bool {
	o := abi.CookieOwner(cookie)
	return o >= abi.OwnerNorthd && o < abi.OwnerSwitched
}

// BadFlow is the error of a flow that cannot be sent.
type BadFlow struct {
	Source Source
	Index  uint32
	Flow   openflow.Flow
	Err    error
}

func (e *BadFlow) Error() string { return fmt.Sprintf("flow %v: %v", e.Flow, e.Err) }

// Unwrap gives the reason.
func (e *BadFlow) Unwrap() error { return e.Err }

// errLong is the reason of a flow that does not fit into a message.
var errLong = errors.New("flow is too long for a message")

// maxFlow is how many bytes of match and actions fit into a message.
const maxFlow = 65000

// Diff is what takes Open vSwitch to what is wanted: a message for each flow that
// differs, in order of table, priority and match. Without prune nothing is
// deleted or replaced, only what is missing is added. Committed tells that the
// messages have been applied.
func (t *Table) Diff(prune bool) ([]openflow.Message, error) {
	for _, c := range t.set.Changes() {
		t.pending[c.Key] = struct{}{}
	}
	t.sent, t.keys = nil, nil
	keys := make([]openflow.FlowKey, 0, len(t.pending))
	for k := range t.pending {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, openflow.FlowKey.Compare)
	for _, key := range keys {
		want, wanted := t.set.Get(key)
		got, there := t.installed[key]
		switch {
		case !wanted && !there:
			delete(t.pending, key)
		case wanted && there && t.same(key, &want, got):
			t.installed[key] = haveOf(&want)
			delete(t.pending, key)
		case there && !prune: // not now: it stays pending
		case !wanted:
			t.send(key, openflow.DeleteFlow(openflow.Flow{Table: key.Table, Priority: key.Priority, Match: []byte(key.Match)}))
		case len(want.Match)+len(want.Actions) > maxFlow:
			t.sent, t.keys = nil, nil
			return nil, t.blame(key, errLong)
		default:
			t.send(key, openflow.AddFlow(want))
		}
	}
	return t.sent, nil
}

// same tells whether a flow is as it is wanted. Where several sources unite into
// one flow, the cookie is that of one of them and says nothing of the others.
func (t *Table) same(key openflow.FlowKey, want *openflow.Flow, got have) bool {
	if got.known {
		return got == haveOf(want)
	}
	return got.cookie == want.Cookie && len(t.set.Candidates(key)) == 1
}

func (t *Table) send(key openflow.FlowKey, m openflow.Message) {
	t.sent = append(t.sent, m)
	t.keys = append(t.keys, key)
}

// Committed tells that the messages of the last Diff have been applied.
func (t *Table) Committed() {
	for i, key := range t.keys {
		m := t.sent[i].(*openflow.FlowMod)
		if m.Command == openflow.FlowAdd {
			t.installed[key] = haveOf(&m.Flow)
		} else {
			delete(t.installed, key)
		}
		delete(t.pending, key)
	}
	t.sent, t.keys = nil, nil
}

// Blame finds who is behind the message of the last Diff that Open vSwitch
// refused. It is nil where nobody can be blamed: a deletion, or no index.
func (t *Table) Blame(index int, err error) *BadFlow {
	if index < 0 || index >= len(t.keys) || t.sent[index].(*openflow.FlowMod).Command != openflow.FlowAdd {
		return nil
	}
	return t.blame(t.keys[index], err)
}

func (t *Table) blame(key openflow.FlowKey, err error) *BadFlow {
	want, _ := t.set.Get(key)
	b := &BadFlow{Flow: want, Err: err}
	for _, c := range t.set.Candidates(key) {
		if c.Flow.Cookie == want.Cookie {
			b.Source, b.Index = c.ID.Unit, c.ID.Index
			break
		}
	}
	return b
}

// Settled tells whether all that is wanted is installed, and nothing else of
// ours, as far as the last Diff told.
func (t *Table) Settled() bool { return len(t.pending) == 0 }

// Len is the number of flows that are wanted and that are installed.
func (t *Table) Len() (wanted, installed int) { return t.set.Len(), len(t.installed) }

// Wanted yields the flows that are wanted, in order, each with the sources that
// want it.
func (t *Table) Wanted() iter.Seq2[openflow.Flow, []openflow.Candidate] {
	return func(yield func(openflow.Flow, []openflow.Candidate) bool) {
		for _, f := range t.set.Flows() {
			if !yield(f, t.set.Candidates(f.Key())) {
				return
			}
		}
	}
}

// Shadowed are the flows that are not installed because another of the same key
// is.
func (t *Table) Shadowed() []openflow.Candidate { return t.set.Shadowed() }
