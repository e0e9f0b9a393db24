package oracle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"govn/sim/lab"
)

// Output is one copy of the packet that leaves.
type Output struct {
	Port     string   // logical port; "" for a copy that a controller deals with
	Punt     string   // kind of punt, "" for an output to a port
	Inner    Verdict  // of a punt: what the controller makes of it, as far as the engine says
	Rewrites []string // "name=value" of the fields that differ from the packet at its ingress, sorted
}

func (o Output) String() string {
	s := o.Port
	if o.Punt != "" {
		s = o.Punt + "{}"
		if len(o.Inner) > 0 {
			s = o.Punt + "{" + o.Inner.String() + "}"
		}
	}
	if len(o.Rewrites) > 0 {
		s += " [" + strings.Join(o.Rewrites, " ") + "]"
	}
	return s
}

// pausing is the kind of punt that a packet waits for.
const pausing = "put_nd_ra_opts"

// Verdict is all outputs, sorted. A packet that is dropped has none.
type Verdict []Output

func (v Verdict) String() string {
	if len(v) == 0 {
		return "drop"
	}
	words := make([]string, len(v))
	for i, o := range v {
		words[i] = o.String()
	}
	return strings.Join(words, "; ")
}

func (v Verdict) sorted() Verdict {
	slices.SortFunc(v, func(a, b Output) int { return strings.Compare(a.String(), b.String()) })
	return v
}

// Equal tells whether two engines agree. A punt of one kind is the same
// wherever it goes: a tracer that knows what the controller will do says more
// about it than one that does not.
func (v Verdict) Equal(w Verdict) bool {
	return slices.Equal(v.comparable(), w.comparable())
}

func (v Verdict) comparable() []string {
	// A packet that is paused waits for the controller with all that it has still
	// to do, which depends on the order of ports in a group.
	paused := slices.ContainsFunc(v, func(o Output) bool { return o.Punt == pausing })
	list := make([]string, 0, len(v))
	for _, o := range v {
		switch {
		case o.Punt != "":
			list = append(list, o.Punt+"{}")
		case !paused:
			list = append(list, o.String())
		}
	}
	slices.Sort(list)
	return list
}

// Answer is what an engine says about a microflow.
type Answer struct {
	Verdicts []Verdict // one, or one for each choice that a select group has; each once
	Large    []Verdict // the same of a packet larger than any limit, where the engine says
	Unjudged string    // the quirk by which the engine does not judge, or ""
}

func (a Answer) String() string {
	s := anyOf(a.Verdicts)
	if len(a.Large) > 0 && !(within(a.Large, a.Verdicts) && within(a.Verdicts, a.Large)) {
		s += "  if it is large: " + anyOf(a.Large)
	}
	if a.Unjudged != "" {
		s += " (does not judge: " + a.Unjudged + ")"
	}
	return s
}

func anyOf(list []Verdict) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = v.String()
	}
	return strings.Join(words, "  OR  ")
}

// with adds a verdict to others, if it is none of them.
func with(list []Verdict, v Verdict) []Verdict {
	if slices.ContainsFunc(list, v.Equal) {
		return list
	}
	return append(list, v)
}

// within tells whether every verdict of a is one of b's.
func within(a, b []Verdict) bool {
	for _, v := range a {
		if !slices.ContainsFunc(b, v.Equal) {
			return false
		}
	}
	return true
}

// agree tells whether two engines mean the same. One that took a single way, where
// the other tells all, agrees if that is one of them.
func agree(a, b []Verdict) bool {
	switch {
	case len(a) == 1:
		return within(a, b)
	case len(b) == 1:
		return within(b, a)
	}
	return within(a, b) && within(b, a)
}

// Agrees tells whether two engines say the same, about large packets too where both
// say something about them.
func (a Answer) Agrees(b Answer) bool {
	return agree(a.Verdicts, b.Verdicts) && (len(a.Large) == 0 || len(b.Large) == 0 || agree(a.Large, b.Large))
}

// Engine answers what happens to packets.
type Engine interface {
	// Name is how differences call the engine.
	Name() string
	// Role says which quirks to expect.
	Role() Role
	// Trace gives one answer per microflow, in order.
	Trace(ctx context.Context, flows []Microflow) ([]Answer, error)
}

// Difference is a microflow on which engines disagree.
type Difference struct {
	Index   int
	Flow    Microflow
	Answers []Answer // of each engine, in order
}

// Report is the outcome of a comparison.
type Report struct {
	Engines     []string
	Took        []time.Duration // of each engine
	Flows       int
	Answers     [][]Answer     // of each engine, of each microflow
	Kinds       map[string]int // microflows by kind
	Delivered   int            // microflows that the first engine did not drop
	Excused     map[string]int // microflows by quirk that kept an engine from judging
	Unjudged    int            // microflows that fewer than two engines judged
	Differences []Difference
}

// Compare runs the engines side by side. All that judge a microflow must agree:
// that is, all but those with a known quirk that touches it.
func Compare(ctx context.Context, cfg *lab.Config, flows []Microflow, engines ...Engine) (*Report, error) {
	r := &Report{
		Flows: len(flows), Kinds: map[string]int{}, Excused: map[string]int{},
		Took: make([]time.Duration, len(engines)), Answers: make([][]Answer, len(engines)),
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, e := range engines {
		r.Engines = append(r.Engines, e.Name())
		g.Go(func() error {
			start := time.Now()
			var err error
			if r.Answers[i], err = e.Trace(gctx, flows); err != nil {
				return fmt.Errorf("%s: %w", e.Name(), err)
			}
			if len(r.Answers[i]) != len(flows) {
				return fmt.Errorf("%s: %d answers for %d microflows", e.Name(), len(r.Answers[i]), len(flows))
			}
			r.Took[i] = time.Since(start)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	j := newJudge(cfg)
	for i := range flows {
		r.Kinds[flows[i].Kind]++
		d := Difference{Index: i, Flow: flows[i]}
		var agreed *Answer
		differ, judges := false, 0
		inCircle := r.circle(engines, i)
		for e, engine := range engines {
			a := r.Answers[e][i]
			for _, list := range [][]Verdict{a.Verdicts, a.Large} {
				for k := range list {
					list[k] = j.placed(list[k])
				}
			}
			if a.Unjudged == "" {
				a.Unjudged = j.excuse(engine.Role(), &flows[i])
			}
			if inCircle {
				a.Unjudged = circle
			}
			d.Answers = append(d.Answers, a)
			switch {
			case a.Unjudged == circle && !inCircle:
				judges++
				differ = true // one Open vSwitch drops it, another one does not
			case a.Unjudged != "":
				r.Excused[a.Unjudged]++
			case agreed == nil:
				agreed = &a
				judges++
			default:
				judges++
				differ = differ || !a.Agrees(*agreed)
			}
		}
		if slices.ContainsFunc(d.Answers[0].Verdicts, func(v Verdict) bool { return len(v) > 0 }) {
			r.Delivered++
		}
		if judges < 2 {
			r.Unjudged++
		}
		if differ {
			r.Differences = append(r.Differences, d)
		}
	}
	return r, nil
}

// circle tells whether every Open vSwitch that was asked about a microflow says that
// it goes in a circle.
func (r *Report) circle(engines []Engine, i int) bool {
	n := 0
	for e, engine := range engines {
		if engine.Role() == RoleGovn || engine.Role() == RoleStock {
			if r.Answers[e][i].Unjudged != circle {
				return false
			}
			n++
		}
	}
	return n > 0
}

// maxPrinted is how many differences of one class a report prints.
const maxPrinted = 2

// class is what the engines say, without ports and fields: differences of one
// class mostly have one cause.
func (d *Difference) class() string {
	words := make([]string, len(d.Answers))
	for i, a := range d.Answers {
		words[i] = "delivers"
		switch {
		case a.Unjudged != "":
			words[i] = "does not judge"
		case len(a.Verdicts) == 0 || len(a.Verdicts[0]) == 0:
			words[i] = "drops"
		default:
			for _, o := range a.Verdicts[0] {
				if o.Punt != "" {
					words[i] = o.Punt + "{}"
				}
			}
		}
	}
	return strings.Join(words, ", ")
}

// String prints a summary and the first differences of each class.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d microflows of %d kinds, %d delivered, %d judged by one engine only, %d differences\n",
		r.Flows, len(r.Kinds), r.Delivered, r.Unjudged, len(r.Differences))
	for i, e := range r.Engines {
		fmt.Fprintf(&b, "  %-28s %6d ms\n", e, r.Took[i].Milliseconds())
	}
	for _, q := range slices.Sorted(maps.Keys(r.Excused)) {
		fmt.Fprintf(&b, "  %d not judged: %s\n", r.Excused[q], q)
	}
	classes := map[string][]Difference{}
	for _, d := range r.Differences {
		classes[d.class()] = append(classes[d.class()], d)
	}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		list := classes[class]
		fmt.Fprintf(&b, "%d differences where the engines say: %s\n", len(list), class)
		for _, d := range list[:min(len(list), maxPrinted)] {
			fmt.Fprintf(&b, "microflow %d (%s) from %q:\n  ovn-trace %s '%s'\n  ofproto/trace br-int '%s'\n",
				d.Index, d.Flow.Kind, d.Flow.Inport, d.Flow.Switch, d.Flow.OVN(), d.Flow.Packet.OpenFlow())
			for e, a := range d.Answers {
				fmt.Fprintf(&b, "    %-28s %v\n", r.Engines[e], a)
			}
		}
	}
	return b.String()
}
