package vswitch

import (
	"strings"

	"govn/pkg/treap"
)

// todo is what may differ between the table and the wish: marked when a row or
// the wish changes, crossed out by the plan that finds no difference. What a
// transaction is to change stays until its outcome has been seen.
type todo struct {
	all    bool            // everything
	bridge bool            // columns of the bridge
	ports  bool            // tunnels and patch ports
	nbCfg  bool            // ovn-nb-cfg of the bridge
	zones  map[string]bool // by name
	ifaces map[string]bool // keys of interfaces, by name
}

func newTodo() todo { return todo{all: true, zones: map[string]bool{}, ifaces: map[string]bool{}} }

// bridgeChanged marks what differs between two states of a bridge.
func (d *todo) bridgeChanged(old, now *bridgeRow) {
	d.bridge, d.nbCfg = true, true
	for key, v := range now.ExternalIDs {
		if had, ok := old.ExternalIDs[key]; !ok || had != v {
			d.zone(key)
		}
	}
	for key := range old.ExternalIDs {
		if _, ok := now.ExternalIDs[key]; !ok {
			d.zone(key)
		}
	}
}

func (d *todo) zone(key string) {
	if name, ok := strings.CutPrefix(key, PrefixZone); ok {
		d.zones[name] = true
	}
}

// wishChanged marks what differs between two wishes; old may be nil.
func (d *todo) wishChanged(old, now *Wish) {
	if old == nil || old.Bridge != now.Bridge || old.Ports != now.Ports || old.Settled != now.Settled {
		d.all = true
		return
	}
	d.bridge = d.bridge || old.DatapathType != now.DatapathType
	d.nbCfg = d.nbCfg || old.NbCfg != now.NbCfg
	d.ports = d.ports || !old.Tunnels.Same(now.Tunnels) || !old.Patches.Same(now.Patches)
	mark(d.zones, old.Zones, now.Zones)
	mark(d.ifaces, old.Interfaces, now.Interfaces)
}

func mark[V comparable](names map[string]bool, old, now tree[V]) {
	treap.Diff(old, now, func(name string, _ bool, _ V, _ bool, _ V) bool {
		names[name] = true
		return true
	})
}

// expand turns all into every single thing.
func (d *todo) expand(t *table, w *Wish, br *bridgeRow) {
	if !d.all {
		return
	}
	d.all, d.bridge, d.ports, d.nbCfg = false, true, true, true
	for name := range w.Zones.All() {
		d.zones[name] = true
	}
	for key := range br.ExternalIDs {
		d.zone(key)
	}
	for name := range w.Interfaces.All() {
		d.ifaces[name] = true
	}
	for name := range t.named {
		d.ifaces[name] = true
	}
}
