package topology

import "govn/pkg/ovsdb"

// RouterColumns are the columns that have to do with routers and gateways.
type RouterColumns struct {
	LR struct {
		Table                                                 *ovsdb.TableSchema
		Name, Ports, StaticRoutes, Policies, Enabled, Options *ovsdb.ColumnSchema
		NAT, XID                                              *ovsdb.ColumnSchema
	}
	LRP struct {
		Table                                         *ovsdb.TableSchema
		Name, MAC, Networks, Peer, Enabled, Options   *ovsdb.ColumnSchema
		RAConfigs, IPv6Prefix, XID                    *ovsdb.ColumnSchema
		GatewayChassis, HAChassisGroup, Status, Relay *ovsdb.ColumnSchema
	}
	Route struct { // Logical_Router_Static_Route
		Table                                           *ovsdb.TableSchema
		RouteTable, Prefix, Policy, Nexthop, OutputPort *ovsdb.ColumnSchema
		BFD, SelectionFields, Options, XID              *ovsdb.ColumnSchema
	}
	Policy struct { // Logical_Router_Policy
		Table                                                    *ovsdb.TableSchema
		Priority, Chain, Match, Action, JumpChain                *ovsdb.ColumnSchema
		Nexthop, Nexthops, OutputPort, BFDSessions, Options, XID *ovsdb.ColumnSchema
	}
	GatewayChassis struct {
		Table                                     *ovsdb.TableSchema
		Name, ChassisName, Priority, Options, XID *ovsdb.ColumnSchema
	}
	HAChassis struct {
		Table                      *ovsdb.TableSchema
		ChassisName, Priority, XID *ovsdb.ColumnSchema
	}
	HAGroup struct { // HA_Chassis_Group
		Table                *ovsdb.TableSchema
		Name, HAChassis, XID *ovsdb.ColumnSchema
	}
	BFD struct {
		Table                                        *ovsdb.TableSchema
		LogicalPort, DstIP, MinTx, MinRx, DetectMult *ovsdb.ColumnSchema
		Status, Options, XID                         *ovsdb.ColumnSchema
	}
	StaticMAC struct { // Static_MAC_Binding
		Table                                 *ovsdb.TableSchema
		LogicalPort, IP, MAC, OverrideDynamic *ovsdb.ColumnSchema
	}

	SBGatewayChassis struct {
		Table                                 *ovsdb.TableSchema
		Name, Chassis, Priority, Options, XID *ovsdb.ColumnSchema
	}
	SBHAChassis struct {
		Table                  *ovsdb.TableSchema
		Chassis, Priority, XID *ovsdb.ColumnSchema
	}
	SBHAGroup struct {
		Table                            *ovsdb.TableSchema
		Name, HAChassis, RefChassis, XID *ovsdb.ColumnSchema
	}
	SBBFD struct {
		Table                                                       *ovsdb.TableSchema
		SrcPort, Disc, LogicalPort, DstIP, MinTx, MinRx, DetectMult *ovsdb.ColumnSchema
		Status, Options, XID, ChassisName                           *ovsdb.ColumnSchema
	}
	SBStaticMAC struct {
		Table                                           *ovsdb.TableSchema
		LogicalPort, IP, MAC, OverrideDynamic, Datapath *ovsdb.ColumnSchema
	}
	MACBinding struct {
		Table                                     *ovsdb.TableSchema
		LogicalPort, IP, MAC, Timestamp, Datapath *ovsdb.ColumnSchema
	}
}

// resolveRouters resolves them.
func (c *RouterColumns) resolveRouters(s Schemas) {
	r := &c.LR
	r.Table = s.NB.Table("Logical_Router")
	resolve(r.Table, cols{"name": &r.Name, "ports": &r.Ports, "static_routes": &r.StaticRoutes, "policies": &r.Policies,
		"enabled": &r.Enabled, "options": &r.Options, "nat": &r.NAT, "external_ids": &r.XID})

	p := &c.LRP
	p.Table = s.NB.Table("Logical_Router_Port")
	resolve(p.Table, cols{"name": &p.Name, "mac": &p.MAC, "networks": &p.Networks, "peer": &p.Peer, "enabled": &p.Enabled,
		"options": &p.Options, "ipv6_ra_configs": &p.RAConfigs, "ipv6_prefix": &p.IPv6Prefix, "external_ids": &p.XID,
		"gateway_chassis": &p.GatewayChassis, "ha_chassis_group": &p.HAChassisGroup, "status": &p.Status, "dhcp_relay": &p.Relay})

	sr := &c.Route
	sr.Table = s.NB.Table("Logical_Router_Static_Route")
	resolve(sr.Table, cols{"route_table": &sr.RouteTable, "ip_prefix": &sr.Prefix, "policy": &sr.Policy, "nexthop": &sr.Nexthop,
		"output_port": &sr.OutputPort, "bfd": &sr.BFD, "selection_fields": &sr.SelectionFields, "options": &sr.Options, "external_ids": &sr.XID})

	pol := &c.Policy
	pol.Table = s.NB.Table("Logical_Router_Policy")
	resolve(pol.Table, cols{"priority": &pol.Priority, "chain": &pol.Chain, "match": &pol.Match, "action": &pol.Action,
		"jump_chain": &pol.JumpChain, "nexthop": &pol.Nexthop, "nexthops": &pol.Nexthops, "output_port": &pol.OutputPort,
		"bfd_sessions": &pol.BFDSessions, "options": &pol.Options, "external_ids": &pol.XID})

	g := &c.GatewayChassis
	g.Table = s.NB.Table("Gateway_Chassis")
	resolve(g.Table, cols{"name": &g.Name, "chassis_name": &g.ChassisName, "priority": &g.Priority, "options": &g.Options, "external_ids": &g.XID})

	h := &c.HAChassis
	h.Table = s.NB.Table("HA_Chassis")
	resolve(h.Table, cols{"chassis_name": &h.ChassisName, "priority": &h.Priority, "external_ids": &h.XID})

	hg := &c.HAGroup
	hg.Table = s.NB.Table("HA_Chassis_Group")
	resolve(hg.Table, cols{"name": &hg.Name, "ha_chassis": &hg.HAChassis, "external_ids": &hg.XID})

	b := &c.BFD
	b.Table = s.NB.Table("BFD")
	resolve(b.Table, cols{"logical_port": &b.LogicalPort, "dst_ip": &b.DstIP, "min_tx": &b.MinTx, "min_rx": &b.MinRx,
		"detect_mult": &b.DetectMult, "status": &b.Status, "options": &b.Options, "external_ids": &b.XID})

	m := &c.StaticMAC
	m.Table = s.NB.Table("Static_MAC_Binding")
	resolve(m.Table, cols{"logical_port": &m.LogicalPort, "ip": &m.IP, "mac": &m.MAC, "override_dynamic_mac": &m.OverrideDynamic})

	sgc := &c.SBGatewayChassis
	sgc.Table = s.SB.Table("Gateway_Chassis")
	resolve(sgc.Table, cols{"name": &sgc.Name, "chassis": &sgc.Chassis, "priority": &sgc.Priority, "options": &sgc.Options, "external_ids": &sgc.XID})

	sh := &c.SBHAChassis
	sh.Table = s.SB.Table("HA_Chassis")
	resolve(sh.Table, cols{"chassis": &sh.Chassis, "priority": &sh.Priority, "external_ids": &sh.XID})

	shg := &c.SBHAGroup
	shg.Table = s.SB.Table("HA_Chassis_Group")
	resolve(shg.Table, cols{"name": &shg.Name, "ha_chassis": &shg.HAChassis, "ref_chassis": &shg.RefChassis, "external_ids": &shg.XID})

	sb := &c.SBBFD
	sb.Table = s.SB.Table("BFD")
	resolve(sb.Table, cols{"src_port": &sb.SrcPort, "disc": &sb.Disc, "logical_port": &sb.LogicalPort, "dst_ip": &sb.DstIP,
		"min_tx": &sb.MinTx, "min_rx": &sb.MinRx, "detect_mult": &sb.DetectMult, "status": &sb.Status, "options": &sb.Options,
		"external_ids": &sb.XID, "chassis_name": &sb.ChassisName})

	sm := &c.SBStaticMAC
	sm.Table = s.SB.Table("Static_MAC_Binding")
	resolve(sm.Table, cols{"logical_port": &sm.LogicalPort, "ip": &sm.IP, "mac": &sm.MAC, "override_dynamic_mac": &sm.OverrideDynamic, "datapath": &sm.Datapath})

	mb := &c.MACBinding
	mb.Table = s.SB.Table("MAC_Binding")
	resolve(mb.Table, cols{"logical_port": &mb.LogicalPort, "ip": &mb.IP, "mac": &mb.MAC, "timestamp": &mb.Timestamp, "datapath": &mb.Datapath})
}
