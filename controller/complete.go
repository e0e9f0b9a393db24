package controller

import (
	"context"

	"govn/proto/control"
)

// complete answers how a word may go on so that it selects an object that has
// flows on this chassis.
func (c *controller) complete(ctx context.Context, word string) (got control.Candidates, err error) {
	err = c.call(ctx, func() {
		got = control.Complete(word, func(yield func(control.Object) bool) {
			for _, u := range c.host.Units() {
				for _, o := range u.Objects {
					if !yield(control.Object{Table: o.Table, Name: o.Name, UUID: uuidText(o.Uuid)}) {
						return
					}
				}
			}
		})
	})
	return got, err
}
