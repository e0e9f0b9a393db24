package views

import (
	gproto "google.golang.org/protobuf/proto"

	"govn/proto"
	"govn/proto/control"
)

// Complete returns how a word may go on so that it selects an object that became
// flows.
func (s *Source) Complete(word string) control.Candidates {
	return control.Complete(word, func(yield func(control.Object) bool) {
		m := &proto.Unit{}
		for _, u := range s.Units {
			if gproto.Unmarshal(u.Value, m) != nil {
				continue // it was marshalled here
			}
			for _, o := range m.Objects {
				if !yield(Object(o)) {
					return
				}
			}
		}
	})
}
