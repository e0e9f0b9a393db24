package bfd

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	now := time.Unix(1000, 0)
	tb := NewTable[string]()
	changes := ""
	put := func(key string, discr uint32) error {
		c := conf(100*ms, 100*ms, 3)
		c.Discr = discr
		c.Changed = func(c Change) { changes += fmt.Sprintf("%s %v-%v ", key, c.Old, c.New) }
		return tb.Put(now, key, c)
	}
	if !tb.Next().IsZero() {
		t.Error("an empty table has something to do")
	}
	for i, key := range []string{"a", "b", "c"} {
		if err := put(key, uint32(i)+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("d", 2); err == nil {
		t.Error("a discriminator given twice")
	}
	sent := map[string]int{}
	for range 100 {
		now = tb.Next()
		tb.Transmit(now, func(key string, p Packet) { sent[key]++ })
	}
	if d := now.Sub(time.Unix(1000, 0)); sent["a"] < 30 || sent["b"] < 30 || sent["c"] < 30 || d < 24*time.Second || d > 34*time.Second {
		t.Errorf("sent %v in %v", sent, d)
	}
	p := Packet{State: Down, Mult: 3, MyDiscr: 9, MinTx: time.Second, MinRx: time.Second}
	if key, err := tb.Receive(now, "b", p); key != "b" || err != nil {
		t.Errorf("without discriminator: %q, %v", key, err)
	}
	p.YourDiscr = 3
	if key, err := tb.Receive(now, "b", p); key != "c" || err != nil {
		t.Errorf("with a discriminator: %q, %v", key, err)
	}
	if changes != "b down-init c down-init " {
		t.Errorf("changes %q", changes)
	}
	p.YourDiscr = 4
	if _, err := tb.Receive(now, "b", p); !errors.Is(err, ErrNoSession) {
		t.Errorf("unknown discriminator: %v", err)
	}
	p.YourDiscr = 0
	if _, err := tb.Receive(now, "x", p); !errors.Is(err, ErrNoSession) {
		t.Errorf("unknown key: %v", err)
	}
	if err := put("c", 7); err != nil || tb.Get("c").State() != Down || tb.Len() != 3 {
		t.Errorf("new discriminator: %v, %v", err, tb.Get("c").Status())
	}
	for _, key := range []string{"a", "b", "c", "x"} {
		tb.Delete(key)
	}
	if tb.Len() != 0 || len(tb.queue) != 0 || len(tb.byDiscr) != 0 || !tb.Next().IsZero() || tb.Get("a") != nil {
		t.Errorf("something is left: %+v", tb)
	}
}
