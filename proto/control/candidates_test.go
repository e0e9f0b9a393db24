package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	objects := slices.Values([]Object{
		{Table: "Logical_Switch_Port", Name: "vm2"}, {Table: "Logical_Switch_Port", Name: "vm1"}, {Table: "Logical_Switch_Port", Name: "vm1"},
		{Table: "Logical_Switch", Name: "vswitch"}, {Table: "ACL", UUID: "2f1e8a60-0000-4000-8000-000000000001"}, {Table: "Forwarding_Group", Name: "fwd"},
	})
	for _, tt := range []struct{ word, want string }{
		{"", "acl: fwd-group: port: switch:"},
		{"p", "port:"},
		{"port:", "port:vm1 port:vm2"},
		{"port:vm2", "port:vm2"},
		{"port:x", ""},
		{"switch:v", "switch:vswitch"},
		{"acl:", "acl:2f1e8a60-0000-4000-8000-000000000001"},
		{"Logical_Switch_Port:", "Logical_Switch_Port:vm1 Logical_Switch_Port:vm2"},
		{"Forwarding_Group:f", "Forwarding_Group:fwd"},
		{"nonsense:", ""},
	} {
		if got := strings.Join(Complete(tt.word, objects), " "); got != tt.want {
			t.Errorf("%q is completed to %q, want %q", tt.word, got, tt.want)
		}
	}
	many := func(yield func(Object) bool) {
		for i := range 3 * maxCandidates {
			if !yield(Object{Table: "ACL", Name: fmt.Sprint("rule", i)}) {
				return
			}
		}
	}
	if n := len(Complete("acl:", many)); n != maxCandidates {
		t.Errorf("%d candidates, want %d", n, maxCandidates)
	}
}
