package agent

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A queue gives what a map of all its items would: one that is due, of the first
// kind that there is.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q, model, now := newQueue(), map[item]due{}, time.Now()
		for range rapid.IntRange(1, 60).Draw(rt, "changes") {
			it := item{kind: rapid.SampledFrom([]kind{kindPort, kindRoute, kindKey}).Draw(rt, "kind"), key: fmt.Sprint(rapid.IntRange(0, 3).Draw(rt, "key"))}
			was, there := model[it]
			switch rapid.IntRange(0, 3).Draw(rt, "change") {
			case 0:
				q.add(it, now)
				if !there {
					was.since = now
				}
				model[it] = due{since: was.since}
			case 1:
				at := now.Add(time.Duration(rapid.IntRange(1, 5).Draw(rt, "later")) * time.Second)
				q.later(it, at, now)
				model[it] = due{at, now}
			case 2:
				q.remove(it)
				delete(model, it)
			default:
				now = now.Add(time.Second)
				q.ripen(now)
				for it, d := range model {
					if !d.at.After(now) {
						model[it] = due{since: d.since}
					}
				}
			}
			next, first := time.Time{}, kinds
			for it, d := range model {
				if next = sooner(next, d.at); d.at.IsZero() {
					first = min(first, it.kind)
				}
			}
			got, since, ok := q.peek(0, kinds)
			if d, there := model[got]; ok != (first < kinds) || ok && (got.kind != first || !there || !d.at.IsZero() || !since.Equal(d.since)) {
				rt.Fatalf("due: %v (%v) since %v, of %v", got, ok, since, model)
			}
			if at := q.next(); !at.Equal(next) {
				rt.Fatalf("next %v, want %v", at, next)
			}
		}
	})
}

// Of one kind the first that came is the first.
func TestQueueOrder(t *testing.T) {
	q, now := newQueue(), time.Now()
	for _, key := range []string{"b", "a", "c", "a"} {
		q.add(item{kind: kindRoute, key: key}, now)
	}
	got := ""
	for it, _, ok := q.peek(0, kinds); ok; it, _, ok = q.peek(0, kinds) {
		got += it.key
		q.remove(it)
	}
	if got != "bac" {
		t.Errorf("%q", got)
	}
}

// What is due no more leaves nothing behind, not even the memory that it had; what
// is due already takes none however often it is added.
func TestQueueIsEmpty(t *testing.T) {
	q := newQueue()
	now := time.Now()
	had := reflect.ValueOf(q.items).Pointer()
	for i := range manyItems + 1 {
		q.add(item{kind: kindRoute, key: fmt.Sprint(i)}, now)
		q.add(item{kind: kindRoute, key: "0"}, now)
	}
	if n := len(q.due[kindRoute]); n != manyItems+1 {
		t.Errorf("%d are due, of %d", n, manyItems+1)
	}
	for i := range manyItems + 1 {
		it := item{kind: kindRoute, key: fmt.Sprint(i)}
		q.later(it, now.Add(time.Second), now)
		q.remove(it)
	}
	if q.any(0, kinds) || !q.next().IsZero() || len(q.items) != 0 || cap(q.due[kindRoute]) != 0 || cap(q.wait) != 0 || reflect.ValueOf(q.items).Pointer() == had {
		t.Errorf("%+v", q)
	}
}
