package logical

import "strconv"

// FormatActions is the text of actions: parsing it gives equal actions.
func FormatActions(acts []Action) string { return string(appendActions(nil, acts)) }

func appendActions(b []byte, acts []Action) []byte {
	for i, a := range acts {
		if i > 0 {
			b = append(b, ' ')
		}
		b = a.appendText(b)
	}
	return b
}

func (a *Next) appendText(b []byte) []byte {
	b = append(b, "next"...)
	switch {
	case a.Pipeline != SamePipeline:
		b = append(b, "(pipeline="...)
		b = append(b, a.Pipeline.String()...)
		if a.Table >= 0 {
			b = append(b, ",table="...)
			b = strconv.AppendInt(b, int64(a.Table), 10)
		}
		b = append(b, ')')
	case a.Table >= 0:
		b = append(b, '(')
		b = strconv.AppendInt(b, int64(a.Table), 10)
		b = append(b, ')')
	}
	return append(b, ';')
}

// String is "ingress" or "egress", or "" for the pipeline that executes.
func (p Pipeline) String() string { return [...]string{"", "ingress", "egress"}[p] }

func (a *Output) appendText(b []byte) []byte { return append(b, "output;"...) }
func (a *Drop) appendText(b []byte) []byte   { return append(b, "drop;"...) }
func (a *DecTTL) appendText(b []byte) []byte { return append(b, "ip.ttl--;"...) }

func (a *Set) appendText(b []byte) []byte {
	b = append(append(b, a.Field.Name...), " = "...)
	return append(a.Value.appendText(b), ';')
}

func (a *Move) appendText(b []byte) []byte {
	b = append(append(b, a.Dst.Name...), " = "...)
	return append(append(b, a.Src.Name...), ';')
}

func (a *Exchange) appendText(b []byte) []byte {
	b = append(append(b, a.A.Name...), " <-> "...)
	return append(append(b, a.B.Name...), ';')
}

func (a *Push) appendText(b []byte) []byte {
	return append(append(append(b, "push("...), a.Field.Name...), ");"...)
}

func (a *Pop) appendText(b []byte) []byte {
	return append(append(append(b, "pop("...), a.Field.Name...), ");"...)
}

func (a *Nest) appendText(b []byte) []byte {
	b = append(append(b, a.Kind...), " { "...)
	if len(a.Actions) > 0 {
		b = append(appendActions(b, a.Actions), ' ')
	}
	return append(b, "};"...)
}

// start appends the result and the name of a function.
func (f Func) start(b []byte, result *Field) []byte {
	if result != nil {
		b = append(append(b, result.Name...), " = "...)
	}
	return append(b, f...)
}

func (o *Operand) appendText(b []byte) []byte {
	if o.Field != nil {
		return append(b, o.Field.Name...)
	}
	return o.Const.appendText(b)
}

func (a *Call) appendText(b []byte) []byte {
	b = a.Func.start(b, a.Result)
	sig := functions[a.Func]
	if len(a.Args) == 0 && !sig.brackets {
		return append(b, ';')
	}
	b = append(b, '(')
	for i := range a.Args {
		switch {
		case i == 0:
		case sig.nat && i == 2: // the last port of a range
			b = append(b, '-')
		default:
			b = append(b, ", "...)
		}
		b = a.Args[i].appendText(b)
	}
	return append(b, ");"...)
}

func (a *CTLB) appendText(b []byte) []byte {
	b = append(b, a.Func...)
	if len(a.Backends) == 0 && a.HashFields == "" && a.Flag == "" {
		return append(b, ';')
	}
	b = append(b, '(')
	sep := ""
	if len(a.Backends) > 0 {
		b = append(b, "backends="...)
		for i := range a.Backends {
			if i > 0 {
				b = append(b, ',')
			}
			b = a.Backends[i].appendText(b)
		}
		sep = "; "
	}
	if a.HashFields != "" {
		b = append(append(b, sep...), "hash_fields="...)
		b = appendQuoted(b, a.HashFields)
		sep = "; "
	}
	if a.Flag != "" {
		b = append(append(b, sep...), a.Flag...)
	}
	return append(b, ");"...)
}

func (k *Backend) appendText(b []byte) []byte {
	if k.Port == nil {
		return k.IP.appendText(b)
	}
	if k.IP.Form == FormIPv6 {
		b = append(k.IP.appendText(append(b, '[')), ']')
	} else {
		b = k.IP.appendText(b)
	}
	return k.Port.appendText(append(b, ':'))
}

func (a *Options) appendText(b []byte) []byte {
	b = append(a.Func.start(b, a.Result), '(')
	spec := options[a.Func]
	for i := range a.Options {
		if i > 0 {
			b = append(b, ", "...)
		}
		o := &a.Options[i]
		b = append(b, o.Name...)
		if len(o.Values) == 0 {
			continue
		}
		if spec.tight {
			b = append(b, '=')
		} else {
			b = append(b, " = "...)
		}
		braces := len(o.Values) > 1 && o.Name != spec.list
		if braces {
			b = append(b, '{')
		}
		for j := range o.Values {
			if j > 0 {
				b = append(b, ", "...)
			}
			b = o.Values[j].appendText(b)
		}
		if braces {
			b = append(b, '}')
		}
	}
	return append(b, ");"...)
}
