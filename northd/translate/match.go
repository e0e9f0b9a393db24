package translate

import (
	"fmt"

	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// toMatch makes m one conjunction in the datapath 0.
func toMatch(m *openflow.Match, conj logical.Conj, keys PortKeys) error {
	m.Reset()
	m.Set(openflow.FieldMetadata, 0)
	for i := range conj {
		t := &conj[i]
		if t.Field.Kind == logical.Resident {
			continue // a guard
		}
		f := fields[t.Field.Name]
		if f == nil {
			return fmt.Errorf("no OpenFlow field for %q", t.Field.Name)
		}
		if t.Field.Kind == logical.String {
			key, err := keys.key(t.Str)
			if err != nil {
				return err
			}
			m.Set(f, uint64(key))
			continue
		}
		m.SetBytes(f, rightmost(&t.Value, f), rightmost(&t.Mask, f))
	}
	return nil
}

// rightmost is as many bytes of v as the field has.
func rightmost(v *[16]byte, f *openflow.Field) []byte { return v[16-(f.Bits+7)/8:] }
