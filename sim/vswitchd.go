package sim

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"govn/pkg/openflow"
	"govn/pkg/ovsdb"
	"govn/sim/vswitch"
)

// lastPort is the highest OpenFlow port number that is given out.
const lastPort = 0xfeff

// vswitchd does what ovs-vswitchd does with the rows of Open_vSwitch: it makes
// bridges and ports, and writes back what became of them. One goroutine, run,
// changes bridges; others look at them under mu.
//
//	Open_vSwitch rows --> wanted --> configure --> bridges, ports --> ofport, error, cur_cfg
//	                                                  |
//	                                      DIR/BRIDGE.mgmt (OpenFlow)
type vswitchd struct {
	db     *confDB
	dir    string
	log    *slog.Logger
	device func(name string) bool // is there a network device of that name?
	make   func(name string, id uint64) *vswitch.Bridge
	local  netip.Addr // endpoint of tunnels that name none
	watch  func()     // looks at BFD on tunnels anew

	mu      sync.RWMutex
	bridges map[string]*bridge
}

// bridge is a bridge at work.
type bridge struct {
	row     ovsdb.UUID
	name    string
	id      uint64
	secure  bool // fail_mode: without the flow of a learning switch
	sw      *vswitch.Bridge
	ports   map[string]*port // by name of the interface
	numbers map[uint32]*port
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// port is an interface at work, or one that could not be made.
type port struct {
	bridge *bridge
	want   wantedIface
	number uint32
	err    error
	tunnel *endpoint // of a Geneve port
	made   vswitch.Port

	// BFD, of a Geneve port; see bfd.go.
	bfd    bfdStatus
	bfdOn  bool
	silent time.Time // when the silence of the other end is noticed; zero: it is heard, or was given up
}

// run follows the database until ctx ends, and takes the bridges away then.
func (v *vswitchd) run(ctx context.Context) error {
	sn, sub := v.db.store.SubscribeSnapshot()
	defer sub.Close()
	defer v.teardown()
	for {
		if err := v.configure(ctx, sn); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		for relevant := false; !relevant; {
			commits, err := sub.Next(ctx)
			if err != nil {
				if ctx.Err() != nil || errors.Is(err, ovsdb.ErrClosed) {
					return nil
				}
				return fmt.Errorf("following Open_vSwitch: %w", err)
			}
			for _, c := range commits {
				relevant = relevant || v.matters(&c)
			}
		}
		sn = v.db.store.Snapshot()
	}
}

// matters tells whether a commit changes what the switch is made of. Most only
// write down what a controller wants to remember.
func (v *vswitchd) matters(c *ovsdb.Commit) bool {
	if c.Who == daemon {
		return false
	}
	columns := map[string][]string{
		"Open_vSwitch": {"bridges", "next_cfg"}, "Bridge": {"ports", "name"},
		"Port": {"interfaces", "tag"}, "Interface": {"type", "options", "ofport_request", "bfd"},
	}
	for _, ch := range c.Changes {
		if ch.Old == nil || ch.New == nil {
			return true
		}
		for _, name := range columns[ch.Table.Name] {
			if col := ch.Table.Column(name); !ovsdb.ValuesEqual(ch.Old.Get(col), ch.New.Get(col)) {
				return true
			}
		}
	}
	return false
}

// configure brings the bridges to what a snapshot says and writes the outcome.
func (v *vswitchd) configure(ctx context.Context, sn *ovsdb.Snapshot) error {
	want := v.db.wanted(sn)
	v.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(v.bridges)) {
		if !slices.ContainsFunc(want, func(w wantedBridge) bool { return w.name == name && w.row == v.bridges[name].row }) {
			v.removeLocked(v.bridges[name])
		}
	}
	var err error
	for i := range want {
		w := &want[i]
		br := v.bridges[w.name]
		if br == nil {
			if br, err = v.addBridge(ctx, w); err != nil {
				v.mu.Unlock()
				return err
			}
		}
		v.setPorts(br, w)
	}
	v.connectPatches()
	v.mu.Unlock()
	if err := v.report(ctx, sn, want); err != nil {
		return err
	}
	v.watch()
	return nil
}

// addBridge makes a bridge and accepts OpenFlow connections for it.
func (v *vswitchd) addBridge(ctx context.Context, w *wantedBridge) (*bridge, error) {
	path := filepath.Join(v.dir, w.name+".mgmt")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("bridge %q: %w", w.name, err)
	}
	sum := sha256.Sum256(w.row[:])
	br := &bridge{
		row: w.row, name: w.name, secure: w.secure, id: binary.BigEndian.Uint64(sum[:]) >> 16,
		ports: map[string]*port{}, numbers: map[uint32]*port{},
	}
	br.sw = v.make(w.name, br.id)
	var inner context.Context
	inner, br.cancel = context.WithCancel(ctx)
	br.wg.Go(func() {
		<-inner.Done()
		l.Close()
	})
	br.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				if inner.Err() == nil {
					v.log.Error("bridge accepts no more connections", "bridge", w.name, "err", err)
				}
				return
			}
			br.wg.Go(func() {
				if err := br.sw.Serve(inner, c); err != nil {
					v.log.Warn("OpenFlow connection", "bridge", w.name, "err", err)
				}
			})
		}
	})
	if !w.secure {
		if err := br.standalone(inner); err != nil {
			v.removeLocked(br)
			return nil, fmt.Errorf("bridge %q: %w", w.name, err)
		}
	}
	v.bridges[w.name] = br
	v.log.Debug("bridge added", "bridge", w.name)
	return br, nil
}

// standalone gives a bridge the flow of a learning switch, as ovs-vswitchd does
// where a bridge has no controller and its fail mode is not secure.
func (br *bridge) standalone(ctx context.Context) error {
	near, far := net.Pipe()
	br.wg.Go(func() { _ = br.sw.Serve(ctx, far) }) // it ends with near
	conn, err := openflow.NewConn(ctx, near, openflow.ConnOptions{})
	if err != nil {
		return err
	}
	normal := openflow.EncodeActions([]openflow.Action{openflow.Output{Port: openflow.PortNormal}})
	err = conn.Do(ctx, openflow.AddFlow(openflow.Flow{Actions: normal}))
	return errors.Join(err, conn.Close())
}

func (v *vswitchd) removeLocked(br *bridge) {
	delete(v.bridges, br.name)
	br.cancel()
	br.wg.Wait()
}

func (v *vswitchd) teardown() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(v.bridges)) {
		v.removeLocked(v.bridges[name])
	}
}

// setPorts brings the ports of a bridge to what is wanted. A port that failed is
// tried again each time: its device may be there now.
func (v *vswitchd) setPorts(br *bridge, w *wantedBridge) {
	wanted := make(map[string]*wantedIface, len(w.ifaces))
	for i := range w.ifaces {
		wanted[w.ifaces[i].name] = &w.ifaces[i]
	}
	for _, name := range slices.Sorted(maps.Keys(br.ports)) {
		p := br.ports[name]
		if wi := wanted[name]; wi == nil || !p.want.equal(wi) || p.err != nil || !v.present(&p.want) {
			delete(br.ports, name)
			if p.err == nil {
				delete(br.numbers, p.number)
				br.sw.DelPort(p.number)
			}
		}
	}
	for i := range w.ifaces {
		wi := &w.ifaces[i]
		if p := br.ports[wi.name]; p == nil {
			br.ports[wi.name] = v.addPort(br, wi)
		} else {
			p.want.bfd = wi.bfd
		}
	}
}

// present tells whether a device that the switch does not make itself is there.
func (v *vswitchd) present(w *wantedIface) bool {
	return (w.kind != "" && w.kind != "system") || v.device(w.name)
}

// addPort makes a port, or says why not.
func (v *vswitchd) addPort(br *bridge, w *wantedIface) *port {
	p := &port{bridge: br, want: *w}
	sp := vswitch.Port{Name: w.name, MAC: macOf(br.name + "/" + w.name)}
	switch w.kind {
	case "", "system", "dummy", "tap":
		if !v.present(w) {
			p.err = fmt.Errorf("could not open network device %s (No such device)", w.name)
		}
	case "internal":
		sp.Type = vswitch.PortInternal
	case "geneve":
		e, err := parseEndpoint(w.name, w.options)
		if err == nil && v.sameTunnel(&e) {
			err = fmt.Errorf("could not add network device %s to ofproto (File exists)", w.name)
		}
		if !e.local.IsValid() {
			e.local = v.local
		}
		p.err, p.tunnel = err, &e
		sp.Type, sp.RemoteIP, sp.LocalIP, sp.FlowKey, sp.VNI = vswitch.PortGeneve, e.remote, e.local, e.flowKey, e.vni
	case "patch":
		sp.Type = vswitch.PortPatch
		if w.options["peer"] == "" {
			p.err = fmt.Errorf("%s: patch type requires valid 'peer' argument", w.name)
		}
	default:
		p.err = fmt.Errorf("could not open network device %s (Address family not supported by protocol)", w.name)
	}
	if p.err != nil {
		return p
	}
	if w.kind == "internal" && w.name == br.name {
		p.number, sp.Type = openflow.PortLocal, vswitch.PortLocal
	} else if p.number = br.freeNumber(w.request); p.number == 0 {
		p.err = fmt.Errorf("could not add network device %s to ofproto (No buffer space available)", w.name)
		return p
	}
	sp.Number = p.number
	p.made = sp
	br.numbers[p.number] = p
	br.sw.SetPort(sp)
	return p
}

// freeNumber is the requested port number, else the lowest free one.
func (br *bridge) freeNumber(request uint32) uint32 {
	if request != 0 && request <= lastPort && br.numbers[request] == nil {
		return request
	}
	for n := uint32(1); n <= lastPort; n++ {
		if br.numbers[n] == nil {
			return n
		}
	}
	return 0
}

// sameTunnel tells whether there is a tunnel port that takes the same packets.
func (v *vswitchd) sameTunnel(e *endpoint) bool {
	for _, br := range v.bridges {
		for _, p := range br.ports {
			if t := p.tunnel; t != nil && p.err == nil && t.remote == e.remote && t.udp == e.udp && t.flowKey == e.flowKey && t.vni == e.vni &&
				(t.local == e.local || !e.local.IsValid() && t.local == v.local) {
				return true
			}
		}
	}
	return false
}

// connectPatches joins the patch ports that name one another.
func (v *vswitchd) connectPatches() {
	byName := map[string]*port{}
	for _, br := range v.bridges {
		for _, p := range br.ports {
			if p.want.kind == "patch" && p.err == nil {
				byName[p.want.name] = p
			}
		}
	}
	for _, p := range byName {
		sp := vswitch.Port{Number: p.number, Name: p.want.name, Type: vswitch.PortPatch, MAC: macOf(p.bridge.name + "/" + p.want.name)}
		if q := byName[p.want.options["peer"]]; q != nil && q.want.options["peer"] == p.want.name {
			sp.Peer, sp.PeerNumber = q.bridge.sw, q.number
		}
		p.bridge.sw.SetPort(sp)
	}
}

// report writes what became of the configuration.
func (v *vswitchd) report(ctx context.Context, sn *ovsdb.Snapshot, want []wantedBridge) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	d := v.db
	return d.update(ctx, daemon, func(tx *ovsdb.Txn) {
		set := func(t *ovsdb.TableSchema, u ovsdb.UUID, name string, value ovsdb.Value) {
			if row := tx.Row(t, u); row != nil && !ovsdb.ValuesEqual(row.Get(t.Column(name)), value) {
				tx.SetColumn(t, u, name, value)
			}
		}
		for i := range want {
			br := v.bridges[want[i].name]
			set(d.bridge, br.row, "datapath_id", ovsdb.NewSet(fmt.Sprintf("%016x", br.id)))
			set(d.bridge, br.row, "datapath_version", "<built-in>")
			for j := range want[i].ifaces {
				w := &want[i].ifaces[j]
				p := br.ports[w.name]
				if p.err != nil {
					set(d.iface, w.row, "ofport", ovsdb.NewSet(int64(-1)))
					set(d.iface, w.row, "error", ovsdb.NewSet(p.err.Error()))
					continue
				}
				set(d.iface, w.row, "ofport", ovsdb.NewSet(int64(p.number&0xffff)))
				set(d.iface, w.row, "error", ovsdb.NewSet())
				set(d.iface, w.row, "admin_state", ovsdb.NewSet("up"))
				set(d.iface, w.row, "link_state", ovsdb.NewSet("up"))
				set(d.iface, w.row, "mac_in_use", ovsdb.NewSet(formatMAC(macOf(br.name+"/"+w.name))))
				if p.tunnel != nil {
					set(d.iface, w.row, "status", ovsdb.StringMap(map[string]string{"tunnel_egress_iface": uplink, "tunnel_egress_iface_carrier": "up"}))
				}
			}
		}
		if root := sn.Row(d.root, d.rootID); root != nil {
			set(d.root, d.rootID, "cur_cfg", root.Int(d.root.Column("next_cfg")))
		}
	})
}

// uplink is the name of a chassis' link to the others.
const uplink = "eth0"

// macOf is a locally administered address that follows from a name.
func macOf(name string) [6]byte {
	sum := sha256.Sum256([]byte(name))
	return [6]byte{0x02, sum[0], sum[1], sum[2], sum[3], sum[4]}
}

func formatMAC(m [6]byte) string { return net.HardwareAddr(m[:]).String() }

// portOf is a port by its number; nil: there is none.
func (v *vswitchd) portOf(sw *vswitch.Bridge, number uint32) *port {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if br := v.bridges[sw.Name()]; br != nil && br.sw == sw {
		return br.numbers[number]
	}
	return nil
}

// portNamed is the port of an interface; nil: there is none that works.
func (v *vswitchd) portNamed(name string) *port {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, br := range v.bridges {
		if p := br.ports[name]; p != nil && p.err == nil {
			return p
		}
	}
	return nil
}

// tunnelPort is the port that takes a packet of that outer header: the one with
// the most exact endpoint and key (ovs-vswitchd's tnl_find).
func (v *vswitchd) tunnelPort(src, dst netip.Addr, udp uint16, vni uint32) *port {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var best *port
	rank := -1
	for _, br := range v.bridges {
		for _, p := range br.ports {
			t := p.tunnel
			if t == nil || p.err != nil || t.udp != udp || t.local != dst || (t.remote.IsValid() && t.remote != src) || (!t.flowKey && t.vni != vni) {
				continue
			}
			r := 0
			if t.remote.IsValid() {
				r += 2
			}
			if !t.flowKey {
				r++
			}
			if r > rank {
				best, rank = p, r
			}
		}
	}
	return best
}

// bridgeNamed is a bridge; nil: there is none.
func (v *vswitchd) bridgeNamed(name string) *vswitch.Bridge {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if br := v.bridges[name]; br != nil {
		return br.sw
	}
	return nil
}
