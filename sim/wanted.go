package sim

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"govn/pkg/geneve"
	"govn/pkg/ovsdb"
)

// wantedBridge is a bridge as the database has it.
type wantedBridge struct {
	row    ovsdb.UUID
	name   string
	secure bool          // fail_mode
	ifaces []wantedIface // by name
}

// wantedIface is an interface as the database has it.
type wantedIface struct {
	row     ovsdb.UUID
	name    string
	kind    string // Interface:type
	request uint32 // ofport_request; 0: none
	options map[string]string
	tag     int // Port:tag; 0: none
	bfd     map[string]string
}

// equal tells whether the device behind two interfaces is the same.
func (w *wantedIface) equal(o *wantedIface) bool {
	return w.row == o.row && w.name == o.name && w.kind == o.kind && w.request == o.request && w.tag == o.tag && maps.Equal(w.options, o.options)
}

// wanted reads the configuration of a switch.
func (d *confDB) wanted(sn *ovsdb.Snapshot) []wantedBridge {
	root := sn.Row(d.root, d.rootID)
	if root == nil {
		return nil
	}
	var (
		out    []wantedBridge
		byName = func(a, b wantedIface) int { return cmp.Compare(a.name, b.name) }
		kind   = d.iface.Column("type")
		name   = d.iface.Column("name")
		opts   = d.iface.Column("options")
		req    = d.iface.Column("ofport_request")
		bfd    = d.iface.Column("bfd")
	)
	for u := range root.Set(d.root.Column("bridges")).All() {
		br := sn.Row(d.bridge, u.(ovsdb.UUID))
		if br == nil {
			continue
		}
		w := wantedBridge{row: br.UUID(), name: br.Str(d.bridge.Column("name"))}
		if mode, ok := br.Opt(d.bridge.Column("fail_mode")); ok {
			w.secure = mode == "secure"
		}
		for p := range br.Set(d.bridge.Column("ports")).All() {
			port := sn.Row(d.port, p.(ovsdb.UUID))
			if port == nil {
				continue
			}
			for i := range port.Set(d.port.Column("interfaces")).All() {
				row := sn.Row(d.iface, i.(ovsdb.UUID))
				if row == nil {
					continue
				}
				wi := wantedIface{row: row.UUID(), name: row.Str(name), kind: row.Str(kind), options: map[string]string{}, bfd: map[string]string{}}
				if vid, ok := port.Opt(d.port.Column("tag")); ok {
					wi.tag = int(vid.(int64))
				}
				if n, ok := row.Opt(req); ok {
					wi.request = uint32(n.(int64))
				}
				for k, v := range row.Map(opts).All() {
					wi.options[k.(string)] = v.(string)
				}
				for k, v := range row.Map(bfd).All() {
					wi.bfd[k.(string)] = v.(string)
				}
				w.ifaces = append(w.ifaces, wi)
			}
		}
		slices.SortFunc(w.ifaces, byName)
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b wantedBridge) int { return cmp.Compare(a.name, b.name) })
	return out
}

// endpoint is a tunnel port's side of Geneve (ovs-vswitchd.conf.db(5), "Tunnel
// Options").
type endpoint struct {
	remote  netip.Addr // invalid: from the flow
	local   netip.Addr // invalid: the chassis' own
	udp     uint16
	flowKey bool
	vni     uint32
	csum    bool
}

// parseEndpoint reads the options of a Geneve interface. The errors are those
// of ovs-vswitchd.
func parseEndpoint(name string, o map[string]string) (endpoint, error) {
	e := endpoint{udp: geneve.Port, csum: o["csum"] == "true"}
	bad := func(key string) (endpoint, error) {
		return e, fmt.Errorf("%s: bad geneve '%s'", name, key)
	}
	var err error
	switch remote := o["remote_ip"]; remote {
	case "":
		return e, fmt.Errorf("%s: geneve type requires valid 'remote_ip' argument", name)
	case "flow":
	default:
		if e.remote, err = netip.ParseAddr(remote); err != nil {
			return bad("remote_ip")
		}
	}
	if local := o["local_ip"]; local != "" && local != "flow" {
		if e.local, err = netip.ParseAddr(local); err != nil {
			return bad("local_ip")
		}
	}
	if s := o["dst_port"]; s != "" {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return bad("dst_port")
		}
		e.udp = uint16(n)
	}
	switch key := o["key"]; key {
	case "flow":
		e.flowKey = true
	case "":
	default:
		n, err := strconv.ParseUint(key, 0, 24)
		if err != nil {
			return bad("key")
		}
		e.vni = uint32(n)
	}
	return e, nil
}
