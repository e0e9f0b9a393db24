package openflow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
)

// BundleError says which message of a bundle the switch refused. Nothing of the
// bundle was applied.
type BundleError struct {
	Index int    // of the message, -1: the switch did not say
	Err   *Error // what it answered
}

func (e *BundleError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("OpenFlow messages refused: %v", e.Err)
	}
	return fmt.Sprintf("OpenFlow message %d refused: %v", e.Index, e.Err)
}

// Unwrap gives the error message.
func (e *BundleError) Unwrap() error { return e.Err }

func (r *bundleErrors) failure() error {
	if r.err == nil {
		return nil
	}
	return &BundleError{Index: r.index, Err: r.err}
}

// request is a message that is answered, on its way.
type request struct {
	bytes  []byte
	xid    uint32
	waiter *waiter
}

// request prepares to send m; forget(xid) undoes that.
func (c *Conn) request(m Message) (*request, error) {
	r := &request{xid: c.xids(1)}
	var err error
	if r.bytes, err = EncodeMessage(r.xid, m); err != nil {
		return nil, err
	}
	if r.waiter, err = c.expect(r.xid); err != nil {
		return nil, err
	}
	return r, nil
}

// stream sends n messages without waiting for each, then a barrier, and returns
// when that has been answered: by then the errors are there. open, which may be
// nil, goes before them, all in one write.
func (c *Conn) stream(ctx context.Context, open *request, n int, message func(xid uint32, i int) Message) (*bundleErrors, error) {
	errs := &bundleErrors{first: c.xids(uint32(n)), n: uint32(n), index: -1}
	if err := c.collect(errs); err != nil {
		return nil, err
	}
	defer c.release(errs)
	barrier, err := c.request(&BarrierRequest{})
	if err != nil {
		return nil, err
	}
	defer c.forget(barrier.xid)
	var b []byte
	err = c.write(func(w *bufio.Writer) (err error) {
		if open != nil {
			if _, err = w.Write(open.bytes); err != nil {
				return err
			}
		}
		for i := range n {
			xid := errs.first + uint32(i)
			if b, err = AppendMessage(b[:0], xid, message(xid, i)); err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
			if _, err = w.Write(b); err != nil {
				return err
			}
		}
		_, err = w.Write(barrier.bytes)
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := c.await(ctx, barrier.waiter); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return &bundleErrors{index: errs.index, err: errs.err}, nil
}

// collect gathers errors for a range of transaction ids until release.
func (c *Conn) collect(r *bundleErrors) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.ranges = append(c.ranges, r)
	return nil
}

func (c *Conn) release(r *bundleErrors) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ranges = slices.DeleteFunc(c.ranges, func(o *bundleErrors) bool { return o == r })
}

// Bundle applies messages in order and all or none: packets see the state
// before or after. Open vSwitch takes FlowMod, GroupMod and PacketOut. When it
// refuses one, the error is a *BundleError that names it and nothing has
// changed. The messages are streamed; the switch is waited for twice, or once
// for a single message, which needs no bundle to be applied or not.
func (c *Conn) Bundle(ctx context.Context, messages []Message) error {
	switch len(messages) {
	case 0:
		return nil
	case 1:
		return c.Do(ctx, messages[0])
	}
	c.mu.Lock()
	c.bundleID++
	id := c.bundleID
	c.mu.Unlock()
	commit, err := c.addAndCommit(ctx, id, messages)
	if err == nil || commit || c.Err() != nil {
		return err
	}
	// Without its failed messages the bundle must not be committed.
	if _, derr := c.Request(ctx, &BundleControl{ID: id, Control: BundleDiscardRequest, Flags: bundleFlags}); derr != nil {
		return errors.Join(err, fmt.Errorf("discard bundle: %w", derr))
	}
	return err
}

const bundleFlags = BundleAtomic | BundleOrdered

// addAndCommit tells whether the bundle came as far as its commit, which
// consumes it whatever the result.
func (c *Conn) addAndCommit(ctx context.Context, id uint32, messages []Message) (commit bool, err error) {
	open, err := c.request(&BundleControl{ID: id, Control: BundleOpenRequest, Flags: bundleFlags})
	if err != nil {
		return false, err
	}
	defer c.forget(open.xid)
	first := uint32(0)
	add := BundleAdd{ID: id, Flags: bundleFlags}
	errs, err := c.stream(ctx, open, len(messages), func(xid uint32, i int) Message {
		if i == 0 {
			first = xid
		}
		add.XID, add.Message = xid, messages[i]
		return &add
	})
	if err == nil {
		err = errs.failure()
	}
	if err != nil {
		return false, err
	}
	if _, err := c.await(ctx, open.waiter); err != nil { // it is there: the barrier was answered
		return false, fmt.Errorf("open bundle: %w", err)
	}
	// A message that was well formed may still fail when it is applied; the
	// error then has its id.
	errs = &bundleErrors{first: first, n: uint32(len(messages)), index: -1}
	if err := c.collect(errs); err != nil {
		return false, err
	}
	defer c.release(errs)
	_, err = c.Request(ctx, &BundleControl{ID: id, Control: BundleCommitRequest, Flags: bundleFlags})
	c.mu.Lock()
	defer c.mu.Unlock()
	if ferr := errs.failure(); ferr != nil {
		return true, ferr
	}
	var e *Error
	if errors.As(err, &e) {
		return true, &BundleError{Index: -1, Err: e}
	}
	return true, err
}
