package views

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/compile"
	"govn/northd/pipeline"
	"govn/northd/translate"
	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/control"
)

var (
	// ErrNoObject is matched when a selector names no row.
	ErrNoObject = errors.New("no such object")
	// ErrNoFlows is matched when an object exists and became no flows.
	ErrNoFlows = errors.New("became no flows")
)

// Flows are the flows that an object became, by logical flow.
func (s *Source) Flows(sel control.Selector) (*control.Origins, error) {
	out := &control.Origins{Revision: s.Snapshot.Revision(), Origins: []control.Origin{}}
	for _, k := range s.order() {
		u := s.Units[k]
		m := &proto.Unit{}
		if err := gproto.Unmarshal(u.Value, m); err != nil {
			return nil, fmt.Errorf("unit of %s: %w", k.Object, err)
		}
		if !slices.ContainsFunc(m.Objects, func(o *proto.Object) bool { return sel.Matches(Object(o)) }) {
			continue
		}
		list, err := s.origins(k, u, m, func(*proto.Flow) bool { return true })
		if err != nil {
			return nil, err
		}
		out.Origins = append(out.Origins, list...)
	}
	if len(out.Origins) == 0 {
		return nil, s.why(sel)
	}
	return out, nil
}

// Explain is what the cookies stand for, one origin for each logical flow in a
// datapath. A cookie that nothing of northd has does not add any.
func (s *Source) Explain(queries []control.Query) (*control.Origins, error) {
	out := &control.Origins{Revision: s.Snapshot.Revision(), Origins: []control.Origin{}}
	bodies := make(map[[16]byte]bool) // has a cookie that is asked for
	asked := make(map[uint64][]control.Query, len(queries))
	for _, q := range queries {
		asked[q.Cookie] = append(asked[q.Cookie], q)
	}
	for _, k := range s.order() {
		u := s.Units[k]
		has, known := bodies[u.Body.Hash]
		if !known {
			var err error
			if has, err = hasCookie(u.Body, asked); err != nil {
				return nil, err
			}
			bodies[u.Body.Hash] = has
		}
		if !has {
			continue
		}
		m := &proto.Unit{}
		if err := gproto.Unmarshal(u.Value, m); err != nil {
			return nil, fmt.Errorf("unit of %s: %w", k.Object, err)
		}
		list, err := s.origins(k, u, m, func(f *proto.Flow) bool {
			return slices.ContainsFunc(asked[f.Cookie], func(q control.Query) bool { return q.Matches(f.Cookie, m.Datapath) })
		})
		if err != nil {
			return nil, err
		}
		out.Origins = append(out.Origins, list...)
	}
	return out, nil
}

// hasCookie reports whether a body has one of the cookies.
func hasCookie(b *translate.Body, asked map[uint64][]control.Query) (bool, error) {
	m := &proto.Body{}
	if err := gproto.Unmarshal(b.Bytes, m); err != nil {
		return false, fmt.Errorf("body %x: %w", b.Hash, err)
	}
	return slices.ContainsFunc(m.Flows, func(f *proto.Flow) bool { return asked[f.Cookie] != nil }), nil
}

// order is the units in the order of their datapaths' names.
func (s *Source) order() []compile.UnitKey {
	names := make(map[ovsdb.UUID]string)
	keys := make([]compile.UnitKey, 0, len(s.Units))
	for k := range s.Units {
		keys = append(keys, k)
		if _, ok := names[k.Switch]; !ok {
			names[k.Switch] = s.datapath(k.Switch, 0).Name
		}
	}
	slices.SortFunc(keys, func(a, b compile.UnitKey) int {
		return cmp.Or(strings.Compare(names[a.Switch], names[b.Switch]), bytes.Compare(a.Switch[:], b.Switch[:]),
			bytes.Compare(a.Object[:], b.Object[:]), cmp.Compare(a.Part, b.Part), bytes.Compare(a.Via[:], b.Via[:]))
	})
	return keys
}

// origins are the logical flows of a unit with those of their flows that want
// says.
func (s *Source) origins(k compile.UnitKey, u *compile.Unit, m *proto.Unit, want func(*proto.Flow) bool) ([]control.Origin, error) {
	body := &proto.Body{}
	if err := gproto.Unmarshal(u.Body.Bytes, body); err != nil {
		return nil, fmt.Errorf("body %x: %w", u.Body.Hash, err)
	}
	logic, err := u.Logic()
	if err != nil {
		return nil, fmt.Errorf("logic of %s: %w", k.Object, err)
	}
	byID := make(map[uint32]*pipeline.Flow, len(logic))
	for i := range logic {
		byID[translate.FlowID(&logic[i])] = &logic[i]
	}
	at := make(map[uint32]int) // flow id to its origin
	var out []control.Origin
	for _, f := range body.Flows {
		if !want(f) {
			continue
		}
		id := abi.CookieFlowID(f.Cookie)
		i, ok := at[id]
		if !ok {
			i = len(out)
			at[id] = i
			out = append(out, s.origin(k, u, m, f, byID[id]))
		}
		one := s.flow(f, m.Datapath)
		if out[i].Logical == nil && len(out[i].Flows) == 0 {
			out[i].Purpose = Lookup(&one)
		}
		out[i].Flows = append(out[i].Flows, one)
		out[i].Groups = append(out[i].Groups, groupsOf(f, u.Body)...)
	}
	slices.SortStableFunc(out, func(a, b control.Origin) int { return cmp.Compare(a.Stage.ID, b.Stage.ID) })
	return out, nil
}

func (s *Source) origin(k compile.UnitKey, u *compile.Unit, m *proto.Unit, f *proto.Flow, logical *pipeline.Flow) control.Origin {
	o := control.Origin{
		Maker: control.Northd, Datapath: s.datapath(k.Switch, m.Datapath), Stage: Stage(f.Stage), Scope: s.scope(k, u.Scope),
	}
	for _, obj := range m.Objects {
		o.Objects = append(o.Objects, Object(obj))
	}
	if logical != nil {
		o.Logical = &control.LogicalFlow{Priority: logical.Priority, Match: logical.Match.String(), Actions: logical.Actions.String()}
	}
	return o
}

// lookups are the tables that actions of the pipeline look into.
var lookups = map[uint8]string{
	abi.TableInPortSec:   "check_in_port_sec(): what the port may send",
	abi.TableInPortSecND: "check_in_port_sec(): what its ARP and ND may say",
	abi.TableOutPortSec:  "check_out_port_sec(): what the port may receive",
}

// verdicts are the answers of port security, by their actions.
var verdicts = map[string]string{
	portSecVerdict(0): allows, portSecVerdict(1): refuses,
}

const (
	allows  = "allows"
	refuses = "REFUSES"
)

// Refuses reports whether a flow is one of port security that says no.
func Refuses(f *control.Flow) bool { return lookups[f.Table] != "" && verdicts[f.Actions] == refuses }

func portSecVerdict(v uint64) string {
	return openflow.FormatActions([]openflow.Action{
		openflow.SetBits(openflow.FieldReg(abi.RegFlags), abi.FlagPortSec, abi.FlagPortSec, v)})
}

// Lookup says what a flow is for that no logical flow stands for, because it is
// in a table that an action of the pipeline looks into; "" where it is not.
func Lookup(f *control.Flow) string {
	text, ok := lookups[f.Table]
	if !ok {
		return ""
	}
	text = fmt.Sprintf("priority=%d of %s", f.Priority, text)
	if v, ok := verdicts[f.Actions]; ok {
		text += ": " + v
	}
	return text
}

// Stage is a stage by the number that flows carry.
func Stage(id uint32) *control.Stage {
	st, err := pipeline.StageByID(id)
	if err != nil {
		return &control.Stage{ID: id}
	}
	return &control.Stage{ID: id, Name: st.Name, Pipeline: st.Direction.String(), Table: st.Table}
}

// scope says in words where a unit is sent.
func (s *Source) scope(k compile.UnitKey, sc compile.Scope) string {
	if sc.Port != 0 {
		row := s.Snapshot.Row(s.Columns.LSP.Table, k.Object)
		name := fmt.Sprint(sc.Port)
		if row != nil {
			name = nameOf(row)
		}
		at := "none now"
		if c := s.chassisOf(k.Object); c != "" {
			at = "now " + c
		}
		return fmt.Sprintf("the chassis where port %q is bound (%s)", name, at)
	}
	text := fmt.Sprintf("every chassis with %s %q", s.kindOf(k.Switch), s.datapath(k.Switch, sc.Datapath).Name)
	if s.Holders != nil {
		if holders := s.Holders(sc.Datapath); len(holders) > 0 {
			text += " (now " + strings.Join(holders, ", ") + ")"
		} else {
			text += " (none now)"
		}
	}
	return text
}

// flow is a flow of a body in a datapath.
func (s *Source) flow(f *proto.Flow, datapath uint32) control.Flow {
	match, actions := slices.Clone(f.Match), slices.Clone(f.Actions)
	for _, r := range f.Relocations {
		at := match
		if r.Where == proto.Relocation_WHERE_ACTIONS {
			at = actions
		}
		if r.Symbol == proto.Relocation_SYMBOL_DATAPATH && uint64(r.Offset)+8 <= uint64(len(at)) {
			binary.BigEndian.PutUint64(at[r.Offset:], uint64(datapath))
		}
	}
	out := control.Flow{
		Cookie: fmt.Sprintf("%#x", f.Cookie), Table: uint8(f.Table), Priority: uint16(f.Priority),
		Match: openflow.MatchText(match), Actions: openflow.ActionsText(actions),
	}
	var guard []string
	for _, l := range f.Guard {
		is := "is"
		if l.Negated {
			is = "is not"
		}
		port := fmt.Sprintf("port %d of datapath %d", l.Port, l.Datapath)
		if name := s.portName(l.Datapath, l.Port); name != "" {
			port = fmt.Sprintf("port %q", name)
		}
		guard = append(guard, port+" "+is+" here")
	}
	out.Guard = strings.Join(guard, " and ")
	return out
}

// why says why a selector has no flows.
func (s *Source) why(sel control.Selector) error {
	t := s.Schemas.NB.Tables[sel.Table]
	if t == nil {
		return fmt.Errorf("%q: %w: the northbound database has no table %q", sel, ErrNoObject, sel.Table)
	}
	for row := range s.Snapshot.Rows(t) {
		o := control.Object{Table: t.Name, Name: nameOf(row), UUID: row.UUID().String()}
		if !sel.Matches(o) {
			continue
		}
		for _, p := range s.Lint().Problems {
			if p.UUID == o.UUID && p.Effect == control.LeftOut {
				return fmt.Errorf("%s %w: %s", o, ErrNoFlows, p)
			}
		}
		return fmt.Errorf("%s %w", o, ErrNoFlows)
	}
	return fmt.Errorf("%q: %w", sel, ErrNoObject)
}
