package pipeline

import (
	"fmt"
	"sync"

	"govn/northd/topology"
	"govn/pkg/logical"
)

// Flow is a logical flow (ovn-sb(5), Logical_Flow) without its datapath.
type Flow struct {
	Stage    *Stage
	Priority uint16
	Match    logical.Match
	Actions  logical.Actions
}

// String is the flow in the form of ovn-sbctl lflow-list.
func (f *Flow) String() string {
	return fmt.Sprintf("table=%-2d(%-18s), priority=%-5d, match=(%s), action=(%s)",
		f.Stage.Table, f.Stage.Name, f.Priority, f.Match.String(), f.Actions.String())
}

// Feature is a part of what a logical network does. A nil function adds
// nothing.
type Feature struct {
	Name     string
	Switch   func(*Flows, *topology.Switch)
	Port     func(*Flows, *topology.Port)
	Resident func(*Flows, *topology.Port)

	// Router sees the router without its UUID, key and name: routers of one shape
	// share a body.
	Router          func(*Flows, *topology.Router)
	RouterPort      func(*Flows, *topology.RouterPort)
	RouterNeighbour func(*Flows, *topology.Attachment, *topology.Port)
	// RouterPeer sees the router port at the other end of a router's own one.
	RouterPeer func(*Flows, *topology.Attachment, *topology.RouterPort)
	// RouterPair sees every other port of its router with each port that has a
	// gateway_mtu.
	RouterPair func(f *Flows, in, out *topology.RouterPort)
}

// Features are all features, in the order of their stages.
var Features = []*Feature{&defaults, &portSecurity, &vlan, &fdb, &arpND, &localnet, &virtual, &l2, &routerPeers,
	&routerAdmission, &routerNeighbours, &routerInput, &routerAdvertise, &connected, &bfd, &resolve, &gatewayMTU, &gateway, &delivery}

// Flows collects the flows of an object.
type Flows struct {
	list []Flow
	err  error
}

// symbols is the table that all templates are checked against.
var symbols = logical.Default()

// ParseMatch reads a user's match expression.
func ParseMatch(text string) (*logical.Expr, error) { return logical.ParseMatch(text, symbols) }

// matchText and actionText are templates, which are parsed when they are first
// used or by Parse: most commands of the program need none.
type (
	matchText  func() *logical.MatchTemplate
	actionText func() *logical.ActionTemplate
)

// templates parse all templates of the package.
var templates []func()

func match(text string) matchText {
	return lazy(func() *logical.MatchTemplate { return logical.MustMatch(text, symbols) })
}

func actions(text string) actionText {
	return lazy(func() *logical.ActionTemplate { return logical.MustActions(text, symbols) })
}

// parsedActions is a template that was parsed already.
func parsedActions(t *logical.ActionTemplate) actionText {
	return func() *logical.ActionTemplate { return t }
}

func lazy[T any](parse func() T) func() T {
	get := sync.OnceValue(parse)
	templates = append(templates, func() { get() })
	return get
}

// Parse parses all templates, so that one with a mistake ends a program when it
// starts and not when an object needs it. Every compiler calls it.
var Parse = sync.OnceFunc(func() {
	for _, parse := range templates {
		parse()
	}
})

// Collect is the flows that add adds, for objects that no hook of [Feature] is
// for: routes, policies and others that a router has many of.
func Collect(add func(*Flows)) ([]Flow, error) {
	var f Flows
	add(&f)
	return f.list, f.err
}

// Add adds a flow. The arguments fill the holes of match and actions alike;
// each template takes those that it names.
func (f *Flows) Add(s *Stage, priority uint16, m matchText, a actionText, args ...logical.Arg) {
	if f.err != nil {
		return
	}
	bound, err := m().BindSome(args...)
	if err != nil {
		f.err = fmt.Errorf("%s: %w", s.Name, err)
		return
	}
	acts, err := a().BindSome(args...)
	if err != nil {
		f.err = fmt.Errorf("%s: %w", s.Name, err)
		return
	}
	f.list = append(f.list, Flow{Stage: s, Priority: priority, Match: bound, Actions: acts})
}

// AddActions is Add with actions that are no template, because their number
// depends on the object.
func (f *Flows) AddActions(s *Stage, priority uint16, m matchText, list []logical.Action, args ...logical.Arg) {
	if f.err != nil {
		return
	}
	bound, err := m().BindSome(args...)
	if err != nil {
		f.err = fmt.Errorf("%s: %w", s.Name, err)
		return
	}
	f.list = append(f.list, Flow{Stage: s, Priority: priority, Match: bound, Actions: logical.LiteralActions(list)})
}

// OfSwitch is what a switch contributes by itself.
func OfSwitch(s *topology.Switch) ([]Flow, error) {
	return collect(func(ft *Feature) func(*Flows, *topology.Switch) { return ft.Switch }, s)
}

// OfPort is what a port contributes on every chassis with its switch.
func OfPort(p *topology.Port) ([]Flow, error) {
	return collect(func(ft *Feature) func(*Flows, *topology.Port) { return ft.Port }, p)
}

// OfResident is what a port contributes on the chassis that it is bound to.
func OfResident(p *topology.Port) ([]Flow, error) {
	return collect(func(ft *Feature) func(*Flows, *topology.Port) { return ft.Resident }, p)
}

// OfRouter is what a router contributes by itself.
func OfRouter(s topology.RouterShape) ([]Flow, error) {
	return collect(func(ft *Feature) func(*Flows, *topology.Router) { return ft.Router }, &topology.Router{RouterShape: s})
}

// OfRouterPort is what a router port contributes to its router.
func OfRouterPort(p *topology.RouterPort) ([]Flow, error) {
	return collect(func(ft *Feature) func(*Flows, *topology.RouterPort) { return ft.RouterPort }, p)
}

// OfRouterNeighbour is what a router knows of a port of a switch that one of its
// ports is on.
func OfRouterNeighbour(a *topology.Attachment, p *topology.Port) ([]Flow, error) {
	return collectPair(func(ft *Feature) func(*Flows, *topology.Attachment, *topology.Port) { return ft.RouterNeighbour }, a, p)
}

// OfRouterPeer is what a router knows of the router at the other end of one of
// its ports.
func OfRouterPeer(a *topology.Attachment, peer *topology.RouterPort) ([]Flow, error) {
	return collectPair(func(ft *Feature) func(*Flows, *topology.Attachment, *topology.RouterPort) { return ft.RouterPeer }, a, peer)
}

// OfRouterPair is about packets from one port of a router to another one.
func OfRouterPair(in, out *topology.RouterPort) ([]Flow, error) {
	return collectPair(func(ft *Feature) func(*Flows, *topology.RouterPort, *topology.RouterPort) { return ft.RouterPair }, in, out)
}

func collectPair[A, B any](of func(*Feature) func(*Flows, A, B), a A, b B) ([]Flow, error) {
	var f Flows
	for _, ft := range Features {
		if add := of(ft); add != nil {
			add(&f, a, b)
		}
	}
	return f.list, f.err
}

func collect[T any](of func(*Feature) func(*Flows, T), x T) ([]Flow, error) {
	var f Flows
	for _, ft := range Features {
		if add := of(ft); add != nil {
			add(&f, x)
		}
	}
	return f.list, f.err
}
