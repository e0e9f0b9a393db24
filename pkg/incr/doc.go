// Package incr is the incremental engine: a memo table of pure functions whose
// reads are recorded, so that a change re-runs what read it and nothing else.
package incr
