package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What ping prints is read into gaps: the usual interval is none, and a reply that
// comes late is not lost.
func TestGap(t *testing.T) {
	const text = `PING 172.16.0.9 (172.16.0.9) 56(84) bytes of data.
[100.000000] 64 bytes from 172.16.0.9: icmp_seq=1 ttl=63 time=0.5 ms
[100.010000] 64 bytes from 172.16.0.9: icmp_seq=2 ttl=63 time=0.5 ms
[101.020000] 64 bytes from 172.16.0.9: icmp_seq=92 ttl=63 time=0.5 ms
From 10.0.0.254 icmp_seq=93 Destination Host Unreachable
[101.030000] 64 bytes from 172.16.0.9: icmp_seq=91 ttl=63 time=25 ms
[101.040000] 64 bytes from 172.16.0.9: icmp_seq=94 ttl=63 time=0.5 ms
`
	file := filepath.Join(t.TempDir(), "ping.txt")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &pinging{file: file}
	for _, tc := range []struct {
		since float64
		want  gap
	}{
		{0, gap{outage: time.Second, lost: 89}},
		{100.015, gap{outage: time.Second, lost: 89}}, // from the last reply before
		{101.025, gap{lost: 1}},
		{200, gap{}},
	} {
		list, err := p.replies(time.UnixMicro(int64(tc.since * 1e6)))
		if err != nil {
			t.Fatal(err)
		}
		if got := gapOf(list); got != tc.want {
			t.Errorf("since %v: %+v, want %+v", tc.since, got, tc.want)
		}
	}
}

func TestColumns(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, tc := range []struct {
		list []gap
		want string
	}{
		{nil, "- | - | - | -"},
		{[]gap{{outage: ms(30), lost: 1}, {outage: ms(10), lost: 3}, {outage: ms(20), lost: 2}}, "20 | 30 | 2 | 3"},
		{[]gap{{outage: ms(15000), never: true}, {outage: ms(20), lost: 2}}, "20 | > 15000 | - | -"},
	} {
		if got := columns(tc.list); got != tc.want {
			t.Errorf("columns(%v) = %q, want %q", tc.list, got, tc.want)
		}
	}
}
