package interconnect

import "govn/pkg/abi"

// Keys of transit switches: what OVN sets apart for them. The first one is left out, as
// ovn-ic does.
const (
	MinTransitKey = abi.MinDatapathKeyGlobal + 1
	MaxTransitKey = abi.MaxDatapathKey
)

// TransitKeys are the tunnel keys of transit switches that are in use, and the one that
// was given last. Keys go up from there, and begin again after the highest: a zone that is
// cut off goes on using the keys of switches that were deleted meanwhile, and what it
// sends must not come to another switch.
type TransitKeys struct {
	Last int // below MinTransitKey: none was given yet
	used map[int]bool
}

// With is what the keys are when these are in use, a map that it keeps.
func (k TransitKeys) With(used map[int]bool) TransitKeys {
	last := k.Last
	for key := range used {
		if !k.used[key] && after(k.Last, key) > after(k.Last, last) {
			last = key
		}
	}
	return TransitKeys{last, used}
}

// Saw notes that somebody has given a key.
func (k *TransitKeys) Saw(key int) {
	if !k.used[key] && after(k.Last, key) > 0 {
		k.Last = key
	}
}

// after is by how much a key comes after another one; 0 if it comes before it, which is
// nearer, or is none of a transit switch.
func after(last, key int) int {
	const all = MaxTransitKey - MinTransitKey + 1
	switch {
	case key < MinTransitKey || key > MaxTransitKey:
		return 0
	case last < MinTransitKey:
		return key - MinTransitKey + 1
	}
	if n := ((key-last)%all + all) % all; n <= all/2 {
		return n
	}
	return 0
}

// Next gives the first free key after the last one; false: there is none.
func (k *TransitKeys) Next() (int, bool) {
	key := k.Last
	for range MaxTransitKey - MinTransitKey + 1 {
		if key++; key < MinTransitKey || key > MaxTransitKey {
			key = MinTransitKey
		}
		if !k.used[key] {
			k.used[key], k.Last = true, key
			return key, true
		}
	}
	return 0, false
}
