package ovsdb

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// AtomicType is the type of an atom (RFC 7047, section 3.2, <atomic-type>).
type AtomicType uint8

// The atomic types. TypeVoid stands for "no value" where a column is no map.
// The numbers are part of hashes and of the log format.
const (
	TypeVoid AtomicType = iota
	TypeInteger
	TypeReal
	TypeBoolean
	TypeString
	TypeUUID
)

var atomicTypeNames = [...]string{"void", "integer", "real", "boolean", "string", "uuid"}

func (t AtomicType) String() string { return atomicTypeNames[t] }

// defaultAtom is what RFC 7047 section 5.2.1 gives an omitted column.
func (t AtomicType) defaultAtom() Atom {
	switch t {
	case TypeInteger:
		return int64(0)
	case TypeReal:
		return float64(0)
	case TypeBoolean:
		return false
	case TypeString:
		return ""
	case TypeUUID:
		return UUID{}
	}
	panic("ovsdb: the void type has no default")
}

// Unlimited is the Max of a column with "unlimited" elements.
const Unlimited = math.MaxInt

// RefType says what a column of row references promises.
type RefType uint8

const (
	// RefNone is a plain value.
	RefNone RefType = iota
	// RefStrong is a reference whose target must exist at commit.
	RefStrong
	// RefWeak is a reference that vanishes together with its target.
	RefWeak
)

// BaseType is an atomic type with its constraints (RFC 7047, <base-type>).
type BaseType struct {
	Type AtomicType
	// Enum, if not empty, lists all values that are allowed.
	Enum Set
	// MinInteger and MaxInteger bound integers, both included.
	MinInteger, MaxInteger int64
	// MinReal and MaxReal bound reals, both included.
	MinReal, MaxReal float64
	// MinLength and MaxLength bound strings, in characters.
	MinLength, MaxLength int
	// RefTable is the table that a UUID refers to, or "".
	RefTable string
	// Target is the schema of RefTable.
	Target *TableSchema
	// Ref is how it refers.
	Ref RefType
}

// NewBaseType returns the type t without constraints.
func NewBaseType(t AtomicType) BaseType {
	return BaseType{
		Type: t, MinInteger: math.MinInt64, MaxInteger: math.MaxInt64,
		MinReal: -math.MaxFloat64, MaxReal: math.MaxFloat64, MaxLength: Unlimited,
	}
}

// ColumnType is the type of a column (RFC 7047, <type>).
type ColumnType struct {
	Key BaseType
	// Value is of TypeVoid unless the column is a map.
	Value BaseType
	// Min is 0 or 1, Max at least 1.
	Min, Max int
}

// IsMap tells whether values are Maps.
func (t *ColumnType) IsMap() bool { return t.Value.Type != TypeVoid }

// IsScalar tells whether values are Atoms: exactly one, and no map.
func (t *ColumnType) IsScalar() bool { return t.Min == 1 && t.Max == 1 && !t.IsMap() }

// IsSet tells whether values are Sets.
func (t *ColumnType) IsSet() bool { return !t.IsMap() && !t.IsScalar() }

// IsOptional tells whether values are Sets of at most one element.
func (t *ColumnType) IsOptional() bool { return t.IsSet() && t.Min == 0 && t.Max == 1 }

// Default is the value of a column that an insert leaves out: empty where the
// column may be, otherwise one element of zeros.
func (t *ColumnType) Default() Value {
	switch {
	case t.IsScalar():
		return t.Key.Type.defaultAtom()
	case t.IsMap():
		if t.Min == 0 {
			return Map{}
		}
		return NewMap(Pair{t.Key.Type.defaultAtom(), t.Value.Type.defaultAtom()})
	case t.Min == 0:
		return Set{}
	}
	return NewSet(t.Key.Type.defaultAtom())
}

// check verifies the constraints on one atom.
func (b *BaseType) check(a Atom) error {
	if typeOfAtom(a) != b.Type {
		return &Error{Kind: ErrSyntax, Details: fmt.Sprintf("expected %s", b.Type)}
	}
	if b.Enum.Len() > 0 {
		if b.Enum.Has(a) {
			return nil
		}
		allowed := ""
		for e := range b.Enum.All() {
			if allowed != "" {
				allowed += ", "
			}
			allowed += atomText(e)
		}
		return constraintf("%s is not one of the allowed values ([%s])", atomText(a), allowed)
	}
	switch x := a.(type) {
	case int64:
		if x < b.MinInteger || x > b.MaxInteger {
			switch {
			case b.MinInteger == math.MinInt64:
				return constraintf("%d is greater than maximum allowed value %d", x, b.MaxInteger)
			case b.MaxInteger == math.MaxInt64:
				return constraintf("%d is less than minimum allowed value %d", x, b.MinInteger)
			}
			return constraintf("%d is not in the valid range %d to %d (inclusive)", x, b.MinInteger, b.MaxInteger)
		}
	case float64:
		if x < b.MinReal || x > b.MaxReal {
			switch {
			case b.MinReal == -math.MaxFloat64:
				return constraintf("%g is greater than maximum allowed value %g", x, b.MaxReal)
			case b.MaxReal == math.MaxFloat64:
				return constraintf("%g is less than minimum allowed value %g", x, b.MinReal)
			}
			return constraintf("%g is not in the valid range %g to %g (inclusive)", x, b.MinReal, b.MaxReal)
		}
	case string:
		if b.MinLength == 0 && b.MaxLength == Unlimited {
			return nil
		}
		if n := utf8.RuneCountInString(x); n < b.MinLength {
			return constraintf("%q length %d is less than minimum allowed length %d", x, n, b.MinLength)
		} else if n > b.MaxLength {
			return constraintf("%q length %d is greater than maximum allowed length %d", x, n, b.MaxLength)
		}
	}
	return nil
}

// atomText prints an atom as OVSDB tools print it on a command line: strings in
// quotes unless they can be taken for nothing else.
func atomText(a Atom) string {
	s, ok := a.(string)
	if !ok {
		return string(appendScalar(nil, a))
	}
	plain := s != "" && s != "true" && s != "false" && (s[0] < '0' || s[0] > '9')
	for i := 0; plain && i < len(s); i++ {
		c := s[i]
		plain = c == '_' || c == '-' && i > 0 || c == '.' && i > 0 || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	if _, err := ParseUUID(s); plain && err != nil {
		return s
	}
	return string(appendString(nil, s))
}
