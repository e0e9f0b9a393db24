package northd

import (
	"log/slog"
	"time"

	"govn/northd/compile"
	"govn/northd/southbound"
	"govn/proto"
)

// Events brings what the chassis say to where it belongs. It implements
// fabric.Events.
type Events struct {
	registry *southbound.Registry
	progress *southbound.Progress
	failures *failures
	log      *slog.Logger
	nudge    func() // optional: hears that a chassis got further
}

// NewEvents makes the events of a zone. flows names the objects in the log.
func NewEvents(reg *southbound.Registry, p *southbound.Progress, flows *compile.FlowTable, log *slog.Logger) *Events {
	return &Events{registry: reg, progress: p, failures: newFailures(log, flows), log: log}
}

// Hello registers a chassis.
func (e *Events) Hello(name string, h *proto.Hello) error { return e.registry.Hello(name, h) }

// Report takes in what changed on a chassis.
func (e *Events) Report(name string, r *proto.Report) { e.registry.Report(name, r) }

// Acked takes in how far a chassis is.
func (e *Events) Acked(name string, a *proto.Ack) {
	e.failures.note(name, a.Failed)
	if a.Applied == nil {
		return
	}
	if err := e.progress.Applied(name, a.Applied.Number, time.UnixMilli(a.AppliedAt)); err != nil {
		e.log.Error("an acknowledgement could not be stored", "chassis", name, "err", err)
	}
	if e.nudge != nil {
		e.nudge()
	}
}

// Lost notes that the stream of a chassis ended.
func (e *Events) Lost(name string, at time.Time) { e.registry.Lost(name, at) }
