package topology

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Actions of policies (ovn-nb(5), Logical_Router_Policy, action).
const (
	ActionAllow   = "allow"
	ActionDrop    = "drop"
	ActionReroute = "reroute"
)

// Policy is what the pipeline knows of a routing policy.
type Policy struct {
	UUID     ovsdb.UUID
	Priority uint16
	Match    string // as written
	Action   string
	Mark     uint32 // options:pkt_mark; 0: none
	ID       uint32 // of the alternatives, if there are several
	Hops     []Hop  // of reroute, in the order of their numbers, from 1
}

// Why a policy cannot be used, or not as it is.
var (
	// ErrChain is the problem of a policy in a chain, or that goes on in one.
	ErrChain = errors.New("chains of policies are not there yet")
	// ErrNoNextHop is the problem of a policy that reroutes nowhere.
	ErrNoNextHop = errors.New("reroute needs a next hop")
)

// ReadPolicy reads a policy and the addresses that it reroutes to; the hops are
// not looked up. ok is false if there is no such row. The error is a *FieldError.
func (r *Reader) ReadPolicy(c *incr.Ctx, u ovsdb.UUID) (p *Policy, hops []netip.Addr, ok bool, err error) {
	t := &r.C.Policy
	if !r.Has(c, t.Table, u) {
		return nil, nil, false, nil
	}
	p = &Policy{UUID: u, Priority: uint16(r.Int(c, t.Priority, u)), Match: r.Str(c, t.Match, u), Action: r.Str(c, t.Action, u)}
	bad := func(column *ovsdb.ColumnSchema, err error) (*Policy, []netip.Addr, bool, error) {
		return nil, nil, false, p.FieldError(column, err)
	}
	if _, there := r.Opt(c, t.Chain, u); there {
		return bad(t.Chain, ErrChain)
	}
	if mark, there := r.Option(c, t.Options, u, "pkt_mark"); there {
		n, err := strconv.ParseUint(mark, 10, 32)
		if err != nil {
			return bad(t.Options, fmt.Errorf("pkt_mark %q is no number of 32 bits", mark))
		}
		p.Mark = uint32(n)
	}
	switch p.Action {
	case ActionAllow, ActionDrop:
		return p, nil, true, nil
	case ActionReroute:
	default:
		return bad(t.Action, ErrChain)
	}
	texts := r.Set(c, t.Nexthops, u)
	if texts.Len() == 0 { // the column that nexthops took the place of
		texts = r.Set(c, t.Nexthop, u)
	}
	for a := range texts.All() {
		text := a.(string)
		n, err := ParsePrefix(text)
		if err == nil && !n.IsSingleIP() {
			err = errors.New("is a network, not an address")
		}
		if err != nil {
			return bad(t.Nexthops, &AddressError{text, 0, err})
		}
		if len(hops) > 0 && hops[0].Is4() != n.Addr().Is4() {
			return bad(t.Nexthops, errors.New("next hops are of both versions of IP"))
		}
		hops = append(hops, n.Addr())
	}
	if len(hops) == 0 {
		return bad(t.Nexthops, ErrNoNextHop)
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	return p, hops, true, nil
}

// FieldError names the policy and the column that cannot be used.
func (p *Policy) FieldError(column *ovsdb.ColumnSchema, err error) error {
	return &FieldError{Table: column.Table.Name, Column: column.Name, Object: p.Name(), UUID: p.UUID, Err: err}
}

// Name is how a policy is called: priority and match identify it.
func (p *Policy) Name() string { return fmt.Sprintf("%d %s", p.Priority, p.Match) }

// PolicyName is how the policy of a row is called.
func PolicyName(row *ovsdb.Row, c *Columns) string {
	return fmt.Sprintf("%d %s", row.Int(c.Policy.Priority), row.Str(c.Policy.Match))
}

// PolicyPort is the port that a policy reroutes by, "" if it does not say.
func (r *Reader) PolicyPort(c *incr.Ctx, u ovsdb.UUID) string {
	v, there := r.Opt(c, r.C.Policy.OutputPort, u)
	if !there {
		return ""
	}
	return r.Str(c, r.C.LRP.Name, v.(ovsdb.UUID))
}

// PolicyDown reports whether a BFD session of a policy with a next hop is down.
func (r *Reader) PolicyDown(c *incr.Ctx, u ovsdb.UUID, next netip.Addr) bool {
	return r.bfdDown(c, r.C.Policy.BFDSessions, u, next)
}

// HashPolicy is the hash of a policy; zero for none.
func HashPolicy(p *Policy) incr.Hash {
	if p == nil {
		return incr.Hash{}
	}
	b := append(make([]byte, 0, 256), p.UUID[:]...)
	b = binary.BigEndian.AppendUint16(b, p.Priority)
	b = binary.BigEndian.AppendUint32(b, p.Mark)
	b = appendText(appendText(b, p.Match), p.Action)
	for i := range p.Hops {
		h := HashHop(&p.Hops[i])
		b = append(b, h[:]...)
	}
	return hashOf(b)
}
