package fabric

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	pb "google.golang.org/protobuf/proto"

	"govn/pkg/eventually"
	"govn/proto"
	"govn/proto/state"
)

// model is the desired state in the plainest form, from which spec says what a
// chassis should have. It shares no code with the zone.
type model struct {
	revision  uint64
	nbCfg     int64
	bodies    map[string]string // hash -> value
	items     map[Key]ItemChange
	bindings  map[[2]uint32]Binding
	published map[[2]uint32]string
	infos     map[string]string
	links     map[[3]uint32]Link
	groups    map[string]HAGroup
}

// on tells whether a port is resident on a chassis.
func (b Binding) on(chassis string) bool {
	return chassis != "" && (b.Chassis == chassis || slices.Contains(b.Additional, chassis))
}

// others are the chassis of a port but the main one.
func (b Binding) others() []string {
	var out []string
	for _, name := range chassisNames {
		if name != b.Chassis && b.on(name) {
			out = append(out, name)
		}
	}
	return out
}

func newModel() *model {
	return &model{bodies: map[string]string{}, items: map[Key]ItemChange{}, bindings: map[[2]uint32]Binding{},
		published: map[[2]uint32]string{}, infos: map[string]string{}, links: map[[3]uint32]Link{}, groups: map[string]HAGroup{}}
}

func (m *model) apply(b Batch) {
	before := map[[2]uint32][]string{} // additional chassis
	for id, x := range m.bindings {
		if _, ha := m.group(id); !ha {
			before[id] = x.others()
		}
	}
	m.revision, m.nbCfg = b.Revision, b.NbCfg
	for _, ch := range b.Bodies {
		if ch.Value != nil {
			m.bodies[string(ch.Hash[:])] = string(ch.Value)
		}
	}
	for _, ch := range b.Items {
		if ch.Value == nil {
			if m.items[ch.Key].Scope == ch.Scope {
				delete(m.items, ch.Key)
			}
		} else {
			m.items[ch.Key] = ch
		}
	}
	for _, g := range b.HAGroups {
		if g.Value == nil {
			delete(m.groups, g.Key)
		} else {
			m.groups[g.Key] = g
		}
	}
	for _, x := range b.Bindings {
		m.bindings[[2]uint32{x.Datapath, x.Port}] = x
	}
	for id, x := range m.bindings {
		if _, ha := m.group(id); ha || x.Chassis == "" {
			m.published[id] = ""
		} else if x.Up || slices.Contains(before[id], x.Chassis) {
			m.published[id] = x.Chassis
		}
	}
	for _, c := range b.Chassis {
		if c.Gone {
			delete(m.infos, c.Name)
		} else {
			m.infos[c.Name] = string(c.Value)
		}
	}
	for _, l := range b.Links {
		id := [3]uint32{min(l.A, l.B), max(l.A, l.B), l.Port}
		if l.Gone {
			delete(m.links, id)
		} else {
			m.links[id] = l
		}
	}
}

// group is the HA group of a port.
func (m *model) group(id [2]uint32) (key string, ok bool) {
	item, ok := m.items[Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(id[0], id[1])}]
	if !ok {
		return "", false
	}
	var p proto.Port
	if err := pb.Unmarshal(item.Value, &p); err != nil {
		panic(err)
	}
	return string(p.HaGroup), len(p.HaGroup) > 0
}

// hosts are the chassis where a port is, or may be.
func (m *model) hosts(id [2]uint32) []string {
	if key, ok := m.group(id); ok {
		return m.groups[key].Members
	}
	var on []string
	for _, name := range chassisNames {
		if m.bindings[id].on(name) {
			on = append(on, name)
		}
	}
	return on
}

// portIDs are all ports that anything is said of.
func (m *model) portIDs() map[[2]uint32]bool {
	all := map[[2]uint32]bool{}
	for id := range m.bindings {
		all[id] = true
	}
	for k := range m.items {
		if dp, port, ok := state.ParsePortKey(k.Key); ok && k.Kind == proto.Kind_KIND_PORT {
			all[[2]uint32{dp, port}] = true
		}
	}
	return all
}

func (m *model) local(name string) map[uint32]bool {
	local := map[uint32]bool{}
	for id := range m.portIDs() {
		if slices.Contains(m.hosts(id), name) {
			local[id[0]] = true
		}
	}
	for range 20 { // more than there are datapaths
		for l, link := range m.links {
			if (!link.Border || slices.Contains(link.Hosts, name)) && (local[l[0]] || local[l[1]]) {
				local[l[0]], local[l[1]] = true, true
			}
		}
	}
	return local
}

// users are the chassis that use each group.
func (m *model) users() map[string][]string {
	users := map[string][]string{}
	for k, ch := range m.items {
		dp, _, ok := state.ParsePortKey(k.Key)
		var p proto.Port
		if k.Kind != proto.Kind_KIND_PORT || !ok || pb.Unmarshal(ch.Value, &p) != nil || p.Type != typeRedirect {
			continue
		}
		g := m.groups[string(p.HaGroup)]
		for _, name := range chassisNames {
			if g.Value != nil && !slices.Contains(g.Members, name) && m.local(name)[dp] && !slices.Contains(users[g.Key], name) {
				users[g.Key] = append(users[g.Key], name)
			}
		}
	}
	for _, names := range users {
		slices.Sort(names)
	}
	return users
}

func (m *model) spec(name string) map[Key]string {
	local := m.local(name)
	want := map[Key]string{}
	for id := range m.portIDs() {
		key, ha := m.group(id)
		if !ha || !local[id[0]] || m.groups[key].Value == nil {
			continue
		}
		members := m.groups[key].Members
		want[haGroupKey(key)] = string(m.groups[key].Value)
		for _, c := range members {
			if info, known := m.infos[c]; known && c != name {
				want[Key{Kind: proto.Kind_KIND_CHASSIS, Key: c}] = info
			}
		}
		if !slices.Contains(members, name) {
			continue
		}
		for _, user := range chassisNames {
			if user != name && m.local(user)[id[0]] {
				want[Key{Kind: proto.Kind_KIND_HA_USER, Key: state.HAUserKey(id[0], user)}] = ""
			}
		}
	}
	for k, ch := range m.items {
		sc := ch.Scope
		if !local[sc.Datapath] || sc.Port != 0 && !slices.Contains(m.hosts([2]uint32{sc.Datapath, sc.Port}), name) {
			continue
		}
		want[k] = string(ch.Value)
		switch k.Kind {
		case proto.Kind_KIND_UNIT:
			var u proto.Unit
			if err := pb.Unmarshal(ch.Value, &u); err != nil {
				panic(err)
			}
			want[Key{Kind: proto.Kind_KIND_BODY, Key: string(u.Body)}] = m.bodies[string(u.Body)]
		case proto.Kind_KIND_PORT:
			dp, port, _ := state.ParsePortKey(k.Key)
			var p proto.Port
			if err := pb.Unmarshal(ch.Value, &p); err != nil {
				panic(err)
			}
			id := [2]uint32{dp, port}
			if p.Chassis = m.published[id]; len(p.HaGroup) == 0 && m.bindings[id].Chassis == name {
				p.Chassis = name
			}
			if p.Up = p.Chassis != ""; len(p.HaGroup) == 0 {
				p.AdditionalChassis = m.bindings[id].others()
			}
			for _, encap := range m.bindings[id].Encaps {
				at, ip, _ := strings.Cut(encap, "@")
				if at == p.Chassis {
					p.EncapIp = ip
				} else if slices.Contains(p.AdditionalChassis, at) {
					p.AdditionalEncaps = append(p.AdditionalEncaps, encap)
				}
			}
			want[k] = string(marshal(&p))
		}
	}
	for id, x := range m.bindings {
		if _, ha := m.group(id); ha {
			continue
		}
		for _, c := range append(x.others(), x.Chassis, m.published[id]) {
			if info, known := m.infos[c]; known && local[id[0]] && c != name {
				want[Key{Kind: proto.Kind_KIND_CHASSIS, Key: c}] = info
			}
		}
	}
	return want
}

// unusedBodies are those that no unit names any more.
func (m *model) unusedBodies() []BodyChange {
	used := map[string]bool{}
	for k, ch := range m.items {
		if k.Kind == proto.Kind_KIND_UNIT {
			var u proto.Unit
			if err := pb.Unmarshal(ch.Value, &u); err != nil {
				panic(err)
			}
			used[string(u.Body)] = true
		}
	}
	var unused []BodyChange
	for _, h := range slices.Sorted(maps.Keys(m.bodies)) {
		if !used[h] {
			unused = append(unused, BodyChange{Hash: [16]byte([]byte(h))})
		}
	}
	return unused
}

const (
	datapaths = 4
	portsEach = 3
)

var chassisNames = []string{"hv1", "hv2", "hv3", "hv4"}

// drawBatch draws a batch of a few changes of every sort.
func drawBatch(t *rapid.T, m *model) Batch {
	b := Batch{Revision: m.revision + 1, NbCfg: m.nbCfg}
	dp := rapid.Uint32Range(1, datapaths)
	port := rapid.Uint32Range(1, portsEach)
	name := rapid.SampledFrom(chassisNames)
	for range rapid.IntRange(1, 6).Draw(t, "changes") {
		switch rapid.IntRange(0, 11).Draw(t, "what") {
		case 0, 1, 2: // a unit comes, changes its body or its scope
			body := bodyOf(fmt.Sprint("body", rapid.IntRange(0, 5).Draw(t, "body")))
			b.Bodies = append(b.Bodies, body)
			sc := Scope{Datapath: dp.Draw(t, "dp")}
			if rapid.Bool().Draw(t, "scoped") {
				sc.Port = port.Draw(t, "port")
			}
			b.Items = append(b.Items, unitOf(fmt.Sprint("unit", rapid.IntRange(0, 11).Draw(t, "unit")), sc.Datapath, sc.Port, body))
		case 3: // a unit goes
			if units := slices.SortedFunc(maps.Keys(m.items), itemOps{}.Compare); len(units) > 0 {
				b.Items = append(b.Items, gone(m.items[rapid.SampledFrom(units).Draw(t, "gone")]))
			}
		case 4:
			b.Items = append(b.Items, portOf(dp.Draw(t, "dp"), port.Draw(t, "port"), fmt.Sprint("p", rapid.IntRange(0, 3).Draw(t, "name"))))
		case 5, 6, 7: // a port moves, comes up, is unbound
			x := Binding{Datapath: dp.Draw(t, "dp"), Port: port.Draw(t, "port"), Up: rapid.Bool().Draw(t, "up")}
			if rapid.IntRange(0, 3).Draw(t, "bound") > 0 {
				x.Chassis = name.Draw(t, "chassis")
			}
			x.Additional = rapid.SliceOfN(name, 0, 2).Draw(t, "additional")
			for _, at := range rapid.SliceOfNDistinct(name, 0, 2, rapid.ID[string]).Draw(t, "encaps") {
				x.Encaps = append(x.Encaps, at+"@10.0.0.1")
			}
			b.Bindings = append(b.Bindings, x)
		case 8:
			info := infoOf(name.Draw(t, "chassis"))
			info.Value = append(info.Value, marshal(&proto.Chassis{Hostname: fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "host"))})...)
			info.Gone = rapid.IntRange(0, 3).Draw(t, "info gone") == 0
			b.Chassis = append(b.Chassis, info)
		case 10: // a port that several chassis may host
			p := portOf(dp.Draw(t, "dp"), port.Draw(t, "port"), "cr")
			kind := rapid.SampledFrom([]string{typeRedirect, "external"}).Draw(t, "type")
			p.Value = marshal(&proto.Port{Name: "cr", Type: kind, HaGroup: []byte(rapid.SampledFrom([]string{"g1", "g2"}).Draw(t, "group"))})
			b.Items = append(b.Items, p)
		case 11: // a group comes, changes or goes
			g := HAGroup{Key: rapid.SampledFrom([]string{"g1", "g2"}).Draw(t, "group")}
			if rapid.IntRange(0, 3).Draw(t, "group is there") > 0 {
				g.Members = rapid.SliceOfNDistinct(name, 0, 3, rapid.ID).Draw(t, "members")
				value := &proto.HAGroup{Name: g.Key}
				for _, c := range g.Members {
					value.Members = append(value.Members, &proto.HAMember{Chassis: c})
				}
				g.Value = marshal(value)
			}
			b.HAGroups = append(b.HAGroups, g)
		case 9:
			l := Link{A: dp.Draw(t, "a"), B: dp.Draw(t, "b"), Border: rapid.Bool().Draw(t, "border"), Gone: rapid.Bool().Draw(t, "link gone"), Port: rapid.Uint32Range(1, 2).Draw(t, "link port")}
			if l.Border {
				l.Hosts = rapid.SliceOfNDistinct(name, 0, 2, rapid.ID).Draw(t, "hosts")
			}
			if l.A != l.B {
				b.Links = append(b.Links, l)
			}
		}
	}
	after := *m
	after.items, after.bodies, after.published = maps.Clone(m.items), maps.Clone(m.bodies), maps.Clone(m.published)
	after.apply(Batch{Items: b.Items, Bodies: b.Bodies})
	b.Bodies = append(b.Bodies, after.unusedBodies()...)
	return b
}

// Whatever happens, a chassis ends up with what the specification says, and so
// does one that connects afterwards.
func TestEveryChassisConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bed := newBed(Options{
			LogKeys:      rapid.SampledFrom([]int{-1, 1, 3, 4096}).Draw(t, "log"),
			ChunkSize:    rapid.SampledFrom([]int{200, 1 << 20}).Draw(t, "chunk"),
			MaxSnapshots: 2,
			ResyncDelay:  1,
		})
		defer bed.stop()
		m := newModel()
		fakes, users := map[string]*fake{}, map[string][]string{}
		for _, n := range chassisNames {
			fakes[n] = newFake(n)
			defer func() { fakes[n].disconnect() }()
		}
		apply := func(b Batch) {
			m.apply(b)
			for _, u := range b.Bodies {
				if u.Value == nil {
					delete(m.bodies, string(u.Hash[:]))
				}
			}
			bed.Apply(b)
			for _, g := range b.HAGroups {
				if m.groups[g.Key].Value == nil {
					delete(users, g.Key)
				}
			}
			for _, g := range bed.TakeHAUsers() {
				if users[g.Group] = g.Chassis; len(g.Chassis) == 0 {
					delete(users, g.Group)
				}
			}
		}
		check := func() {
			apply(Batch{Revision: m.revision + 1, NbCfg: m.nbCfg + 1})
			if diff := cmp.Diff(m.users(), users); diff != "" {
				t.Fatalf("users of HA groups (-specification +fabric):\n%s", diff)
			}
			fresh := map[string]*fake{}
			for _, n := range chassisNames {
				f := fakes[n]
				if f.conn == nil {
					continue
				}
				f.keepUp(t, bed, m.nbCfg)
				if diff := cmp.Diff(m.spec(n), f.contents()); diff != "" {
					t.Fatalf("%s (-specification +chassis):\n%s", n, diff)
				}
				fresh[n] = newFake(n)
			}
			for n, f := range fresh {
				fakes[n].disconnect() // the fresh one takes its place
				f.connect(t, bed)
				f.keepUp(t, bed, m.nbCfg)
				diff := cmp.Diff(m.spec(n), f.contents())
				f.disconnect()
				if diff != "" {
					t.Fatalf("fresh %s (-specification +chassis):\n%s", n, diff)
				}
				fakes[n].connect(t, bed)
			}
		}
		apply(Batch{Revision: 1, NbCfg: 1})
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			f := fakes[rapid.SampledFrom(chassisNames).Draw(t, "who")]
			switch what := rapid.IntRange(0, 13).Draw(t, "step"); {
			case what < 8:
				apply(drawBatch(t, m))
			case what == 8:
				f.disconnect()
			case what < 11:
				f.disconnect()
				f.connect(t, bed)
			case what == 11:
				if f.conn != nil {
					f.ack(&proto.Ack{Resync: true})
				}
			case what == 12:
				f.disconnect()
				fakes[f.name] = newFake(f.name) // the host comes back with nothing
				fakes[f.name].connect(t, bed)
			default:
				check()
			}
		}
		check()
		for _, f := range fakes {
			f.mu.Lock()
			errs := f.errs
			f.mu.Unlock()
			if len(errs) > 0 {
				t.Fatalf("%s: %v", f.name, errs)
			}
		}
		// When everything is taken back, nothing stays behind.
		last := Batch{Revision: m.revision + 1, NbCfg: m.nbCfg + 1, Bodies: []BodyChange{}}
		for _, ch := range m.items {
			last.Items = append(last.Items, gone(ch))
		}
		for h := range m.bodies {
			last.Bodies = append(last.Bodies, BodyChange{Hash: [16]byte([]byte(h))})
		}
		for id := range m.bindings {
			last.Bindings = append(last.Bindings, Binding{Datapath: id[0], Port: id[1]})
		}
		for n := range m.infos {
			last.Chassis = append(last.Chassis, ChassisInfo{Name: n, Gone: true})
		}
		for l := range m.links {
			last.Links = append(last.Links, Link{A: l[0], B: l[1], Port: l[2], Gone: true})
		}
		for key := range m.groups {
			last.HAGroups = append(last.HAGroups, HAGroup{Key: key})
		}
		bed.Apply(last)
		for _, f := range fakes {
			if f.conn != nil {
				f.keepUp(t, bed, last.NbCfg)
				if got := f.contents(); len(got) != 0 {
					t.Fatalf("%s still has %v", f.name, got)
				}
			}
			f.disconnect()
		}
		eventually.That(t, "end of streams", func() bool { return len(bed.Status()) == 0 })
		z := bed.zone
		if n := len(z.scopes) + len(z.bodies) + len(z.missing) + len(z.datapaths) + len(z.ports) + len(z.chassis) + len(z.haGroups); n != 0 {
			t.Fatalf("the zone still holds %+v", z)
		}
	})
}
