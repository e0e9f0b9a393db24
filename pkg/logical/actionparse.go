package logical

import "slices"

// maxTable is the highest logical table that next may name.
const maxTable = 63

// ParseActions reads an action list. Empty text is an empty list, which drops
// the packet. The error is an [*Error].
func ParseActions(text string, st *Symtab) ([]Action, error) {
	p := newParser(text, st, false)
	acts := p.actions(false)
	if p.l.err != nil {
		return nil, p.l.err
	}
	return acts, nil
}

// actions reads up to the end of the text or, if nested, the closing brace.
func (p *parser) actions(nested bool) []Action {
	var acts []Action
	first := p.peek()
	for p.l.err == nil {
		t := p.peek()
		if nested && p.accept("}") {
			break
		}
		if t.kind == tokEnd {
			if nested {
				p.fail(t, "expecting `}'")
			}
			break
		}
		a := p.action()
		p.expect(";")
		acts = append(acts, a)
	}
	if len(acts) > 1 && slices.ContainsFunc(acts, func(a Action) bool { _, ok := a.(*Drop); return ok }) {
		p.failSpan(first, "drop must be the only action")
	}
	return acts
}

func (p *parser) action() Action {
	t := p.peek()
	if t.kind != tokID {
		p.fail(t, "expecting an action, found %s", t.describe())
		return &Drop{}
	}
	if _, ok := nests[NestKind(t.text)]; ok {
		return p.nest(p.take())
	}
	if sig, ok := functions[Func(t.text)]; ok {
		p.take()
		return p.call(t, sig, nil)
	}
	if spec, ok := options[Func(t.text)]; ok {
		p.take()
		return p.options(t, spec, nil)
	}
	switch t.text {
	case "next":
		p.take()
		return p.next()
	case "output":
		p.take()
		return &Output{}
	case "drop":
		p.take()
		return &Drop{}
	case "push", "pop":
		p.take()
		p.expect("(")
		f := p.readable()
		if t.text == "pop" {
			p.assignable(t, f)
		}
		p.expect(")")
		if t.text == "push" {
			return &Push{f}
		}
		return &Pop{f}
	case string(CTLBDefault), string(CTLBMark), string(CTLBMarkLocal):
		p.take()
		return p.ctLB(Func(t.text))
	}
	if p.st.Lookup(t.text) == nil {
		p.fail(t, "no action or field %q", t.text)
		return &Drop{}
	}
	return p.assignment(t)
}

func (p *parser) nest(t *token) Action {
	kind := NestKind(t.text)
	if !p.enter(t) {
		return &Drop{}
	}
	defer p.leave()
	scope := p.scope
	p.scope = nests[kind].scope
	defer func() { p.scope = scope }()
	p.expect("{")
	acts := p.actions(true)
	if kind == CTCommit {
		for _, a := range acts {
			switch a.(type) {
			case *Set, *Move, *Drop:
			default:
				p.failSpan(t, "ct_commit takes only assignments")
			}
		}
	}
	return &Nest{kind, acts}
}

func (p *parser) next() Action {
	n := &Next{Table: -1}
	if !p.accept("(") {
		return n
	}
	for {
		t := p.peek()
		switch {
		case p.acceptID("pipeline"):
			p.expect("=")
			v := p.peek()
			switch {
			case p.acceptID("ingress"):
				n.Pipeline = Ingress
			case p.acceptID("egress"):
				n.Pipeline = Egress
			default:
				p.fail(v, "expecting ingress or egress, found %s", v.describe())
			}
		case p.acceptID("table"):
			p.expect("=")
			n.Table = int(p.number(maxTable))
		case t.kind == tokNumber:
			n.Table = int(p.number(maxTable))
		default:
			p.fail(t, "expecting a table or pipeline, found %s", t.describe())
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return n
}

// number reads a decimal number of at most limit.
func (p *parser) number(limit uint64) uint64 {
	t := p.take()
	if t.kind != tokNumber || t.c.Masked || t.c.Form > FormHex {
		p.fail(t, "expecting a number, found %s", t.describe())
		return 0
	}
	if t.c.Value.Cmp(U64(limit)) > 0 {
		p.fail(t, "%s is larger than %d", &t.c, limit)
		return 0
	}
	return t.c.Value.Lo
}

// dummy stands for a field behind an error.
var dummy = &Field{Name: "none", Bits: 1}

func (p *parser) readable() *Field {
	t := p.peek()
	f := p.field()
	switch {
	case f == nil:
		return dummy
	case f.Predicate != "":
		p.failSpan(t, "predicate %s cannot be used as a field", f.Name)
	case f.Write == WritableInICMP4 || f.Write == WritableInICMP6:
		if p.scope != f.Write {
			p.failSpan(t, "field %s cannot be used here", f.Name)
		}
	}
	return f
}

// assignable checks that f, which starts at t, may be written.
func (p *parser) assignable(t *token, f *Field) {
	switch {
	case p.l.err != nil:
	case f.Predicate != "":
		p.failSpan(t, "predicate %s cannot be assigned", f.Name)
	case f.Write == ReadOnly:
		p.failSpan(t, "field %s is read-only", f.Name)
	case f.Write != p.scope && (f.Write != Writable || p.scope == WritableCommit):
		p.failSpan(t, "field %s cannot be assigned here", f.Name)
	}
}

func (p *parser) assignment(t *token) Action {
	dst := p.field()
	if dst == nil {
		return &Drop{}
	}
	op := p.peek()
	if op.is("=") || op.is("<->") {
		p.assignable(t, dst)
	}
	switch {
	case p.accept("="):
	case p.accept("<->"):
		st := p.peek()
		src := p.readable()
		p.assignable(st, src)
		p.sameType(t, dst, src)
		return &Exchange{dst, src}
	case p.accept("--"):
		if dst.Name != "ip.ttl" {
			p.failSpan(t, "only ip.ttl can be decremented")
		}
		return &DecTTL{}
	default:
		p.fail(op, "expecting `=', `<->' or `--' behind field %s, found %s", dst.Name, op.describe())
		return &Drop{}
	}
	v := p.peek()
	if v.kind != tokID {
		return p.set(t, dst)
	}
	if sig, ok := functions[Func(v.text)]; ok {
		p.take()
		return p.call(v, sig, dst)
	}
	if spec, ok := options[Func(v.text)]; ok {
		p.take()
		return p.options(v, spec, dst)
	}
	src := p.readable()
	p.sameType(t, dst, src)
	return &Move{dst, src}
}

func (p *parser) sameType(t *token, a, b *Field) {
	switch {
	case p.l.err != nil:
	case a.Kind != b.Kind:
		p.failSpan(t, "cannot combine string and integer fields %s and %s", a.Name, b.Name)
	case a.Bits != b.Bits:
		p.failSpan(t, "%d-bit field %s and %d-bit field %s differ in width", a.Bits, a.Name, b.Bits, b.Name)
	}
}

func (p *parser) set(t *token, dst *Field) Action {
	c := p.constant()
	if p.l.err != nil {
		return &Drop{}
	}
	switch msg := checkConstant(dst, &c); {
	case msg != "":
		p.failSpan(t, "%s", msg)
	case c.Reference():
		p.failSpan(t, "field %s cannot be set to a set", dst.Name)
	case c.Form == FormHole:
		p.uses = append(p.uses, holeUse{hole: c.hole, field: dst, one: true, exact: dst.Level != Ordinal && dst.Kind == Numeric})
	}
	return &Set{dst, c}
}

// result checks where the result of a function goes; dst is nil if nowhere.
func (p *parser) result(t *token, kind resultKind, dst *Field) {
	switch {
	case p.l.err != nil:
	case kind == noResult && dst != nil:
		p.fail(t, "%s has no result", t.text)
	case kind != noResult && dst == nil:
		p.fail(t, "the result of %s must be assigned to a field", t.text)
	case kind == bitResult && (dst.Kind != Numeric || dst.Bits != 1) && t.text != "check_in_port_sec" && t.text != "check_out_port_sec",
		kind == portResult && dst.Kind != String,
		kind != portResult && kind != noResult && dst.Kind != Numeric:
		p.fail(t, "the result of %s does not fit field %s", t.text, dst.Name)
	}
}

func (p *parser) call(t *token, sig signature, dst *Field) Action {
	c := &Call{Func: Func(t.text), Result: dst}
	p.result(t, sig.result, dst)
	switch {
	case sig.brackets, sig.min > 0:
		p.expect("(")
	case len(sig.args) == 0 || !p.accept("("):
		return c
	}
	for i, kind := range sig.args {
		if i > 0 {
			switch {
			case i >= sig.min && p.peek().is(")"):
				goto done
			case sig.nat && i == 2:
				p.expect("-")
			default:
				p.expect(",")
			}
		}
		c.Args = append(c.Args, p.operand(kind, sig.limit))
	}
done:
	p.expect(")")
	return c
}

func (p *parser) operand(kind argKind, limit uint64) Operand {
	t := p.peek()
	if kind <= argMAC {
		f := p.readable()
		bits := [...]int{0, 32, 128, 48}[kind]
		if p.l.err == nil && (f.Bits != bits || (f.Kind == String) != (kind == argPort)) {
			if kind == argPort {
				p.failSpan(t, "expecting a string field, %s is an integer", f.Name)
			} else {
				p.failSpan(t, "expecting a field of %d bits, %s has %d", bits, f.Name, f.Bits)
			}
		}
		return Operand{Field: f}
	}
	if t.kind == tokHole {
		c := p.constant()
		p.uses = append(p.uses, holeUse{hole: c.hole, field: holeFields[kind], exact: true, one: true})
		return Operand{Const: c}
	}
	switch kind {
	case argNumber:
		if limit == 0 {
			limit = 1<<32 - 1
		}
		p.number(limit)
	case argString:
		if p.take().kind != tokString {
			p.fail(t, "expecting a name in quotes, found %s", t.describe())
		}
	case argIP:
		if p.take().kind != tokNumber || t.c.Masked || t.c.Form != FormIPv4 && t.c.Form != FormIPv6 {
			p.fail(t, "expecting an address, found %s", t.describe())
		}
	}
	return Operand{Const: t.c}
}

// holeFields are what holes in arguments are checked against.
var holeFields = map[argKind]*Field{
	argNumber: {Name: "number", Bits: 32},
	argString: {Name: "string", Kind: String},
	argIP:     {Name: "address", Bits: 128},
}

func (p *parser) ctLB(name Func) Action {
	a := &CTLB{Func: name}
	if !p.accept("(") {
		return a
	}
	for first := true; p.l.err == nil && (first || p.accept(";")); first = false {
		t := p.peek()
		switch {
		case p.acceptID("backends"):
			p.expect("=")
			for {
				a.Backends = append(a.Backends, p.backend())
				if !p.accept(",") {
					break
				}
			}
		case p.acceptID("hash_fields"):
			p.expect("=")
			v := p.take()
			if v.kind != tokString {
				p.fail(v, "expecting fields in quotes, found %s", v.describe())
			}
			a.HashFields = v.c.Text
		case p.acceptID("skip_snat"), p.acceptID("force_snat"):
			a.Flag = t.text
		default:
			p.fail(t, "expecting backends, hash_fields, skip_snat or force_snat, found %s", t.describe())
		}
	}
	p.expect(")")
	return a
}

func (p *parser) backend() Backend {
	var b Backend
	brackets := p.accept("[")
	b.IP = p.operand(argIP, 0).Const
	if brackets {
		p.expect("]")
	}
	if (brackets || b.IP.Form != FormIPv6) && p.accept(":") {
		port := p.operand(argNumber, 65535).Const
		b.Port = &port
	}
	return b
}

func (p *parser) options(t *token, spec optionSpec, dst *Field) Action {
	o := &Options{Func: Func(t.text), Result: dst}
	p.result(t, spec.result, dst)
	p.expect("(")
	seen := map[string]bool{}
	for p.l.err == nil && !p.accept(")") {
		if len(o.Options) > 0 {
			p.expect(",")
		}
		o.Options = append(o.Options, p.option(spec))
		seen[o.Options[len(o.Options)-1].Name] = true
	}
	for _, name := range spec.must {
		if !seen[name] {
			p.failSpan(t, "%s needs the argument %q", t.text, name)
		}
	}
	switch {
	case !spec.weight:
	case len(o.Options) < 2:
		p.failSpan(t, "%s needs two values or more", t.text)
	case p.l.err == nil && dst.Bits < 16:
		p.fail(t, "the result of %s needs 16 bits, %s has %d", t.text, dst.Name, dst.Bits)
	}
	return o
}

func (p *parser) option(spec optionSpec) Option {
	if spec.weight {
		c := Constant{Value: U64(p.number(65535))}
		o := Option{Name: c.String()}
		if p.accept("=") {
			o.Values = []Constant{{Value: U64(p.number(65535))}}
		}
		return o
	}
	t := p.take()
	switch {
	case t.kind != tokID:
		p.fail(t, "expecting the name of an argument, found %s", t.describe())
	case spec.names != nil && !slices.Contains(spec.names, t.text):
		p.fail(t, "no argument %q here, only %q", t.text, spec.names)
	}
	o := Option{Name: t.text}
	if spec.words {
		return o
	}
	p.expect("=")
	switch {
	case o.Name == spec.list && o.Name != "":
		for {
			o.Values = append(o.Values, p.value())
			if !p.accept(",") {
				break
			}
		}
	case p.accept("{"):
		for p.l.err == nil {
			o.Values = append(o.Values, p.value())
			p.accept(",")
			if p.accept("}") {
				break
			}
		}
	default:
		o.Values = []Constant{p.value()}
	}
	return o
}

// value is a constant or a bare word.
func (p *parser) value() Constant {
	if t := p.peek(); t.kind == tokID {
		p.take()
		return Constant{Form: FormName, Text: t.text}
	}
	c := p.constant()
	if c.Form == FormHole {
		p.uses = append(p.uses, holeUse{hole: c.hole})
	}
	return c
}
