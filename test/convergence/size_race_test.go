//go:build long && race

package convergence

// Sizes of the random test in the simulator: with the race detector 100 chassis take ten
// minutes, so "make test-all" runs those without it.
const (
	defaultChassis = 30
	defaultChanges = 200
)
