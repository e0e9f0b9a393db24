package controller

import (
	"testing"

	"govn/proto"
)

func TestVerdict(t *testing.T) {
	group := func(members ...string) *proto.HAGroup {
		g := &proto.HAGroup{}
		for i, name := range members {
			g.Members = append(g.Members, &proto.HAMember{Chassis: name, Priority: uint32(i)}) // best last
		}
		return g
	}
	for _, tt := range []struct {
		name    string
		group   *proto.HAGroup
		alone   bool
		forward []string
		want    verdict
	}{
		{"no group", nil, false, nil, elsewhere},
		{"not a member", group("gw2", "gw1"), false, nil, elsewhere},
		{"the only one", group("me"), true, nil, here},
		{"the best", group("gw2", "me"), false, []string{"gw2"}, here},
		{"the best, seeing nobody", group("gw2", "me"), true, nil, elsewhere},
		{"second, and the best works", group("me", "gw1"), false, []string{"gw1"}, better},
		{"second, and the best is away", group("me", "gw1"), false, []string{"hv1"}, here},
		{"second, and a worse one works", group("gw2", "me", "gw1"), false, []string{"gw2"}, here},
	} {
		forward := map[string]bool{}
		for _, name := range tt.forward {
			forward[name] = true
		}
		if got := verdictOf(tt.group, "me", tt.alone, forward); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}
