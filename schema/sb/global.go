package sb

// Settings of the whole deployment and connections of the database server.

// SBGlobal is a row of SB_Global: the one row of settings and of the configuration sequence number.
type SBGlobal struct {
	UUID string `ovsdb:"_uuid" db:"table=SB_Global,root,maxrows=1"`

	NBCfg          int               `ovsdb:"nb_cfg"`
	NBCfgTimestamp int               `ovsdb:"nb_cfg_timestamp"`
	ExternalIDs    map[string]string `ovsdb:"external_ids"`
	Connections    []string          `ovsdb:"connections" db:"ref=Connection"`
	SSL            *string           `ovsdb:"ssl" db:"ref=SSL"`
	Options        map[string]string `ovsdb:"options"`
	IPsec          bool              `ovsdb:"ipsec"`
}

// Connection is a row of Connection: a listener or outgoing connection of the database server.
type Connection struct {
	UUID string `ovsdb:"_uuid" db:"table=Connection,index=target"`

	Target          string            `ovsdb:"target"`
	MaxBackoff      *int              `ovsdb:"max_backoff" db:"range=1000.."`
	InactivityProbe *int              `ovsdb:"inactivity_probe"`
	ReadOnly        bool              `ovsdb:"read_only"`
	Role            string            `ovsdb:"role"`
	OtherConfig     map[string]string `ovsdb:"other_config"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
	IsConnected     bool              `ovsdb:"is_connected" db:"ephemeral"`
	Status          map[string]string `ovsdb:"status" db:"ephemeral"`
}

// SSL is a row of SSL: the keys of the database server's TLS connections.
type SSL struct {
	UUID string `ovsdb:"_uuid" db:"table=SSL,maxrows=1"`

	PrivateKey      string            `ovsdb:"private_key"`
	Certificate     string            `ovsdb:"certificate"`
	CACert          string            `ovsdb:"ca_cert"`
	BootstrapCACert bool              `ovsdb:"bootstrap_ca_cert"`
	SSLProtocols    string            `ovsdb:"ssl_protocols"`
	SSLCiphers      string            `ovsdb:"ssl_ciphers"`
	SSLCiphersuites string            `ovsdb:"ssl_ciphersuites"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
}

// RBACRole is a row of RBAC_Role: which permissions a role has, by table.
type RBACRole struct {
	UUID string `ovsdb:"_uuid" db:"table=RBAC_Role,root"`

	Name        string            `ovsdb:"name"`
	Permissions map[string]string `ovsdb:"permissions" db:"value.ref=RBAC_Permission,value.weak"`
}

// RBACPermission is a row of RBAC_Permission: what a role may do to one table.
type RBACPermission struct {
	UUID string `ovsdb:"_uuid" db:"table=RBAC_Permission,root"`

	Table         string   `ovsdb:"table"`
	Authorization []string `ovsdb:"authorization"`
	InsertDelete  bool     `ovsdb:"insert_delete"`
	Update        []string `ovsdb:"update"`
}
