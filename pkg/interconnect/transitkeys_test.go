package interconnect

import (
	"slices"
	"testing"
)

// TestTransitKeys: a key that was given comes again only after all others.
func TestTransitKeys(t *testing.T) {
	const first, top = MinTransitKey, MaxTransitKey
	for _, tt := range []struct {
		name string
		last int
		was  []int // in use
		now  []int
		want []int // given one after the other
	}{
		{"none yet", 0, nil, nil, []int{first, first + 1}},
		{"begun with some", 0, nil, []int{first, first + 3}, []int{first + 4, first + 5}},
		{"the last one is gone", first + 1, []int{first, first + 1}, []int{first}, []int{first + 2}},
		{"all are gone", first + 1, []int{first, first + 1}, nil, []int{first + 2}},
		{"others gave some", first, []int{first}, []int{first, first + 1, first + 2}, []int{first + 3}},
		{"others gave one and took it", first + 2, []int{first, first + 2}, []int{first}, []int{first + 3}},
		{"one is in the way", first, []int{first, first + 1}, []int{first, first + 1}, []int{first + 2}},
		{"after the highest", top, []int{top}, []int{top}, []int{first, first + 1}},
		{"long after the highest", first + 4, []int{top}, []int{top}, []int{first + 5}},
		{"others went on after the highest", top - 1, []int{top - 1}, []int{top - 1, top, first}, []int{first + 1}},
		{"others gave one from before", first + 9, []int{first + 9}, []int{first + 3, first + 9}, []int{first + 10}},
		{"what is none of them", first, []int{first}, []int{first, 7, top + 7}, []int{first + 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := func(list []int) map[int]bool {
				m := make(map[int]bool)
				for _, key := range list {
					m[key] = true
				}
				return m
			}
			k := TransitKeys{tt.last, set(tt.was)}.With(set(tt.now))
			var got []int
			for range tt.want {
				key, ok := k.Next()
				if !ok {
					t.Fatal("there is none")
				}
				got = append(got, key)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// TestTransitKeysRunOut: each is given once, and then there is none.
func TestTransitKeysRunOut(t *testing.T) {
	k := TransitKeys{Last: MinTransitKey + 100}.With(map[int]bool{})
	for range MaxTransitKey - MinTransitKey + 1 {
		if _, ok := k.Next(); !ok {
			t.Fatal("there is none")
		}
	}
	if key, ok := k.Next(); ok {
		t.Errorf("%d is given twice", key)
	}
	delete(k.used, MaxTransitKey)
	if key, ok := k.Next(); !ok || key != MaxTransitKey {
		t.Errorf("%d, %t", key, ok)
	}
}
