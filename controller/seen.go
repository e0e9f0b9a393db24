package controller

import (
	"context"
	"net/netip"
	"time"

	"govn/controller/flows"
	"govn/controller/physical"
	"govn/pkg/abi"
	"govn/pkg/aging"
	"govn/pkg/openflow"
	"govn/proto"
)

// Learned entries that nobody uses go after a time; this is how the chassis
// finds out who uses them. It asks Open vSwitch for the counters of their flows
// and compares:
//
//	72  fdb, from the address        -> fdb_seen
//	66  neighbour, packets to it     -> neighbours_seen, and probe
//	67  neighbour, it spoke itself   -> neighbours_seen, no probe needed
//
// A neighbour that packets go to and that was silent for a while is asked whether
// it is still there (RFC 1122, 2.3.2.1; RFC 4861, 7.3.3), and where it does not
// answer everybody is asked, so that one with another Ethernet address is found
// while packets still go to the old one:
//
//	spoke --silence, used--> asked alone --1 s--> everybody asked --1 s--> again
//	  ^                          |                      |                    |
//	  +------- it answers -------+----------------------+     given up
//
// A router is on many chassis, and what a neighbour says comes to one of them: to
// the one that it is on, or that hosts the gateway port. That one hears whether it
// answers. The others, which only send to it, ask it alone, once a silence; the one
// that hears finds that it does not answer any more and asks everybody:
//
//	hv1 uses, is deaf --asks it--> neighbour --answers--> gw hears; silent for 1.5
//	                                                      silences: asks it, then everybody
//
// So no chassis asks everybody for a neighbour that answers, but a deaf one a few
// times at first, in case nobody hears. Broadcasts from a router's address are not
// only noise: bridges that hear one on the way learn where the router is, and a
// gateway port that is about to move must not be heard at its old place.
//
// What is used is told to northd often enough for the threshold of its datapath,
// and no more.
//
// How often the counters are looked at follows from the least threshold.
const (
	seenFastest = 250 * time.Millisecond
	seenSlowest = 5 * time.Second
	// probeSlowest is how long a neighbour that is used may be silent where no
	// threshold says less.
	probeSlowest = 10 * time.Second
	// probeAnswer is how long one may take to answer, and probeTries how often it
	// is asked for in a row.
	probeAnswer = time.Second
	probeTries  = 3
	// deafTries is how often a chassis that does not hear a neighbour asks
	// everybody for it: after two silences, four, eight.
	deafTries = 3
	// maxProbes bounds the neighbours asked for at a time; the others follow.
	maxProbes = 64
	// seenLimit is how long Open vSwitch may take to answer.
	seenLimit = 10 * time.Second
)

// watch is what is known of the use of one entry.
type watch struct {
	used, spoke uint64    // packets by the flows, as they were counted last
	told        time.Time // when northd was told

	// Of a neighbour.
	heard   time.Time // when it spoke, was asked in vain or was first looked at
	sentTo  bool      // by this chassis, since then
	hears   bool      // what it says comes to this chassis
	unasked bool      // it spoke last without being asked by this chassis: others ask, so they send to it
	asked   int       // how often, since heard
	askedAt time.Time
	silent  int // silences in which a chassis that does not hear asked
}

// asking is who is asked for a neighbour.
type asking uint8

const (
	askNobody asking = iota
	askIt            // the one at the address that is known
	askAll
)

// seen follows the use of learned entries.
type seen struct {
	next       time.Time // when the counters are looked at; zero: nothing is learned
	every      time.Duration
	asking     bool // an answer is on its way
	fdb        map[physical.MACID]*watch
	neighbours map[physical.NeighbourID]*watch
	answers    chan hits
}

// hits are the counters of the flows of learned entries, by table.
type hits struct {
	lookupFDB, get, lookup []openflow.FlowStats
	err                    error
}

func newSeen() seen {
	return seen{fdb: map[physical.MACID]*watch{}, neighbours: map[physical.NeighbourID]*watch{}, answers: make(chan hits, 1)}
}

// watchLearned plans the next look at the counters.
func (c *controller) watchLearned(now time.Time) {
	s := &c.seen
	s.every = c.seenInterval()
	switch {
	case s.every == 0:
		s.next = time.Time{}
	case s.next.IsZero() || s.next.After(now.Add(s.every)):
		s.next = now.Add(s.every)
	}
}

// neighbourAges are the thresholds of a router. What cannot be read northd has
// warned about.
func neighbourAges(d *proto.Datapath) aging.Thresholds {
	t, _ := aging.Parse(d.GetMacBindingAgeThreshold())
	return t
}

// seenInterval is how often the counters are looked at; 0: not at all.
func (c *controller) seenInterval() time.Duration {
	least := time.Duration(0)
	shorter := func(d time.Duration) {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	for _, d := range c.host.Datapaths() {
		shorter(time.Duration(d.FdbAgeThreshold) * time.Second)
		shorter(neighbourAges(d).Shortest())
	}
	for range c.host.Neighbours {
		shorter(2 * probeSlowest)
		break
	}
	if least == 0 {
		return 0
	}
	return min(max(least/4, seenFastest), seenSlowest)
}

// lookAtLearned asks Open vSwitch, away from the loop, when it is time.
func (c *controller) lookAtLearned(ctx context.Context, now time.Time) {
	s := &c.seen
	if s.asking || s.next.IsZero() || now.Before(s.next) {
		return
	}
	s.next = now.Add(s.every)
	c.forgetUnconfirmed(now)
	if c.session == nil {
		return
	}
	s.asking = true
	session := c.session
	c.asking.Go(func() { s.answers <- askHits(ctx, session) })
}

// askHits reads the counters.
func askHits(ctx context.Context, session *flows.Session) (h hits) {
	ctx, cancel := context.WithTimeout(ctx, seenLimit)
	defer cancel()
	for table, to := range map[uint8]*[]openflow.FlowStats{abi.TableLookupFDB: &h.lookupFDB, abi.TableMACBinding: &h.get, abi.TableMACLookup: &h.lookup} {
		if *to, h.err = session.Hits(ctx, table, abi.OwnerLearned); h.err != nil {
			return h
		}
	}
	return h
}

// saw takes in the counters.
func (c *controller) saw(h hits) {
	s := &c.seen
	s.asking = false
	if h.err != nil {
		c.log.Debug("counters of learned entries", "err", h.err)
		return
	}
	now := time.Now()
	r := &proto.Report{}
	c.sawFDB(r, h.lookupFDB, now)
	c.sawNeighbours(r, h, now)
	if c.greeted && len(r.FdbSeen)+len(r.NeighboursSeen) > 0 {
		c.st.sendReport(r)
	}
}

// grew tells whether a counter grew; one of a flow that is new begins at zero.
func grew(last *uint64, now uint64) bool {
	was := *last
	*last = now
	return now > was || now < was && now > 0
}

// due tells whether northd is to be told of something that is used.
func (w *watch) due(now time.Time, threshold time.Duration) bool {
	if threshold == 0 || now.Sub(w.told) < threshold/4 {
		return false
	}
	w.told = now
	return true
}

// sawFDB finds out which learned MAC addresses sent something.
func (c *controller) sawFDB(r *proto.Report, list []openflow.FlowStats, now time.Time) {
	there := map[physical.MACID]bool{}
	for i := range list {
		m, err := openflow.ParseMatch(list[i].Match)
		if err != nil {
			continue
		}
		id, port := macOfFlow(&m)
		there[id] = true
		w := c.seen.fdb[id]
		if w == nil {
			w = &watch{used: list[i].Packets, told: now}
			c.seen.fdb[id] = w
			continue
		}
		threshold := time.Duration(c.host.Datapaths()[id.Datapath].GetFdbAgeThreshold()) * time.Second
		if grew(&w.used, list[i].Packets) && w.due(now, threshold) {
			r.FdbSeen = append(r.FdbSeen, &proto.FdbEntry{Datapath: id.Datapath, Mac: id.MAC, Port: port})
		}
	}
	for id := range c.seen.fdb {
		if !there[id] {
			delete(c.seen.fdb, id)
		}
	}
}

func macOfFlow(m *openflow.Match) (physical.MACID, uint32) {
	dp, _ := m.Uint(openflow.FieldMetadata)
	mac, _ := m.Uint(openflow.FieldEthSrc)
	port, _ := m.Uint(openflow.FieldReg(abi.RegInport))
	return physical.MACID{Datapath: uint32(dp), MAC: mac}, uint32(port)
}

// sawNeighbours finds out which neighbours are sent to and which spoke, and
// probes those that are silent.
func (c *controller) sawNeighbours(r *proto.Report, h hits, now time.Time) {
	there, spoke := map[physical.NeighbourID]uint64{}, map[physical.NeighbourID]uint64{}
	for i := range h.get {
		if m, err := openflow.ParseMatch(h.get[i].Match); err == nil {
			if id, ok := neighbourOfFlow(&m, abi.RegOutport); ok {
				there[id] = h.get[i].Packets
			}
		}
	}
	for i := range h.lookup {
		m, err := openflow.ParseMatch(h.lookup[i].Match)
		if err != nil {
			continue
		}
		if _, withMAC := m.Uint(openflow.FieldEthSrc); !withMAC {
			continue
		}
		if id, ok := neighbourOfFlow(&m, abi.RegInport); ok {
			spoke[id] = h.lookup[i].Packets
		}
	}
	probes := 0
	ages := map[uint32]aging.Thresholds{}
	for id, packets := range there {
		mac, dynamic := c.host.Neighbour(id)
		w := c.seen.neighbours[id]
		if w == nil {
			w = &watch{used: packets, spoke: spoke[id], heard: now, told: now}
			c.seen.neighbours[id] = w
			continue
		}
		used, alive := grew(&w.used, packets), grew(&w.spoke, spoke[id])
		if !dynamic {
			continue
		}
		a, known := ages[id.Datapath]
		if !known {
			a = neighbourAges(c.host.Datapaths()[id.Datapath])
			ages[id.Datapath] = a
		}
		threshold := a.Of(id.IP)
		if c.hostedElsewhere(id) {
			w.hears = false
		}
		w.sentTo = w.sentTo || used
		if alive {
			w.speaks(now)
		}
		if (used || alive && w.unasked) && w.due(now, threshold) {
			r.NeighboursSeen = append(r.NeighboursSeen, neighbourMessage(id, mac))
		}
		silence := probeSlowest
		if threshold > 0 {
			silence = min(silence, threshold/2)
		}
		if probes == maxProbes {
			continue
		}
		switch w.probe(now, silence) {
		case askNobody:
			continue
		case askAll:
			mac = 0
		}
		probes++
		c.probe(id, mac)
		c.seen.next = minTime(c.seen.next, now.Add(probeAnswer))
	}
	for id, w := range c.seen.neighbours {
		// One that was learned just now has no flow that could have been counted.
		if _, ok := there[id]; !ok && now.Sub(w.heard) > seenLimit {
			delete(c.seen.neighbours, id)
		}
	}
}

// speaks notes that a neighbour said something here.
func (w *watch) speaks(now time.Time) {
	w.unasked = w.asked == 0
	w.heard, w.sentTo, w.hears, w.asked, w.silent = now, false, true, 0, 0
}

// spoke notes that a neighbour was learned here.
func (c *controller) spoke(id physical.NeighbourID, now time.Time) {
	w := c.seen.neighbours[id]
	if w == nil {
		w = &watch{told: now}
		c.seen.neighbours[id] = w
	}
	w.speaks(now)
}

// hostedElsewhere tells whether a router port is a gateway port that is not here.
func (c *controller) hostedElsewhere(id physical.NeighbourID) bool {
	at := physical.PortID{Datapath: id.Datapath, Port: id.Port}
	redirect := c.host.Redirect(at)
	return redirect != id.Port && c.placed[physical.PortID{Datapath: id.Datapath, Port: redirect}].Where != physical.Here
}

// probe tells who is to be asked for a neighbour now, and notes that it is.
func (w *watch) probe(now time.Time, silence time.Duration) asking {
	quiet := now.Sub(w.heard)
	switch {
	case !w.hears:
		if !w.sentTo || quiet < silence {
			return askNobody
		}
		w.silent++
		w.heard, w.sentTo = now, false
		if w.silent > 1 && w.silent <= 1<<deafTries && w.silent&(w.silent-1) == 0 {
			return askAll
		}
		return askIt
	case w.asked == 0:
		if (!w.sentTo || quiet < silence) && (!w.unasked || quiet < silence+silence/2) {
			return askNobody
		}
	case now.Sub(w.askedAt) < probeAnswer-seenFastest:
		return askNobody
	case w.asked == probeTries: // nobody is there, or somewhere else
		*w = watch{used: w.used, spoke: w.spoke, told: w.told, heard: now}
		return askNobody
	}
	w.asked++
	w.askedAt = now
	if w.asked > 1 {
		return askAll
	}
	return askIt
}

func neighbourOfFlow(m *openflow.Match, reg int) (id physical.NeighbourID, ok bool) {
	dp, _ := m.Uint(openflow.FieldMetadata)
	port, _ := m.Uint(openflow.FieldReg(reg))
	id.Datapath, id.Port = uint32(dp), uint32(port)
	kind, _ := m.Uint(openflow.FieldEthType)
	var b [16]byte
	for i := range 4 {
		v, _ := m.Uint(openflow.FieldReg(abi.RegLogical0 + i))
		b[4*i], b[4*i+1], b[4*i+2], b[4*i+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	if kind == 0x86dd {
		id.IP = netip.AddrFrom16(b)
	} else {
		id.IP = netip.AddrFrom4([4]byte(b[:4]))
	}
	return id, kind != 0
}
