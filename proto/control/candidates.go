package control

import (
	"io"
	"iter"
	"slices"
	"strings"
)

// maxCandidates bounds what a shell is offered at once.
const maxCandidates = 1000

// Candidates are the selectors that begin with a word, for a shell to complete.
type Candidates []string

// WriteText writes a line for each.
func (c Candidates) WriteText(w io.Writer) error {
	e := errWriter{w: w}
	for _, one := range c {
		e.printf("%s\n", one)
	}
	return e.err
}

// Complete returns how the word may go on so that it selects one of the objects:
// with KIND: as long as it has no colon, then with the names; an object without a
// name goes by its UUID. They are in order, and no more than a person reads.
func Complete(word string, objects iter.Seq[Object]) Candidates {
	short := make(map[string]string, len(kinds))
	for kind, table := range kinds {
		short[table] = kind
	}
	kind, _, named := strings.Cut(word, ":")
	found := make(map[string]bool)
	for o := range objects {
		one := o.Table
		if s := short[o.Table]; s != "" && (!named || kind != o.Table) {
			one = s
		}
		one += ":"
		if named {
			name := o.Name
			if name == "" {
				name = o.UUID
			}
			one += name
		}
		if strings.HasPrefix(one, word) {
			found[one] = true
		}
	}
	all := make(Candidates, 0, len(found))
	for one := range found {
		all = append(all, one)
	}
	slices.Sort(all)
	return all[:min(len(all), maxCandidates)]
}
