package schema

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// The JSON schema of RFC 7047 section 3.2. Objects are maps, which encoding/json
// writes with sorted keys.

type object = map[string]any

func (d *Database) render() []byte {
	tables := object{}
	for _, t := range d.Tables {
		tables[t.Name] = t.object()
	}
	o := object{"name": d.Name, "version": d.Version, "tables": tables}
	o["cksum"] = cksum(mustJSON(o))
	return mustJSON(o)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("schema: %v", err)) // maps, strings and numbers always marshal
	}
	return b
}

func (t *Table) object() object {
	columns := object{}
	for _, c := range t.Columns {
		columns[c.Name] = c.object()
	}
	o := object{"columns": columns}
	if t.IsRoot {
		o["isRoot"] = true
	}
	if t.MaxRows > 0 {
		o["maxRows"] = t.MaxRows
	}
	if len(t.Indexes) > 0 {
		o["indexes"] = t.Indexes
	}
	return o
}

func (c *Column) object() object {
	o := object{"type": c.typ()}
	if c.Ephemeral {
		o["ephemeral"] = true
	}
	if c.Immutable {
		o["mutable"] = false
	}
	return o
}

// typ is the column's type, in the short form where there is one.
func (c *Column) typ() any {
	key := c.Key.json()
	if s, short := key.(string); short && c.Value == nil && c.Min == 1 && c.Max == 1 {
		return s
	}
	o := object{"key": key}
	if c.Value != nil {
		o["value"] = c.Value.json()
	}
	if c.Min != 1 {
		o["min"] = c.Min
	}
	switch c.Max {
	case 1:
	case Unlimited:
		o["max"] = "unlimited"
	default:
		o["max"] = c.Max
	}
	return o
}

func (b *Base) json() any {
	o := object{}
	if b.Enum != nil {
		o["enum"] = []any{"set", b.Enum}
	}
	if b.MinInt != nil {
		o["minInteger"] = *b.MinInt
	}
	if b.MaxInt != nil {
		o["maxInteger"] = *b.MaxInt
	}
	if b.MaxLength > 0 {
		o["maxLength"] = b.MaxLength
	}
	if b.RefTable != "" {
		o["refTable"] = b.RefTable
		if b.Weak {
			o["refType"] = "weak"
		}
	}
	if len(o) == 0 {
		return b.Type
	}
	o["type"] = b.Type
	return o
}

// cksum is the checksum and length that cksum(1) prints for the bytes, the form
// that OVN uses in its schemas: CRC-32 of POSIX, over the bytes and then their
// length, least significant byte first.
func cksum(b []byte) string {
	n := len(b)
	msg := append([]byte(nil), b...)
	for ; n > 0; n >>= 8 {
		msg = append(msg, byte(n))
	}
	// hash/crc32 shifts right; POSIX shifts left and starts from zero. The
	// same sum comes out over reversed bits.
	for i, x := range msg {
		msg[i] = bits.Reverse8(x)
	}
	crc := ^crc32.Update(^uint32(0), crc32.IEEETable, msg)
	return fmt.Sprintf("%d %d", ^bits.Reverse32(crc), len(b))
}
