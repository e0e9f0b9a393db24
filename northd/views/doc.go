// Package views answers what people ask about a zone: how it is, what cannot be
// used, what became of an object, why a flow is there. The answers are types of
// package proto/control.
//
//	snapshot of the databases --+
//	units (compile.FlowTable) --+--> Source --> Status, Problems, Flows, Explain
//	the chassis (fabric) -------+
//
// # Contract
//
// A [Source] is a picture of one moment, put together for one question. Its
// functions read it and nothing else, so they may run beside the compiler, on
// any goroutine, for as long as they take. None is on the way of a change: what
// they need beyond the snapshot is computed when somebody asks.
//
// # Invariants
//
//   - A flow listed for an object is explained by its cookie, and names the
//     object again.
//   - Every object that the compile leaves out is among the problems.
package views
