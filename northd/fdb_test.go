package northd_test

import (
	"fmt"
	"testing"
	"time"

	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// fdb are the rows of FDB by Ethernet address: the port's key.
func (z *zone) learned() map[string]int64 {
	out := make(map[string]int64)
	f := &z.columns.FDB
	for row := range z.store.Snapshot().Rows(f.Table) {
		out[row.Str(f.MAC)] = row.Int(f.PortKey)
	}
	return out
}

// report lets a chassis learn addresses 50:54:00:00:00:XX on ports of switch 1.
func (z *zone) report(t testing.TB, macs ...[2]uint64) {
	t.Helper()
	r := &proto.Report{}
	for _, m := range macs {
		r.FdbPut = append(r.FdbPut, &proto.FdbEntry{Datapath: 1, Mac: 0x505400000000 + m[0], Port: uint32(m[1])})
	}
	z.registry.Report("hv1", r)
	z.step(t)
}

// A row that a client made is taken over, not made again.
func TestFDBRowOfClient(t *testing.T) {
	z := newZone(t, "")
	z.addSwitch(t, "s", port("a", "unknown"), port("b", "unknown"))
	f := &z.columns.FDB
	var mine ovsdb.UUID
	put := func(mac string, dp, port int64) (u ovsdb.UUID) {
		_, err := z.store.Update(z.ctx, z.schemas.SB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
			u = tx.Insert(f.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"mac": mac, "dp_key": dp, "port_key": port})
			return tx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		z.step(t)
		return u
	}
	mine = put("50:54:00:00:00:01", 1, 1)
	z.report(t, [2]uint64{1, 2}, [2]uint64{2, 2})
	if got := fmt.Sprint(z.learned()); got != "map[50:54:00:00:00:01:2 50:54:00:00:00:02:2]" {
		t.Errorf("learned %s", got)
	}
	row := z.store.Snapshot().Row(f.Table, mine)
	if row == nil || row.Int(f.PortKey) != 2 || row.Int(f.Timestamp) == 0 {
		t.Errorf("the client's row is %v", row)
	}
	z.registry.Report("hv1", &proto.Report{FdbGone: []*proto.FdbEntry{{Datapath: 1, Mac: 0x505400000001, Port: 2}}})
	z.step(t)
	if z.store.Snapshot().Row(f.Table, mine) != nil {
		t.Error("the client's row is still there")
	}
	// What stands for no port goes at once.
	put("50:54:00:00:00:05", 1, 77)
	put("50:54:00:00:00:06", 9, 1)
	if got := fmt.Sprint(z.learned()); got != "map[50:54:00:00:00:02:2]" {
		t.Errorf("learned %s", got)
	}
}

// What was learned on a port goes with it, and with its switch.
func TestFDBOfPortsThatAreGone(t *testing.T) {
	z := newZone(t, "")
	ls, ports := z.addSwitch(t, "s", port("a", "unknown"), port("b", "unknown"))
	z.report(t, [2]uint64{1, 1}, [2]uint64{2, 2})
	item := func(mac uint64) bool {
		_, ok := z.fabric.items[state.Key{Kind: proto.Kind_KIND_FDB, Key: state.FdbKey(1, 0x505400000000+mac)}]
		return ok
	}
	if len(z.learned()) != 2 || !item(1) || !item(2) {
		t.Fatalf("learned %v", z.learned())
	}
	z.nb(t, func(tx *ovsdb.Txn) error { tx.DelFromSet(z.columns.LS.Table, ls, "ports", ports[0]); return tx.Err() })
	if got := z.learned(); len(got) != 1 || item(1) || !item(2) {
		t.Errorf("without a, learned is %v", got)
	}
	z.nb(t, func(tx *ovsdb.Txn) error { tx.Delete(z.columns.LS.Table, ls); return tx.Err() })
	if got := z.learned(); len(got) != 0 || item(2) {
		t.Errorf("without the switch, learned is %v", got)
	}
	z.report(t, [2]uint64{3, 2}) // a chassis that did not hear yet
	if got := z.learned(); len(got) != 0 {
		t.Errorf("learned on a port that is gone: %v", got)
	}
}

func TestFDBAging(t *testing.T) {
	z := newZone(t, "")
	ls, _ := z.addSwitch(t, "s", port("a", "unknown"))
	start := time.Now()
	z.report(t, [2]uint64{1, 1}, [2]uint64{2, 1}, [2]uint64{3, 1})
	age := func(at time.Duration, want int) {
		t.Helper()
		if err := z.Age(z.ctx, start.Add(at)); err != nil {
			t.Fatal(err)
		}
		z.step(t)
		if got := z.learned(); len(got) != want {
			t.Errorf("after %v %v are left, want %d", at, got, want)
		}
	}
	age(time.Hour, 3) // no threshold
	z.setConfig(t, ls, "fdb_age_threshold", "20")
	age(19*time.Second, 3)
	z.nb(t, func(tx *ovsdb.Txn) error {
		for g := range tx.Rows(z.columns.NBGlobal.Table) {
			tx.PutInMap(z.columns.NBGlobal.Table, g.UUID(), "options", "fdb_removal_limit", "2")
			break
		}
		return tx.Err()
	})
	age(30*time.Second, 1) // the limit
	age(31*time.Second, 1)
	age(36*time.Second, 0) // the rest five seconds later
	z.setConfig(t, ls, "fdb_age_threshold", "soon")
	if got := z.View().Lint().Problems; len(got) != 1 || got[0].Column != "other_config:fdb_age_threshold" {
		t.Errorf("problems: %v", got)
	}
	z.report(t, [2]uint64{4, 1})
	age(2*time.Hour, 1)
}
