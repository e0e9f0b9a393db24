package main

import (
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A file is read as its rows are at the end.
func TestReadDB(t *testing.T) {
	const u1, u2, a = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", "00000000-0000-4000-8000-00000000000a"
	var b strings.Builder
	for _, record := range []string{
		`{"name":"OVN_Northbound","version":"7.0.0","tables":{"Logical_Switch":{"columns":{"name":{"type":"string"},"ports":{"type":{"key":"uuid","min":0,"max":"unlimited"}},"other_config":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}}}}}}`,
		`{"_date":1,"Logical_Switch":{"` + u1 + `":{"name":"sw0","ports":["uuid","` + a + `"],"other_config":["map",[["k","1"],["l","2"]]]},"` + u2 + `":{"name":"sw1"}}}`,
		`{"_date":2,"_is_diff":true,"Logical_Switch":{"` + u2 + `":null,"` + u1 + `":{"name":"sw9","other_config":["map",[["l","2"]]]}}}`,
	} {
		fmt.Fprintf(&b, "OVSDB JSON %d %x\n%s\n", len(record)+1, sha1.Sum([]byte(record+"\n")), record)
	}
	path := filepath.Join(t.TempDir(), "nb.db")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := readDB(path)
	if err != nil {
		t.Fatal(err)
	}
	want := database{"Logical_Switch": {u1: {
		"name":         "sw9",
		"ports":        []any{"uuid", a},
		"other_config": []any{"map", []any{[]any{"k", "1"}}},
	}}}
	if diff := cmp.Diff(want, db); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(path, []byte(b.String()[:len(b.String())/2]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readDB(path); err == nil {
		t.Error("half a file is read without an error")
	}
}

// References to rows of the file become symbolic, others stay.
func TestRename(t *testing.T) {
	got := rename([]any{"set", []any{[]any{"uuid", "a-b"}, []any{"uuid", "c-d"}}}, func(u string) bool { return u == "a-b" })
	want := []any{"set", []any{[]any{"named-uuid", "ra_b"}, []any{"uuid", "c-d"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
