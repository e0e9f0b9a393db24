package schema

import (
	"sync"

	"govn/schema/icnb"
	"govn/schema/icsb"
	"govn/schema/nb"
	"govn/schema/sb"
	"govn/schema/vswitch"
)

// Database is a database: a name, a version and its tables.
type Database struct {
	Name    string
	Version string // as OVN or Open vSwitch numbers its schema
	Tables  []*Table

	json func() []byte
}

// Table is a table of a database.
type Table struct {
	Name    string
	Columns []*Column  // in the order of declaration
	Indexes [][]string // sets of columns that are unique together
	MaxRows int        // 0: no limit
	IsRoot  bool       // rows live without being referenced
	Model   any        // a nil pointer to the row type
}

// Column is a column of a table.
type Column struct {
	Name      string
	Key       Base
	Value     *Base // of a map; nil otherwise
	Min       int   // least number of elements: 0 or 1
	Max       int   // greatest number of elements; Unlimited
	Ephemeral bool  // lost when the server restarts
	Immutable bool  // set on insert only
}

// Unlimited is the Max of a set or map without a limit.
const Unlimited = -1

// Base is the base type of RFC 7047 section 3.2.
type Base struct {
	Type      string   // integer, real, boolean, string or uuid
	Enum      []string // the only values; nil: any
	MinInt    *int64   // nil: no limit
	MaxInt    *int64   // nil: no limit
	MaxLength int      // of a string, in characters; 0: no limit
	RefTable  string   // of a uuid; "": refers to nothing
	Weak      bool     // the reference goes when the row goes
}

// Northbound returns the database OVN_Northbound. The result is shared and must
// not be changed.
func Northbound() *Database { return northbound() }

// Southbound returns the database OVN_Southbound. The result is shared and must
// not be changed.
func Southbound() *Database { return southbound() }

// ICNorthbound returns the database OVN_IC_Northbound. The result is shared and
// must not be changed.
func ICNorthbound() *Database { return icNorthbound() }

// ICSouthbound returns the database OVN_IC_Southbound. The result is shared and
// must not be changed.
func ICSouthbound() *Database { return icSouthbound() }

// OpenVSwitch returns the part of the database Open_vSwitch that a controller
// uses. The result is shared and must not be changed.
func OpenVSwitch() *Database { return openVSwitch() }

// Private returns the database in which northd keeps the numbers it has given
// out. It is not served. The result is shared and must not be changed.
func Private() *Database { return private() }

// PrivateIC returns the database in which the interconnection's centre keeps what
// it knows of zones and routes beside what it serves. It is not served. The result
// is shared and must not be changed.
func PrivateIC() *Database { return privateIC() }

// All returns every database, by the name that "govn schema" gives it.
func All() map[string]*Database {
	return map[string]*Database{
		"northbound":    Northbound(),
		"southbound":    Southbound(),
		"ic-northbound": ICNorthbound(),
		"ic-southbound": ICSouthbound(),
		"open-vswitch":  OpenVSwitch(),
		"private":       Private(),
		"ic-private":    PrivateIC(),
	}
}

// Built once, when first asked for: reflection over 80 types is not free, and
// most commands need none of it.
var (
	northbound   = sync.OnceValue(func() *Database { return newDatabase(nb.Name, nb.Version, nb.Tables()) })
	southbound   = sync.OnceValue(func() *Database { return newDatabase(sb.Name, sb.Version, sb.Tables()) })
	icNorthbound = sync.OnceValue(func() *Database { return newDatabase(icnb.Name, icnb.Version, icnb.Tables()) })
	icSouthbound = sync.OnceValue(func() *Database { return newDatabase(icsb.Name, icsb.Version, icsb.Tables()) })
	openVSwitch  = sync.OnceValue(func() *Database { return newDatabase(vswitch.Name, vswitch.Version, vswitch.Tables()) })
	private      = sync.OnceValue(func() *Database {
		return newDatabase(PrivateName, PrivateVersion, []any{(*Allocation)(nil)})
	})
	privateIC = sync.OnceValue(func() *Database {
		return newDatabase(PrivateICName, PrivateICVersion, []any{(*ICZone)(nil), (*ICRoute)(nil), (*ICTransit)(nil)})
	})
)

// Table returns the table with the name, or nil.
func (d *Database) Table(name string) *Table {
	for _, t := range d.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Column returns the column with the name, or nil.
func (t *Table) Column(name string) *Column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// JSON returns the schema in the form of RFC 7047 section 3.2, with a checksum.
// Equal declarations give equal bytes. The result is shared and must not be
// changed.
func (d *Database) JSON() []byte { return d.json() }
