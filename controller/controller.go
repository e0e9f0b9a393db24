package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"govn/controller/flows"
	"govn/controller/physical"
	"govn/controller/punt"
	"govn/controller/vswitch"
	"govn/pkg/abi"
	"govn/pkg/certs"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// Times of the loop.
const (
	// cautionTime is how long a controller that finds flows in Open vSwitch
	// waits for northd before it adds what its cache has more.
	cautionTime = 5 * time.Second
	// maxRetries bounds the bundles of one round; each but the last one fails
	// and puts something into quarantine.
	maxRetries   = 64
	maxEvents    = 512 // taken in before a round
	retryRefused = time.Second
)

// controller is the state of the loop. Only the loop touches it.
type controller struct {
	o   Options
	log *slog.Logger
	vs  *vswitch.Client
	st  *stream
	of  *flows.Switch
	m   *metrics

	host  *physical.Host
	table *flows.Table

	groups  *flows.Groups
	leading int // messages of groups before those of flows in the bundle

	punts *punt.Dispatcher
	bfd   *punt.BFD
	handlers

	cfg      *vswitch.Config
	bridge   *vswitch.Bridge
	restored bool // zones were read from the bridge

	ifaces     map[string]*vswitch.Interface
	claims     map[string]map[string]bool // iface-id to the names of its interfaces
	reported   map[string]*proto.Interface
	unreported map[string]bool  // iface-ids that may have changed since
	since      map[string]int64 // interface name to unix milliseconds
	unwritten  map[string]bool  // interfaces whose since the database does not have
	sinceAt    time.Time        // when the next of them is to be written down

	seen        seen
	asking      sync.WaitGroup // for counters
	heldUntil   time.Time      // when held packets are looked at
	advertised  map[physical.PortID]*advertising
	advertiseAt time.Time
	heardAt     map[physical.NeighbourID]time.Time // what northd has not confirmed
	residentsIn map[uint32]int                     // ports on interfaces of this host, by datapath

	state    *state.State
	accepted uint64 // session whose frames count
	greeted  bool   // northd has our Hello
	source   source
	cache    *cache
	saveAt   time.Time // when the state goes to disk; zero: it is there
	saving   sync.WaitGroup
	saveTook atomic.Int64 // nanoseconds that the last time took
	caution  time.Time    // when the cache may be used; zero: never

	session   *flows.Session // to Open vSwitch; nil: none
	inherited int            // flows of ours that the session found
	applied   *proto.Revision
	nbCfg     int64
	resync    bool
	lastAck   *proto.Ack
	failures  map[state.Hash]*proto.Failure // bodies in quarantine
	barred    map[physical.Owner]barredOwner
	owners    map[flows.Source]physical.Owner
	badItems  map[string]*proto.Failure // by kind and key
	placed    map[physical.PortID]physical.Placement

	wanted         vswitch.Wish         // the last one
	tunnels        vswitch.Tunnels      // that exist or are to
	leaving        map[string]bool      // tunnels that go when the flows are in
	carriers       map[string][]string  // interfaces of a tunnel, in the order in which they came
	waiting        map[string]time.Time // tunnels and patches without a port yet, until when
	chassisChanged bool                 // since the tunnels were looked at
	zones          vswitch.Zones
	keys           vswitch.Interfaces
	serving        map[string]bool // interfaces that came to serve a port, or ceased to, since the flows were in

	gw             gateways
	betweenTold    string // states of tunnels to other zones, as northd knows them
	betweenChanged bool
	gatewayClaims  map[physical.PortID]bool // of claimed, those of HA groups
	claimed        claimed
	announcing     map[announceKey]*announcing
	announceAt     time.Time // when one that is held back may be made

	loaded  bool // the cache was read
	again   bool // a round is due though nothing happened
	againAt time.Time

	do     chan func()
	ctx    context.Context
	rounds uint64
}

// source says where the state is from.
type source uint8

const (
	sourceNone   source = iota
	sourceCache         // may be old: adds flows, removes none
	sourceNorthd        // complete
)

func (s source) String() string { return [...]string{"none", "cache", "northd"}[s] }

// Run is the controller of one chassis. It returns when ctx ends, or with an
// error that says why it cannot work. Flows stay as they are.
func Run(ctx context.Context, o Options) error {
	if o.OVS == "" {
		return errors.New("controller: no remote of the Open_vSwitch database")
	}
	if err := ovsdb.CheckRemote(o.OVS); err != nil {
		return fmt.Errorf("the Open_vSwitch database: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.RunDir == "" {
		o.RunDir = runDir(o.OVS)
	}
	c := newController(ctx, o)
	if err := c.m.register(o.Registry); err != nil {
		return fmt.Errorf("controller: metrics: %w", err)
	}
	c.commands()
	inner, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var vsErr error
	wg.Go(func() { vsErr = c.vs.Run(inner) })
	wg.Go(func() { c.st.run(inner) })
	wg.Go(func() { c.of.Run(inner) })
	c.loop(inner)
	cancel()
	wg.Wait()
	c.asking.Wait()
	c.saving.Wait()
	if c.source == sourceNorthd && !c.saveAt.IsZero() {
		if err := c.cache.store(contentsOf(c.state)); err != nil {
			c.log.Warn("state not written to disk", "err", err)
		}
	}
	return vsErr
}

func newController(ctx context.Context, o Options) *controller {
	punts := punt.New(nil)
	c := &controller{
		o: o, log: o.Logger, ctx: ctx,
		vs: vswitch.NewClient(o.OVS, o.Logger), st: newStream(o.Logger, certs.NewLoader(o.Keys, o.Logger)), of: flows.NewSwitch(o.Logger, punts),
		m: newMetrics(), host: physical.New(o.Logger), table: flows.NewTable(), groups: flows.NewGroups(),
		punts: punts, ifaces: map[string]*vswitch.Interface{}, claims: map[string]map[string]bool{},
		reported: map[string]*proto.Interface{}, unreported: map[string]bool{}, since: map[string]int64{}, unwritten: map[string]bool{},
		state: state.New(), failures: map[state.Hash]*proto.Failure{}, barred: map[physical.Owner]barredOwner{},
		owners: map[flows.Source]physical.Owner{}, badItems: map[string]*proto.Failure{},
		leaving: map[string]bool{}, waiting: map[string]time.Time{}, carriers: map[string][]string{}, serving: map[string]bool{},
		placed: map[physical.PortID]physical.Placement{}, do: make(chan func()),
		gw: newGateways(), gatewayClaims: map[physical.PortID]bool{}, claimed: claimed{}, announcing: map[announceKey]*announcing{},
		seen: newSeen(), residentsIn: map[uint32]int{}, heardAt: map[physical.NeighbourID]time.Time{}, advertised: map[physical.PortID]*advertising{},
	}
	c.m.punt = newPuntMetrics(punts)
	c.handle()
	c.bfd = punt.NewBFD()
	c.bfd.Send, c.bfd.Changed = c.sendPacket, c.bfdChanged
	c.punts.Register(abi.PuntBFD, func(p *punt.Packet) bool { return c.bfd.HandleAt(time.Now(), p) })
	return c
}

// runDir is where ovs-vswitchd has its sockets: OVS_RUNDIR, else the directory
// of the database's.
func runDir(remote string) string {
	if dir := os.Getenv("OVS_RUNDIR"); dir != "" {
		return dir
	}
	if path, ok := strings.CutPrefix(remote, "unix:"); ok {
		return filepath.Dir(path)
	}
	return "/var/run/openvswitch"
}

// loop takes events until ctx ends. Whatever has arrived is taken in before a
// round is run.
func (c *controller) loop(ctx context.Context) {
	timer, pulse := time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	defer timer.Stop()
	defer pulse.Stop()
	ready := false
	for {
		timer.Reset(c.nextDeadline())
		pulse.Reset(c.nextPulse())
		idle := false
		select {
		case <-ctx.Done():
			return
		case <-c.vs.Changed():
			if c.vswitchChanged() && !ready {
				ready = true
				if c.o.Ready != nil {
					c.o.Ready()
				}
			}
		case a := <-c.st.asks:
			c.hello(a)
			continue
		case h := <-c.st.inbox:
			c.heard(h)
		case e := <-c.of.Events():
			c.switched(e)
			idle = e.Packet.Opcode() == abi.PuntBFD
		case <-pulse.C:
			idle = true
		case fn := <-c.do:
			fn()
			continue
		case h := <-c.seen.answers:
			c.saw(h)
			continue
		case <-timer.C:
		}
		for more := maxEvents; more > 0; more-- {
			select {
			case h := <-c.st.inbox:
				c.heard(h)
				idle = false
			case e := <-c.of.Events():
				c.switched(e)
				idle = idle && e.Packet.Opcode() == abi.PuntBFD
			default:
				more = 0
			}
		}
		if c.bfd.Advance(time.Now()); idle { // what has come was taken in before
			continue // no flow depends on it
		}
		c.deadlines()
		c.round(ctx)
	}
}

// vswitchChanged takes in what changed in Open_vSwitch. It tells whether the
// database has been read.
func (c *controller) vswitchChanged() bool {
	d := c.vs.Take()
	if d.Empty() {
		return c.cfg != nil
	}
	if d.Full {
		for name := range c.ifaces {
			if d.Interfaces[name] == nil {
				d.Interfaces[name] = nil
			}
		}
	}
	if d.Config != nil {
		c.configure(d.Config, d.Problems)
	}
	if d.BridgeGone {
		c.bridge = nil
	}
	if d.Bridge != nil {
		c.bridge = d.Bridge
		if !c.restored {
			c.restored = true
			c.restoreZones()
		}
	}
	for _, name := range sortedKeys(d.Interfaces) {
		c.setInterface(name, d.Interfaces[name])
	}
	c.reportInterfaces()
	return true
}

// configure follows the configuration.
func (c *controller) configure(cfg *vswitch.Config, problems []string) {
	for _, p := range problems {
		c.log.Warn("configuration of Open_vSwitch", "problem", p)
	}
	old := c.cfg
	c.cfg, c.chassisChanged = cfg, true
	for id := range c.claims {
		c.unreported[id] = true
	}
	c.host.SetSelf(cfg.SystemID)
	c.host.SetMACMappings(cfg.MACMappings)
	c.of.SetTarget(filepath.Join(c.o.RunDir, cfg.Bridge+".mgmt"))
	if !cfg.Complete() {
		c.log.Info("waiting for the configuration to be complete", "missing", strings.Join(problems, "; "))
		c.st.setTarget(target{})
		return
	}
	if old == nil || old.SystemID != cfg.SystemID {
		c.cache = newCache(c.o.CacheDir, cfg.SystemID)
	}
	c.st.setTarget(target{cfg.Remote, cfg.SystemID})
	if c.greeted && old != nil && !old.Equal(cfg) {
		c.st.sendReport(&proto.Report{Config: c.identity()})
	}
}

// setInterface follows one interface of the integration bridge.
func (c *controller) setInterface(name string, now *vswitch.Interface) {
	old := c.ifaces[name]
	if old != nil {
		if now == nil || old.IfaceID() != now.IfaceID() {
			c.host.SetInterface(old.IfaceID(), name, 0)
			delete(c.since, name)
			c.forgetSince(name)
		}
		if ln := patchOf(old); ln != "" && (now == nil || patchOf(now) != ln) {
			c.host.SetPatch(ln, 0)
		}
	}
	if tunnelOf(old) != "" || tunnelOf(now) != "" {
		c.betweenChanged = true
		c.watchTunnel(name, now)
	}
	c.claim(name, old, now)
	c.activated(name, old, now)
	if now == nil {
		delete(c.ifaces, name)
		c.carry(name, old, nil)
		return
	}
	c.ifaces[name] = now
	c.carry(name, old, now)
	ofport := 0
	if now.Usable() {
		ofport = now.OFPort
	}
	if id := now.IfaceID(); id != "" {
		if c.since[name] == 0 && ofport != 0 {
			c.since[name] = now.Since()
			if c.since[name] == 0 {
				c.since[name] = time.Now().UnixMilli()
			}
		}
		if since := c.since[name]; since != 0 && since != now.Since() {
			c.unwritten[name] = true
		} else {
			c.forgetSince(name)
		}
		c.host.SetInterface(id, name, ofport)
	}
	if ln := patchOf(now); ln != "" {
		c.host.SetPatch(ln, ofport)
		if now.OFPort != 0 {
			delete(c.waiting, patchWait(ln))
		}
	}
}

// patchOf is the localnet or l2gateway port whose patch port an interface is.
func patchOf(i *vswitch.Interface) string {
	if i.Type != "patch" {
		return ""
	}
	return cmp.Or(i.PortIDs[vswitch.KeyLocalnetPort], i.PortIDs[vswitch.KeyL2GatewayPort])
}

func (c *controller) restoreZones() {
	for _, key := range sortedKeys(c.bridge.ExternalIDs) {
		name, ok := strings.CutPrefix(key, vswitch.PrefixZone)
		if !ok {
			continue
		}
		zone := 0
		if _, err := fmt.Sscan(c.bridge.ExternalIDs[key], &zone); err != nil || !c.host.Zones().Restore(name, zone) {
			c.log.Warn("conntrack zone on the bridge is not usable", "key", key, "value", c.bridge.ExternalIDs[key])
			continue
		}
		c.zones = c.zones.With(name, zone)
	}
}

// claim keeps track of the interfaces that ask to be a logical port.
func (c *controller) claim(name string, old, now *vswitch.Interface) {
	if old != nil && old.IfaceID() != "" {
		id := old.IfaceID()
		c.unreported[id] = true
		if delete(c.claims[id], name); len(c.claims[id]) == 0 {
			delete(c.claims, id)
		}
	}
	if now != nil && now.IfaceID() != "" {
		id := now.IfaceID()
		c.unreported[id] = true
		if c.claims[id] == nil {
			c.claims[id] = map[string]bool{}
		}
		c.claims[id][name] = true
	}
}

// interfaces are those that are reported.
func (c *controller) interfaces() map[string]*proto.Interface {
	out := map[string]*proto.Interface{}
	for id := range c.claims {
		if i := c.interfaceOf(id); i != nil {
			out[id] = i
		}
	}
	return out
}

// interfaceOf is the interface that is reported for an iface-id: of those that
// are usable the one whose name sorts first.
func (c *controller) interfaceOf(id string) *proto.Interface {
	var first *vswitch.Interface
	for name := range c.claims[id] {
		if i := c.ifaces[name]; i.Usable() && (first == nil || i.Name < first.Name) {
			first = i
		}
	}
	if first == nil {
		return nil
	}
	return &proto.Interface{IfaceId: id, Since: c.since[first.Name], EncapIp: c.encapOf(first)}
}

// encapOf is the encapsulation that an interface asks for, where the chassis
// has several (external_ids:encap-ip).
func (c *controller) encapOf(i *vswitch.Interface) string {
	ip, err := netip.ParseAddr(i.ExternalIDs["encap-ip"])
	if err != nil || c.cfg == nil {
		return ""
	}
	for _, have := range c.cfg.EncapIPs {
		if have == ip {
			return ip.String()
		}
	}
	return ""
}

// reportInterfaces tells northd what changed since the last report.
func (c *controller) reportInterfaces() {
	r := &proto.Report{}
	for _, id := range sortedKeys(c.unreported) {
		now, old := c.interfaceOf(id), c.reported[id]
		switch {
		case now == nil && old != nil:
			r.InterfacesGone = append(r.InterfacesGone, id)
			delete(c.reported, id)
		case now != nil && (old == nil || old.Since != now.Since || old.EncapIp != now.EncapIp):
			r.InterfacesPut = append(r.InterfacesPut, now)
			c.reported[id] = now
		}
	}
	clear(c.unreported)
	if c.greeted && len(r.InterfacesGone)+len(r.InterfacesPut) > 0 {
		c.st.sendReport(r)
	}
}

// switched takes in an event of the OpenFlow connection.
func (c *controller) switched(e flows.Event) {
	switch {
	case e.Up != nil:
		c.session = e.Up
		c.host.SetOption(e.Up.Option)
		c.inherited = c.table.Reset(e.Up.Dump)
		c.groups.Reset(e.Up.Groups)
		e.Up.Dump, e.Up.Groups = nil, nil
		c.switchUp(c.inherited == 0)
		c.retryBarred()
		c.m.connects.Inc()
		c.log.Info("connected to Open vSwitch", "bridge", e.Up.Target, "flows", c.inherited, "tun_metadata", e.Up.Option)
		c.caution = time.Now()
		if c.inherited > 0 {
			c.caution = c.caution.Add(cautionTime)
		}
	case e.Down != nil:
		if c.session != nil && c.session == e.Session {
			c.session = nil
			c.switchDown()
			c.log.Warn("connection to Open vSwitch lost", "err", e.Down)
		}
	case e.Packet != nil:
		c.m.punts.Inc()
		c.punts.Dispatch(e.Packet)
	}
}

// known, learn: what the FDB handler asks and tells.
func (c *controller) known(m punt.MAC) uint32 {
	return c.host.MACPort(physical.MACID{Datapath: m.Datapath, MAC: m.Addr})
}

func (c *controller) learn(m punt.MAC, port uint32) {
	at := c.placed[physical.PortID{Datapath: m.Datapath, Port: port}]
	if at.Where != physical.Here || !at.Learn {
		return // it left meanwhile
	}
	id := physical.MACID{Datapath: m.Datapath, MAC: m.Addr}
	c.host.SetLearned(id, port)
	c.watchLearned(time.Now())
	if c.greeted {
		c.st.sendReport(&proto.Report{FdbPut: []*proto.FdbEntry{{Datapath: m.Datapath, Mac: m.Addr, Port: port}}})
	}
}

// nextDeadline is when the loop has to look even if nothing happens.
func (c *controller) nextDeadline() time.Duration {
	next := time.Now().Add(time.Hour)
	if c.again && c.againAt.IsZero() {
		c.againAt = time.Now().Add(retryRefused)
	}
	due := []time.Time{c.againAt, c.saveAt, c.sinceAt, c.heldUntil, c.advertiseAt, c.seen.next, c.gw.next, c.announceDue()}
	if c.source == sourceNone {
		due = append(due, c.caution)
	}
	for _, t := range due {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	for _, t := range c.waiting {
		if t.Before(next) {
			next = t
		}
	}
	return max(0, time.Until(next))
}

// deadlines does what is due.
func (c *controller) deadlines() {
	now := time.Now()
	c.heldUntil = c.hold.Tick()
	c.advertiseAt = c.advertise(now)
	c.lookAtLearned(c.ctx, now)
	if !c.saveAt.IsZero() && now.After(c.saveAt) {
		c.saveAt = time.Time{}
		if c.source == sourceNorthd && c.cache != nil {
			contents, cache := contentsOf(c.state), c.cache
			c.saving.Wait()
			c.saving.Go(func() {
				if err := cache.store(contents); err != nil {
					c.log.Warn("state not written to disk", "err", err)
				}
				c.saveTook.Store(int64(time.Since(now)))
			})
		}
	}
	for _, id := range sortedKeys(c.waiting) {
		if now.After(c.waiting[id]) {
			delete(c.waiting, id)
			c.log.Warn("no OpenFlow port for a tunnel; going on without", "to", id)
		}
	}
}
