package controller

import (
	"cmp"
	"maps"
	"slices"
)

// sortedKeys are the keys of a map in order, so that messages and logs are the
// same for the same state.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
