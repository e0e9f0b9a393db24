// Package convergence tests that a chassis with real Open vSwitch tables, after
// any history, holds exactly what a fresh chassis in its place would
// (architecture, invariants 1 and 6).
//
// A zone runs in the test process with controllers on private copies of Open
// vSwitch that have the dummy datapath: real tables, no packets, no privileges.
// Random changes come from test/world; interfaces come and go at random. Now and
// then a fresh Open vSwitch with the same interfaces takes the place of a
// chassis, and the flows of both are compared; then the first one comes back and
// must reconcile to the same flows again.
package convergence
