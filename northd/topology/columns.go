package topology

import "govn/pkg/ovsdb"

// Schemas are the databases that northd works on.
type Schemas struct {
	NB, SB, Private *ovsdb.DatabaseSchema
}

// Columns are the columns that northd reads and writes, resolved once.
type Columns struct {
	NBGlobal struct {
		Table                                      *ovsdb.TableSchema
		Name, NbCfg, NbCfgTimestamp                *ovsdb.ColumnSchema
		SbCfg, SbCfgTimestamp                      *ovsdb.ColumnSchema
		HvCfg, HvCfgTimestamp, Options, IPsec, XID *ovsdb.ColumnSchema
	}
	LS struct {
		Table                         *ovsdb.TableSchema
		Name, Ports, OtherConfig, XID *ovsdb.ColumnSchema
		ForwardingGroups              *ovsdb.ColumnSchema
	}
	LSP struct {
		Table                                                       *ovsdb.TableSchema
		Name, Type, Options, ParentName, Tag, TagRequest, Addresses *ovsdb.ColumnSchema
		DynamicAddresses, PortSecurity, Up, Enabled, XID            *ovsdb.ColumnSchema
		HAChassisGroup                                              *ovsdb.ColumnSchema
	}
	FwdGroup struct {
		Table                                *ovsdb.TableSchema
		Name, VIP, VMAC, Liveness, ChildPort *ovsdb.ColumnSchema
	}
	RouterColumns
	SBGlobal struct {
		Table                      *ovsdb.TableSchema
		NbCfg, Options, IPsec, XID *ovsdb.ColumnSchema
	}
	Datapath struct {
		Table                        *ovsdb.TableSchema
		TunnelKey, Type, NbUUID, XID *ovsdb.ColumnSchema
	}
	PortBinding struct {
		Table                                                  *ovsdb.TableSchema
		LogicalPort, Type, Options, Datapath, TunnelKey, Mac   *ovsdb.ColumnSchema
		PortSecurity, ParentPort, Tag, XID, Chassis, Encap, Up *ovsdb.ColumnSchema
		AdditionalChassis, AdditionalEncap, GatewayChassis     *ovsdb.ColumnSchema
		HAChassisGroup, NATAddresses, VirtualParent            *ovsdb.ColumnSchema
		RequestedChassis                                       *ovsdb.ColumnSchema
	}
	Group struct {
		Table                            *ovsdb.TableSchema
		Datapath, Name, TunnelKey, Ports *ovsdb.ColumnSchema
	}
	Chassis struct {
		Table                               *ovsdb.TableSchema
		Name, Hostname, Encaps, OtherConfig *ovsdb.ColumnSchema
		XID, NbCfg                          *ovsdb.ColumnSchema
	}
	ChassisPrivate struct {
		Table                                *ovsdb.TableSchema
		Name, Chassis, NbCfg, NbCfgTimestamp *ovsdb.ColumnSchema
	}
	Encap struct {
		Table                          *ovsdb.TableSchema
		Type, IP, Options, ChassisName *ovsdb.ColumnSchema
	}
	FDB struct {
		Table                          *ovsdb.TableSchema
		MAC, DpKey, PortKey, Timestamp *ovsdb.ColumnSchema
	}
	LogicalFlow *ovsdb.TableSchema
	Allocation  struct {
		Table                            *ovsdb.TableSchema
		Kind, Scope, Owner, Key, Retired *ovsdb.ColumnSchema
	}
}

// NewColumns resolves the columns in the schemas. It panics when a schema lacks
// one of them, which is an error of the program.
func NewColumns(s Schemas) *Columns {
	c := new(Columns)
	t := s.NB.Table("NB_Global")
	g := &c.NBGlobal
	g.Table = t
	resolve(t, cols{"name": &g.Name, "nb_cfg": &g.NbCfg, "nb_cfg_timestamp": &g.NbCfgTimestamp,
		"sb_cfg": &g.SbCfg, "sb_cfg_timestamp": &g.SbCfgTimestamp, "hv_cfg": &g.HvCfg,
		"hv_cfg_timestamp": &g.HvCfgTimestamp, "options": &g.Options, "ipsec": &g.IPsec, "external_ids": &g.XID})

	c.LS.Table = s.NB.Table("Logical_Switch")
	resolve(c.LS.Table, cols{"name": &c.LS.Name, "ports": &c.LS.Ports, "other_config": &c.LS.OtherConfig, "external_ids": &c.LS.XID,
		"forwarding_groups": &c.LS.ForwardingGroups})

	p := &c.LSP
	p.Table = s.NB.Table("Logical_Switch_Port")
	resolve(p.Table, cols{"name": &p.Name, "type": &p.Type, "options": &p.Options, "parent_name": &p.ParentName,
		"tag": &p.Tag, "tag_request": &p.TagRequest, "addresses": &p.Addresses, "dynamic_addresses": &p.DynamicAddresses,
		"ha_chassis_group": &p.HAChassisGroup, "port_security": &p.PortSecurity, "up": &p.Up, "enabled": &p.Enabled, "external_ids": &p.XID})

	fg := &c.FwdGroup
	fg.Table = s.NB.Table("Forwarding_Group")
	resolve(fg.Table, cols{"name": &fg.Name, "vip": &fg.VIP, "vmac": &fg.VMAC, "liveness": &fg.Liveness, "child_port": &fg.ChildPort})

	c.resolveRouters(s)

	sg := &c.SBGlobal
	sg.Table = s.SB.Table("SB_Global")
	resolve(sg.Table, cols{"nb_cfg": &sg.NbCfg, "options": &sg.Options, "ipsec": &sg.IPsec, "external_ids": &sg.XID})

	d := &c.Datapath
	d.Table = s.SB.Table("Datapath_Binding")
	resolve(d.Table, cols{"tunnel_key": &d.TunnelKey, "type": &d.Type, "nb_uuid": &d.NbUUID, "external_ids": &d.XID})

	b := &c.PortBinding
	b.Table = s.SB.Table("Port_Binding")
	resolve(b.Table, cols{"logical_port": &b.LogicalPort, "type": &b.Type, "options": &b.Options,
		"datapath": &b.Datapath, "tunnel_key": &b.TunnelKey, "mac": &b.Mac, "port_security": &b.PortSecurity,
		"parent_port": &b.ParentPort, "tag": &b.Tag, "external_ids": &b.XID, "chassis": &b.Chassis,
		"encap": &b.Encap, "up": &b.Up, "additional_chassis": &b.AdditionalChassis,
		"additional_encap": &b.AdditionalEncap, "gateway_chassis": &b.GatewayChassis, "ha_chassis_group": &b.HAChassisGroup,
		"nat_addresses": &b.NATAddresses, "virtual_parent": &b.VirtualParent, "requested_chassis": &b.RequestedChassis})

	m := &c.Group
	m.Table = s.SB.Table("Multicast_Group")
	resolve(m.Table, cols{"datapath": &m.Datapath, "name": &m.Name, "tunnel_key": &m.TunnelKey, "ports": &m.Ports})

	h := &c.Chassis
	h.Table = s.SB.Table("Chassis")
	resolve(h.Table, cols{"name": &h.Name, "hostname": &h.Hostname, "encaps": &h.Encaps,
		"other_config": &h.OtherConfig, "external_ids": &h.XID, "nb_cfg": &h.NbCfg})

	hp := &c.ChassisPrivate
	hp.Table = s.SB.Table("Chassis_Private")
	resolve(hp.Table, cols{"name": &hp.Name, "chassis": &hp.Chassis, "nb_cfg": &hp.NbCfg, "nb_cfg_timestamp": &hp.NbCfgTimestamp})

	e := &c.Encap
	e.Table = s.SB.Table("Encap")
	resolve(e.Table, cols{"type": &e.Type, "ip": &e.IP, "options": &e.Options, "chassis_name": &e.ChassisName})

	f := &c.FDB
	f.Table = s.SB.Table("FDB")
	resolve(f.Table, cols{"mac": &f.MAC, "dp_key": &f.DpKey, "port_key": &f.PortKey, "timestamp": &f.Timestamp})

	c.LogicalFlow = s.SB.Table("Logical_Flow")

	a := &c.Allocation
	a.Table = s.Private.Table("Allocation")
	resolve(a.Table, cols{"kind": &a.Kind, "scope": &a.Scope, "owner": &a.Owner, "key": &a.Key, "retired": &a.Retired})
	return c
}

type cols map[string]**ovsdb.ColumnSchema

func resolve(t *ovsdb.TableSchema, want cols) {
	for name, to := range want {
		*to = t.Column(name)
	}
}
