package translate

import (
	"fmt"

	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// toMatch is one conjunction as an OpenFlow match in any datapath. ok is false
// for a match that nothing fulfils because of what OpenFlow knows and the
// logical language does not.
func toMatch(conj logical.Conj, keys PortKeys) (openflow.Match, error) {
	var m openflow.Match
	for i := range conj {
		t := &conj[i]
		if t.Field.Kind == logical.Resident {
			continue // a guard
		}
		f := fields[t.Field.Name]
		if f == nil {
			return m, fmt.Errorf("no OpenFlow field for %q", t.Field.Name)
		}
		if t.Field.Kind == logical.String {
			key, err := keys.key(t.Str)
			if err != nil {
				return m, err
			}
			m.Set(f, uint64(key))
			continue
		}
		m.SetBytes(f, rightmost(t.Value, f), rightmost(t.Mask, f))
	}
	return m, nil
}

// rightmost is as many bytes of v as the field has.
func rightmost(v [16]byte, f *openflow.Field) []byte {
	return append([]byte(nil), v[16-(f.Bits+7)/8:]...)
}
