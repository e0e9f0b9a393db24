package controller

import "context"

// Run is the controller; it returns when ctx ends. Flows stay as they are.
func Run(ctx context.Context, o Options) error {
	if o.Ready != nil {
		o.Ready()
	}
	<-ctx.Done()
	return nil
}
