package topology

import (
	"maps"
	"slices"
)

// Problem is something that a stage before the compile cannot use, or that
// somebody asks for and cannot have. Err nil says that it is over.
type Problem struct {
	Key string // the same as long as it is the same problem
	Err error
}

// Problems are those of one stage.
type Problems struct {
	now    map[string]error
	before map[string]error // of those that changed since the last Drain
}

// Report says what is wrong under a key; nil: nothing.
func (p *Problems) Report(key string, err error) {
	now := p.now[key]
	if sameText(now, err) {
		return
	}
	if p.now == nil {
		p.now, p.before = make(map[string]error), make(map[string]error)
	}
	if _, noted := p.before[key]; !noted {
		p.before[key] = now
	}
	if err == nil {
		delete(p.now, key)
	} else {
		p.now[key] = err
	}
}

// Clear says that nothing is wrong.
func (p *Problems) Clear() {
	for key := range p.now {
		p.Report(key, nil)
	}
}

// Drain returns what differs from the last call, by key.
func (p *Problems) Drain() []Problem {
	var list []Problem
	for _, key := range slices.Sorted(maps.Keys(p.before)) {
		if now := p.now[key]; !sameText(p.before[key], now) {
			list = append(list, Problem{key, now})
		}
	}
	clear(p.before)
	return list
}

func sameText(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
}
