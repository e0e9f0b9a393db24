package agent

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"govn/proto/ic"
)

// published is a message in a line.
func published(m *ic.Publish) string {
	var list []string
	for _, g := range m.GetGateways() {
		list = append(list, "gateway "+g.Name+" "+g.GetEncaps()[0].GetIp())
	}
	for _, p := range m.GetPorts() {
		list = append(list, "port "+p.Name+" on "+p.Switch)
	}
	for _, r := range m.GetRoutes() {
		list = append(list, "route "+r.Key.Prefix+" via "+r.Key.Nexthop)
	}
	for _, name := range slices.Concat(m.GetGoneGateways(), m.GetGonePorts()) {
		list = append(list, "gone "+name)
	}
	for _, k := range m.GetGoneRoutes() {
		list = append(list, "gone "+k.Prefix)
	}
	slices.Sort(list)
	if m.GetWhole() {
		list = append([]string{"whole"}, list...)
	}
	return strings.Join(list, ", ")
}

// A new stream is told everything, then what changed, one message at a time; what
// is refused is told to the operator.
func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		defer func() { d.stop() }()
		b := newBed(t)
		b.zone()
		b.set(&sbChassis{UUID: "ch", Name: "gw", Encaps: []string{"e"}, OtherConfig: map[string]string{keyInterconn: "true"}}, &sbEncap{UUID: "e", Type: "geneve", IP: "203.0.113.1"})
		p := newPublisher(d.c, b.p, silent)
		var took []time.Duration
		p.took = func(d time.Duration) { took = append(took, d) }
		w := newWriter(b.in, b.p, nil, nil, nil, silent, func() {})
		w.publish = func(it item) { p.mark(it, time.Now()) }
		round := func() time.Time {
			b.run()
			w.wanted()
			synctest.Wait()
			return p.flush(time.Now())
		}
		round() // without a stream
		f := d.welcome(time.Minute)
		next := func(want string) *ic.Publish {
			t.Helper()
			m := <-f.in
			for m.GetHeartbeat() != nil {
				m = <-f.in
			}
			if got := published(m.GetPublish()); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			return m.GetPublish()
		}
		answer := func(m *ic.Publish, refusals ...*ic.Refusal) {
			f.out <- &ic.ToZone{Msg: &ic.ToZone_Published{Published: &ic.Published{Number: m.Number, Refusals: refusals}}}
		}
		synctest.Wait()
		round()
		whole := next("whole, gateway gw 203.0.113.1, port ts0-r1 on ts0, route 10.0.1.1/24 via 169.254.100.1")
		b.set(&sbEncap{UUID: "e", Type: "geneve", IP: "203.0.113.2"})
		round()
		b.set(&sbEncap{UUID: "e", Type: "geneve", IP: "203.0.113.3"})
		b.unset("r1-net-uuid")
		round()
		time.Sleep(2 * time.Second) // nothing is sent before the answer
		answer(whole, &ic.Refusal{Kind: "port", Name: "ts0-r1", Reason: "the tenant may not"}, &ic.Refusal{Kind: "zone", Name: "here", Reason: "another has the name"}, &ic.Refusal{Kind: "?"})
		round()
		if len(p.refused) != 2 || p.refused[item{kindICPort, "ts0-r1", ""}].Reason != "the tenant may not" {
			t.Errorf("refused: %v", p.refused)
		}
		second := next("gateway gw 203.0.113.3, gone 10.0.1.1/24")
		answer(second)
		round()
		if len(p.refused) != 0 || len(took) != 2 || took[1] != 2*time.Second {
			t.Errorf("refused %v, took %v", p.refused, took)
		}
		// An answer to nothing is nothing; without an answer the stream ends.
		answer(&ic.Publish{Number: 7}, &ic.Refusal{Kind: "gateway", Name: "gw", Reason: "no"})
		round()
		b.unset("ch")
		due := round()
		next("gone gw")
		if left := time.Until(due); left != time.Minute {
			t.Fatalf("an answer is due in %v", left)
		}
		time.Sleep(30*time.Second + time.Millisecond)
		f.out <- &ic.ToZone{Msg: &ic.ToZone_Heartbeat{Heartbeat: &ic.Heartbeat{}}}
		time.Sleep(30 * time.Second)
		round()
		if <-f.ctx.Done(); len(p.refused) != 0 {
			t.Errorf("refused: %v", p.refused)
		}
		f = d.welcome(time.Minute)
		round()
		next("whole, port ts0-r1 on ts0")
	})
}
