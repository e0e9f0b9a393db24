package schema

// PrivateName and PrivateVersion are those of the private database.
const (
	PrivateName    = "_GOVN"
	PrivateVersion = "1.0.0"
)

// Allocation is a row of Allocation: a number that northd gave to an object.
// It is kept while the object lives, so that numbers survive restarts, and
// longer while a chassis may still use the number.
type Allocation struct {
	UUID string `ovsdb:"_uuid" db:"table=Allocation,root,index=kind+scope+owner,index=kind+scope+key"`

	Kind    string `ovsdb:"kind"`            // what is numbered: datapath, port, ...
	Scope   string `ovsdb:"scope"`           // within what the number is unique
	Owner   string `ovsdb:"owner" db:"uuid"` // the row that has the number
	Key     int    `ovsdb:"key"`             // the number
	Retired bool   `ovsdb:"retired"`         // the owner is gone, the number not yet free
}

// PrivateICName and PrivateICVersion are those of the private database of the
// interconnection's centre.
const (
	PrivateICName    = "_GOVN_IC"
	PrivateICVersion = "1.1.0"
)

// ICZone is a row of Zone: what the interconnection's centre knows of a zone
// beside its row in Availability_Zone.
type ICZone struct {
	UUID string `ovsdb:"_uuid" db:"table=Zone,root,index=zone"`

	Zone        string `ovsdb:"zone" db:"uuid"` // its row in Availability_Zone
	ID          string `ovsdb:"id"`             // 32 hexadecimal digits; empty: a zone of OVN
	Certificate string `ovsdb:"certificate"`    // name of the one that the zone is bound to; empty: none
	Address     string `ovsdb:"address"`        // where the zone was last written from; empty: never by a network
}

// ICRoute is a row of Route: when a route was first seen.
type ICRoute struct {
	UUID string `ovsdb:"_uuid" db:"table=Route,root,index=route"`

	Route string `ovsdb:"route" db:"uuid"` // its row in OVN_IC_Southbound
	Since int    `ovsdb:"since"`           // counts up
}

// ICTransit is the row of Transit: what the interconnection's centre knows of transit
// switches that are gone.
type ICTransit struct {
	UUID string `ovsdb:"_uuid" db:"table=Transit,root"`

	LastKey int `ovsdb:"last_key"` // the key that was given last
}
