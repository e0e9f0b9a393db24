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
	Rewrites []string // "name=value" of the fields that differ from the packet at its ingress, sorted
}

func (o Output) String() string {
	s := o.Port
	if o.Punt != "" {
		s = o.Punt + "{" + o.Port + "}"
	}
	if len(o.Rewrites) > 0 {
		s += " [" + strings.Join(o.Rewrites, " ") + "]"
	}
	return s
}

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
	list := make([]string, len(v))
	for i, o := range v {
		if o.Punt != "" {
			list[i] = o.Punt + "{}"
		} else {
			list[i] = o.String()
		}
	}
	slices.Sort(list)
	return list
}

// Engine answers what happens to packets.
type Engine interface {
	// Name is how differences call the engine.
	Name() string
	// Role says which quirks to expect.
	Role() Role
	// Trace gives one verdict per microflow, in order.
	Trace(ctx context.Context, flows []Microflow) ([]Verdict, error)
}

// Difference is a microflow on which engines disagree.
type Difference struct {
	Index    int
	Flow     Microflow
	Verdicts []Verdict // of each engine, in order
	Excused  []string  // of each engine: the quirk by which it does not judge, or ""
}

// Report is the outcome of a comparison.
type Report struct {
	Engines     []string
	Took        []time.Duration // of each engine
	Flows       int
	Verdicts    [][]Verdict    // of each engine, of each microflow
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
		Took: make([]time.Duration, len(engines)), Verdicts: make([][]Verdict, len(engines)),
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, e := range engines {
		r.Engines = append(r.Engines, e.Name())
		g.Go(func() error {
			start := time.Now()
			var err error
			if r.Verdicts[i], err = e.Trace(gctx, flows); err != nil {
				return fmt.Errorf("%s: %w", e.Name(), err)
			}
			if len(r.Verdicts[i]) != len(flows) {
				return fmt.Errorf("%s: %d verdicts for %d microflows", e.Name(), len(r.Verdicts[i]), len(flows))
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
		var agreed *Verdict
		differ, judges := false, 0
		for e, engine := range engines {
			v := &r.Verdicts[e][i]
			*v = j.placed(*v)
			excuse := j.excuse(engine.Role(), &flows[i])
			d.Verdicts, d.Excused = append(d.Verdicts, *v), append(d.Excused, excuse)
			if excuse == "" {
				judges++
			}
			switch {
			case excuse != "":
				r.Excused[excuse]++
			case agreed == nil:
				agreed = v
			case !v.Equal(*agreed):
				differ = true
			}
		}
		if len(r.Verdicts[0][i]) > 0 {
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

// maxPrinted is how many differences a report prints.
const maxPrinted = 10

// String prints a summary and the first differences.
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
	for i, d := range r.Differences {
		if i == maxPrinted {
			fmt.Fprintf(&b, "... and %d more\n", len(r.Differences)-i)
			break
		}
		fmt.Fprintf(&b, "microflow %d (%s) from %q:\n  ovn-trace %s '%s'\n  ofproto/trace br-int '%s'\n",
			d.Index, d.Flow.Kind, d.Flow.Inport, d.Flow.Switch, d.Flow.OVN(), d.Flow.Packet.OpenFlow())
		for e, v := range d.Verdicts {
			fmt.Fprintf(&b, "    %-28s %v", r.Engines[e], v)
			if d.Excused[e] != "" {
				fmt.Fprintf(&b, " (does not judge: %s)", d.Excused[e])
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
