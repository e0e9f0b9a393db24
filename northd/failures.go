package northd

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"govn/northd/compile"
	"govn/proto"
)

// failures logs what chassis left out when it appears and when it is gone,
// with the objects that it belongs to.
type failures struct {
	log   *slog.Logger
	flows *compile.FlowTable

	mu    sync.Mutex
	known map[string]map[string]bool // by chassis
}

func newFailures(log *slog.Logger, flows *compile.FlowTable) *failures {
	return &failures{log: log, flows: flows, known: make(map[string]map[string]bool)}
}

// note takes the whole list of a chassis.
func (f *failures) note(chassis string, list []*proto.Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(list) == 0 && len(f.known[chassis]) == 0 {
		return
	}
	now := make(map[string]bool, len(list))
	for _, x := range list {
		key := fmt.Sprintf("%x/%x/%d/%d/%x/%s", x.Unit, x.Body, x.Flow, x.Kind, x.Key, x.Error)
		now[key] = true
		if !f.known[chassis][key] {
			f.log.Warn("a chassis left something out", "chassis", chassis, "objects", f.objects(x),
				"flow", x.Flow, "cookie", fmt.Sprintf("%#x", x.Cookie), "err", x.Error)
		}
	}
	if len(now) == 0 {
		f.log.Info("a chassis has everything again", "chassis", chassis)
	}
	f.known[chassis] = now
}

// objects names what a failure belongs to.
func (f *failures) objects(x *proto.Failure) string {
	var id [16]byte
	copy(id[:], x.Unit)
	var names []string
	for _, o := range f.flows.Objects(id) {
		names = append(names, fmt.Sprintf("%s %q", o.Table, o.Name))
	}
	if len(names) == 0 && x.Kind != 0 {
		return fmt.Sprintf("%v %x", proto.Kind(x.Kind), x.Key)
	}
	return strings.Join(names, ", ")
}
