package interop

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// verbPattern is a line of the help that begins with a verb: two spaces, a word
// in lower case, then arguments or a description.
var verbPattern = regexp.MustCompile(`(?m)^  ([a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?: |$)`)

// stockVerbs are the verbs that a stock program's help lists.
func stockVerbs(t *testing.T, program string) []string {
	t.Helper()
	help, err := exec.Command(program, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	commands, _, _ := strings.Cut(string(help), "\nOptions:")
	// What follows the heading names tables and columns.
	head, tail, _ := strings.Cut(commands, "Database commands may reference")
	_, sync, _ := strings.Cut(tail, "Synchronization command")
	var verbs []string
	for _, m := range verbPattern.FindAllStringSubmatch(head+sync, -1) {
		verbs = append(verbs, m[1])
	}
	slices.Sort(verbs)
	return slices.Compact(verbs)
}

// Every verb of the stock programs is there, or listed as not there yet.
func TestVerbs(t *testing.T) {
	for name, p := range programs() {
		verbs := stockVerbs(t, "ovn-"+name+"ctl")
		if want := map[string]int{"nb": 110, "sb": 20, "ic-nb": 20, "ic-sb": 17}[name]; len(verbs) < want {
			t.Errorf("found only %d verbs in the help of ovn-%sctl: is it read right? %v", len(verbs), name, verbs)
		}
		var have []string
		for _, c := range p.All() {
			have = append(have, c.Name)
		}
		missing := 0
		for _, v := range verbs {
			_, notYet := p.NotYet[v]
			switch there := slices.Contains(have, v); {
			case there && notYet:
				t.Errorf("%s %s is there, and listed as not there", p.Name, v)
			case !there && !notYet:
				t.Errorf("%s %s is neither there nor listed as not there yet", p.Name, v)
			case notYet:
				missing++
			}
		}
		for v := range p.NotYet {
			if !slices.Contains(verbs, v) {
				t.Errorf("%s %s is listed as not there yet, and the stock program has no such verb", p.Name, v)
			}
		}
		t.Logf("%s: %d of %d verbs of the stock program", p.Name, len(verbs)-missing, len(verbs))
	}
}

// Every verb is exercised by a script, in both programs' hands.
func TestScriptsUseEveryVerb(t *testing.T) {
	uses := scriptUses(t)
	for name, p := range programs() {
		for _, c := range p.All() {
			if uses[name+" "+c.Name] == 0 && !slices.Contains(additions[name], c.Name) {
				t.Errorf("no script runs govn %sctl %s", name, c.Name)
			}
		}
	}
}
