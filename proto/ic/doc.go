// Package ic is the contract between the interconnection's centre and the zones of
// govn: ic.proto, and the code that protoc makes of it (make generate).
//
// # Invariants
//
//   - Numbers of fields are never used twice. A reader ignores what it does not
//     know.
//   - What a zone publishes is level-based: each stream begins with all of it.
package ic
