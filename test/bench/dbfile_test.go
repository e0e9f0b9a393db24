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

// A file is replayed: inserts, differences of sets and maps, deletions.
func TestReadDB(t *testing.T) {
	var b strings.Builder
	for _, record := range []string{
		`{"name":"OVN_Northbound","tables":{}}`,
		`{"_date":1,"Logical_Switch":{"u1":{"name":"sw0","ports":["set",[["uuid","a"],["uuid","b"]]],"other_config":["map",[["k","1"],["l","2"]]]},"u2":{"name":"sw1"}}}`,
		`{"_date":2,"_is_diff":true,"_comment":"x","Logical_Switch":{"u1":{"name":"sw9","ports":["set",[["uuid","b"],["uuid","c"]]],"other_config":["map",[["k","3"],["l","2"],["m","4"]]]}}}`,
		`{"_date":3,"Logical_Switch":{"u2":null,"u1":{"name":"sw10"}}}`,
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
	uuid := func(u string) any { return []any{"uuid", u} }
	want := database{"Logical_Switch": {"u1": {
		"name":         "sw10",
		"ports":        []any{"set", []any{uuid("a"), uuid("c")}},
		"other_config": []any{"map", []any{[]any{"k", "3"}, []any{"m", "4"}}},
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
