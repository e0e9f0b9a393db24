package server

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"

	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// wishes are what a zone wants to be stored: what it published last.
type wishes struct {
	mu      sync.Mutex
	kick    chan struct{} // holds one token when there is something to look at
	began   bool          // there was a whole Publish
	wants   map[wish]any  // *ic.Gateway, *ic.Port, *ic.Route
	weight  int           // bytes that wants take, about
	dirty   map[wish]bool // to be compared with what is stored
	heap    int           // bytes that the keys of dirty take, about
	sweep   bool          // what is stored and not wanted is to go
	refused map[wish]string
	number  uint64 // of the last Publish
	told    uint64 // number that was answered
	answers bool   // there was one
	name    string // that the zone wants to have; "": what it has
	pending []*ic.Publish
	pieces  int // items in pending
	bytes   int // that pending takes, about
}

func (w *wishes) init() {
	w.kick = make(chan struct{}, 1)
	w.wants, w.dirty, w.refused = make(map[wish]any), make(map[wish]bool), make(map[wish]string)
}

func (w *wishes) signal() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *wishes) rename(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.name = name
	w.signal()
}

// publish takes in one message.
func (st *stream) publish(_ context.Context, p *ic.Publish) error {
	w := &st.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Whole && len(w.pending) > 0 || !p.Whole && len(w.pending) == 0 && !w.began {
		return status.Error(codes.InvalidArgument, "the first publish is to be whole, and of its messages the first")
	}
	w.pending = append(w.pending, p)
	items, bytes := weigh(p)
	w.pieces, w.bytes = w.pieces+items, w.bytes+bytes
	o := &st.centre.o
	switch {
	case w.pieces > 2*o.MaxItems || len(w.pending) > o.MaxItems:
		return status.Errorf(codes.ResourceExhausted, "a publish of more than %d items", 2*o.MaxItems)
	case w.bytes > o.MaxBytes:
		return status.Errorf(codes.ResourceExhausted, "a publish of more than %d bytes", o.MaxBytes)
	}
	if p.More {
		return nil
	}
	if w.pending[0].Whole {
		for k := range w.wants {
			w.mark(k)
		}
		clear(w.wants)
		w.weight, w.sweep, w.began = 0, true, true
	}
	for _, p := range w.pending {
		w.merge(p)
	}
	w.number, w.pending, w.pieces, w.bytes = p.Number, nil, 0, 0
	switch {
	case len(w.wants) > o.MaxItems:
		return status.Errorf(codes.ResourceExhausted, "the zone publishes %d items, more than %d", len(w.wants), o.MaxItems)
	case w.weight > o.MaxBytes:
		return status.Errorf(codes.ResourceExhausted, "the zone publishes %d bytes, more than %d", w.weight, o.MaxBytes)
	case w.heap > o.MaxBytes: // the writer does not keep up: it looks at what there is
		w.dirty, w.heap, w.sweep = make(map[wish]bool, len(w.wants)), 0, true
		for k := range w.wants {
			w.mark(k)
		}
	}
	w.signal()
	return nil
}

// mark notes that something is to be compared with what is stored. w.mu is held,
// here and below.
func (w *wishes) mark(k wish) {
	if !w.dirty[k] {
		w.dirty[k] = true
		w.heap += k.weight()
	}
}

func (w *wishes) merge(p *ic.Publish) {
	drop := func(k wish) {
		if v, ok := w.wants[k]; ok {
			w.weight -= weightOf(v)
			delete(w.wants, k)
		}
		w.mark(k)
	}
	want := func(k wish, v any) {
		drop(k)
		w.wants[k] = v
		w.weight += weightOf(v)
	}
	for _, name := range p.GoneGateways {
		drop(wish{kind: kindGateway, name: clip(name)})
	}
	for _, name := range p.GonePorts {
		drop(wish{kind: kindPort, name: clip(name)})
	}
	for _, k := range p.GoneRoutes {
		drop(wish{kind: kindRoute, routeKey: routeKeyOf(k).clip()})
	}
	for _, g := range p.Gateways {
		want(wish{kind: kindGateway, name: clip(g.Name)}, g)
	}
	for _, p := range p.Ports {
		want(wish{kind: kindPort, name: clip(p.Name)}, p)
	}
	for _, r := range p.Routes {
		want(wish{kind: kindRoute, routeKey: routeKeyOf(r.Key).clip()}, r)
	}
}

// entryBytes is about what a string, an element of a list or an entry of a map
// takes beside its bytes.
const entryBytes = 128

// weigh is how many items a message has, and how many bytes they take, about.
func weigh(p *ic.Publish) (items, bytes int) {
	for _, list := range [][]string{p.GoneGateways, p.GonePorts} {
		items += len(list)
		for _, s := range list {
			bytes += len(s) + entryBytes
		}
	}
	items += len(p.GoneRoutes) + len(p.Gateways) + len(p.Ports) + len(p.Routes)
	for _, k := range p.GoneRoutes {
		bytes += pb.Size(k) + entryBytes
	}
	for _, v := range p.Gateways {
		bytes += weightOf(v)
	}
	for _, v := range p.Ports {
		bytes += weightOf(v)
	}
	for _, v := range p.Routes {
		bytes += weightOf(v)
	}
	return items, bytes
}

// weightOf is how many bytes an item takes, about.
func weightOf(v any) int {
	entries := 2 // itself, and its key
	switch v := v.(type) {
	case *ic.Gateway:
		for _, e := range v.Encaps {
			entries += 1 + len(e.Options)
		}
	case *ic.Port:
		entries += len(v.ExternalIds)
	case *ic.Route:
		entries += 1 + len(v.ExternalIds)
	}
	return pb.Size(v.(pb.Message)) + entries*entryBytes
}

func (k wish) weight() int {
	return len(k.name) + len(k.transit) + len(k.table) + len(k.prefix) + len(k.nexthop) + entryBytes
}

// clip is what a text that is too long to be stored is known by; it is refused.
func clip(s string) string {
	const most = maxText + utf8.UTFMax
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(strings.Clone(s[:most]), "?")
}

func (k routeKey) clip() routeKey {
	return routeKey{clip(k.transit), clip(k.table), clip(k.prefix), clip(k.nexthop)}
}

// stored notes that a row of the zone changed: now is what it is, nil: gone. The
// writer looks at what is not as the zone wants it.
func (st *stream) stored(k wish, now *item) {
	w := &st.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.began && !now.fulfils(w.wants[k]) {
		w.mark(k)
		w.signal()
	}
}

// doubt has the writer look again at what is wanted on a switch, or on all.
func (st *stream) doubt(transit string, all bool) {
	w := &st.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, v := range w.wants {
		p, isPort := v.(*ic.Port)
		if all || k.kind == kindRoute && k.transit == transit || isPort && p.Switch == transit {
			w.mark(k)
		}
	}
	w.signal()
}

// reconsider has the writer look again at what it refused.
func (st *stream) reconsider() {
	w := &st.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.refused) == 0 && w.name == "" {
		return
	}
	for k := range w.refused {
		w.mark(k)
	}
	w.signal()
}

// retryWrite is the pause after a transaction failed that should not.
const retryWrite = time.Second

// write is the writer: it brings the databases to what the zone wants.
func (st *stream) write(ctx context.Context) error {
	c, w := st.centre, &st.wishes
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-w.kick:
		case <-retry.C:
		}
		revision, told, err := st.store(ctx)
		if err == nil && told != nil {
			err = c.store.WaitDurable(ctx, revision)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			c.log.Error("what a zone publishes cannot be stored", "zone", st.id, "err", err)
			retry.Reset(retryWrite)
		case told != nil:
			st.outbox.mu.Lock()
			st.outbox.published = told
			st.outbox.mu.Unlock()
			st.Signal()
		}
	}
}

// maxRefusals is how many refusals a zone is told at most.
const maxRefusals = 1000

// store writes what is not as the zone wants it, in one transaction. told is what
// the zone is to be told; nil: nothing new.
func (st *stream) store(ctx context.Context) (revision uint64, told *ic.Published, err error) {
	c, w := st.centre, &st.wishes
	w.mu.Lock()
	if !w.began && w.name == "" {
		w.mu.Unlock()
		return 0, nil, nil
	}
	dirty, sweep, number, name := w.dirty, w.sweep, w.number, w.name
	w.dirty, w.heap, w.sweep = make(map[wish]bool), 0, false
	wants := w.wants
	if sweep {
		wants = maps.Clone(wants) // the whole of it is looked at
	} else {
		wants = make(map[wish]any, len(dirty))
		for k := range dirty {
			if v, ok := w.wants[k]; ok {
				wants[k] = v
			}
		}
	}
	w.mu.Unlock()
	tr := &zoneTxn{stream: st, c: c.columns, dirty: dirty, sweep: sweep, wants: wants, name: name}
	if len(dirty) > 0 || sweep || name != "" {
		revision, err = c.store.Update(ctx, c.columns.sb, ovsdb.OwnerNorthd, tr.run)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		for k := range dirty {
			w.mark(k)
		}
		w.sweep = w.sweep || sweep
		return 0, nil, err
	}
	changed := !w.answers && w.began || number != w.told
	for k := range w.refused {
		if k.kind == kindZone {
			tr.dirty[k] = true
		}
	}
	for k := range tr.refused {
		tr.dirty[k] = true
	}
	for k := range tr.dirty {
		reason, refused := tr.refused[k]
		if was, is := w.refused[k]; was != reason || is != refused {
			changed = true
		}
		if refused {
			w.refused[k] = reason
			c.zones.refuse(st.zone)
			c.metrics.refusedWrites.WithLabelValues("grpc").Inc()
		} else {
			delete(w.refused, k)
		}
	}
	if w.name == name && !tr.refusedName {
		w.name = ""
	}
	if !changed {
		return revision, nil, nil
	}
	w.answers = true
	w.told = number
	told = &ic.Published{Number: number}
	for k, reason := range w.refused {
		if len(told.Refusals) == maxRefusals {
			break
		}
		r := &ic.Refusal{Kind: k.kind.String(), Name: k.name, Reason: reason}
		if k.kind == kindRoute {
			r.Name, r.Route = k.prefix, k.message()
		}
		told.Refusals = append(told.Refusals, r)
	}
	return revision, told, nil
}
