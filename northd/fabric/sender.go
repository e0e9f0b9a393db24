package fabric

import (
	"context"
	"time"

	pb "google.golang.org/protobuf/proto"

	"govn/proto"
	"govn/proto/state"
)

// target is what a stream is to have at a revision.
type target struct {
	revision uint64
	nbCfg    int64
	awaited  uint64
	steps    map[uint32]step
}

// capture takes what the chassis should have now: of the datapaths that are
// dirty, or of all local ones.
func (st *stream) capture(all bool) target {
	s := st.server
	s.mu.Lock()
	defer s.mu.Unlock()
	t := target{revision: s.zone.revision, nbCfg: s.zone.nbCfg, awaited: st.chassis.awaited, steps: make(map[uint32]step, len(st.dirty))}
	if all {
		for dp := range st.chassis.local {
			st.dirty[dp] = struct{}{}
		}
	}
	for dp := range st.dirty {
		var next step
		next.now, next.here = s.zone.localNow(st.chassis, dp)
		if was, ok := st.view[dp]; ok && next.here && !all {
			next.keys, next.logged = s.zone.datapaths[dp].all.since(was.all.seq)
		}
		t.steps[dp] = next
	}
	clear(st.dirty)
	st.backlog = 0
	return t
}

// whole is the view that a target of all datapaths makes.
func (t target) whole() view {
	v := make(view, len(t.steps))
	for dp, s := range t.steps {
		if s.here {
			v[dp] = s.now
		}
	}
	return v
}

// run is the sender: it welcomes the chassis, brings it to the desired state,
// and keeps it there.
func (st *stream) run(ctx context.Context, use uint32) error {
	s := st.server
	if err := st.grpc.Send(&proto.ToChassis{Msg: &proto.ToChassis_Welcome{Welcome: &proto.Welcome{Abi: use}}}); err != nil {
		return err
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := st.begin(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-st.Wake():
		case <-ctx.Done():
			return ctx.Err()
		}
		pause, resync := st.wantsResync()
		var err error
		if resync {
			if err = sleep(ctx, pause); err == nil {
				err = st.sendSnapshot(ctx, nil)
			}
		} else {
			err = st.sendDifference(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxResyncDelay is the longest pause before a snapshot that was asked for.
const maxResyncDelay = 30 * time.Second

// wantsResync tells whether the chassis asked for a snapshot, and how long it
// has to wait for it.
func (st *stream) wantsResync() (pause time.Duration, resync bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.resync {
		return 0, false
	}
	if st.inARow > 0 {
		pause = min(st.server.opts.ResyncDelay<<min(st.inARow-1, 20), maxResyncDelay)
	}
	st.inARow++
	return pause, true
}

// begin sends the first frame: an empty one where the chassis has what it
// should, a snapshot otherwise.
func (st *stream) begin(ctx context.Context) error {
	s, h := st.server, st.hello
	st.hello = nil
	if r := h.Revision; r != nil && [16]byte(r.Cluster) == s.opts.Cluster && len(h.Digest) == 16 {
		t := st.capture(true)
		v := t.whole()
		digest := v.digest(st.name)
		if digest.Bytes() == [16]byte(h.Digest) && (r.Term < s.opts.Term || r.Number <= t.revision) {
			st.view, st.digest = v, digest
			return st.send(ctx, t, "empty", nil)
		}
	}
	keep := make(map[string]struct{}, len(h.Bodies))
	for _, b := range h.Bodies {
		keep[string(b)] = struct{}{}
	}
	return st.sendSnapshot(ctx, keep)
}

// sendSnapshot sends the whole state, except for bodies in keep.
func (st *stream) sendSnapshot(ctx context.Context, keep map[string]struct{}) error {
	s := st.server
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.slots }()
	s.metrics.snapshots.Inc()
	defer s.metrics.snapshots.Dec()

	t := st.capture(true)
	st.view = t.whole()
	st.digest = st.view.digest(st.name)
	st.mu.Lock()
	st.resync, st.snapshot = false, t.revision
	st.mu.Unlock()
	return st.send(ctx, t, "snapshot", func(w *writer) {
		st.view.each(st.name, func(it *item) bool {
			if it.key.Kind == proto.Kind_KIND_BODY {
				if _, has := keep[it.key.Key]; has {
					w.keep(it)
					return w.err == nil
				}
			}
			w.put(it)
			return w.err == nil
		})
	})
}

// sendDifference sends what changed since the last frame, if it is anything.
func (st *stream) sendDifference(ctx context.Context) error {
	t := st.capture(false)
	changes, misses := difference(st.view, t.steps, st.name)
	st.server.metrics.misses.Add(float64(misses))
	for dp, s := range t.steps {
		if s.here {
			st.view[dp] = s.now
		} else {
			delete(st.view, dp)
		}
	}
	for _, c := range changes {
		if c.old != nil {
			st.digest = st.digest.Sub(c.old.digest)
		}
		if c.new != nil {
			st.digest = st.digest.Add(c.new.digest)
		}
	}
	if len(changes) == 0 {
		if t.nbCfg == st.nbCfg && t.awaited <= st.framed {
			return nil
		}
		return st.send(ctx, t, "empty", nil)
	}
	return st.send(ctx, t, "difference", func(w *writer) {
		for _, c := range changes {
			if c.new == nil {
				w.del(c.old.key)
			} else {
				w.put(c.new)
			}
		}
	})
}

// send sends one frame when its revision is durable. fill writes its items.
func (st *stream) send(ctx context.Context, t target, kind string, fill func(*writer)) error {
	s := st.server
	if err := s.gate.await(ctx, t.revision); err != nil {
		return err
	}
	st.mu.Lock()
	st.sent = max(st.sent, t.revision) // before the chassis can acknowledge it
	st.unacked = append(st.unacked, sentAt{t.revision, time.Now()})
	if len(st.unacked) > maxUnacked {
		st.unacked = st.unacked[1:]
	}
	st.mu.Unlock()
	defer st.Sends()()
	w := writer{kinds: map[proto.Kind]int{}}
	revision := &proto.Revision{Cluster: s.opts.Cluster[:], Term: s.opts.Term, Number: t.revision}
	w.chunker = state.NewChunker(revision, kind == "snapshot", s.opts.ChunkSize, func(f *proto.Frame) error {
		w.err = st.emit(ctx, f)
		return w.err
	})
	if fill != nil {
		fill(&w)
	}
	if err := w.chunker.Last(st.digest, t.nbCfg); err != nil {
		return err
	}
	st.nbCfg, st.framed = t.nbCfg, t.revision
	s.metrics.frames.WithLabelValues(kind).Inc()
	for k, n := range w.kinds {
		s.metrics.kind(k).Add(float64(n))
	}
	return nil
}

// emit hands one chunk to the transport. It waits where the chassis does not
// read.
func (st *stream) emit(ctx context.Context, f *proto.Frame) error {
	if st.server.stopped.Load() {
		return errNotLeader
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &proto.ToChassis{Msg: &proto.ToChassis_Frame{Frame: f}}
	n := pb.Size(m)
	if err := st.grpc.Send(m); err != nil {
		return err
	}
	st.bytes.Add(uint64(n))
	st.server.metrics.message.Add(float64(n))
	return nil
}

// writer writes the items of a frame and counts their bytes.
type writer struct {
	chunker *state.Chunker
	kinds   map[proto.Kind]int
	err     error // of emit
}

func (w *writer) put(it *item) {
	w.kinds[it.key.Kind] += len(it.key.Key) + len(it.value)
	w.chunker.Put(&proto.Item{Kind: it.key.Kind, Key: []byte(it.key.Key), Value: it.value, Critical: it.critical})
}

func (w *writer) del(k Key) {
	w.kinds[k.Kind] += len(k.Key)
	w.chunker.Del(k.Kind, k.Key)
}

func (w *writer) keep(it *item) {
	w.kinds[it.key.Kind] += len(it.key.Key)
	w.chunker.Keep([16]byte([]byte(it.key.Key)))
}
