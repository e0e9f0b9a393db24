package northd_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/fabric"
	"govn/northd/topology"
	"govn/northd/views"
	"govn/pkg/abi"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/control"
)

// selector is one that parses.
func selector(t *testing.T, text string) control.Selector {
	t.Helper()
	s, err := control.ParseSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// roundTrip passes an answer through its JSON form: what a program reads is what
// was meant.
func roundTrip[A control.Answer](t *testing.T, a A) {
	t.Helper()
	text, err := control.String(control.JSON, a)
	if err != nil {
		t.Fatal(err)
	}
	back := reflect.New(reflect.TypeOf(a).Elem())
	if err := json.Unmarshal([]byte(text), back.Interface()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back.Interface(), any(a)) {
		t.Errorf("JSON does not read back:\n%+v\n%+v", back.Interface(), a)
	}
}

func secured(name, address string) map[string]ovsdb.Value {
	p := port(name, address)
	p["port_security"] = ovsdb.NewSet(address)
	return p
}

func TestLint(t *testing.T) {
	z := newZone(t, "")
	vm8 := port("vm8", "50:54:00:00:00:08")
	vm8["type"] = "teapot"
	vm9 := port("vm9", "50:54:00:00:00:09")
	vm9["port_security"] = ovsdb.NewSet(" 50:54:00:00:00:09 10.0.0.1/33")
	ls, ports := z.addSwitch(t, "sw0",
		port("vm1", "50:54:00:00:00:01 10.0.0.1 fd00::1", "50:54:00:00:00:0a"),
		port("vm2", "50:54:00:00:00:02 10.0.0.2"),
		port("vm3", "50:54:00:00:00:03 10.0.0.2"),
		port("vm4", "50:54:00:00:00:0A"),
		port("vm5", "50:54:00:00:00:zz"),
		port("vm6", "50:54:00:00:00:06 10.0.0.300"),
		vm8, vm9)
	z.addSwitch(t, "sw1", port("elsewhere", "50:54:00:00:00:01 10.0.0.1")) // another switch: no conflict
	at := func(n int) *int { return &n }
	want := []control.Problem{
		{Object: lsp("vm3", ports[2]), Column: "addresses", Value: "50:54:00:00:00:03 10.0.0.2", Position: at(18),
			Reason: `the IP address 10.0.0.2 is also that of port "vm2" of switch "sw0"`, Effect: control.Ambiguous},
		{Object: lsp("vm4", ports[3]), Column: "addresses", Value: "50:54:00:00:00:0A", Position: at(0),
			Reason: `the Ethernet address 50:54:00:00:00:0a is also that of port "vm1" of switch "sw0"`, Effect: control.Ambiguous},
		{Object: lsp("vm5", ports[4]), Column: "addresses", Value: "50:54:00:00:00:zz", Position: at(0),
			Reason: `"50:54:00:00:00:zz" is no Ethernet address`, Effect: control.LeftOut},
		{Object: lsp("vm6", ports[5]), Column: "addresses", Value: "50:54:00:00:00:06 10.0.0.300", Position: at(18),
			Reason: `"10.0.0.300" is no IP address`, Effect: control.LeftOut},
		{Object: lsp("vm8", ports[6]), Column: "type",
			Reason: `"teapot" is not a type that can be used`, Effect: control.LeftOut},
		{Object: lsp("vm9", ports[7]), Column: "port_security", Value: " 50:54:00:00:00:09 10.0.0.1/33", Position: at(19),
			Reason: `"10.0.0.1/33" is no IP address with a prefix length`, Effect: control.LeftOut},
	}
	got := z.View().Lint()
	roundTrip(t, got)
	for i := range max(len(got.Problems), len(want)) {
		switch {
		case i >= len(got.Problems):
			t.Errorf("missing: %v", want[i])
		case i >= len(want):
			t.Errorf("too much: %v", got.Problems[i])
		case !reflect.DeepEqual(got.Problems[i], want[i]):
			t.Errorf("%+v\nwant %+v", got.Problems[i], want[i])
		}
	}
	// Nothing of what is left out becomes a flow, and the list says so.
	if _, err := z.View().Flows(selector(t, "port:vm6")); !errors.Is(err, views.ErrNoFlows) || !strings.Contains(err.Error(), "position 18") {
		t.Errorf("flows of a port that is left out: %v", err)
	}

	// What is mended leaves the list; the rest stays.
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.SetColumn(z.columns.LSP.Table, ports[5], "addresses", ovsdb.NewSet("50:54:00:00:00:06 10.0.0.30"))
		tx.DelFromSet(z.columns.LS.Table, ls, "ports", ports[2], ports[4])
		return tx.Err()
	})
	var left []string
	for _, p := range z.View().Lint().Problems {
		left = append(left, p.Name)
	}
	if !slices.Equal(left, []string{"vm4", "vm8", "vm9"}) {
		t.Errorf("after mending: %q", left)
	}
}

func lsp(name string, u ovsdb.UUID) control.Object {
	return control.Object{Table: "Logical_Switch_Port", Name: name, UUID: u.String()}
}

// What chassis and other clients write to the southbound database is looked at,
// too.
// A problem names its object as it is called now, also where the error does not
// read the name.
func TestLintNamesOfNow(t *testing.T) {
	z := newZone(t, "")
	_, ports := z.addSwitch(t, "sw0", port("vm1", "50:54:00:00:00:01"))
	other, _ := z.addSwitch(t, "sw1")
	z.nb(t, func(tx *ovsdb.Txn) error { tx.AddToSet(z.columns.LS.Table, other, "ports", ports[0]); return tx.Err() })
	z.nb(t, func(tx *ovsdb.Txn) error { tx.SetColumn(z.columns.LSP.Table, ports[0], "name", "vm2"); return tx.Err() })
	problems := z.View().Lint().Problems
	if len(problems) == 0 {
		t.Fatal("a port on two switches is no problem")
	}
	for _, p := range problems {
		if p.UUID == ports[0].String() && p.Name != "vm2" {
			t.Errorf("%s", p)
		}
	}
}

func TestLintSouthbound(t *testing.T) {
	z := newZone(t, "")
	z.addSwitch(t, "sw0", port("vm1")) // with keys 1 and 1: an address of a port that is gone goes, too
	z.step(t)
	if err := z.registry.Hello("hv1", &proto.Hello{Name: "hv1", Encaps: []*proto.Encap{{Type: "geneve", Ip: "nowhere"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := z.store.Update(z.ctx, z.schemas.SB, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
		tx.Insert(z.columns.FDB.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"mac": "50:54:zz", "dp_key": int64(1), "port_key": int64(1)})
		return tx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	z.step(t)
	got := z.View().Lint().Problems
	if len(got) != 2 || got[0].Table != "Encap" || got[0].Name != "hv1" || got[0].Column != "ip" || !strings.Contains(got[0].Reason, "nowhere") ||
		got[1].Table != "FDB" || got[1].Column != "mac" || !strings.Contains(got[1].Reason, "50:54:zz") {
		t.Errorf("%v", got)
	}
}

// A name that is taken is refused in the transaction, as the schema says.
func TestDuplicatePortName(t *testing.T) {
	z := newZone(t, "")
	ls, _ := z.addSwitch(t, "sw0", port("vm1"))
	_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		tx.AddToSet(z.columns.LS.Table, ls, "ports", tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, port("vm1")))
		return tx.Err()
	})
	if err == nil || !strings.Contains(err.Error(), "constraint violation") || !strings.Contains(err.Error(), `vm1`) {
		t.Errorf("second port of a name: %v", err)
	}
}

// In strict mode a client's transaction that would leave a port that cannot be
// used is refused, with what is wrong with it; without, it is stored and listed.
func TestStrict(t *testing.T) {
	z := newZone(t, "")
	ls, ports := z.addSwitch(t, "sw0", port("vm1", "50:54:00:00:00:01"), port("old", "x"))
	strict := func(v string) {
		t.Helper()
		z.nb(t, func(tx *ovsdb.Txn) error {
			for row := range tx.Rows(z.columns.NBGlobal.Table) {
				tx.PutInMap(z.columns.NBGlobal.Table, row.UUID(), "options", topology.StrictOption, v)
			}
			return tx.Err()
		})
	}
	add := func(name string, p map[string]ovsdb.Value) error {
		_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
			tx.AddToSet(z.columns.LS.Table, ls, "ports", tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, p))
			return tx.Err()
		})
		z.step(t)
		return err
	}
	set := func(who ovsdb.Owner, u ovsdb.UUID, column string, v ovsdb.Value) error {
		_, err := z.store.Update(z.ctx, z.schemas.NB, who, func(tx *ovsdb.Txn) error {
			tx.SetColumn(z.columns.LSP.Table, u, column, v)
			return tx.Err()
		})
		z.step(t)
		return err
	}
	refused := func(what string, err error, detail string) {
		t.Helper()
		if !errors.Is(err, &ovsdb.Error{Kind: ovsdb.ErrConstraint}) || !strings.Contains(err.Error(), detail) {
			t.Errorf("%s: %v, want %q", what, err, detail)
		}
	}
	accepted := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	accepted("a bad address by default", add("vm2", port("vm2", "50:54:00:00:00:02 10.0.0.300")))
	strict("true") // what is there stays
	teapot := port("vm3", "50:54:00:00:00:03")
	teapot["type"] = "teapot"
	revision := z.store.Snapshot().Revision()
	refused("an unknown type", add("vm3", teapot), `"vm3", type: "teapot"`)
	refused("a bad address", add("vm3", port("vm3", "50:54:00:00:00:03 10.0.0.300")), `"vm3", addresses: "50:54:00:00:00:03 10.0.0.300", at position 18`)
	refused("a bad change", set(ovsdb.OwnerClient, ports[0], "port_security", ovsdb.NewSet("nonsense")), `"vm1", port_security`)
	if now := z.store.Snapshot().Revision(); now != revision {
		t.Errorf("what is refused made revision %d of %d", now, revision)
	}
	accepted("a good port", add("vm3", port("vm3", "50:54:00:00:00:03 10.0.0.3")))
	accepted("a good change", set(ovsdb.OwnerClient, ports[0], "addresses", ovsdb.NewSet("50:54:00:00:00:01 10.0.0.1")))
	accepted("what northd writes about an old port", set(ovsdb.OwnerNorthd, ports[1], "up", ovsdb.NewSet(true)))
	accepted("mending an old port", set(ovsdb.OwnerClient, ports[1], "addresses", ovsdb.NewSet("50:54:00:00:00:09")))
	if got := z.View().Lint(); !got.Strict || len(got.Problems) != 1 || got.Problems[0].Name != "vm2" {
		t.Errorf("lint: %+v", got)
	}
	strict("false")
	accepted("a bad address again", add("vm4", port("vm4", "50:54:00:00:00:04 10.0.0.400")))
}

// A switch whose keys are given out but for one: of two new ports the second
// gets none.
func TestLintNamesPortsWithoutKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	z, err := openZone(path)
	if err != nil {
		t.Fatal(err)
	}
	ls, _ := z.addSwitch(t, "sw0")
	a := &z.columns.Allocation
	if _, err := z.store.Update(z.ctx, z.schemas.Private, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for key := abi.MinPortKey + 1; key <= abi.MaxPortKey; key++ { // of ports that are gone, and rest
			tx.Insert(a.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"kind": topology.KindPort, "scope": ls.String(),
				"owner": ovsdb.NewUUID(), "key": int64(key), "retired": true})
		}
		return tx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
	z = newZone(t, path)
	z.nb(t, func(tx *ovsdb.Txn) error {
		for _, name := range []string{"last", "none"} {
			tx.AddToSet(z.columns.LS.Table, ls, "ports", tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, port(name)))
		}
		return tx.Err()
	})
	got := z.View().Lint().Problems
	if len(got) != 1 || got[0].Name != "none" || got[0].Column != "tunnel_key" || got[0].Reason != "no free key" || got[0].Effect != control.LeftOut {
		t.Errorf("%d problems: %v", len(got), got)
	}
	want := control.KeyUse{Used: 1, Resting: abi.MaxPortKey - 1, Waiting: 1, Limit: abi.MaxPortKey}
	if k := z.View().Status().Keys.Ports; len(k) != 1 || k[0].Switch != "sw0" || k[0].KeyUse != want {
		t.Errorf("use of keys: %+v, want %+v", k, want)
	}
}

// Flow by flow: what is listed for an object is explained by its cookie and
// names the object, and the other way round.
func TestFlowsAndExplainAgree(t *testing.T) {
	z := newZone(t, "")
	z.addSwitch(t, "sw0", secured("vm1", "50:54:00:00:00:01 10.0.0.1"), port("vm2", "unknown"))
	z.addSwitch(t, "sw1", port("vm3", "50:54:00:00:00:03"))
	s := z.View()
	total := 0
	for _, name := range []string{"port:vm1", "port:vm2", "port:vm3", "switch:sw0", "switch:sw1"} {
		sel := selector(t, name)
		list, err := s.Flows(sel)
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, list)
		for _, o := range list.Origins {
			for _, f := range o.Flows {
				total++
				q, err := control.ParseQuery(f.String())
				if err != nil {
					t.Fatal(err)
				}
				if q.Datapath != o.Datapath.Key {
					t.Fatalf("%s: datapath %d in %v", name, q.Datapath, &f)
				}
				back, err := s.Explain([]control.Query{q})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(back.Origins, func(x control.Origin) bool {
					return reflect.DeepEqual(x.Objects, o.Objects) && reflect.DeepEqual(x.Logical, o.Logical) && x.Purpose == o.Purpose &&
						slices.ContainsFunc(x.Flows, func(y control.Flow) bool { return reflect.DeepEqual(y, f) })
				}) {
					t.Errorf("%s: %v is explained by %+v", name, &f, back.Origins)
				}
			}
		}
	}
	var have int // flows of all units
	for _, u := range s.Units {
		have += u.Body.Len()
	}
	if total != have {
		t.Errorf("%d flows listed, there are %d", total, have)
	}
	if none, err := s.Explain([]control.Query{{Cookie: 0xdead}}); err != nil || len(none.Origins) != 0 {
		t.Errorf("a cookie of nobody: %+v, %v", none, err)
	}
	if _, err := s.Flows(selector(t, "port:none")); !errors.Is(err, views.ErrNoObject) {
		t.Errorf("flows of a port that is not there: %v", err)
	}
	if _, err := s.Flows(selector(t, "Teapot:x")); !errors.Is(err, views.ErrNoObject) || !strings.Contains(err.Error(), "no table") {
		t.Errorf("flows of a table that is not there: %v", err)
	}
}

// One body serves several switches: its cookies are explained in each, and in
// one where the flow names the datapath.
func TestExplainSharedBody(t *testing.T) {
	z := newZone(t, "")
	z.addSwitch(t, "sw0", port("vm1"))
	z.addSwitch(t, "sw1", port("vm2"))
	s := z.View()
	list, err := s.Flows(selector(t, "switch:sw0"))
	if err != nil {
		t.Fatal(err)
	}
	q, err := control.ParseQuery(list.Origins[0].Flows[0].Cookie)
	if err != nil {
		t.Fatal(err)
	}
	names := func(q control.Query) (out []string) {
		got, err := s.Explain([]control.Query{q})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range got.Origins {
			out = append(out, o.Datapath.Name)
		}
		return out
	}
	if got := names(q); !slices.Equal(got, []string{"sw0", "sw1"}) {
		t.Errorf("cookie alone: %q", got)
	}
	q.Datapath = 2
	if got := names(q); !slices.Equal(got, []string{"sw1"}) {
		t.Errorf("cookie in datapath 2: %q", got)
	}
}

// Port security that refuses is named with its port.
func TestPurposeOfPortSecurity(t *testing.T) {
	z := newZone(t, "")
	z.addSwitch(t, "sw0", secured("vm1", "50:54:00:00:00:01 10.0.0.1"))
	list, err := z.View().Flows(selector(t, "port:vm1"))
	if err != nil {
		t.Fatal(err)
	}
	refusing := 0
	for _, o := range list.Origins {
		if strings.HasSuffix(o.Purpose, "REFUSES") {
			refusing++
			if o.Stage.Name != "ls_in_check_port_sec" && o.Stage.Name != "ls_out_check_port_sec" {
				t.Errorf("refused in stage %s", o.Stage.Name)
			}
			if !strings.Contains(o.Scope, `port "vm1"`) {
				t.Errorf("scope %q", o.Scope)
			}
		}
	}
	if refusing != 4 { // in, ND, out by destination, out
		t.Errorf("%d logical flows refuse", refusing)
	}
}

func TestStatusOfZone(t *testing.T) {
	z := newZone(t, "")
	_, ports := z.addSwitch(t, "sw0", port("vm1", "50:54:00:00:00:01"), port("vm2", "50:54:00:00:00:02"), port("bad", "x"))
	z.addSwitch(t, "sw1", port("vm3", "50:54:00:00:00:03"))
	if err := z.registry.Hello("hv1", &proto.Hello{Name: "hv1", Hostname: "one",
		Encaps:     []*proto.Encap{{Type: "geneve", Ip: "203.0.113.1"}},
		Interfaces: []*proto.Interface{{IfaceId: "vm1", Since: 1}}}); err != nil {
		t.Fatal(err)
	}
	z.step(t)
	s := z.View()
	list, err := s.Flows(control.Selector{Table: "Logical_Switch_Port", Key: ports[0].String()})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(list.Origins[0].Scope, `switch "sw0"`) {
		t.Errorf("scope %q", list.Origins[0].Scope)
	}
	var unit []byte
	for k := range s.Units {
		if k.Object == ports[0] {
			id := k.ID()
			unit = id[:]
		}
	}
	s.Now = z.at().UTC()
	s.Term = 1
	s.Tunnels = map[string][]string{"hv1": {"hv2"}}
	s.Chassis = []fabric.ChassisStatus{
		{Name: "hv1", Connected: true, Since: s.Now.Add(-90 * time.Second), Sent: 4, Received: 4, Applied: 3, Local: 1,
			Failed: []*proto.Failure{{Unit: unit, Body: []byte{1}, Flow: 2, Cookie: 0x1234, Error: "OFPBMC_BAD_PREREQ"}}},
		{Name: "hv9", Since: s.Now.Add(-3 * time.Hour)},
	}
	st := s.Status()
	roundTrip(t, st)
	if st.Compiled != s.Snapshot.Revision() || st.Cluster != z.store.ClusterID().String() || st.LeftOut != 1 || st.Ambiguous != 0 {
		t.Errorf("%+v", st)
	}
	if st.Keys.Datapaths.Used != 2 || len(st.Keys.Ports) != 2 || st.Keys.Ports[0].Switch != "sw0" || st.Keys.Ports[0].Used != 3 {
		t.Errorf("keys %+v", st.Keys)
	}
	if len(st.Chassis) != 2 {
		t.Fatalf("chassis %+v", st.Chassis)
	}
	c := st.Chassis[0]
	if c.Hostname != "one" || !slices.Equal(c.Encaps, []string{"geneve:203.0.113.1"}) || c.Ports != 1 || c.Lag != st.Compiled-3 ||
		!slices.Equal(c.Tunnels, []string{"hv2"}) || len(c.Failures) != 1 || len(c.Failures[0].Objects) != 1 || c.Failures[0].Objects[0].Name != "vm1" {
		t.Errorf("hv1 %+v", c)
	}
	text, err := control.String(control.Text, st)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 left out, 0 ambiguous", "up 1m30s", "DOWN 3h0m", "geneve:203.0.113.1",
		`Logical_Switch_Port "vm1" (` + ports[0].String() + `), flow 2 (cookie 0x1234): OFPBMC_BAD_PREREQ`, "\nchassis hv1:\n  left out: "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// port is a row of Logical_Switch_Port.
func port(name string, addresses ...ovsdb.Atom) map[string]ovsdb.Value {
	return map[string]ovsdb.Value{"name": name, "addresses": ovsdb.NewSet(addresses...)}
}

// addSwitch adds a switch with ports; it returns the row of the switch and of
// each port.
func (z *zone) addSwitch(t testing.TB, name string, ports ...map[string]ovsdb.Value) (ls ovsdb.UUID, lsps []ovsdb.UUID) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		var refs []ovsdb.Atom
		for _, p := range ports {
			u := tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, p)
			lsps = append(lsps, u)
			refs = append(refs, u)
		}
		ls = tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name, "ports": ovsdb.NewSet(refs...)})
		return tx.Err()
	})
	return ls, lsps
}

// What a question costs in a large zone. Nobody waits for it but the one who
// asks.
func BenchmarkViews(b *testing.B) {
	z := newZone(b, "")
	z.fill(b, 10, 2000)
	var cookie uint64
	for _, u := range z.View().Units {
		body := &proto.Body{}
		if err := gproto.Unmarshal(u.Body.Bytes, body); err != nil {
			b.Fatal(err)
		}
		cookie = body.Flows[0].Cookie
	}
	for name, ask := range map[string]func(*views.Source) error{
		"status":  func(s *views.Source) error { s.Status(); return nil },
		"lint":    func(s *views.Source) error { s.Lint(); return nil },
		"explain": func(s *views.Source) error { _, err := s.Explain([]control.Query{{Cookie: cookie}}); return err },
		"flows": func(s *views.Source) error {
			for k := range s.Units {
				_, err := s.Flows(control.Selector{Table: "Logical_Switch", Key: k.Switch.String()})
				return err
			}
			return nil
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := ask(z.View()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
