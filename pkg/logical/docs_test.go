package logical

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Rule: docs/flow-language.md lists every symbol and names every action, and
// marks the symbols that OVN 23.03 does not know.
func TestDocsAreComplete(t *testing.T) {
	b, err := os.ReadFile("../../docs/flow-language.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	_, symbols, _ := strings.Cut(doc, "## Symbols")
	for _, name := range Default().Names() {
		if !strings.Contains(symbols, "`"+name+"`") {
			t.Errorf("symbol %s is missing", name)
		}
	}
	for _, m := range regexp.MustCompile("`([a-z_0-9.]+)`").FindAllStringSubmatch(symbols, -1) {
		if Default().Lookup(m[1]) == nil && m[1] != "ovn-trace" {
			t.Errorf("%s is no symbol", m[1])
		}
	}
	names := []string{string(CTLBDefault), string(CTLBMark), string(CTLBMarkLocal)}
	for f := range functions {
		names = append(names, string(f))
	}
	for f := range options {
		names = append(names, string(f))
	}
	for f := range nests {
		names = append(names, string(f))
	}
	for _, name := range names {
		if !regexp.MustCompile(`[^a-z_0-9]` + regexp.QuoteMeta(name) + `[^a-z_0-9]`).MatchString(doc) {
			t.Errorf("action %s is missing", name)
		}
	}
}

// Rule: exactly the symbols with a star are unknown to stock ovn-trace.
func TestDocsMarkNewSymbols(t *testing.T) {
	b, err := os.ReadFile("../../docs/flow-language.md")
	if err != nil {
		t.Fatal(err)
	}
	_, symbols, _ := strings.Cut(string(b), "## Symbols")
	ops := []any{insert("SB_Global", row{}), datapathRow(0)}
	matches := map[string]string{}
	for i, name := range Default().Names() {
		f := Default().Lookup(name)
		match, actions := name+" == 0", "next;"
		switch {
		case f.Kind == String:
			match = name + ` == "a"`
		case f.Predicate != "":
			match = name
		case f.Write == WritableInICMP4:
			match, actions = "1", "icmp4_error { "+name+" = 0; };"
		case f.Write == WritableInICMP6:
			match, actions = "1", "icmp6_error { "+name+" = 0; };"
		}
		matches[name] = match
		if match == "1" {
			matches[name] = actions
		}
		ops = append(ops, flowRow(0, 0, i, match, actions))
	}
	complaints := strings.Join(startOracle(t, ops).complaints(), "")
	for name, text := range matches {
		refused := strings.Contains(complaints, "|"+text+": parsing")
		if marked := strings.Contains(symbols, "`"+name+"`*"); marked != refused {
			t.Errorf("%s: marked %v, ovn-trace refuses it %v", name, marked, refused)
		}
	}
}
