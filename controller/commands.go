package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"govn/controller/physical"
	"govn/pkg/abi"
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
	handle("ct-zone-list", "", 0, 0, func(b *strings.Builder, _ []string) {
		zones := c.host.Zones().All()
		for _, name := range sortedKeys(zones) {
			fmt.Fprintf(b, "%s %d\n", name, zones[name])
		}
	})
	c.views()
	handle("status", "", 0, 0, c.status)
	handle("debug/flows", "", 0, 0, c.printFlows)
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

func (c *controller) status(b *strings.Builder, _ []string) {
	st := c.st.current()
	wanted, installed := c.table.Len()
	name, bridge := "", ""
	if c.cfg != nil {
		name, bridge = c.cfg.SystemID, c.cfg.Bridge
	}
	fmt.Fprintf(b, "chassis: %s\n", name)
	fmt.Fprintf(b, "northd: %s connected=%v since=%s attempts=%d error=%q\n", st.Remote, st.Connected, st.Since.Format(time.RFC3339), st.Attempts, st.LastError)
	fmt.Fprintf(b, "bridge: %s connected=%v\n", bridge, c.session != nil)
	fmt.Fprintf(b, "state: %s received=%d applied=%d items=%d digest=%x\n", c.source, c.state.Revision().GetNumber(), c.applied.GetNumber(), c.state.Len(), c.state.Digest())
	fmt.Fprintf(b, "flows: wanted=%d installed=%d shadowed=%d quarantined=%d\n", wanted, installed, len(c.table.Shadowed()), len(c.failures)+len(c.barred))
	fmt.Fprintf(b, "ports: %s\n", strings.Join(c.residents(), " "))
	fmt.Fprintf(b, "tunnels: %d waiting=%s\n", c.tunnels.Len(), strings.Join(sortedKeys(c.waiting), " "))
	stats := c.host.Stats()
	fmt.Fprintf(b, "engine: nodes=%d edges=%d rounds=%d\n", stats.Nodes, stats.Edges, c.rounds)
	for op, n := range c.punts.Counters() {
		fmt.Fprintf(b, "punt %d: taken=%d limited=%d malformed=%d\n", op, n.Taken, n.Limited, n.Malformed)
	}
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
