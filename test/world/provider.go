package world

import (
	"fmt"
	"slices"
	"strings"

	"govn/pkg/ovsdb"
	"govn/proto"
)

// providerOptions are those of a port on a physical network, of a virtual port, or
// of both.
func (w *World) providerOptions() ovsdb.Map {
	options := ovsdb.MapOf("network_name", fmt.Sprint("phys", w.r.IntN(3)), "localnet_learn_fdb", fmt.Sprint(w.r.IntN(2) == 0))
	if w.r.IntN(2) == 0 {
		options = options.With("ethtype", []string{"802.11q", "802.11ad", "nonsense"}[w.r.IntN(3)])
	}
	if w.r.IntN(2) == 0 {
		options = options.With("l2gateway-chassis", fmt.Sprint("hv", w.r.IntN(4)))
	}
	if w.r.IntN(2) == 0 {
		var parents []string
		for _, p := range w.ports() {
			if w.r.IntN(3) == 0 {
				parents = append(parents, p.Str(w.Columns.LSP.Name))
			}
		}
		options = options.With("virtual-parents", strings.Join(append(parents, "nobody"), ","))
		options = options.With("virtual-ip", []string{w.ip4(), w.ip6(), "nonsense"}[w.r.IntN(3)])
	}
	return options
}

// provider makes a port one of a physical network or a virtual one, gives an
// external port its chassis, or lets a chassis claim a port.
func (w *World) provider(s, p *ovsdb.Row) string {
	lsp := &w.Columns.LSP
	switch w.r.IntN(4) {
	case 0:
		kind := []string{"localnet", "l2gateway", "virtual", "external"}[w.r.IntN(4)]
		options := w.providerOptions()
		w.hit("Logical_Switch_Port.type", "Logical_Switch_Port.options")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.SetColumn(lsp.Table, p.UUID(), "type", kind)
			tx.SetColumn(lsp.Table, p.UUID(), "options", options)
			return tx.Err()
		})
		return fmt.Sprintf("port %s becomes a %s port with %s", p.Str(lsp.Name), kind, options)
	case 1:
		v := ovsdb.NewSet()
		if g := pickRow(w.r, w.rows(w.Columns.HAGroup.Table)); g != nil && w.r.IntN(4) > 0 {
			v = ovsdb.NewSet(g.UUID())
		}
		w.hit("Logical_Switch_Port.ha_chassis_group")
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(lsp.Table, p.UUID(), "ha_chassis_group", v); return tx.Err() })
		return fmt.Sprintf("set the HA group of %s to %v", p.Str(lsp.Name), v)
	}
	if w.Acked == nil {
		return ""
	}
	return w.claim(s)
}

// claim lets a chassis say that it hosts a port, or no more.
func (w *World) claim(s *ovsdb.Row) string {
	b := &w.Columns.PortBinding
	sn := w.Store.Snapshot()
	var keys []uint32
	for row := range sn.Rows(b.Table) {
		if u, ok := row.Ref(b.Datapath); ok && u == s.UUID() {
			keys = append(keys, uint32(row.Int(b.TunnelKey)))
		}
	}
	row := sn.Row(w.Columns.Datapath.Table, s.UUID())
	if len(keys) == 0 || row == nil {
		return ""
	}
	name := fmt.Sprint("hv", w.r.IntN(3))
	slices.Sort(keys)
	c := &proto.Claim{Datapath: uint32(row.Int(w.Columns.Datapath.TunnelKey)), Port: keys[w.r.IntN(len(keys))],
		Since: int64(w.r.IntN(1000)), Parent: keys[w.r.IntN(len(keys))]}
	report := &proto.Report{ClaimsPut: []*proto.Claim{c}}
	if w.r.IntN(4) == 0 {
		report = &proto.Report{ClaimsGone: []*proto.Claim{c}}
	}
	w.hit("Port_Binding.virtual_parent")
	w.Registry.Report(name, report)
	w.step()
	return fmt.Sprintf("%s reports %v", name, report)
}
