// Package logical is the language of logical flows: the symbols, match
// expressions and actions of ovn-sb(5), table Logical_Flow.
//
//	text ──ParseMatch──▶ *Expr ──Normalize──▶ []Conj      what a translator turns into matches
//	                      │  ▲
//	                    String, Eval
//
//	template ──MustMatch──▶ *MatchTemplate ──Bind(args)──▶ Match ──Normalize──▶ []Conj
//	                        (checked once)   (no parsing)        ──String──▶ text, on demand
//
//	text ──ParseActions──▶ []Action ──FormatActions──▶ text
//
// # Expressions
//
// An [Expr] keeps the structure that was written, so that its text reads the
// same again. Its meaning is that of OVN: every comparison brings the
// prerequisites of its symbol along, outside of any negation around it, so
// that !(tcp.dst == 80) is "TCP, to another port than 80" and not "anything
// but TCP to port 80".
//
// A normal form is a list of conjunctions ([Conj]) of bitwise tests on root
// fields ([Term]); the expression holds where any of them does. An empty list
// never matches, a list of one empty conjunction always does.
//
// # Fields
//
// A [Field] is a symbol of the [Symtab] or a bit range of one. Those without
// a parent are roots: normal forms speak of these only. The wide registers
// (xxreg0, xreg0, ...) overlay the 32-bit registers, which are the roots.
//
// # Templates
//
// A template is a match or an action list with {name} where a constant may
// stand. It is parsed and checked once, with [MustMatch] and [MustActions]
// when the program starts; binding values to the holes parses and prints
// nothing.
//
// # Invariants
//
//   - Parsing what was printed gives an equal expression, or equal actions.
//   - The normal form holds for a packet if and only if [Expr.Eval] does.
//   - The normal form depends on the expression and the contents of its sets
//     alone: the same bytes in every process.
//   - No text makes the package panic, recurse deeply or work without bound
//     ([MaxText], [MaxDepth], [MaxConjunctions]).
//
// # Debugging
//
// An [Error] knows where in the text it is; [Error.Caret] draws it. Print the
// conjunctions of a normal form to see what a match means in the end:
//
//	for _, c := range conjs { fmt.Println(c) }
package logical
