//go:build !long

package convergence

// Sizes of the random test in the simulator.
const (
	defaultChassis = 20
	defaultChanges = 40
)
