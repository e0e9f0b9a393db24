package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	pb "google.golang.org/protobuf/proto"

	"govn/controller/physical"
	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/control"
	"govn/proto/state"
)

// maxQueries is how many cookies one explain takes.
const maxQueries = 4096

var (
	errNoFlows = errors.New("this chassis has no flows of it")
	// errStale says what a flow is that Open vSwitch has and nobody wants.
	errStale = errors.New("installed, but not wanted (any more)")
)

// views registers flows and explain: what an object became on this chassis, and
// back, with what Open vSwitch counts; and complete, which tells the names.
func (c *controller) views() {
	c.o.Handle("complete", "[--format=text|json] [WORD]", 0, 2, func(ctx context.Context, args []string) (string, error) {
		format, args, err := control.TakeFormat(args)
		if err != nil {
			return "", err
		}
		got, err := c.complete(ctx, strings.Join(args, ""))
		if err != nil {
			return "", err
		}
		return control.String(format, got)
	})
	c.o.Handle("flows", "[--format=text|json] [OBJECT]", 0, 2, func(ctx context.Context, args []string) (string, error) {
		format, args, err := control.TakeFormat(args)
		if err != nil {
			return "", err
		}
		pick := &picker{}
		switch len(args) {
		case 0:
		case 1:
			sel, err := control.ParseSelector(args[0])
			if err != nil {
				return "", err
			}
			pick.object = &sel
		default:
			return "", errors.New("usage: flows [--format=text|json] [OBJECT]")
		}
		got, err := c.origins(ctx, pick)
		if err != nil {
			return "", err
		}
		if len(got.Origins) == 0 && pick.object != nil {
			return "", fmt.Errorf("%q: %w", pick.object, errNoFlows)
		}
		return control.String(format, got)
	})
	c.o.Handle("explain", "[--format=text|json] COOKIE|FLOW...", 1, maxQueries, func(ctx context.Context, args []string) (string, error) {
		format, args, err := control.TakeFormat(args)
		if err != nil {
			return "", err
		}
		pick := &picker{}
		if pick.queries, err = control.ParseQueries(args); err != nil {
			return "", err
		}
		got, err := c.origins(ctx, pick)
		if err != nil {
			return "", err
		}
		return control.String(format, got)
	})
}

// picker says which flows are asked for: those of an object, those with one of
// the cookies, or all.
type picker struct {
	object  *control.Selector
	queries []control.Query
}

func (p *picker) wants(f *openflow.Flow, objects []control.Object, datapath uint32) bool {
	if p.object != nil {
		return slices.ContainsFunc(objects, p.object.Matches)
	}
	if p.queries == nil {
		return true
	}
	return slices.ContainsFunc(p.queries, func(q control.Query) bool { return q.Matches(f.Cookie, datapath) })
}

// answer collects origins. Flows of one source and one flow id are one origin.
type answer struct {
	control.Origins
	at   map[originKey]int
	keys [][]openflow.FlowKey // of the flows of each origin
}

type originKey struct {
	source [16]byte
	id     uint32
	table  uint8 // of flows of this host, which differ in what they are for
}

// origins collects what is asked for on the loop, and what Open vSwitch counts
// beside it: a dump of many flows takes a while.
func (c *controller) origins(ctx context.Context, pick *picker) (*control.Origins, error) {
	a := &answer{at: map[originKey]int{}}
	var dump func(context.Context) ([]openflow.FlowStats, error)
	var counts func(context.Context) ([]openflow.GroupStats, error)
	err := c.call(ctx, func() {
		c.collect(a, pick)
		if c.session != nil {
			dump, counts = c.session.Flows, c.session.GroupStats
		}
	})
	if err != nil {
		return nil, err
	}
	if dump == nil {
		return nil, errors.New("no connection to Open vSwitch, which has the flows")
	}
	stats, err := dump(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking Open vSwitch for its flows: %w", err)
	}
	a.count(stats, pick)
	if slices.ContainsFunc(a.Origins.Origins, func(o control.Origin) bool { return len(o.Groups) > 0 }) {
		groups, err := counts(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking Open vSwitch for its groups: %w", err)
		}
		a.countGroups(groups)
	}
	return &a.Origins, nil
}

// collect goes through what is wanted. With a flow that is asked for by its
// cookie come the others of its table, priority and match: all are reasons for
// what is installed there.
func (c *controller) collect(a *answer, pick *picker) {
	a.Origins.Origins = []control.Origin{}
	a.Revision = c.applied.GetNumber()
	if c.cfg != nil {
		a.Chassis = c.cfg.SystemID
	}
	shadowed := map[openflow.FlowID]bool{}
	for _, s := range c.table.Shadowed() {
		shadowed[s.ID] = true
	}
	for won, by := range c.table.Wanted() {
		reasons := make([]control.Origin, len(by))
		var wanted []bool
		for i := range by {
			var datapath uint32
			var ok bool
			reasons[i], datapath, ok = c.origin(&by[i])
			wanted = append(wanted, ok && pick.wants(&by[i].Flow, reasons[i].Objects, datapath))
		}
		together := pick.queries != nil && slices.Contains(wanted, true)
		for i := range by {
			cand, o := &by[i], reasons[i]
			if !wanted[i] && !(together && o.Maker != "") {
				continue
			}
			key := originKey{cand.ID.Unit, abi.CookieFlowID(cand.Flow.Cookie), 0}
			if o.Maker != control.Northd {
				key.table = cand.Flow.Table
			}
			f := flowText(&cand.Flow)
			if shadowed[cand.ID] && !cand.Flow.Equal(&won) { // equal flows are one, for several reasons
				f.Shadowed = fmt.Sprintf("cookie %#x has the same table, priority and match", won.Cookie)
			}
			a.add(key, o, f, cand.Flow.Key(), c.groupsOf(&cand.Flow)...)
		}
	}
}

func (a *answer) add(key originKey, o control.Origin, f control.Flow, at openflow.FlowKey, groups ...control.OFGroup) {
	i, ok := a.at[key]
	if !ok {
		i = len(a.Origins.Origins)
		a.at[key] = i
		a.Origins.Origins = append(a.Origins.Origins, o)
		a.keys = append(a.keys, nil)
	}
	a.Origins.Origins[i].Flows = append(a.Origins.Origins[i].Flows, f)
	a.Origins.Origins[i].Groups = append(a.Origins.Origins[i].Groups, groups...)
	a.keys[i] = append(a.keys[i], at)
}

// count fills in the counters, and adds what is asked for by its cookie and is
// installed without being wanted.
func (a *answer) count(stats []openflow.FlowStats, pick *picker) {
	installed := make(map[openflow.FlowKey]*openflow.FlowStats, len(stats))
	for i := range stats {
		installed[stats[i].Key()] = &stats[i]
	}
	known := map[openflow.FlowKey]bool{}
	for i, keys := range a.keys {
		for j, key := range keys {
			f := &a.Origins.Origins[i].Flows[j]
			if s := installed[key]; s != nil && f.Shadowed == "" {
				f.Counters = countOf(s)
				known[key] = true
			}
		}
	}
	if pick.queries == nil {
		return
	}
	for i := range stats {
		s := &stats[i]
		datapath := uint32(0)
		if m, err := openflow.ParseMatch(s.Match); err == nil {
			n, _ := m.Uint(openflow.FieldMetadata)
			datapath = uint32(n)
		}
		if known[s.Key()] || !pick.wants(&s.Flow, nil, datapath) {
			continue
		}
		f := flowText(&s.Flow)
		f.Counters = countOf(s)
		a.Origins.Origins = append(a.Origins.Origins, control.Origin{
			Maker: control.Maker(s.Cookie), Purpose: errStale.Error(), Flows: []control.Flow{f},
		})
	}
}

func countOf(s *openflow.FlowStats) *control.Count {
	return &control.Count{Packets: s.Packets, Bytes: s.Bytes, Duration: s.Duration, Idle: s.Idle}
}

func flowText(f *openflow.Flow) control.Flow {
	return control.Flow{
		Cookie: fmt.Sprintf("%#x", f.Cookie), Table: f.Table, Priority: f.Priority,
		Match: openflow.MatchText(f.Match), Actions: openflow.ActionsText(f.Actions),
	}
}

// origin is why a flow is wanted, and the tunnel key of its datapath.
func (c *controller) origin(cand *openflow.Candidate) (o control.Origin, datapath uint32, ok bool) {
	if owner, ok := c.owners[cand.ID.Unit]; ok {
		return c.ownOrigin(owner, cand.Flow.Table), owner.Datapath, true
	}
	u := c.host.Unit(cand.ID.Unit)
	if u == nil || len(u.Body) != 16 {
		return control.Origin{}, 0, false
	}
	o = control.Origin{Maker: control.Northd, Datapath: c.datapath(u.Datapath)}
	if b := c.host.Body(state.Hash(u.Body)); b != nil && int(cand.ID.Index) < len(b.Flows) {
		o.Stage = &control.Stage{ID: b.Flows[cand.ID.Index].Stage}
	}
	o.Objects = objectsOf(u)
	return o, u.Datapath, true
}

// objectsOf are the objects behind a unit; nil has none.
func objectsOf(u *proto.Unit) []control.Object {
	var out []control.Object
	for _, obj := range u.GetObjects() {
		out = append(out, control.Object{Table: obj.Table, Name: obj.Name, UUID: uuidText(obj.Uuid)})
	}
	return out
}

// roles are what the tables of a host's own flows do, with a hole for whom.
var roles = map[uint8]string{
	abi.TablePhyToLog:      "what comes in from %s",
	abi.TableRemoteOutput:  "output to %s",
	abi.TableLocalOutput:   "output to %s, here",
	abi.TableCheckLoopback: "nothing goes back out of %s",
	abi.TableLogToPhy:      "out of the interface of %s",
	abi.TableGetFDB:        "get_fdb(): to %s",
	abi.TableLookupFDB:     "lookup_fdb(): from %s",
	abi.TableMACBinding:    "get_arp(), get_nd(): to %s",
	abi.TableMACLookup:     "lookup_arp(), lookup_nd(): from %s",
}

// fixedRoles are what the fixed flows of a table do.
var fixedRoles = map[uint8]string{
	abi.TableRemoteOutput:  "what is not for another chassis stays here",
	abi.TableLocalOutput:   "no such port or group here: drop",
	abi.TableCheckLoopback: "on to the egress pipeline, with clear registers",
	abi.TableSaveInport:    "to the interface; back to the one it came from where flags.loopback is set",
}

// ownOrigin is why a flow that this chassis makes itself is there.
func (c *controller) ownOrigin(owner physical.Owner, table uint8) control.Origin {
	var o control.Origin
	var who string
	switch owner.Kind {
	case physical.KindPort:
		id := physical.PortID{Datapath: owner.Datapath, Port: uint32(owner.Key)}
		o.Maker, o.Datapath = control.Port, c.datapath(owner.Datapath)
		who = fmt.Sprintf("port %d", owner.Key)
		if p := c.host.Port(id); p != nil {
			who = fmt.Sprintf("port %q", p.Name)
			o.Objects = []control.Object{{Table: "Logical_Switch_Port", Name: p.Name, UUID: uuidText(p.Uuid)}}
		}
		switch at := c.host.Placed(id); at.Where {
		case physical.Here:
			if at.Interface != "" {
				who += " (interface " + at.Interface + ")"
			}
		case physical.Remote:
			who += " on chassis " + at.Chassis
		}
	case physical.KindTunnel:
		o.Maker = control.Tunnel
		chassis, ip, _ := strings.Cut(owner.Name, "@")
		who = fmt.Sprintf("the tunnel to chassis %s (%s)", chassis, ip)
	case physical.KindGroup:
		o.Maker, o.Datapath = control.Group, c.datapath(owner.Datapath)
		who = "multicast group " + groupName(uint32(owner.Key))
		if table == abi.TableRemoteOutput {
			who += ", to the chassis that have members"
		}
		o.Objects = c.datapathObject(owner.Datapath)
	case physical.KindMAC:
		o.Maker, o.Datapath = control.Learned, c.datapath(owner.Datapath)
		mac := macText(owner.Key)
		who = "the learned address " + mac
		port := c.host.MACPort(physical.MACID{Datapath: owner.Datapath, MAC: owner.Key})
		if p := c.host.Port(physical.PortID{Datapath: owner.Datapath, Port: port}); p != nil {
			who += fmt.Sprintf(" behind port %q", p.Name)
			o.Objects = []control.Object{{Table: "Logical_Switch_Port", Name: p.Name, UUID: uuidText(p.Uuid)}}
		}
	case physical.KindNeighbour:
		o.Maker, o.Datapath = control.Learned, c.datapath(owner.Datapath)
		who = "the neighbour " + owner.Name
		if p := c.host.Port(physical.PortID{Datapath: owner.Datapath, Port: uint32(owner.Key)}); p != nil {
			who += fmt.Sprintf(" behind port %q", p.Name)
			o.Objects = []control.Object{{Table: "Logical_Router_Port", Name: p.Name, UUID: uuidText(p.Uuid)}}
		}
	default:
		o.Maker = control.Fixed
	}
	o.Purpose = who
	if role, ok := roles[table]; ok {
		o.Purpose = strings.Replace(role, "%s", who, 1)
	}
	if owner.Kind == physical.KindFixed {
		o.Purpose = fixedRoles[table]
	}
	if o.Datapath != nil && o.Datapath.Name != "" {
		o.Purpose = o.Datapath.Name + ", " + o.Purpose
	}
	return o
}

// groupNames are the multicast groups that every switch may have.
var groupNames = map[uint32]string{
	abi.GroupFlood: "_MC_flood", abi.GroupUnknown: "_MC_unknown", abi.GroupMrouterFlood: "_MC_mrouter_flood",
	abi.GroupStatic: "_MC_static", abi.GroupFloodL2: "_MC_flood_l2",
}

func groupName(key uint32) string {
	if name, ok := groupNames[key]; ok {
		return name
	}
	return fmt.Sprint(key)
}

func (c *controller) datapathItem(key uint32) *proto.Datapath {
	v, ok := c.state.Get(proto.Kind_KIND_DATAPATH, state.DatapathKey(key))
	if !ok {
		return nil
	}
	m := &proto.Datapath{}
	if err := pb.Unmarshal(v, m); err != nil {
		return nil
	}
	return m
}

func (c *controller) datapath(key uint32) *control.Datapath {
	return &control.Datapath{Key: key, Name: c.datapathItem(key).GetName()}
}

// datapathObject is the northbound row that a datapath is.
func (c *controller) datapathObject(key uint32) []control.Object {
	m := c.datapathItem(key)
	if m == nil {
		return nil
	}
	table := "Logical_Switch"
	if m.Type == "logical-router" {
		table = "Logical_Router"
	}
	return []control.Object{{Table: table, Name: m.Name, UUID: uuidText(m.Uuid)}}
}

// macText is an Ethernet address in the low 48 bits of a number.
func macText(v uint64) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// uuidText is a UUID in the notation of RFC 4122; "" where it is none.
func uuidText(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
