package agent

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-org/libovsdb/model"
)

func TestCloneRouter(t *testing.T) {
	r := &nbRouter{UUID: "u", Name: "r1", Options: map[string]string{"k": "v"}, Ports: []string{"p"}, StaticRoutes: []string{"a", "b"}}
	c, ok := model.Clone(r).(*nbRouter)
	if diff := cmp.Diff(r, c); !ok || diff != "" {
		t.Fatalf("(-router +copy)\n%s", diff)
	}
	c.Options["k"], c.Ports[0], c.StaticRoutes[0] = "w", "q", "z"
	if r.Options["k"] != "v" || r.Ports[0] != "p" || r.StaticRoutes[0] != "a" {
		t.Errorf("the copy shares memory with the router: %v", r)
	}
}

func TestDiffering(t *testing.T) {
	for _, tt := range []struct{ old, now, gone, come string }{
		{"", "", "", ""},
		{"", "ab", "", "ab"},
		{"ab", "", "ab", ""},
		{"abc", "abc", "", ""},
		{"abc", "abcd", "", "d"},
		{"abcd", "abd", "c", ""},
		{"abcd", "adc", "bcd", "dc"},
		{"aa", "aaa", "", "a"},
		{"xby", "xcy", "b", "c"},
	} {
		split := func(s string) (list []string) {
			for _, r := range s {
				list = append(list, string(r))
			}
			return list
		}
		gone, come := differing(split(tt.old), split(tt.now))
		if !slices.Equal(gone, split(tt.gone)) || !slices.Equal(come, split(tt.come)) {
			t.Errorf("%q and %q differ in %q and %q, want %q and %q", tt.old, tt.now, gone, come, tt.gone, tt.come)
		}
	}
}
