package oracle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"govn/sim/lab"
	"govn/sim/lab/unixctl"
)

// OFProto is "ofproto/trace" on the br-int of a lab's chassis.
type OFProto struct {
	name    string
	role    Role
	lab     *lab.Lab
	sized   bool               // the last packet took a branch by its size
	chassis map[string]*bridge // by chassis name
	home    map[string]*bridge // of a logical port
	byEncap map[string]*bridge
	nested  nesting
}

// bridge is br-int of one chassis.
type bridge struct {
	chassis string
	encap   string
	ctl     *unixctl.Client
	ports   map[int]string    // datapath port number to logical port, of ports with an iface-id
	names   map[string]string // logical port to interface
	on      map[string]string // logical port to bridge
	tunnels map[string]string // remote endpoint to interface
}

// maxHops bounds how many tunnels a packet goes through.
const maxHops = 4

// ErrLoop is returned for a packet that goes from tunnel to tunnel.
var ErrLoop = errors.New("the packet goes through too many tunnels")

var (
	errCircle = errors.New(circle)
	errBack   = errors.New("stock OVN does not send a packet back by the tunnel that it came by")
)

// NewOFProto connects to the chassis of a lab that is up. The ports' places are
// read once.
func NewOFProto(ctx context.Context, name string, l *lab.Lab) (*OFProto, error) {
	o := &OFProto{name: name, lab: l, role: RoleGovn, chassis: map[string]*bridge{}, home: map[string]*bridge{}, byEncap: map[string]*bridge{},
		nested: newNesting(l.Config())}
	if l.Config().Control == lab.ControlStock {
		o.role = RoleStock
	}
	for _, ch := range l.Config().Chassis {
		b, err := newBridge(ctx, l, &ch)
		if err != nil {
			_ = o.Close()
			return nil, fmt.Errorf("chassis %q: %w", ch.Name, err)
		}
		o.chassis[ch.Name], o.byEncap[b.encap] = b, b
		for port := range b.names {
			o.home[port] = b
		}
	}
	return o, nil
}

func newBridge(ctx context.Context, l *lab.Lab, ch *lab.Chassis) (*bridge, error) {
	b := &bridge{chassis: ch.Name, encap: ch.EncapIP.String(), ports: map[int]string{}, names: map[string]string{}, on: map[string]string{}, tunnels: map[string]string{}}
	var err error
	if b.ctl, err = unixctl.Dial(ctx, l.ControlSocket(ch.Name, "vswitchd")); err != nil {
		return nil, err
	}
	out, err := l.Vsctl(ctx, ch.Name, "--format=json", "--columns=name,external_ids", "list", "Interface")
	if err != nil {
		_ = b.ctl.Close()
		return nil, err
	}
	ifaceID, err := ifaceIDs(out)
	if err != nil {
		_ = b.ctl.Close()
		return nil, err
	}
	out, err = b.ctl.Call(ctx, "dpif/show")
	if err != nil {
		_ = b.ctl.Close()
		return nil, err
	}
	b.readPorts(out, ifaceID)
	return b, nil
}

// ifaceIDs reads interface name to iface-id from a table in OVSDB's JSON.
func ifaceIDs(text string) (map[string]string, error) {
	var table struct {
		Data [][]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &table); err != nil {
		return nil, fmt.Errorf("interfaces: %w", err)
	}
	ids := map[string]string{}
	for _, row := range table.Data {
		var name string
		var m []json.RawMessage
		if len(row) != 2 || json.Unmarshal(row[0], &name) != nil || json.Unmarshal(row[1], &m) != nil || len(m) != 2 {
			return nil, fmt.Errorf("interfaces: %w: %s", ErrSyntax, text)
		}
		var pairs [][2]string
		if err := json.Unmarshal(m[1], &pairs); err != nil {
			return nil, fmt.Errorf("interfaces: %w", err)
		}
		for _, kv := range pairs {
			if kv[0] == "iface-id" {
				ids[name] = kv[1]
			}
		}
	}
	return ids, nil
}

var dpPort = regexp.MustCompile(`^    (\S+) (\d+)/(\d+|none): \((\S+?)(?:: (.*))?\)$`)

// readPorts reads "dpif/show":
//
// where ports of other bridges with an iface-id are machines outside.
//
//	br-int:
//	  ovn-hv2-0 1/6081: (geneve: csum=true, key=flow, remote_ip=203.0.113.2)
//	  v-a 2/4: (system)
func (b *bridge) readPorts(text string, ifaceID map[string]string) {
	bridge := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, "    ") {
			bridge = strings.TrimSuffix(strings.TrimSpace(line), ":")
			continue
		}
		m := dpPort.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for opt := range strings.SplitSeq(m[5], ", ") {
			if remote, ok := strings.CutPrefix(opt, "remote_ip="); ok {
				b.tunnels[remote] = m[1]
			}
		}
		if id, ok := ifaceID[m[1]]; ok {
			b.names[id], b.on[id] = m[1], bridge
			if n, err := strconv.Atoi(m[3]); err == nil {
				b.ports[n] = id
			}
		}
	}
}

// Close closes the connections.
func (o *OFProto) Close() error {
	var errs []error
	for _, b := range o.chassis {
		errs = append(errs, b.ctl.Close())
	}
	return errors.Join(errs...)
}

// Name implements [Engine].
func (o *OFProto) Name() string { return o.name }

// Role implements [Engine].
func (o *OFProto) Role() Role { return o.role }

// Trace implements [Engine]. Where chassis have select groups, it traces once for
// each bucket of the largest, with every group cut down to one bucket.
func (o *OFProto) Trace(ctx context.Context, flows []Microflow) ([]Answer, error) {
	groups, n, err := o.groups(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(flows))
	for k := range n {
		if err := o.choose(ctx, groups, k); err != nil {
			return nil, err
		}
		for i := range flows {
			if err := o.answer(ctx, &flows[i], &answers[i]); err != nil {
				return nil, fmt.Errorf("microflow %d: %w", i, err)
			}
		}
	}
	return answers, o.restore(ctx, groups)
}

// answer adds what happens to a packet, and where that depends on its size, also
// what happens to a large one.
func (o *OFProto) answer(ctx context.Context, m *Microflow, a *Answer) error {
	for _, large := range []bool{false, true} {
		o.sized = false
		v, err := o.trace(ctx, m, large)
		switch {
		case errors.Is(err, ErrLoop):
			a.Unjudged = circle
			return nil
		case errors.Is(err, errCircle), errors.Is(err, errBack):
			a.Unjudged = err.Error()
			return nil
		}
		if err != nil {
			return err
		}
		if large {
			a.Large = with(a.Large, v)
			break
		}
		a.Verdicts = with(a.Verdicts, v)
		if !o.sized {
			a.Large = with(a.Large, slices.Clone(v))
			break
		}
	}
	return nil
}

func (o *OFProto) trace(ctx context.Context, m *Microflow, large bool) (Verdict, error) {
	port, p := o.nested.enter(m)
	b := o.home[port]
	if m.At != "" {
		b = o.chassis[m.At]
	}
	if b == nil || b.names[port] == "" {
		return nil, fmt.Errorf("port %q is on no chassis", port)
	}
	v, err := o.follow(ctx, way{in: m.Packet, large: large}, b, b.on[port], "in_port="+b.names[port], p)
	return v.sorted(), err
}

// way is what a packet keeps from its ingress on.
type way struct {
	in    Packet // as it was at its ingress
	large bool   // it is larger than any limit to its size
	hops  int    // tunnels that it went through
}

// follow traces packet p from where it enters a bridge of a chassis, and goes on
// where it is tunnelled to.
func (o *OFProto) follow(ctx context.Context, w way, b *bridge, onto, from string, p Packet) (Verdict, error) {
	if w.hops > maxHops {
		return nil, ErrLoop
	}
	spec := from + "," + p.OpenFlow()
	text, err := b.ctl.Call(ctx, "ofproto/trace", onto, spec)
	if err != nil {
		return nil, fmt.Errorf("chassis %q: %s: %w", b.chassis, spec, err)
	}
	switch {
	case strings.Contains(text, tooDeep):
		return nil, errCircle
	case o.role == RoleStock && w.hops > 0 && strings.Contains(text, "skipping output to input port"):
		return nil, errBack
	}
	eff, punts, err := readTrace(text, p, w.large)
	if err != nil {
		return nil, fmt.Errorf("chassis %q: %s: %w", b.chassis, spec, err)
	}
	o.sized = o.sized || eff.sized
	var v Verdict
	for _, kind := range punts {
		v = append(v, Output{Punt: kind})
	}
	for _, c := range eff.ports {
		if port, ok := b.ports[c.number]; ok {
			port = o.nested.leave(port, c.p)
			v = append(v, Output{Port: port, Rewrites: rewrites(w.in, c.p)})
		}
	}
	for _, t := range eff.tunnels {
		remote := o.byEncap[t.dst]
		if remote == nil {
			return nil, fmt.Errorf("chassis %q: a tunnel to %s, which is no chassis", b.chassis, t.dst)
		}
		port := remote.tunnels[b.encap]
		if port == "" {
			return nil, fmt.Errorf("chassis %q has no tunnel to %q", remote.chassis, b.chassis)
		}
		next, err := o.follow(ctx, way{w.in, w.large, w.hops + 1}, remote, "br-int", fmt.Sprintf("in_port=%s,tun_id=%#x,tun_src=%s,tun_dst=%s,tun_metadata0=%#x",
			port, t.vni, t.src, t.dst, t.option), t.p)
		if err != nil {
			return nil, err
		}
		v = append(v, next...)
	}
	return v, nil
}
