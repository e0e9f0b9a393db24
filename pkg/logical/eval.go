package logical

import "fmt"

// Packet is what an expression is evaluated on. Its methods are asked about
// root fields only, those without [Field.Parent] and [Field.Parts].
type Packet interface {
	Number(f *Field) U128      // of a Numeric field
	Port(f *Field) string      // of a String field
	Resident(port string) bool // is_chassis_resident
}

// Resolver gives the contents of sets. A nil Resolver knows none. An unknown
// name is an error that wraps [ErrUnknownSet]. Elements of an address set that
// [ParseConstant] does not read are left out, as OVN does; one that is too
// wide for the field that it is compared with is an error.
type Resolver interface {
	AddressSet(name string) ([]string, error)
	PortGroup(name string) ([]string, error)
}

// Eval reports whether e holds for a packet. The error comes from resolving
// sets.
func (e *Expr) Eval(p Packet, r Resolver) (bool, error) { return e.eval(p, r, false) }

func (e *Expr) eval(p Packet, r Resolver, neg bool) (bool, error) {
	switch e.Op {
	case OpFalse, OpTrue:
		return (e.Op == OpTrue) != neg, nil
	case OpNot:
		return e.Args[0].eval(p, r, !neg)
	case OpAnd, OpOr:
		all := (e.Op == OpAnd) != neg
		for _, a := range e.Args {
			if ok, err := a.eval(p, r, neg); err != nil || ok != all {
				return ok, err
			}
		}
		return all, nil
	case OpResident:
		return p.Resident(e.Values[0].Text) != neg, nil
	}
	values, err := e.resolve(r)
	if err != nil {
		return false, err
	}
	rel := e.Rel
	if neg {
		rel = rel.negate()
	}
	if len(values) == 0 {
		return rel == NotEqual, nil
	}
	f := e.Field
	if f.predicate != nil {
		// A predicate with its prerequisites is negated as a whole.
		holds, err := f.predicate.eval(p, r, false)
		if err != nil {
			return false, err
		}
		found := false
		for i := range values {
			found = found || (values[i].Value == one.Value) == holds
		}
		return found == (rel == Equal), nil
	}
	if !compareValue(f, rel, values, p) {
		return false, nil
	}
	for ; f != nil; f = f.Parent {
		if f.prereq != nil {
			if ok, err := f.prereq.eval(p, r, false); !ok || err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// compareValue compares without regard to prerequisites.
func compareValue(f *Field, rel Relation, values []Constant, p Packet) bool {
	if f.Kind == String {
		port, found := p.Port(f), false
		for i := range values {
			found = found || values[i].Text == port
		}
		return found == (rel == Equal)
	}
	v := f.extract(p)
	if rel >= Less {
		c := v.Cmp(values[0].Value)
		switch rel {
		case Less:
			return c < 0
		case LessEqual:
			return c <= 0
		case Greater:
			return c > 0
		}
		return c >= 0
	}
	found := false
	for i := range values {
		mask := Ones(f.Bits)
		if values[i].Masked {
			mask = values[i].Mask
		}
		found = found || v.And(mask) == values[i].Value
	}
	return found == (rel == Equal)
}

// extract is the value of f, a bit range or overlay perhaps, in a packet.
func (f *Field) extract(p Packet) U128 {
	root, low := f.Root()
	var v U128
	if root.Parts == nil {
		v = p.Number(root)
	} else {
		for _, part := range root.Parts {
			v = v.Shl(part.Bits).Or(p.Number(part))
		}
	}
	return v.Shr(low).And(Ones(f.Bits))
}

// resolve is the values of a comparison with sets replaced by their contents.
func (e *Expr) resolve(r Resolver) ([]Constant, error) {
	plain := true
	for i := range e.Values {
		plain = plain && !e.Values[i].Reference()
	}
	if plain {
		return e.Values, nil
	}
	var out []Constant
	for i := range e.Values {
		c := &e.Values[i]
		if !c.Reference() {
			out = append(out, *c)
			continue
		}
		list, err := members(r, c)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			m := Constant{Form: FormString, Text: s}
			if c.Form == FormAddrs {
				if m, err = ParseConstant(s); err != nil {
					continue
				}
				if msg := checkConstant(e.Field, &m); msg != "" {
					return nil, fmt.Errorf("address set %q: element %q: %s", c.Text, s, msg)
				}
			}
			out = append(out, m)
		}
	}
	return out, nil
}

func members(r Resolver, c *Constant) (list []string, err error) {
	kind := "address set"
	if c.Form == FormPorts {
		kind = "port group"
	}
	switch {
	case r == nil:
		err = ErrUnknownSet
	case c.Form == FormAddrs:
		list, err = r.AddressSet(c.Text)
	default:
		list, err = r.PortGroup(c.Text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", kind, c.Text, err)
	}
	return list, nil
}
