//go:build long

package ovsdb

func init() {
	crashPoints, killRounds, growthUpdates = 5000, 300, 1_000_000
}
