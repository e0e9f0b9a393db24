package nb

// Mirrors and samples.

// Mirror is a row of Mirror: where packets of a port are copied to.
type Mirror struct {
	UUID string `ovsdb:"_uuid" db:"table=Mirror,root,index=name"`

	Name        string            `ovsdb:"name"`
	Filter      string            `ovsdb:"filter" db:"enum=from-lport|to-lport|both"`
	Sink        string            `ovsdb:"sink"`
	Type        string            `ovsdb:"type" db:"enum=gre|erspan|local|lport"`
	Index       int               `ovsdb:"index"`
	MirrorRules []string          `ovsdb:"mirror_rules" db:"ref=Mirror_Rule"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// MirrorRule is a row of Mirror_Rule: which packets an lport mirror copies.
type MirrorRule struct {
	UUID string `ovsdb:"_uuid" db:"table=Mirror_Rule"`

	Match    string `ovsdb:"match"`
	Action   string `ovsdb:"action" db:"enum=mirror|skip"`
	Priority int    `ovsdb:"priority" db:"range=0..32767"`
}

// Sample is a row of Sample: where an ACL's traffic is sampled to, and the metadata its samples carry.
type Sample struct {
	UUID string `ovsdb:"_uuid" db:"table=Sample,index=metadata"`

	Collectors []string `ovsdb:"collectors" db:"ref=Sample_Collector"`
	Metadata   int      `ovsdb:"metadata" db:"range=1..4294967295"`
}

// SampleCollector is a row of Sample_Collector: a destination for packet samples and the share of packets sent to it.
type SampleCollector struct {
	UUID string `ovsdb:"_uuid" db:"table=Sample_Collector,root,index=id"`

	ID          int               `ovsdb:"id" db:"range=1..255"`
	Name        string            `ovsdb:"name"`
	Probability int               `ovsdb:"probability" db:"range=0..65535"`
	SetID       int               `ovsdb:"set_id" db:"range=1..4294967295"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// SamplingApp is a row of Sampling_App: the observation domain of one sampling application.
type SamplingApp struct {
	UUID string `ovsdb:"_uuid" db:"table=Sampling_App,root,index=type"`

	Type        string            `ovsdb:"type" db:"enum=drop|acl-new|acl-est"`
	ID          int               `ovsdb:"id" db:"range=1..255"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}
