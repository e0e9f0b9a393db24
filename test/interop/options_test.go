package interop

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stockLines is what a stock program prints with one option, by line, sorted.
func stockLines(t *testing.T, program, option string) []string {
	t.Helper()
	out, err := exec.Command("ovn-"+program+"ctl", option).Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(strings.SplitSeq(strings.TrimSpace(string(out)), "\n"))
}

// localPattern is an option of a verb in the output of --commands.
var localPattern = regexp.MustCompile(`\[(--[a-z-]+)([=?]?)\]`)

// The verbs with their options, and the options of the command line, are listed
// as the stock programs list them, for the completion scripts that read that;
// and what is listed is there.
func TestOptionsAreThoseOfStock(t *testing.T) {
	for name, p := range programs() {
		kinds := map[string]map[string]string{}
		for _, line := range stockLines(t, name, "--commands") {
			options, rest, _ := strings.Cut(line, ",")
			verb, _, _ := strings.Cut(rest, ",")
			kinds[verb] = map[string]string{}
			for _, m := range localPattern.FindAllStringSubmatch(options, -1) {
				kinds[verb][m[1]] = m[2]
			}
		}
		have := map[string]bool{}
		for _, c := range p.All() {
			have[c.Name] = true
		}
		for verb := range kinds {
			if !have[verb] {
				t.Errorf("%sctl has no verb %s", name, verb)
			}
		}
		for _, c := range p.All() {
			want, there := kinds[c.Name]
			if !there {
				if !slices.Contains(additions[name], c.Name) {
					t.Errorf("%sctl %s: no such verb of the stock program", name, c.Name)
				}
				continue
			}
			have := map[string]string{}
			for o := range strings.SplitSeq(c.Options, ",") {
				if o != "" {
					bare := strings.TrimRight(o, "=?")
					have[bare] = o[len(bare):]
				}
			}
			for o, kind := range want {
				if k, ok := have[o]; !ok || k != kind {
					t.Errorf("%sctl %s: option %s%s is %q here, %t", name, c.Name, o, kind, k, ok)
				}
			}
			for o := range have {
				if _, ok := want[o]; !ok {
					t.Errorf("%sctl %s: the stock program has no %s", name, c.Name, o)
				}
			}
		}
		ours := ours(map[string]string{})
		for _, option := range []string{"--commands", "--options"} {
			out, _, status := ours(t.Context(), name, []string{option})
			have := strings.Split(strings.TrimSpace(out), "\n")
			if status != 0 {
				t.Errorf("%sctl %s: status %d", name, option, status)
			}
			for i := range have {
				have[i] = withoutArguments(have[i])
			}
			for _, line := range stockLines(t, name, option) {
				if line = withoutArguments(line); !slices.Contains(have, line) {
					t.Errorf("%sctl %s does not print %q", name, option, line)
				}
			}
		}
	}
}

// withoutArguments is a line of --commands without the arguments, which are
// described in other words.
func withoutArguments(line string) string {
	if i := strings.LastIndexByte(line, ','); i >= 0 {
		return line[:i]
	}
	return line
}

// additions are the verbs that govn has and the stock programs have not.
var additions = map[string][]string{"nb": {"watch"}, "sb": {"watch"}, "ic-nb": {"watch"}, "ic-sb": {"watch"}}

// scriptUses is how often scripts use each verb with each option, as
// "PROGRAM VERB OPTION"; of the command line as a whole the verb is "".
func scriptUses(t *testing.T) map[string]int {
	t.Helper()
	uses := map[string]int{}
	for _, line := range scriptLines(t) {
		line = strings.TrimPrefix(strings.TrimPrefix(line, "? "), "~ ")
		if m := assignPattern.FindStringSubmatch(line); m != nil {
			line = m[2]
		}
		name, line := programOf(line)
		verbs := map[string]bool{}
		for _, c := range programs()[name].All() {
			verbs[c.Name] = true
		}
		var options []string
		done := false
		for _, word := range words(t, varPattern.ReplaceAllString(line, "x")) {
			switch {
			case word == "--":
				options, done = nil, false
			case done:
			case verbs[word]:
				uses[name+" "+word]++
				for _, o := range options {
					uses[name+" "+word+" "+o]++
				}
				done = true
			case strings.HasPrefix(word, "-"):
				o, value, given := strings.Cut(word, "=")
				if given {
					o += "="
					uses[name+"  "+o+value]++
				}
				options = append(options, o)
				uses[name+"  "+o]++
			}
		}
	}
	return uses
}

// Every option of every verb is used in a script, so that both programs run it,
// with and without its value where that may be left out.
func TestScriptsUseEveryOption(t *testing.T) {
	uses := scriptUses(t)
	for name, p := range programs() {
		for _, c := range p.All() {
			if slices.Contains(additions[name], c.Name) {
				continue
			}
			for o := range strings.SplitSeq(c.Options, ",") {
				if o == "" {
					continue
				}
				bare := strings.TrimRight(o, "=?")
				var want []string
				switch o[len(bare):] {
				case "":
					want = []string{bare}
				case "=":
					want = []string{bare + "="}
				case "?":
					want = []string{bare, bare + "="}
				}
				for _, w := range want {
					if uses[name+" "+c.Name+" "+w] == 0 {
						t.Errorf("no script runs %sctl %s %s", name, w, c.Name)
					}
				}
			}
		}
	}
}
