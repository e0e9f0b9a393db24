package nb

// Settings of the whole deployment and connections of the database server.

// NBGlobal is a row of NB_Global: the one row of settings and configuration sequence numbers of a deployment.
type NBGlobal struct {
	UUID string `ovsdb:"_uuid" db:"table=NB_Global,root,maxrows=1"`

	Name           string            `ovsdb:"name"`
	NBCfg          int               `ovsdb:"nb_cfg"`
	NBCfgTimestamp int               `ovsdb:"nb_cfg_timestamp"`
	SBCfg          int               `ovsdb:"sb_cfg"`
	SBCfgTimestamp int               `ovsdb:"sb_cfg_timestamp"`
	HVCfg          int               `ovsdb:"hv_cfg"`
	HVCfgTimestamp int               `ovsdb:"hv_cfg_timestamp"`
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
