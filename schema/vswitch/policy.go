package vswitch

// Queues, mirrors, samples and datapath capabilities.

// QoS is a row of QoS: a traffic shaping configuration of a port.
type QoS struct {
	UUID string `ovsdb:"_uuid" db:"table=QoS,root"`

	Type        string            `ovsdb:"type"`
	Queues      map[int]string    `ovsdb:"queues" db:"range=0..4294967295,value.ref=Queue"`
	OtherConfig map[string]string `ovsdb:"other_config"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// Queue is a row of Queue: one queue of a QoS configuration.
type Queue struct {
	UUID string `ovsdb:"_uuid" db:"table=Queue,root"`

	DSCP        *int              `ovsdb:"dscp" db:"range=0..63"`
	OtherConfig map[string]string `ovsdb:"other_config"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// Mirror is a row of Mirror: a port mirror of a bridge.
type Mirror struct {
	UUID string `ovsdb:"_uuid" db:"table=Mirror"`

	Name          string            `ovsdb:"name"`
	SelectAll     bool              `ovsdb:"select_all"`
	SelectSrcPort []string          `ovsdb:"select_src_port" db:"ref=Port,weak"`
	SelectDstPort []string          `ovsdb:"select_dst_port" db:"ref=Port,weak"`
	SelectVLAN    []int             `ovsdb:"select_vlan" db:"range=0..4095,max=4096"`
	OutputPort    *string           `ovsdb:"output_port" db:"ref=Port,weak"`
	OutputVLAN    *int              `ovsdb:"output_vlan" db:"range=1..4095"`
	Snaplen       *int              `ovsdb:"snaplen" db:"range=14..65535"`
	Statistics    map[string]int    `ovsdb:"statistics" db:"ephemeral"`
	ExternalIDs   map[string]string `ovsdb:"external_ids"`
}

// FlowSampleCollectorSet is a row of Flow_Sample_Collector_Set: a set of collectors that sample actions name.
type FlowSampleCollectorSet struct {
	UUID string `ovsdb:"_uuid" db:"table=Flow_Sample_Collector_Set,root,index=id+bridge"`

	ID          int               `ovsdb:"id" db:"range=0..4294967295"`
	Bridge      string            `ovsdb:"bridge" db:"ref=Bridge"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// Datapath is a row of Datapath: a datapath and its capabilities.
type Datapath struct {
	UUID string `ovsdb:"_uuid" db:"table=Datapath"`

	DatapathVersion string            `ovsdb:"datapath_version"`
	Capabilities    map[string]string `ovsdb:"capabilities"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
}
