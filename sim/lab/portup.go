package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"govn/sim/lab/unixctl"
)

// nudgeAfter is how long a port of a stock lab may take to come up before its
// controllers are asked to look again. Most take 0.1 s.
const nudgeAfter = 5 * time.Second

// portUp waits until the port of a workload is up. An ovn-controller 23.03 that
// connects to everything at a time may go to sleep before its first look at the
// ports, until something else wakes it.
func (c *Central) portUp(ctx context.Context, w *Workload) error {
	wait := func(ctx context.Context) error {
		_, err := c.Nbctl(ctx, "wait-until", "Logical_Switch_Port", w.Port, "up=true")
		return err
	}
	l := c.l
	var err error
	if c.zone.Control == ControlStock {
		soon, cancel := context.WithTimeout(ctx, nudgeAfter)
		err = wait(soon)
		cancel()
		if err == nil {
			return nil
		}
		l.log.Warn("a port does not come up: its controller is asked to look again", "port", w.Port, "chassis", w.Chassis)
		if err := l.recompute(ctx, w.Chassis); err != nil {
			return err
		}
	}
	if err = wait(ctx); err != nil {
		return fmt.Errorf("port %q of workload %q does not come up on chassis %q (logs: %s, %s): %w",
			w.Port, w.Name, w.Chassis, l.path(w.Chassis, "controller.log"), l.path(c.node, "northd.log"), err)
	}
	return nil
}

// recompute has the stock controller of a chassis compute everything anew.
func (l *Lab) recompute(ctx context.Context, chassis string) error {
	c, err := unixctl.Dial(ctx, l.ControlSocket(chassis, "controller"))
	if err != nil {
		return fmt.Errorf("chassis %q: %w", chassis, err)
	}
	_, err = c.Call(ctx, "inc-engine/recompute")
	if err = errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("chassis %q: %w", chassis, err)
	}
	return nil
}
