package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFrames(t *testing.T) {
	want := []string{`{"a":[1,{"b":"}"}]}`, `{}`, `{"c":"\"}{\\"}`, `{"d":"\\\\","e":["]"]}`}
	stream := ""
	for _, m := range want {
		stream += m
	}
	f := frames{r: iotest.OneByteReader(strings.NewReader(stream))}
	for _, m := range want {
		if got, err := f.next(); err != nil || string(got) != m {
			t.Errorf("%q, %v; want %q", got, err, m)
		}
	}
	if _, err := f.next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestOVSDB runs a little of the comparison, with both servers.
func TestOVSDB(t *testing.T) {
	if err := measureOVSDB(t.Context(), []string{"-n", "20", "-repeat", "1", "-only", "insert a port, 8 clients, 1 switch", "-ports", "0"}); err != nil {
		t.Error(err)
	}
}
