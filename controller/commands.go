package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"govn/controller/physical"
	"govn/controller/punt"
	"govn/pkg/abi"
	"govn/proto"
	"govn/proto/control"
)

// commands registers what the control socket answers.
func (c *controller) commands() {
	if c.o.Handle == nil {
		return
	}
	handle := func(name, usage string, min, max int, fn func(b *strings.Builder, args []string)) {
		c.o.Handle(name, usage, min, max, func(ctx context.Context, args []string) (string, error) {
			var b strings.Builder
			if err := c.call(ctx, func() { fn(&b, args) }); err != nil {
				return "", err
			}
			return b.String(), nil
		})
	}
	handle("connection-status", "", 0, 0, func(b *strings.Builder, _ []string) {
		if c.st.current().Connected {
			b.WriteString("connected\n")
		} else {
			b.WriteString("not connected\n")
		}
	})
	handle("bfd/show", "", 0, 0, c.showBFD)
	handle("ct-zone-list", "", 0, 0, func(b *strings.Builder, _ []string) {
		zones := c.host.Zones().All()
		for _, name := range sortedKeys(zones) {
			fmt.Fprintf(b, "%s %d\n", name, zones[name])
		}
	})
	c.views()
	c.o.Handle("status", "[--format=text|json]", 0, 1, func(ctx context.Context, args []string) (string, error) {
		format, _, err := control.TakeFormat(args)
		if err != nil {
			return "", err
		}
		var h *control.Host
		if err := c.call(ctx, func() { h = c.status() }); err != nil {
			return "", err
		}
		return control.String(format, h)
	})
	handle("debug/punts", "", 0, 0, func(b *strings.Builder, _ []string) { b.WriteString(c.puntText()) })
	handle("debug/flows", "", 0, 0, c.printFlows)
	handle("debug/groups", "", 0, 0, c.printGroups)
	handle("debug/quarantine", "", 0, 0, func(b *strings.Builder, _ []string) {
		for _, f := range c.failed() {
			fmt.Fprintf(b, "body=%x unit=%x flow=%d cookie=%#x kind=%d key=%x: %s\n", f.Body, f.Unit, f.Flow, f.Cookie, f.Kind, f.Key, f.Error)
		}
	})
}

// call runs fn on the loop.
func (c *controller) call(ctx context.Context, fn func()) error {
	done := make(chan struct{})
	select {
	case c.do <- func() { defer close(done); fn() }:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	<-done
	return nil
}

// status is the chassis at a glance.
func (c *controller) status() *control.Host {
	h := &control.Host{Now: time.Now(), Ports: c.residents(), Tunnels: []string{}, Punts: []control.Punt{}, Waiting: sortedKeys(c.waiting)}
	if c.cfg != nil {
		h.Chassis, h.Bridge.Name = c.cfg.SystemID, c.cfg.Bridge
	}
	h.Bridge.Connected = c.session != nil
	st := c.st.current()
	h.Northd.Remote, h.Northd.Connected, h.Northd.Since = st.Remote, st.Connected, st.Since
	h.Northd.Attempts, h.Northd.Error = st.Attempts, st.LastError
	h.State.Source, h.State.Received, h.State.Applied = c.source.String(), c.state.Revision().GetNumber(), c.applied.GetNumber()
	h.State.Items, h.State.Digest = c.state.Len(), fmt.Sprintf("%x", c.state.Digest())
	h.Flows.Wanted, h.Flows.Installed = c.table.Len()
	h.Flows.Shadowed = len(c.table.Shadowed())
	stats := c.host.Stats()
	h.Engine.Nodes, h.Engine.Edges, h.Engine.Rounds = stats.Nodes, stats.Edges, c.rounds
	for id := range c.tunnels.All() {
		h.Tunnels = append(h.Tunnels, id)
	}
	counters := c.punts.Counters()
	for _, op := range sortedKeys(counters) {
		n := counters[op]
		h.Punts = append(h.Punts, control.Punt{Opcode: op, Cause: punt.Cause(op), Taken: n.Taken, Limited: n.Limited, Malformed: n.Malformed})
	}
	h.Gateways, h.BFD = c.gatewayViews()
	for _, f := range c.failed() {
		h.Failures = append(h.Failures, c.failure(f))
	}
	return h
}

// failure is what was left out, with its objects.
func (c *controller) failure(f *proto.Failure) control.Failure {
	out := control.Failure{Flow: f.Flow, Error: f.Error}
	if len(f.Unit) == 16 {
		out.Objects = objectsOf(c.host.Unit(physical.UnitID(f.Unit)))
	}
	if len(f.Body) > 0 {
		out.Body = fmt.Sprintf("%x", f.Body)
		out.What = "body " + out.Body
	}
	if f.Cookie != 0 {
		out.Cookie = fmt.Sprintf("%#x", f.Cookie)
	}
	if f.Kind != 0 {
		out.What = fmt.Sprintf("%v %x", proto.Kind(f.Kind), f.Key)
	}
	return out
}

// printFlows prints what is wanted, each flow with those who want it.
func (c *controller) printFlows(b *strings.Builder, _ []string) {
	for f, by := range c.table.Wanted() {
		fmt.Fprintf(b, "%s #", f.String())
		for _, cand := range by {
			if owner, ok := c.owners[cand.ID.Unit]; ok {
				fmt.Fprintf(b, " %s", noteOrKind(c, owner))
				continue
			}
			if u := c.host.Unit(cand.ID.Unit); u != nil && abi.CookieOwner(f.Cookie) == abi.OwnerNorthd {
				fmt.Fprintf(b, " unit %x/%d %s", cand.ID.Unit[:4], cand.ID.Index, strings.Join(objectNames(u), ", "))
			}
		}
		b.WriteByte('\n')
	}
}

// noteOrKind names an owner of flows as people know it.
func noteOrKind(c *controller, o physical.Owner) string {
	if f := c.host.Flows(o); f != nil && f.Note != "" {
		return fmt.Sprintf("%s %q", o, f.Note)
	}
	return o.String()
}
