package compile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/incr"
	"govn/pkg/logical"
)

// policies are the queries about routing policies: a unit each.
type policies struct {
	list  *topology.List
	match *incr.Query[string, parsed]
	unit  *incr.Unit[topology.Member]
}

// parsed is a user's match, parsed once for all that have the same text.
type parsed struct {
	text  string
	match logical.Match
}

func (p *Program) newPolicies(e *incr.Engine) {
	q := &p.policies
	q.list = p.Reader.List(p.c.LR.Policies)
	q.match = incr.NewQuery(e, "match", func(m parsed) incr.Hash { return incr.HashString(m.text) }, parseMatch)
	q.unit = incr.NewUnit(e, "policy", p.runPolicy, incr.Order(compareMember))
}

// parseMatch parses a match. The error is a *topology.AddressError with the place.
func parseMatch(_ *incr.Ctx, text string) (parsed, error) {
	e, err := pipeline.ParseMatch(text)
	if err == nil {
		var m logical.Match
		if m, err = logical.LiteralMatch(e); err == nil {
			return parsed{text, m}, nil
		}
	}
	at := 0
	var place *logical.Error
	if errors.As(err, &place) {
		at, err = place.Pos, errors.New(place.Msg)
	}
	return parsed{}, &topology.AddressError{Text: text, Pos: at, Err: err}
}

// runPolicy emits what a policy of a router contributes.
func (p *Program) runPolicy(c *incr.Ctx, m topology.Member) error {
	router, err := p.routers.router.Get(c, m.Row)
	if err != nil || router == nil {
		return err
	}
	policy, addrs, ok, err := p.Reader.ReadPolicy(c, m.Elem)
	if err != nil || !ok {
		return err
	}
	t := &p.c.Policy
	match, err := p.policies.match.Get(c, policy.Match)
	if err != nil {
		return policy.FieldError(t.Match, err)
	}
	unreached := error(nil)
	for _, next := range addrs {
		p.useBFD(c, t.BFDSessions, m.Elem, next)
		if p.Reader.PolicyDown(c, m.Elem, next) {
			continue
		}
		var exit *topology.Exit
		if name := p.Reader.PolicyPort(c, m.Elem); name != "" {
			if exit, err = p.portExit(c, m.Row, name, next, next.Is4()); err != nil {
				return policy.FieldError(t.OutputPort, err)
			}
		} else if exit, err = p.routes.exit.Get(c, destination{m.Row, next}); err != nil {
			return err
		}
		if exit == nil {
			unreached = policy.FieldError(t.Nexthops, fmt.Errorf("%s: %w", next, topology.ErrNoPath))
			continue
		}
		policy.Hops = append(policy.Hops, topology.Hop{Next: next, Exit: *exit})
	}
	if len(policy.Hops) == 0 && unreached != nil {
		return unreached
	}
	if len(policy.Hops) > 1 {
		if policy.ID, ok = p.Reader.Key(c, topology.KindPolicyGroup, m.Row, m.Elem); !ok {
			return nil
		}
	}
	logic := func() ([]pipeline.Flow, error) { return pipeline.OfPolicy(policy, match.match) }
	flows, err := logic()
	if err != nil || len(flows) == 0 {
		return err
	}
	keys := p.routerKeys(c, m.Row)
	body, err := translate.Compile(flows, func(name string) (uint32, error) {
		key, err := keys(name)
		if err != nil {
			err = &topology.AddressError{Text: policy.Match, Pos: max(0, strings.Index(policy.Match, strconv.Quote(name))), Err: err}
		}
		return key, err
	}, nil)
	if err != nil {
		return policy.FieldError(t.Match, err)
	}
	p.emitUnit(c, UnitKey{Switch: m.Row, Object: m.Elem, Part: PartDefault}, body, Scope{Datapath: router.Key}, 0, logic,
		object(t.Table.Name, m.Elem, policy.Name()))
	return nil
}
