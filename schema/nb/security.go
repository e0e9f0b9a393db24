package nb

// Access rules, and the sets and limits that they name.

// AddressSet is a row of Address_Set: a named set of addresses, $NAME in a match.
type AddressSet struct {
	UUID string `ovsdb:"_uuid" db:"table=Address_Set,root,index=name"`

	Name        string            `ovsdb:"name"`
	Addresses   []string          `ovsdb:"addresses"`
	Options     map[string]string `ovsdb:"options"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// PortGroup is a row of Port_Group: a named set of ports, @NAME in a match, with ACLs that hold for all of them.
type PortGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=Port_Group,root,index=name"`

	Name        string            `ovsdb:"name"`
	Ports       []string          `ovsdb:"ports" db:"ref=Logical_Switch_Port,weak"`
	ACLs        []string          `ovsdb:"acls" db:"ref=ACL"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// ACL is a row of ACL: one access rule of a switch or port group.
type ACL struct {
	UUID string `ovsdb:"_uuid" db:"table=ACL"`

	Name                 *string           `ovsdb:"name" db:"maxlen=63"`
	Priority             int               `ovsdb:"priority" db:"range=0..32767"`
	Direction            string            `ovsdb:"direction" db:"enum=from-lport|to-lport"`
	Match                string            `ovsdb:"match"`
	Action               string            `ovsdb:"action" db:"enum=allow|allow-related|allow-stateless|drop|reject|pass"`
	NetworkFunctionGroup *string           `ovsdb:"network_function_group" db:"ref=Network_Function_Group"`
	Log                  bool              `ovsdb:"log"`
	Severity             *string           `ovsdb:"severity" db:"enum=alert|warning|notice|info|debug"`
	Meter                *string           `ovsdb:"meter"`
	Label                int               `ovsdb:"label" db:"range=0..4294967295"`
	Tier                 int               `ovsdb:"tier" db:"range=0..3"`
	SampleNew            *string           `ovsdb:"sample_new" db:"ref=Sample"`
	SampleEst            *string           `ovsdb:"sample_est" db:"ref=Sample"`
	Options              map[string]string `ovsdb:"options"`
	ExternalIDs          map[string]string `ovsdb:"external_ids"`
}

// Copp is a row of Copp: control plane protection: a meter name for each kind of packet punted to a controller.
type Copp struct {
	UUID string `ovsdb:"_uuid" db:"table=Copp,root,index=name"`

	Name        string            `ovsdb:"name"`
	Meters      map[string]string `ovsdb:"meters"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// Meter is a row of Meter: a named rate limit.
type Meter struct {
	UUID string `ovsdb:"_uuid" db:"table=Meter,root,index=name"`

	Name        string            `ovsdb:"name"`
	Unit        string            `ovsdb:"unit" db:"enum=kbps|pktps"`
	Bands       []string          `ovsdb:"bands" db:"ref=Meter_Band,min=1"`
	Fair        *bool             `ovsdb:"fair"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// MeterBand is a row of Meter_Band: one threshold of a meter and what happens above it.
type MeterBand struct {
	UUID string `ovsdb:"_uuid" db:"table=Meter_Band"`

	Action      string            `ovsdb:"action" db:"enum=drop"`
	Rate        int               `ovsdb:"rate" db:"range=1..4294967295"`
	BurstSize   int               `ovsdb:"burst_size" db:"range=0..4294967295"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// QoS is a row of QoS: one marking or rate limiting rule of a switch.
type QoS struct {
	UUID string `ovsdb:"_uuid" db:"table=QoS"`

	Priority    int               `ovsdb:"priority" db:"range=0..32767"`
	Direction   string            `ovsdb:"direction" db:"enum=from-lport|to-lport"`
	Match       string            `ovsdb:"match"`
	Action      map[string]int    `ovsdb:"action" db:"enum=dscp|mark,value.range=0..4294967295"`
	Bandwidth   map[string]int    `ovsdb:"bandwidth" db:"enum=rate|burst,value.range=1..4294967295"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}
