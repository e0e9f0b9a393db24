package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"govn/pkg/ovsdb"
	"govn/pkg/ovsdb/control"
	"govn/proto/ic"
)

// Status tells of zones, leases and conflicts: a zone, which shows its certificate,
// of those that it may know; anybody else, as the operator, of all.
func (c *Centre) Status(ctx context.Context, _ *ic.StatusRequest) (*ic.StatusReply, error) {
	viewers := c.zones.boundTo(principalOf(ctx).cert)
	may := func(one func(viewer ovsdb.UUID) bool) bool {
		return len(viewers) == 0 || slices.ContainsFunc(viewers, one)
	}
	id := c.store.ClusterID()
	reply := &ic.StatusReply{Centre: id[:]}
	zones := make(map[ovsdb.UUID]*ic.ZoneStatus)
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, it := range h.items {
		if !may(func(v ovsdb.UUID) bool { return h.visible(it, v) }) {
			continue
		}
		switch k.kind {
		case kindZone:
			z := zones[it.zone]
			if z == nil {
				z = &ic.ZoneStatus{}
				zones[it.zone] = z
			}
			z.Row, z.Name, z.Zone = it.az.Row, it.az.Name, it.az.Zone
			continue
		case kindSwitch:
			reply.Switches = append(reply.Switches, h.switchStatus(it))
			continue
		}
		z := zones[it.zone]
		if z == nil {
			z = &ic.ZoneStatus{Row: it.zone.String()}
			zones[it.zone] = z
		}
		switch k.kind {
		case kindGateway:
			z.Gateways++
		case kindPort:
			z.Ports++
		case kindRoute:
			z.Routes++
		}
	}
	c.zones.describe(zones, &c.o, time.Now())
	reply.Zones = slices.SortedFunc(maps.Values(zones), func(a, b *ic.ZoneStatus) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(reply.Switches, func(a, b *ic.SwitchStatus) int { return cmp.Compare(a.Name, b.Name) })
	for _, f := range h.conflicts.all() {
		t := h.switches[f.transit]
		if !may(func(v ovsdb.UUID) bool { return h.allowed(t, v) && h.allowed(t, f.zone) && h.allowed(t, f.loser) }) {
			continue
		}
		reply.Conflicts = append(reply.Conflicts, h.message(f))
	}
	return reply, nil
}

// switchStatus is that of a switch. h.mu is held.
func (h *hub) switchStatus(it *item) *ic.SwitchStatus {
	t := h.switches[it.transit]
	s := &ic.SwitchStatus{Name: t.name, Key: it.sw.Key}
	names := make(map[string]bool)
	for k := range t.items {
		if z := h.zones[h.items[k].zone]; z != nil && k.kind == kindPort {
			names[z.name] = true
		}
	}
	s.Joined = slices.Sorted(maps.Keys(names))
	s.Closed = h.strict && !t.access.listed || t.access.listed && len(t.access.names)+len(t.access.ids) == 0
	names = maps.Clone(t.access.names)
	unknown := maps.Clone(t.access.ids)
	for _, z := range h.zones {
		if unknown[z.id] {
			names[z.name] = true
			delete(unknown, z.id)
		}
	}
	maps.Copy(names, unknown)
	s.Allowed = slices.Sorted(maps.Keys(names))
	return s
}

// describe adds to whom zones belong, and what is left of their leases.
func (r *registry) describe(zones map[ovsdb.UUID]*ic.ZoneStatus, o *CentreOptions, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for row, s := range zones {
		z := r.zones[row]
		if z == nil {
			continue
		}
		s.Owner, s.Refused, s.Alive = z.owner(), z.refused, z.live()
		if at, ok := r.end(z, o); ok && !s.Alive {
			s.ExpiresMs = uint64(max(0, at.Sub(now).Milliseconds()))
			s.Alive = z.stream == nil && r.mayReturn(z)
		}
		s.Expired = z.lapsed
	}
}

// Commands registers what the control socket can tell: ic/zones, ic/switches and
// ic/conflicts, one line each, columns apart by blanks.
func (c *Centre) Commands(handle control.Handler) {
	table := func(name, head string, lines func(*ic.StatusReply, func(string, ...any))) {
		handle(name, "", 0, 0, func(ctx context.Context, _ []string) (string, error) {
			s, err := c.Status(ctx, nil)
			if err != nil {
				return "", err
			}
			var b strings.Builder
			w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, head)
			lines(s, func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) })
			if err := w.Flush(); err != nil {
				return "", err
			}
			return b.String(), nil
		})
	}
	table("ic/zones", "NAME\tSTATE\tGATEWAYS\tPORTS\tROUTES\tREFUSED\tID\tOWNER", func(s *ic.StatusReply, line func(string, ...any)) {
		for _, z := range s.Zones {
			line("%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s", z.Name, state(z), z.Gateways, z.Ports, z.Routes, z.Refused, orDash(fmt.Sprintf("%x", z.Zone)), orDash(z.Owner))
		}
	})
	table("ic/switches", "NAME\tKEY\tJOINED\tALLOWED", func(s *ic.StatusReply, line func(string, ...any)) {
		for _, t := range s.Switches {
			allowed := strings.Join(t.Allowed, ",")
			switch {
			case t.Closed:
				allowed = "nobody"
			case allowed == "":
				allowed = "all"
			}
			line("%s\t%d\t%s\t%s", t.Name, t.Key, orDash(strings.Join(t.Joined, ",")), allowed)
		}
	})
	table("ic/conflicts", "SWITCH\tTABLE\tPREFIX\tZONE\tKIND\tOTHER-PREFIX\tOTHER-ZONE", func(s *ic.StatusReply, line func(string, ...any)) {
		for _, f := range s.Conflicts {
			line("%s\t%s\t%s\t%s\t%s\t%s\t%s", f.Switch, orDash(f.Table), f.Prefix, f.Zone, f.Kind, f.OtherPrefix, f.OtherZone)
		}
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// state is that of a zone in a word.
func state(z *ic.ZoneStatus) string {
	switch {
	case z.Alive:
		return "alive"
	case z.Expired:
		return "expired"
	case z.ExpiresMs > 0:
		return fmt.Sprintf("lost, %s left", (time.Duration(z.ExpiresMs) * time.Millisecond).Round(100*time.Millisecond))
	}
	return "unknown"
}
