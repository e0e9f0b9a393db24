//go:build long

package ovsdb

func init() {
	crashPoints, killRounds, growthUpdates = 2000, 200, 1_000_000
}
