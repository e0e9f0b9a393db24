package physical

import (
	"maps"

	"govn/pkg/abi"
)

// Zones gives conntrack zones to local ports: the lowest that is free, and it
// stays while the port does, also over restarts.
type Zones struct {
	byName map[string]int
	used   map[int]bool
	low    int // all below are used
}

// NewZones returns an allocator with all zones free.
func NewZones() *Zones { return &Zones{byName: map[string]int{}, used: map[int]bool{}, low: 1} }

// Restore takes over an allocation that was persisted. It is refused where the
// zone is out of range, taken, or the name has another.
func (z *Zones) Restore(name string, zone int) bool {
	if zone < 1 || zone > abi.MaxConntrackZone || z.used[zone] || z.byName[name] != 0 {
		return false
	}
	z.byName[name], z.used[zone] = zone, true
	return true
}

// Ensure gives the name a zone if it has none. It is 0 when all are taken.
func (z *Zones) Ensure(name string) int {
	if zone := z.byName[name]; zone != 0 {
		return zone
	}
	for ; z.low <= abi.MaxConntrackZone; z.low++ {
		if !z.used[z.low] {
			z.byName[name], z.used[z.low] = z.low, true
			return z.low
		}
	}
	return 0
}

// Release frees the zone of a name.
func (z *Zones) Release(name string) {
	if zone := z.byName[name]; zone != 0 {
		delete(z.byName, name)
		delete(z.used, zone)
		z.low = min(z.low, zone)
	}
}

// Of is the zone of a name; 0: it has none.
func (z *Zones) Of(name string) int { return z.byName[name] }

// All is a copy of the allocation.
func (z *Zones) All() map[string]int { return maps.Clone(z.byName) }
