//go:build long && !race

package convergence

// Sizes of the random test in the simulator.
const (
	defaultChassis = 100
	defaultChanges = 200
)
