package vswitch

// Connections of the switch and of its database server.

// Controller is a row of Controller: an OpenFlow controller of a bridge.
type Controller struct {
	UUID string `ovsdb:"_uuid" db:"table=Controller"`

	Type                 *string           `ovsdb:"type" db:"enum=primary|service"`
	Target               string            `ovsdb:"target"`
	MaxBackoff           *int              `ovsdb:"max_backoff" db:"range=1000.."`
	InactivityProbe      *int              `ovsdb:"inactivity_probe"`
	ConnectionMode       *string           `ovsdb:"connection_mode" db:"enum=in-band|out-of-band"`
	LocalIP              *string           `ovsdb:"local_ip"`
	LocalNetmask         *string           `ovsdb:"local_netmask"`
	LocalGateway         *string           `ovsdb:"local_gateway"`
	EnableAsyncMessages  *bool             `ovsdb:"enable_async_messages"`
	ControllerQueueSize  *int              `ovsdb:"controller_queue_size" db:"range=1..512"`
	ControllerRateLimit  *int              `ovsdb:"controller_rate_limit" db:"range=100.."`
	ControllerBurstLimit *int              `ovsdb:"controller_burst_limit" db:"range=25.."`
	OtherConfig          map[string]string `ovsdb:"other_config"`
	ExternalIDs          map[string]string `ovsdb:"external_ids"`
	IsConnected          bool              `ovsdb:"is_connected" db:"ephemeral"`
	Role                 *string           `ovsdb:"role" db:"enum=other|master|slave,ephemeral"`
	Status               map[string]string `ovsdb:"status" db:"ephemeral"`
}

// Manager is a row of Manager: an OVSDB manager of the server.
type Manager struct {
	UUID string `ovsdb:"_uuid" db:"table=Manager,index=target"`

	Target          string            `ovsdb:"target"`
	MaxBackoff      *int              `ovsdb:"max_backoff" db:"range=1000.."`
	InactivityProbe *int              `ovsdb:"inactivity_probe"`
	ConnectionMode  *string           `ovsdb:"connection_mode" db:"enum=in-band|out-of-band"`
	OtherConfig     map[string]string `ovsdb:"other_config"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
	IsConnected     bool              `ovsdb:"is_connected" db:"ephemeral"`
	Status          map[string]string `ovsdb:"status" db:"ephemeral"`
}

// SSL is a row of SSL: the keys of TLS connections.
type SSL struct {
	UUID string `ovsdb:"_uuid" db:"table=SSL,maxrows=1"`

	PrivateKey      string            `ovsdb:"private_key"`
	Certificate     string            `ovsdb:"certificate"`
	CACert          string            `ovsdb:"ca_cert"`
	BootstrapCACert bool              `ovsdb:"bootstrap_ca_cert"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
}
