//go:build long

package ovsdb

import (
	"flag"
	"fmt"
	"testing"
)

var twinSeeds = flag.Int("twins", 60, "how many seeds TestManyTwins runs")

// TestManyTwins is TestTwins and TestConcurrentTwins with many more seeds.
func TestManyTwins(t *testing.T) {
	for seed := range uint64(*twinSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			runTwins(t, 1000+seed, 1000)
			runConcurrentTwins(t, 1000+seed, 100)
		})
	}
}
