package control

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseQuery(t *testing.T) {
	for _, tt := range []struct {
		in       string
		cookie   uint64
		datapath uint32
		ok       bool
	}{
		{"0x1f62fff0999558a2", 0x1f62fff0999558a2, 0, true},
		{"1f62fff0999558a2", 0x1f62fff0999558a2, 0, true},
		{" 0x1 ", 1, 0, true},
		{"cookie=0x1f62fff0999558a2, duration=1.2s, table=9, n_packets=3, n_bytes=4, priority=50,reg0=0x8000/0x8000,metadata=0x7 actions=drop", 0x1f62fff0999558a2, 7, true},
		{" 8. metadata=0x2, priority 50, cookie 0x1429cd7f5c8ea5f8", 0x1429cd7f5c8ea5f8, 2, true},
		{"cookie=0x12,metadata=0x3", 0x12, 3, true},
		{"cookie=0x0, priority=0 actions=NORMAL", 0, 0, true},
		{"", 0, 0, false},
		{"0x", 0, 0, false},
		{"cookie=", 0, 0, false},
		{"resubmit(,9)", 0, 0, false},
		{"table=9, priority=50 actions=drop", 0, 0, false},
		{"0x1f62fff0999558a2f", 0, 0, false},
	} {
		q, err := ParseQuery(tt.in)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrQuery) {
			t.Errorf("%q: %v", tt.in, err)
		}
		if tt.ok && (q.Cookie != tt.cookie || q.Datapath != tt.datapath) {
			t.Errorf("%q: %v", tt.in, q)
		}
	}
}

// What a query prints is read as the same query, whatever it was read from.
func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"0x1", "cookie=0x12,metadata=0x3", " 8. metadata=0x2, priority 50, cookie 0x1429", "cookie 0x1metadata=99999999999", "cookie="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := ParseQuery(s)
		if err != nil {
			if !errors.Is(err, ErrQuery) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if back, err := ParseQuery(q.String()); err != nil || back != q {
			t.Fatalf("%q: %v reads back as %v, %v", s, q, back, err)
		}
	})
}

func TestParseSelector(t *testing.T) {
	const uuid = "2f1e8a60-0000-4000-8000-000000000001"
	vm1 := Object{Table: "Logical_Switch_Port", Name: "vm1", UUID: uuid}
	for _, tt := range []struct {
		in      string
		ok      bool
		matches bool
	}{
		{"port:vm1", true, true},
		{"port:vm2", true, false},
		{"switch:vm1", true, false},
		{"Logical_Switch_Port:vm1", true, true},
		{"Logical_Switch_Port:" + uuid, true, true},
		{"Logical_Switch_Port:2f1e", true, true},
		{"Logical_Switch_Port:2f1", true, false},
		{"port:2f1e8a60", true, true},
		{"port:a:b", true, false},
		{"vm1", false, false},
		{"port:", false, false},
		{":vm1", false, false},
		{"teapot:vm1", false, false},
	} {
		sel, err := ParseSelector(tt.in)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrSelector) {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if tt.ok && sel.Matches(vm1) != tt.matches {
			t.Errorf("%q matches %v: %v", tt.in, vm1, !tt.matches)
		}
	}
}

// A selector that parses prints as one that means the same.
func FuzzParseSelector(f *testing.F) {
	for _, s := range []string{"port:vm1", "Logical_Switch:2f1e8a60", "acl:a:b", ":", "Zz:\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sel, err := ParseSelector(s)
		if err != nil {
			if !errors.Is(err, ErrSelector) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if back, err := ParseSelector(sel.String()); err != nil || back != sel {
			t.Fatalf("%q: %v reads back as %v, %v", s, sel, back, err)
		}
	})
}

func TestTakeFormat(t *testing.T) {
	for _, tt := range []struct {
		in     []string
		format string
		rest   int
		ok     bool
	}{
		{nil, Text, 0, true},
		{[]string{"x"}, Text, 1, true},
		{[]string{"--format=json", "x", "y"}, JSON, 2, true},
		{[]string{"--format=text"}, Text, 0, true},
		{[]string{"--format=html", "x"}, "html", 1, false},
	} {
		format, rest, err := TakeFormat(tt.in)
		if format != tt.format || len(rest) != tt.rest || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %q %q %v", tt.in, format, rest, err)
		}
	}
}

// An origin in text: what it is, whose, where, and the flows with what Open
// vSwitch counted.
func TestOriginText(t *testing.T) {
	o := &Origins{Origins: []Origin{{
		Maker: Northd, Datapath: &Datapath{1, "sw0"}, Stage: &Stage{26, "ls_in_l2_lkup", "ingress", 25},
		Logical: &LogicalFlow{50, "eth.dst == 50:54:00:00:00:01", `outport = "vm1"; output;`},
		Objects: []Object{{"Logical_Switch_Port", "vm1", "u-1"}}, Scope: "hv1",
		Flows: []Flow{{Cookie: "0x1", Table: 33, Priority: 50, Match: "metadata=0x1", Actions: "drop", Guard: "port 2 is here",
			Shadowed: "another flow", Counters: &Count{Packets: 3, Bytes: 294, Duration: 1500 * time.Millisecond}}},
	}, {
		Maker: Port, Purpose: `port "vm2" of datapath 1`, Flows: []Flow{{Cookie: "0x3", Actions: "drop"}},
	}, {
		Maker: Northd, Datapath: &Datapath{Key: 4}, Stage: &Stage{ID: 99},
	}}}
	const want = `sw0 ls_in_l2_lkup (ingress 25), priority=50, match=(eth.dst == 50:54:00:00:00:01), action=(outport = "vm1"; output;)
  from Logical_Switch_Port "vm1" (u-1)
  on hv1
    cookie=0x1, duration=1.500s, table=33, n_packets=3, n_bytes=294, priority=50,metadata=0x1 actions=drop
      only where port 2 is here
      not installed: another flow

chassis: port "vm2" of datapath 1
    cookie=0x3, table=0, priority=0 actions=drop

datapath 4 stage 99
`
	if got, err := String(Text, o); err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	if got, err := String(Text, &Origins{}); err != nil || !strings.Contains(got, "nothing") {
		t.Errorf("no origins: %q, %v", got, err)
	}
	if _, err := String("html", o); !errors.Is(err, ErrFormat) {
		t.Errorf("format html: %v", err)
	}
}

// YAML says what JSON says, in its order, as people write it.
func TestYAML(t *testing.T) {
	at := 3
	p := &Problems{Revision: 7, Problems: []Problem{{Object: Object{Table: "ACL", Name: "true", UUID: "u"}, Column: "match", Value: "a: b", Position: &at, Reason: "why", Effect: Ambiguous}}}
	got, err := String(YAML, p)
	want := `revision: 7
strict: false
problems:
  - table: ACL
    name: "true"
    uuid: u
    column: match
    value: 'a: b'
    position: 3
    reason: why
    effect: ambiguous
`
	if err != nil || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
}

// A chassis lists what came to its controller by name, and leaves out what did not.
func TestHostPunts(t *testing.T) {
	var h Host
	lines := func() string {
		var b strings.Builder
		if err := h.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		_, out, _ := strings.Cut(b.String(), "rounds\n")
		return out
	}
	if got := lines(); got != "packets to the controller: -\n" {
		t.Errorf("without any: %q", got)
	}
	h.Punts = []Punt{{Cause: "arp", Taken: 16}, {Cause: "nd_ns"}, {Cause: "put_nd", Taken: 3, Limited: 2, Malformed: 1}}
	if got, want := lines(), "packets to the controller: arp 16, put_nd 3 (2 over the limit) (1 malformed)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
