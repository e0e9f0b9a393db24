package vswitch

import (
	"encoding/binary"

	"govn/pkg/openflow"
)

// bundle is messages that wait for their commit. They are checked when they
// come, and again against the state of the tables when they are applied.
type bundle struct {
	flags    uint16
	closed   bool
	messages []bundled
}

// bundled is a checked message: exactly one of flow, group and out is there.
type bundled struct {
	raw     []byte // for errors
	flow    *openflow.FlowMod
	mod     *compiledMod
	group   *openflow.GroupMod
	out     *openflow.PacketOut
	actions []openflow.Action
}

func (c *conn) bundleControl(xid uint32, m *openflow.BundleControl) error {
	k := c.bundles[m.ID]
	if k != nil && m.Control != openflow.BundleOpenRequest && k.flags != m.Flags && m.Control != openflow.BundleDiscardRequest {
		delete(c.bundles, m.ID)
		return refuse(etBundle, bfcBadFlags)
	}
	reply := openflow.BundleControl{ID: m.ID, Control: m.Control + 1}
	switch m.Control {
	case openflow.BundleOpenRequest:
		if k != nil {
			delete(c.bundles, m.ID)
			return refuse(etBundle, bfcBadID)
		}
		if len(c.bundles) >= maxBundles {
			return refuse(etBundle, 5)
		}
		c.bundles[m.ID] = &bundle{flags: m.Flags}
	case openflow.BundleCloseRequest:
		switch {
		case k == nil:
			return refuse(etBundle, bfcBadID)
		case k.closed:
			delete(c.bundles, m.ID)
			return refuse(etBundle, bfcClosed)
		}
		k.closed = true
	case openflow.BundleCommitRequest:
		if k == nil {
			return refuse(etBundle, bfcBadID)
		}
		delete(c.bundles, m.ID)
		if err := c.commit(k); err != nil {
			return err
		}
	case openflow.BundleDiscardRequest:
		if k == nil {
			return refuse(etBundle, bfcBadID)
		}
		delete(c.bundles, m.ID)
	default:
		reply.Control = 0 // as Open vSwitch answers what it does not know
	}
	c.reply(xid, &reply)
	return nil
}

// Places in the body of a BundleAdd.
const (
	bundleAddFlags = 6
	bundleAddInner = 8
)

func (c *conn) bundleAdd(raw []byte) error {
	body := raw[openflow.HeaderLen:]
	if len(body) < bundleAddInner+openflow.HeaderLen {
		return refuse(etBadRequest, brcBadLen)
	}
	id, flags, inner := binary.BigEndian.Uint32(body), binary.BigEndian.Uint16(body[bundleAddFlags:]), body[bundleAddInner:]
	n := int(binary.BigEndian.Uint16(inner[2:]))
	switch {
	case n < openflow.HeaderLen || n > len(inner):
		return refuse(etBadRequest, brcBadLen)
	case xidOf(inner) != xidOf(raw):
		return refuse(etBundle, bfcBadXID)
	case inner[0] != openflow.Version:
		return refuseVendor(22)
	}
	inner = inner[:n]
	m, err := c.checkBundled(inner)
	if err != nil {
		return err
	}
	k := c.bundles[id]
	switch {
	case k == nil:
		if len(c.bundles) >= maxBundles {
			return refuse(etBundle, 5)
		}
		k = &bundle{flags: flags}
		c.bundles[id] = k
	case k.closed:
		delete(c.bundles, id)
		return refuse(etBundle, bfcClosed)
	case k.flags != flags:
		delete(c.bundles, id)
		return refuse(etBundle, bfcBadFlags)
	}
	if len(k.messages) >= maxMessages {
		return refuse(etBundle, 12)
	}
	m.raw = append([]byte(nil), inner[:min(len(inner), errorDataSize)]...)
	k.messages = append(k.messages, m)
	return nil
}

func (c *conn) checkBundled(inner []byte) (m bundled, err error) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	switch inner[1] {
	case openflow.TypeFlowMod:
		m.flow, m.mod, err = c.b.checkFlowMod(inner)
	case openflow.TypeGroupMod:
		m.group, err = checkGroupMod(inner)
	case openflow.TypePacketOut:
		m.out, m.actions, err = c.b.checkPacketOut(inner)
	case typePortMod:
		m.raw = inner
	default:
		err = refuse(etBundle, bfcUnsup)
	}
	return m, err
}

// commit applies all messages or none. The error about the one that failed
// comes before the error about the bundle.
func (c *conn) commit(k *bundle) error {
	var failed *bundled
	err := c.transaction(func(j *journal, tr *node) (results []result, err error) {
		for i := range k.messages {
			m := &k.messages[i]
			switch {
			case m.flow != nil:
				err = c.b.flowMod(m.flow, m.mod, j)
			case m.group != nil:
				err = c.b.groupMod(m.group, j)
			case m.out != nil:
				err = c.b.references(flatten(nil, m.actions))
			}
			if err != nil {
				failed = m
				return nil, err
			}
		}
		for i := range k.messages {
			if m := &k.messages[i]; m.out != nil {
				results = append(results, c.b.packetOut(m.out, m.actions, tr)...)
			}
		}
		return results, nil
	})
	if err != nil {
		if failed != nil {
			c.refused(failed.raw, asRefusal(err))
		}
		return refuse(etBundle, bfcMsgFailed)
	}
	return nil
}
