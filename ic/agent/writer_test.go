package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	checked "govn/pkg/ovsdb"
)

// burdened is an agent that is told of a router with as many learned routes that
// nobody wants, and has seen everything else empty.
func burdened(t *testing.T, routes int, log io.Writer) *agent {
	b := northboundTeller(t)
	a, err := newAgent(Options{NB: "unix:nb", SB: "unix:sb", IC: "unix:ic", Logger: slog.New(slog.NewTextHandler(log, nil))})
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
	a.replicas[0].told(first)
	a.replicas[1].told(checked.RowsTold{First: true})
	for _, r := range a.replicas {
		r.begin(nil)
	}
	return a
}

// The rows of a transaction without an answer are written again after a while,
// in transactions as large, and the log has one line of all; of those that were not
// sent it has none.
func TestUnanswered(t *testing.T) {
	const routes = 300
	var log bytes.Buffer
	a := burdened(t, routes, &log)
	nb, ctx, began := a.replicas[0], context.Background(), time.Now()
	a.step(ctx)
	now := time.Now()
	first := now
	for round := range 4 {
		a.w.running.Wait()
		if len(a.w.results) != 1 || len(a.w.results[0].items) != batchSize {
			t.Fatalf("round %d: %d transactions", round, len(a.w.results))
		}
		for it, since := range a.w.results[0].items {
			if since.Before(began) || since.After(first) {
				t.Fatalf("round %d: %v is due since %v, the agent began at %v", round, it, since, began)
			}
		}
		if round == 0 {
			if err := a.w.results[0].err; !errors.Is(err, errAway) {
				t.Fatal(err)
			}
			if a.w.take(now); strings.Contains(log.String(), "no answer") {
				t.Errorf("what was not sent has no answer:\n%s", &log)
			}
		} else {
			a.w.results[0].err = context.DeadlineExceeded
			a.w.take(now)
		}
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

// Of a transaction that is refused each row is tried by itself, at once: the others
// are written, and the one that is refused again is tried after a while, with one
// line in the log.
func TestRefused(t *testing.T) {
	const routes = 5
	var log bytes.Buffer
	a := burdened(t, routes, &log)
	nb, ctx := a.replicas[0], context.Background()
	refusal := func(details string) error {
		return &opError{database: "OVN_Northbound", what: "mutate of Logical_Router", text: "constraint violation", details: details}
	}
	a.step(ctx)
	a.w.running.Wait()
	now := time.Now()
	if n := len(a.w.results[0].items); n != routes {
		t.Fatalf("%d rows in a transaction", n)
	}
	a.w.results[0].err = refusal("of all")
	a.w.take(now)
	bad, written := item{}, 0
	for range routes {
		a.w.flush(ctx, now, true)
		a.w.running.Wait()
		if len(a.w.results) != 1 || len(a.w.results[0].items) != 1 {
			t.Fatalf("%+v", a.w.results)
		}
		r := &a.w.results[0]
		for it := range r.items {
			if r.err = nil; bad == (item{}) {
				bad, r.err = it, refusal("first")
			} else if it == bad {
				t.Fatalf("%v is tried again at once", it)
			} else {
				written++
			}
		}
		a.w.take(now)
		for it := range a.w.dirty.items {
			if a.w.alone[it] || it == bad {
				continue
			}
			a.w.dirty.remove(it) // which has been seen meanwhile
		}
	}
	if next := a.w.flush(ctx, now, true); written != routes-1 || a.w.busy[nb] || !next.Equal(now.Add(retryAfter)) {
		t.Errorf("%d written, busy %v, next %v; now is %v", written, a.w.busy[nb], next, now)
	}
	now = now.Add(retryAfter)
	a.w.flush(ctx, now, true)
	a.w.running.Wait()
	if _, again := a.w.results[0].items[bad]; !again {
		t.Errorf("%v, want %v", a.w.results[0].items, bad)
	}
	a.w.results[0].err = refusal("again")
	a.w.take(now)
	if n := strings.Count(log.String(), "a row cannot be written"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}

// Nothing is written before each database was seen whole: what nobody seems to want
// may be wanted.
func TestNothingBeforeAllIsSeen(t *testing.T) {
	for missing := range 3 {
		a := burdened(t, 1, io.Discard)
		if missing < 2 {
			a.replicas[missing].begun = false
		} else {
			a.centre.begun = false
		}
		a.step(context.Background())
		a.w.running.Wait()
		if len(a.w.results) != 0 {
			t.Errorf("without source %d there is written %v", missing, a.w.results[0].items)
		}
	}
}

// A row that was written is looked at once more, after a while: somebody may have
// undone it before the agent saw it, and there is no other sign of that.
func TestUndoneUnseen(t *testing.T) {
	a := burdened(t, 1, io.Discard)
	ctx := context.Background()
	a.step(ctx)
	now := time.Now()
	for round := range 3 {
		a.w.running.Wait()
		if len(a.w.results) != 1 {
			t.Fatalf("round %d: %d transactions", round, len(a.w.results))
		}
		a.w.results[0].err = nil // and the row is as it was
		a.w.take(now)
		if next := a.w.flush(ctx, now, true); len(a.w.busy) != 0 || !next.Equal(now.Add(retryAfter)) {
			t.Fatalf("round %d: %d transactions at once, next %v; now is %v", round, len(a.w.busy), next, now)
		}
		now = now.Add(retryAfter)
		a.w.flush(ctx, now, true)
	}
	a.w.running.Wait()
}
