package logical

import (
	"fmt"
	"strings"
)

// FieldKind is what a field holds.
type FieldKind uint8

const (
	Numeric  FieldKind = iota // an integer of Field.Bits bits
	String                    // the name of a logical port or multicast group
	Resident                  // the function is_chassis_resident("port"): true or false
)

// Level says how a field may be compared (ovn-sb(5), "Level of Measurement").
type Level uint8

const (
	Ordinal Level = iota // any bit can be tested, so that every operator and bit ranges work
	Nominal              // equality only, and not negated
	Boolean              // predicates that can be negated
)

// Write says where a field may be assigned.
type Write uint8

const (
	ReadOnly        Write = iota
	Writable              // anywhere
	WritableCommit        // inside of ct_commit { } only
	WritableInICMP4       // inside of icmp4_error { } only
	WritableInICMP6       // inside of icmp6_error { } only
)

// Field is a symbol or a bit range of one. Fields are immutable; two are the
// same if their names are equal.
type Field struct {
	Name  string
	Bits  int // width; 0 for strings
	Kind  FieldKind
	Level Level
	Write Write

	// Prereq is the expression that a use of the field implies, "" if none.
	// Those of Parent are implied as well.
	Prereq string
	// Predicate is the expression that the symbol stands for, "" for a field.
	Predicate string

	// Parent and Low are set for a bit range: bits Low to Low+Bits-1 of
	// Parent.
	Parent *Field
	Low    int
	// Parts is set for a register that overlays narrower ones, all equally
	// wide, the most significant first.
	Parts []*Field

	order     int // place in the order of terms
	prereq    *Expr
	predicate *Expr
}

// String is the name.
func (f *Field) String() string { return f.Name }

// Writable reports whether an action outside of any nest may assign f.
func (f *Field) Writable() bool { return f.Write == Writable }

// Root resolves bit ranges: f is f.Bits bits of root from bit low. The root
// may be an overlay ([Field.Parts]).
func (f *Field) Root() (root *Field, low int) {
	root = f
	for root.Parent != nil {
		low += root.Low
		root = root.Parent
	}
	return root, low
}

// bitRange is the bits lo to hi of f, as a field of its own.
func (f *Field) bitRange(lo, hi int) *Field {
	name := fmt.Sprintf("%s[%d..%d]", f.Name, lo, hi)
	if lo == hi {
		name = fmt.Sprintf("%s[%d]", f.Name, lo)
	}
	return &Field{Name: name, Bits: hi - lo + 1, Level: f.Level, Write: f.Write, Parent: f, Low: lo}
}

// flag reports whether f is one bit of a register, which OVN's own flows compare
// ("reg0[15] == 1") where they mention other bits ("eth.src[40]").
func (f *Field) flag() bool {
	return f.Bits == 1 && f.Parent != nil && strings.HasSuffix(f.Name, "]") && strings.HasPrefix(strings.TrimLeft(f.Name, "x"), "reg")
}

// residentField is the field of terms that come from is_chassis_resident. It
// is no symbol.
var residentField = &Field{Name: "is_chassis_resident", Bits: 1, Kind: Resident, Level: Boolean, order: -1}
