package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	checked "govn/pkg/ovsdb"
)

// The rows of a transaction without an answer are written again after a while,
// in transactions as large, and the log has one line of all.
func TestUnanswered(t *testing.T) {
	const routes = 300
	b := northboundTeller(t)
	var log bytes.Buffer
	a, err := newAgent(Options{NB: "unix:nb", SB: "unix:sb", IC: "unix:ic", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	a.centre.begun = true
	first := checked.RowsTold{First: true}
	var set []checked.Atom
	for i := 1; i <= routes; i++ { // learned, and nobody wants them
		first.Rows = append(first.Rows, b.row("Logical_Router_Static_Route", uuidOf(i), checked.RowNew, "ip_prefix", "10.0.0.0/24", "nexthop", "10.0.0.1",
			"external_ids", checked.MapOf(keyLearned, fmt.Sprint(i))))
		set = append(set, uuidOf(i))
	}
	first.Rows = append(first.Rows, b.row("Logical_Router", uuidOf(0), checked.RowNew, "name", "r1", "static_routes", checked.NewSet(set...)))
	nb := a.replicas[0]
	nb.told(first)
	a.replicas[1].told(checked.RowsTold{First: true})
	for _, r := range a.replicas {
		r.begin(nil)
	}
	ctx := context.Background()
	a.step(ctx)
	now := time.Now()
	for round := range 3 {
		a.w.running.Wait()
		if len(a.w.results) != 1 || len(a.w.results[0].items) != batchSize {
			t.Fatalf("round %d: %d transactions", round, len(a.w.results))
		}
		a.w.results[0].err = context.DeadlineExceeded
		a.w.take(now)
		if n := len(a.w.dirty.items); n != routes {
			t.Errorf("round %d: %d rows are to be written, want %d", round, n, routes)
		}
		if next := a.w.flush(ctx, now, true); !next.Equal(now.Add(retryAfter)) || a.w.busy[nb] {
			t.Errorf("round %d: next %v, busy %v; now is %v", round, next, a.w.busy[nb], now)
		}
		now = now.Add(retryAfter)
		a.w.flush(ctx, now, true)
	}
	a.w.running.Wait()
	if n := strings.Count(log.String(), "level=WARN"); n != 2 || !strings.Contains(log.String(), "rows=256") || !strings.Contains(log.String(), "NB_Global") {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
}

// A database that was not seen yet lacks nothing.
func TestSilentUntilSeen(t *testing.T) {
	var log bytes.Buffer
	a, err := newAgent(Options{NB: "unix:nb", SB: "unix:sb", IC: "unix:ic", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	a.step(context.Background())
	if log.Len() > 0 {
		t.Errorf("%s", &log)
	}
	a.replicas[0].told(checked.RowsTold{First: true})
	a.replicas[0].begin(nil)
	a.step(context.Background())
	a.step(context.Background())
	if n := strings.Count(log.String(), "no row in NB_Global"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}
