package fabric

import (
	"log/slog"
	"slices"
	"strings"

	pb "google.golang.org/protobuf/proto"

	"govn/proto"
	"govn/proto/state"
)

// zone is the desired state. It is guarded by Server.mu.
type zone struct {
	logger  *slog.Logger
	logKeys int

	revision uint64
	nbCfg    int64
	batches  uint64
	seq      uint64

	scopes    map[Key]Scope
	bodies    map[Key]*item
	missing   map[Key]map[*cell]struct{} // bodies that are referenced and not known
	datapaths map[uint32]*datapath
	ports     map[portID]*port
	chassis   map[string]*chassis
	haGroups  map[Key]*haGroup
	reused    map[*haGroup]struct{} // whose users or members changed since they were taken

	// During apply.
	touched   []*cell
	unsettled map[*port]struct{}
	moved     map[*chassis]struct{}
	visited   map[*datapath]struct{}
	awake     []*stream
}

type portID struct{ datapath, port uint32 }

// datapath is what the zone knows of a datapath.
type datapath struct {
	key     uint32
	all     *cell
	own     map[string]*cell // by chassis
	localTo map[string]*chassis
	links   map[linkID]border
	ports   int
	hosts   map[string]int // members of the HA groups of its ports, counted by group
	// redirects are the groups of its chassisredirect ports.
	redirects map[*haGroup]struct{}
}

// port is what the zone knows of a port.
type port struct {
	id       portID
	chassis  string   // bound to
	more     []string // bound to, too; in order, without chassis
	encaps   []string // CHASSIS@IP
	up       bool
	base     *item         // PORT item as northd made it
	scoped   map[Key]*item // sent only where the port is resident
	group    *haGroup      // whose members it is resident on instead
	redirect bool          // it counts as a chassisredirect port of the group

	// As the cells have it: scoped and the own view are in the cell of placed.
	placed    []string // chassis, then more
	published string
	view      portView
}

// portView is a PORT item with the names that were filled in.
type portView struct {
	base           *item
	pubName, bound string
	more, encaps   []string
	pub, own       *item
}

// chassis is what the zone knows of a chassis.
type chassis struct {
	name    string
	info    *item
	bound   map[uint32]int // ports bound to it, by datapath
	present map[*datapath]struct{}
	local   map[uint32]struct{}
	reach   reach // during apply
	session session
	awaited uint64 // revision whose acknowledgement brings a port up
}

func newZone(logger *slog.Logger, logKeys int) *zone {
	return &zone{
		logger: logger, logKeys: logKeys,
		scopes: map[Key]Scope{}, bodies: map[Key]*item{}, missing: map[Key]map[*cell]struct{}{},
		datapaths: map[uint32]*datapath{}, ports: map[portID]*port{}, chassis: map[string]*chassis{}, haGroups: map[Key]*haGroup{}, reused: map[*haGroup]struct{}{},
		unsettled: map[*port]struct{}{}, moved: map[*chassis]struct{}{}, visited: map[*datapath]struct{}{},
	}
}

func (z *zone) datapath(key uint32) *datapath {
	d := z.datapaths[key]
	if d == nil {
		d = &datapath{key: key, own: map[string]*cell{}, localTo: map[string]*chassis{}, links: map[linkID]border{}, hosts: map[string]int{}, redirects: map[*haGroup]struct{}{}}
		d.all = z.newCell(d, "")
		z.datapaths[key] = d
	}
	z.visited[d] = struct{}{}
	return d
}

func (z *zone) newCell(d *datapath, chassis string) *cell {
	z.seq++
	c := &cell{datapath: d, chassis: chassis, group: &group{seq: z.seq}, refs: map[Key]int{}}
	c.items.young, c.shared.young = map[Key]*item{}, map[Key]*item{}
	return c
}

// setOwn is set in the cell of what only one chassis has of a datapath.
func (z *zone) setOwn(d *datapath, chassis string, k Key, it *item) {
	c := d.own[chassis]
	if c == nil {
		if it == nil {
			return
		}
		c = z.newCell(d, chassis)
		d.own[chassis] = c
	}
	z.set(c, k, it)
}

func (z *zone) port(id portID) *port {
	p := z.ports[id]
	if p == nil {
		p = &port{id: id, scoped: map[Key]*item{}}
		z.ports[id] = p
		z.datapath(id.datapath).ports++
	}
	z.unsettled[p] = struct{}{}
	return p
}

func (z *zone) chassisOf(name string) *chassis {
	c := z.chassis[name]
	if c == nil {
		c = &chassis{name: name, bound: map[uint32]int{}, present: map[*datapath]struct{}{}, local: map[uint32]struct{}{}}
		z.chassis[name] = c
	}
	return c
}

// forget drops a chassis that nothing refers to.
func (z *zone) forget(c *chassis) {
	if c.info == nil && len(c.bound) == 0 && len(c.present) == 0 && c.session.refs == 0 {
		delete(z.chassis, c.name)
	}
}

func (z *zone) touch(c *cell, k Key) {
	if !c.dirty {
		c.dirty = true
		z.touched = append(z.touched, c)
	}
	if c.chassis == "" {
		c.changed = append(c.changed, k)
	}
}

// set puts an item into a cell, or takes it out where it is nil.
func (z *zone) set(c *cell, k Key, it *item) {
	old, had := c.items.get(k)
	switch {
	case it == nil && !had, it != nil && had && (itemOps{}).Equal(old, it):
		return
	case it == nil:
		c.items.remove(k)
	default:
		c.items.put(k, it)
		if it.body != (Key{}) {
			z.ref(c, it.body)
		}
	}
	if had && old.body != (Key{}) {
		z.unref(c, old.body)
	}
	z.touch(c, k)
}

// ref counts one more user of a shared item in a cell, and tells whether it is
// the first one.
func (z *zone) ref(c *cell, k Key) (first bool) {
	c.refs[k]++
	if c.refs[k] > 1 {
		return false
	}
	if k.Kind == proto.Kind_KIND_CHASSIS {
		z.share(c, k, z.chassisOf(k.Key).info)
		return true
	}
	if k.Kind == proto.Kind_KIND_HA_GROUP {
		z.share(c, k, z.haGroup(k).info)
		return true
	}
	body := z.bodies[k]
	if body == nil {
		z.logger.Error("unit names a body that is not known", "body", hex(k.Key), "datapath", c.datapath.key)
		if z.missing[k] == nil {
			z.missing[k] = map[*cell]struct{}{}
		}
		z.missing[k][c] = struct{}{}
	}
	z.share(c, k, body)
	return true
}

// unref counts one user less, and tells whether it was the last one.
func (z *zone) unref(c *cell, k Key) (last bool) {
	if c.refs[k]--; c.refs[k] > 0 {
		return false
	}
	delete(c.refs, k)
	z.share(c, k, nil)
	if cells := z.missing[k]; cells != nil {
		if delete(cells, c); len(cells) == 0 {
			delete(z.missing, k)
		}
	}
	return true
}

// share puts a shared item into a cell, or takes it out where it is nil.
func (z *zone) share(c *cell, k Key, it *item) {
	if it == nil {
		if _, had := c.shared.get(k); !had {
			return
		}
		c.shared.remove(k)
	} else {
		if same := c.group.sharedItem(k); same != nil && same != it && (itemOps{}).Equal(same, it) {
			// The group may keep it, because the trees are equal: one says what the other does.
			same.many.Store(true)
			it.many.Store(true)
		}
		c.shared.put(k, it)
		it.in(c)
	}
	z.touch(c, k)
}

// putBody makes a body known.
func (z *zone) putBody(it *item) {
	if z.bodies[it.key] != nil {
		return // the key says what is in it
	}
	z.bodies[it.key] = it
	for c := range z.missing[it.key] {
		z.share(c, it.key, it)
	}
	delete(z.missing, it.key)
}

// putItem makes the change of one item, made is the item of its value.
func (z *zone) putItem(ch *ItemChange, made *item) {
	if shared(ch.Key.Kind) || ch.Scope.Datapath == 0 {
		z.logger.Error("item does not belong here", "kind", ch.Key.Kind, "key", hex(ch.Key.Key), "datapath", ch.Scope.Datapath)
		return
	}
	old, had := z.scopes[ch.Key]
	if ch.Value == nil {
		if had && old == ch.Scope {
			delete(z.scopes, ch.Key)
			z.place(old, ch.Key, nil)
		}
		return
	}
	if had && old != ch.Scope {
		z.place(old, ch.Key, nil)
	}
	z.scopes[ch.Key] = ch.Scope
	z.place(ch.Scope, ch.Key, made)
}

// place puts an item where its scope says; nil takes it out.
func (z *zone) place(sc Scope, k Key, made *item) {
	if sc.Port != 0 {
		p := z.port(portID{sc.Datapath, sc.Port})
		if made == nil {
			delete(p.scoped, k)
		} else {
			p.scoped[k] = made
		}
		for _, name := range p.placed {
			z.setOwn(z.datapath(sc.Datapath), name, k, made)
		}
		return
	}
	if k.Kind == proto.Kind_KIND_PORT {
		if dp, key, ok := state.ParsePortKey(k.Key); ok && dp == sc.Datapath {
			z.port(portID{dp, key}).base = made
			return
		}
		z.logger.Error("key of a port is not of its datapath", "key", hex(k.Key), "datapath", sc.Datapath)
	}
	z.set(z.datapath(sc.Datapath).all, k, made)
}

// bind makes the change of one binding.
func (z *zone) bind(b Binding) {
	p := z.port(portID{b.Datapath, b.Port})
	p.chassis, p.up, p.more = b.Chassis, b.Up && b.Chassis != "", nil
	for _, name := range b.Additional {
		if name != "" && name != b.Chassis {
			p.more = append(p.more, name)
		}
	}
	slices.Sort(p.more)
	p.more = slices.Compact(p.more)
	p.encaps = b.Encaps
}

// hosts are the chassis where the port is resident.
func (p *port) hosts() []string {
	if p.chassis == "" {
		return p.more
	}
	return append([]string{p.chassis}, p.more...)
}

// settle brings the cells in line with a port's binding and PORT item.
func (z *zone) settle(p *port) {
	d := z.datapath(p.id.datapath)
	published := p.published
	z.joinHA(d, p)
	hosts, bound, more := p.hosts(), p.chassis, p.more
	if p.group != nil { // the members decide among themselves
		hosts, bound, more = p.group.members, "", nil
	}
	switch {
	case bound == "":
		published = ""
	case p.up || slices.Contains(p.view.more, bound): // all see it there already
		published = bound
	}

	// New references before the old ones go, so that what stays is not touched.
	for _, name := range hosts {
		z.present(d, name, +1)
	}
	z.present(d, published, +1)
	for _, name := range p.placed {
		z.present(d, name, -1)
	}
	z.present(d, p.published, -1)

	key := Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(p.id.datapath, p.id.port)}
	p.look(key, published, bound, more)
	z.set(d.all, key, p.view.pub)
	for _, name := range p.placed {
		if slices.Contains(hosts, name) {
			continue
		}
		for k := range p.scoped {
			z.setOwn(d, name, k, nil)
		}
		z.setOwn(d, name, key, nil)
		z.reside(name, p.id.datapath, -1)
	}
	for _, name := range hosts {
		if !slices.Contains(p.placed, name) {
			for k, it := range p.scoped {
				z.setOwn(d, name, k, it)
			}
			z.reside(name, p.id.datapath, +1)
		}
		var own *item // of the chassis that it is bound to, as long as the others do not see it there
		if name == bound && bound != published {
			own = p.view.own
		}
		z.setOwn(d, name, key, own)
	}
	p.placed, p.published = hosts, published
	if p.base == nil && len(p.scoped) == 0 && p.chassis == "" && len(p.more) == 0 {
		delete(z.ports, p.id)
		d.ports--
	}
}

// look makes the PORT item for the chassis that the port is bound to and for
// all others.
func (p *port) look(key Key, published, bound string, more []string) {
	v := portView{base: p.base, pubName: published, bound: bound, more: more, encaps: p.encaps}
	if p.base == nil {
		p.view = v
		return
	}
	if v.base == p.view.base && v.pubName == p.view.pubName && v.bound == p.view.bound && slices.Equal(v.more, p.view.more) && slices.Equal(v.encaps, p.view.encaps) {
		return
	}
	v.pub = newItem(key, portValue(p.base.value, published, more, p.encaps), p.base.critical)
	v.own = v.pub
	if bound != published {
		v.own = newItem(key, portValue(p.base.value, bound, more, p.encaps), p.base.critical)
	}
	p.view = v
}

// portValue fills the chassis, how they are reached, and up into a Port. The result depends on nothing
// else; a value that is no Port is left alone.
func portValue(base []byte, chassis string, more, encaps []string) []byte {
	var m proto.Port
	if err := pb.Unmarshal(base, &m); err != nil {
		return base
	}
	m.Chassis, m.AdditionalChassis, m.Up = chassis, more, chassis != ""
	for _, encap := range encaps {
		switch name, ip, _ := strings.Cut(encap, "@"); {
		case name == chassis:
			m.EncapIp = ip
		case slices.Contains(more, name):
			m.AdditionalEncaps = append(m.AdditionalEncaps, encap)
		}
	}
	value, err := pb.MarshalOptions{Deterministic: true}.Marshal(&m)
	if err != nil {
		return base // a string that is not UTF-8: Unmarshal refuses it before
	}
	return value
}

// present counts the ports that the others see, or will see, on a chassis.
func (z *zone) present(d *datapath, name string, n int) {
	switch {
	case name == "":
	case n > 0:
		if z.ref(d.all, chassisKey(name)) {
			z.chassisOf(name).present[d] = struct{}{}
		}
	default:
		if z.unref(d.all, chassisKey(name)) {
			c := z.chassisOf(name)
			delete(c.present, d)
			z.moved[c] = struct{}{}
		}
	}
}

// reside counts the ports that are bound to a chassis.
func (z *zone) reside(name string, datapath uint32, n int) {
	c := z.chassisOf(name)
	before := c.bound[datapath]
	if c.bound[datapath] = before + n; before+n == 0 {
		delete(c.bound, datapath)
	}
	switch {
	case before == 0 && n > 0:
		c.reach.from = append(c.reach.from, datapath)
	case before > 0 && before+n == 0:
		c.reach.lost = append(c.reach.lost, datapath)
	default:
		return
	}
	z.moved[c] = struct{}{}
}

// putChassis makes the change of what the others know of a chassis.
func (z *zone) putChassis(info ChassisInfo) {
	c := z.chassisOf(info.Name)
	c.info = nil
	if !info.Gone {
		c.info = newItem(chassisKey(info.Name), info.Value, false)
	}
	for d := range c.present {
		z.visited[d] = struct{}{}
		z.share(d.all, chassisKey(info.Name), c.info)
	}
	z.moved[c] = struct{}{}
}

func hex(key string) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 2*len(key))
	for i := range len(key) {
		b = append(b, digits[key[i]>>4], digits[key[i]&15])
	}
	return string(b)
}
