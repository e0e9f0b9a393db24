package northd_test

import (
	"regexp"
	"strings"
	"testing"

	"govn/pkg/ovsdb"
)

// TestSymmetricReplies: the flows follow what they depend on, which is that the
// router is on one chassis, that there are several routes, and what each of them says;
// nothing is left of them in the end.
func TestSymmetricReplies(t *testing.T) {
	z := newZone(t, "")
	empty := z.Program().Engine.Stats()
	lr := z.router(t, "lr")
	option := ovsdb.MapOf("ecmp_symmetric_reply", "true")
	first := z.route(t, lr, "192.168.1.0/24", "10.0.0.5", "options", option)
	second := z.route(t, lr, "192.168.1.0/24", "10.1.0.66", "options", option)
	// ports are those whose connections are remembered.
	ports := func() string {
		t.Helper()
		flows := strings.Join(z.stages("lr_in_defrag", "lr_in_ecmp_stateful", "lr_in_ip_routing", "lr_in_policy", "lr_in_arp_resolve"), "\n")
		var out []string
		for _, port := range []string{"lr-0", "lr-1"} {
			n := strings.Count(flows, `inport == "`+port+`" && ip4.src == 192.168.1.0/24`) // it is looked up, and remembered for three transports, twice
			back := regexp.MustCompile(`lr_in_ip_routing 10300 ct\.rpl && reg9\[5\] == 1 && .* outport = "` + port + `"; next;`)
			routed := back.MatchString(flows)
			if n == 7 && routed {
				out = append(out, port)
			} else if n != 0 || routed {
				t.Errorf("%s has %d flows, routed %t:\n%s", port, n, routed, flows)
			}
		}
		if tracked := strings.Contains(flows, "chk_ecmp_nh()"); tracked != (len(out) > 0) {
			t.Errorf("replies to %q are tracked: %t", out, tracked)
		}
		return strings.Join(out, " ")
	}
	set := func(table *ovsdb.TableSchema, row ovsdb.UUID, key, value string) {
		t.Helper()
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.PutInMap(table, row, "options", key, value)
			return tx.Err()
		})
	}
	for _, step := range []struct {
		name   string
		change func()
		want   string
	}{
		{"a distributed router", func() {}, ""},
		{"a gateway router", func() { set(z.columns.LR.Table, lr, "chassis", "hv1") }, "lr-0 lr-1"},
		{"one route without", func() { set(z.columns.Route.Table, first, "ecmp_symmetric_reply", "false") }, "lr-1"},
		{"with it again", func() { set(z.columns.Route.Table, first, "ecmp_symmetric_reply", "true") }, "lr-0 lr-1"},
		{"one route only", func() {
			z.nb(t, func(tx *ovsdb.Txn) error {
				tx.DelFromSet(z.columns.LR.Table, lr, "static_routes", second)
				return tx.Err()
			})
		}, ""},
	} {
		step.change()
		if got := ports(); got != step.want {
			t.Errorf("%s: connections of %q are remembered, want %q", step.name, got, step.want)
		}
	}
	z.nb(t, func(tx *ovsdb.Txn) error { tx.Delete(z.columns.LR.Table, lr); return tx.Err() })
	if now := z.Program().Engine.Stats(); now.Nodes != empty.Nodes || now.Edges != empty.Edges || len(z.fabric.items) != 0 {
		t.Errorf("%d nodes, %d edges, %d items are left of %d and %d", now.Nodes, now.Edges, len(z.fabric.items), empty.Nodes, empty.Edges)
	}
}
