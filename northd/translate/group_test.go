package translate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/logical"
)

// flow is a logical flow of a stage with actions as text.
func flow(t *testing.T, stage *pipeline.Stage, actions string) pipeline.Flow {
	t.Helper()
	acts, err := logical.ParseActions(actions, logical.Default())
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.Flow{Stage: stage, Priority: 1, Actions: logical.LiteralActions(acts)}
}

// TestChoices says what the id of a group that chooses is, and what the group
// does: the id differs wherever the group does.
func TestChoices(t *testing.T) {
	seen := map[uint32]string{}
	for _, tc := range []struct {
		stage   *pipeline.Stage
		actions string
		fields  []string
		id      uint32
		want    string
	}{
		{pipeline.LRInIPRouting, "reg8[16..31] = select(1, 2);", nil, 0x96000002, "method dp_hash [], 2 buckets to 22"},
		{pipeline.LRInIPRouting, "reg8[16..31] = select(1, 2, 3);", nil, 0x96000003, "method dp_hash [], 3 buckets to 22"},
		{pipeline.LRInPolicy, "reg8[16..31] = select(1, 2);", nil, 0x98000002, "method dp_hash [], 2 buckets to 24"},
		{pipeline.LRInIPRouting, "reg8[16..31] = select(1, 2);", []string{"ip_src", "tp_dst", "ip_src"}, 0x96840002,
			"method hash [ip_src tcp_dst udp_dst sctp_dst], 2 buckets to 22"},
	} {
		body, err := Compile([]pipeline.Flow{flow(t, tc.stage, tc.actions)}, nil, nil, WithFields(tc.fields))
		if err != nil {
			t.Fatal(err)
		}
		if len(body.Groups) != 1 || body.Groups[0].ID != tc.id || !abi.OwnGroup(tc.id) {
			t.Fatalf("%s: groups %+v, want id %#x", tc.actions, body.Groups, tc.id)
		}
		g := body.Groups[0].Group
		got := fmt.Sprintf("method %s %v, %d buckets to %d", g.SelectionMethod, g.Fields, len(g.Buckets), g.Buckets[0].Actions[len(g.Buckets[0].Actions)-4])
		if got != tc.want {
			t.Errorf("%s %v: %s, want %s", tc.actions, tc.fields, got, tc.want)
		}
		if !strings.Contains(print(t, body), fmt.Sprintf("group:%d", tc.id)) {
			t.Errorf("%s: no group %d in\n%s", tc.actions, tc.id, print(t, body))
		}
		if was := seen[tc.id]; was != "" && was != got {
			t.Errorf("id %#x stands for %q and %q", tc.id, was, got)
		}
		seen[tc.id] = got
	}
	for _, actions := range []string{"reg8[16..31] = select(1=10, 2);", "reg8[16..31] = select(2, 3);", "reg7[16..31] = select(1, 2);", "reg8 = select(1, 2);"} {
		if _, err := Compile([]pipeline.Flow{flow(t, pipeline.LRInIPRouting, actions)}, nil, nil); err == nil {
			t.Errorf("%s is compiled", actions)
		}
	}
}

// TestForward compiles fwd_group: with an allocated id only, and with ports that
// are there.
func TestForward(t *testing.T) {
	g := &topology.FwdGroup{VIP: address(t, "00:00:00:00:00:01 10.0.0.100").V4[0].Addr(), Liveness: true, Children: []string{"a", "b"}}
	flows, err := pipeline.OfFwdGroup(g)
	if err != nil {
		t.Fatal(err)
	}
	keys := func(name string) (uint32, error) { return uint32(name[0] - 'a' + 1), nil }
	if _, err := Compile(flows, keys, nil); !errors.Is(err, ErrNoGroup) {
		t.Errorf("without an id: %v", err)
	}
	body, err := Compile(flows, keys, nil, WithGroup(abi.MinAllocatedGroup))
	if err != nil {
		t.Fatal(err)
	}
	if b := body.Groups[0].Group.Buckets; len(b) != 2 || b[1].WatchPort != 2 || b[1].WatchDatapath != 0 {
		t.Errorf("buckets %v", b)
	}
	g.Children = nil
	if flows, err = pipeline.OfFwdGroup(g); err != nil {
		t.Fatal(err)
	}
	if body, err = Compile(flows, keys, nil); err != nil || len(body.Groups) != 0 {
		t.Errorf("without ports: %v, %v", body.Groups, err)
	}
}
