package translate

import (
	"fmt"

	"govn/pkg/logical"
	"govn/proto"
)

// Places finds the datapath and the port of a name, by their tunnel keys, in
// whatever datapath it is: what is_chassis_resident is about.
type Places func(port string) (datapath, key uint32, err error)

// WithPlaces lets flows ask is_chassis_resident.
func WithPlaces(p Places) Option { return func(c *compiler) { c.places = p } }

// guards are the terms of a conjunction that the chassis evaluates, not the
// switch: whether ports are resident there.
func (c *compiler) guards(conj logical.Conj) ([]*proto.Literal, error) {
	var list []*proto.Literal
	for i := range conj {
		t := &conj[i]
		if t.Field.Kind != logical.Resident {
			continue
		}
		if c.places == nil {
			return nil, fmt.Errorf("is_chassis_resident(%q) cannot be asked here", t.Str)
		}
		datapath, port, err := c.places(t.Str)
		if err != nil {
			return nil, err
		}
		list = append(list, &proto.Literal{Op: proto.Literal_OP_RESIDENT, Negated: t.Value[15] == 0, Datapath: datapath, Port: port})
	}
	return list, nil
}
