package logical

import (
	"errors"
	"net/netip"
)

var errSkeleton = errors.New("not there yet")

// Symtab holds the symbols.
type Symtab struct{}

func Default() *Symtab                       { return &Symtab{} }
func (st *Symtab) Lookup(name string) *Field { return nil }

// Form is how a constant is written.
type Form uint8

type Constant struct {
	Form        Form
	Masked      bool
	Value, Mask U128
	Text        string
}

type Error struct {
	Pos, End int
	Msg      string
	Text     string
}

func (e *Error) Error() string { return e.Msg }
func (e *Error) Caret() string { return "" }

type Expr struct{}

func ParseMatch(text string, st *Symtab) (*Expr, error)      { return nil, errSkeleton }
func (e *Expr) String() string                               { return "" }
func (e *Expr) Normalize(r Resolver) ([]Conj, error)         { return nil, errSkeleton }
func ParseActions(text string, st *Symtab) ([]Action, error) { return nil, errSkeleton }
func FormatActions(acts []Action) string                     { return "" }
func Prerequisites(acts []Action) []Conj                     { return nil }
func And(a, b []Conj) ([]Conj, error)                        { return nil, errSkeleton }

type Conj []Term
type Term struct {
	Field       *Field
	Value, Mask [16]byte
	Str         string
}
type Resolver interface {
	AddressSet(name string) ([]string, error)
	PortGroup(name string) ([]string, error)
}
type MatchTemplate struct{}
type ActionTemplate struct{}
type Match struct{}
type Actions struct{}

func MustMatch(text string, st *Symtab) *MatchTemplate    { return &MatchTemplate{} }
func MustActions(text string, st *Symtab) *ActionTemplate { return &ActionTemplate{} }

func (t *MatchTemplate) Bind(args ...Arg) (Match, error) { return Match{}, errSkeleton }
func (m Match) Expr() *Expr                              { return nil }
func (m Match) Normalize() ([]Conj, error)               { return nil, errSkeleton }
func (m Match) String() string                           { return "" }
func (m Match) AppendKey(b []byte) []byte                { return b }

func (t *ActionTemplate) Bind(args ...Arg) (Actions, error) { return Actions{}, errSkeleton }
func (t *ActionTemplate) Prerequisites() []Conj             { return nil }
func (a Actions) Actions() []Action                         { return nil }
func (a Actions) Prerequisites() []Conj                     { return nil }
func (a Actions) String() string                            { return "" }
func (a Actions) AppendKey(b []byte) []byte                 { return b }

type Value struct{}
type Arg struct {
	Name  string
	Value Value
}

func Port(name, port string) Arg              { return Arg{} }
func MAC(name string, mac [6]byte) Arg        { return Arg{} }
func IP(name string, ip netip.Addr) Arg       { return Arg{} }
func Prefix(name string, p netip.Prefix) Arg  { return Arg{} }
func Int(name string, n uint64) Arg           { return Arg{} }
func Bits(name string, value, mask U128) Arg  { return Arg{} }
func PortSet(name string, ports []string) Arg { return Arg{} }
func IPSet(name string, p []netip.Prefix) Arg { return Arg{} }
func MACSet(name string, macs [][6]byte) Arg  { return Arg{} }

func (a *Next) appendText(b []byte) []byte { return b }
func (a *Next) bind(v []Value) Action      { return a }
