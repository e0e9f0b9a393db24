package logical

import (
	"fmt"
	"slices"
	"sync"
)

func (a *Next) bind([]Value) Action     { return a }
func (a *Output) bind([]Value) Action   { return a }
func (a *Drop) bind([]Value) Action     { return a }
func (a *DecTTL) bind([]Value) Action   { return a }
func (a *Move) bind([]Value) Action     { return a }
func (a *Exchange) bind([]Value) Action { return a }
func (a *Push) bind([]Value) Action     { return a }
func (a *Pop) bind([]Value) Action      { return a }

func (a *Set) bind(v []Value) Action {
	if a.Value.Form != FormHole {
		return a
	}
	return &Set{a.Field, a.Value.bind(v)}
}

func (a *Nest) bind(v []Value) Action { return &Nest{a.Kind, bindActions(a.Actions, v)} }

func (a *Call) bind(v []Value) Action {
	b := *a
	b.Args = slices.Clone(a.Args)
	for i := range b.Args {
		if b.Args[i].Field == nil {
			b.Args[i].Const = b.Args[i].Const.bind(v)
		}
	}
	return &b
}

func (a *CTLB) bind(v []Value) Action {
	b := *a
	b.Backends = slices.Clone(a.Backends)
	for i := range b.Backends {
		k := &b.Backends[i]
		k.IP = k.IP.bind(v)
		if k.Port != nil {
			port := k.Port.bind(v)
			k.Port = &port
		}
	}
	return &b
}

func (a *Options) bind(v []Value) Action {
	b := *a
	b.Options = slices.Clone(a.Options)
	for i := range b.Options {
		b.Options[i].Values = bindConstants(b.Options[i].Values, v)
	}
	return &b
}

func bindActions(acts []Action, v []Value) []Action {
	if acts == nil {
		return nil
	}
	out := make([]Action, len(acts))
	for i, a := range acts {
		out[i] = a.bind(v)
	}
	return out
}

// ActionTemplate is an action list with holes: `outport = {port}; output;`.
type ActionTemplate struct {
	text    string
	key     [16]byte
	actions []Action
	holes   []string
	uses    []holeUse
	prereqs []Conj
}

// Actions is a template with its holes filled. The zero Actions drops.
type Actions struct {
	t    *ActionTemplate
	vals []Value
}

// MustActions reads a template; it panics on an error.
func MustActions(text string, st *Symtab) *ActionTemplate {
	t, err := ParseActionTemplate(text, st)
	if err != nil {
		panic("logical: action template: " + caret(err))
	}
	return t
}

// ParseActionTemplate is MustActions with the error, an [*Error].
func ParseActionTemplate(text string, st *Symtab) (*ActionTemplate, error) {
	p := newParser(text, st, true)
	acts := p.actions(false)
	if p.l.err != nil {
		return nil, p.l.err
	}
	return &ActionTemplate{text: text, key: keyOf("actions", text), actions: acts, holes: p.holes, uses: p.uses,
		prereqs: Prerequisites(acts)}, nil
}

// LiteralActions makes Actions of a list, such as a user's.
func LiteralActions(acts []Action) Actions {
	text := FormatActions(acts)
	return Actions{t: &ActionTemplate{text: text, key: keyOf("actions", text), actions: acts, prereqs: Prerequisites(acts)}}
}

// Text is the template as it was written.
func (t *ActionTemplate) Text() string { return t.text }

// Holes are the names of the holes in the order of their first mention.
func (t *ActionTemplate) Holes() []string { return slices.Clone(t.holes) }

// Prerequisites is what a packet must fulfil for the actions to apply, see
// [Prerequisites]. It does not depend on the arguments.
func (t *ActionTemplate) Prerequisites() []Conj { return t.prereqs }

// Bind fills the holes, see [MatchTemplate.Bind].
func (t *ActionTemplate) Bind(args ...Arg) (Actions, error) {
	return t.bind(args, true)
}

// BindSome is Bind that ignores arguments without a hole, see
// [MatchTemplate.BindSome].
func (t *ActionTemplate) BindSome(args ...Arg) (Actions, error) { return t.bind(args, false) }

func (t *ActionTemplate) bind(args []Arg, all bool) (Actions, error) {
	vals, err := bindArgs(t.holes, t.uses, args, all)
	if err != nil {
		return Actions{}, fmt.Errorf("actions %q: %w", t.text, err)
	}
	return Actions{t, vals}, nil
}

// MustBind is Bind for arguments that are known to fit.
func (t *ActionTemplate) MustBind(args ...Arg) Actions {
	a, err := t.Bind(args...)
	if err != nil {
		panic("logical: " + err.Error())
	}
	return a
}

// Actions is the list. The caller must not change it.
func (a Actions) Actions() []Action {
	switch {
	case a.t == nil:
		return nil
	case len(a.vals) == 0:
		return a.t.actions
	}
	return bindActions(a.t.actions, a.vals)
}

// Prerequisites is that of the template.
func (a Actions) Prerequisites() []Conj {
	if a.t == nil {
		return []Conj{{}}
	}
	return a.t.prereqs
}

// String is the text that stock programs read; "drop;" for an empty list.
func (a Actions) String() string {
	if s := FormatActions(a.Actions()); s != "" {
		return s
	}
	return "drop;"
}

// AppendKey appends bytes that are equal for equal actions only, see
// [Match.AppendKey].
func (a Actions) AppendKey(b []byte) []byte {
	if a.t == nil {
		return append(b, make([]byte, 16)...)
	}
	b = append(b, a.t.key[:]...)
	for i := range a.vals {
		b = a.vals[i].appendKey(b)
	}
	return b
}

// Prerequisites is the normal form of what the actions imply for the match of
// their flow: ip.ttl-- that it is an IP packet. What stands inside of nested
// actions implies nothing. One empty conjunction: nothing is implied. Empty:
// they contradict each other.
func Prerequisites(acts []Action) []Conj {
	out := []Conj{{}}
	and := func(more []Conj) {
		if joined, err := And(out, more); err == nil {
			out = joined
		}
	}
	fields := func(list ...*Field) {
		for _, f := range list {
			for ; f != nil; f = f.Parent {
				if f.prereq != nil {
					and(prerequisite(f.Prereq))
				}
			}
		}
	}
	for _, a := range acts {
		switch a := a.(type) {
		case *Set:
			fields(a.Field)
		case *Move:
			fields(a.Dst, a.Src)
		case *Exchange:
			fields(a.A, a.B)
		case *Push:
			fields(a.Field)
		case *Pop:
			fields(a.Field)
		case *DecTTL:
			and(prerequisite("ip"))
		case *Nest:
			and(prerequisite(nests[a.Kind].prereq))
		case *CTLB:
			and(prerequisite("ip"))
		case *Options:
			and(prerequisite(options[a.Func].prereq))
			fields(a.Result)
		case *Call:
			and(prerequisite(functions[a.Func].prereq))
			fields(a.Result)
			for i := range a.Args {
				fields(a.Args[i].Field)
			}
		}
	}
	return out
}

// prerequisite is the normal form of one of the few texts in the tables.
func prerequisite(text string) []Conj {
	if text == "" {
		return []Conj{{}}
	}
	if c, ok := prerequisites.Load(text); ok {
		return c.([]Conj)
	}
	c, err := Default().mustParse(text).Normalize(nil)
	if err != nil {
		panic(fmt.Sprintf("logical: prerequisite %q: %v", text, err))
	}
	prerequisites.Store(text, c)
	return c
}

var prerequisites sync.Map // text -> []Conj
