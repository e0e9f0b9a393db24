// Package world makes random changes of a zone, for tests that compare what an
// incremental program came to with what a fresh one makes of the same state.
//
// Changes hit every column that the compiler reads, with values that can be
// used and some that cannot; more than a third of them delete something. The
// same seed makes the same changes.
package world
