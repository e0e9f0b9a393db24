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
