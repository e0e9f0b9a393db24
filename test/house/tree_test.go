package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "govn"

// root is the top of the tree.
const root = "../.."

// file is a Go file of the tree.
type file struct {
	path      string // from the top, with slashes
	src       []byte
	ast       *ast.File
	generated bool
}

func (f *file) dir() string  { return path.Dir(f.path) }
func (f *file) test() bool   { return strings.HasSuffix(f.path, "_test.go") }
func (f *file) lines() int   { return bytes.Count(f.src, []byte("\n")) }
func (f *file) name() string { return f.ast.Name.Name }

// tree reads every Go file of the tree.
func tree(t *testing.T) []*file {
	t.Helper()
	var out []*file
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			hidden := strings.HasPrefix(e.Name(), ".") && rel != "."
			if hidden || e.Name() == "testdata" || rel == "bin" || rel == "out" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, rel, src, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, &file{path: rel, src: src, ast: f, generated: ast.IsGenerated(f)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("found only %d files: is the test where it was?", len(out))
	}
	return out
}

func top(p string) string { first, _, _ := strings.Cut(p, "/"); return first }

// allowed reports whether a package may import another one of govn; both are
// paths from the top. ok is false when there is no row for it.
func allowed(dir, imported string) (may, ok bool) {
	i := slices.IndexFunc(rows, func(r row) bool { return r.folder == top(dir) })
	if i < 0 {
		return false, false
	}
	to := top(imported)
	switch {
	case to == rows[i].folder, slices.Contains(rows[i].may, to):
		return true, true
	case slices.Contains(rows[i].may, "*"):
		return to != "cmd", true
	}
	return false, true
}

func TestAllowed(t *testing.T) {
	for _, tt := range []struct {
		dir, imported string
		may, ok       bool
	}{
		{"northd/pipeline", "northd/topology", true, true},
		{"northd", "pkg/ovsdb", true, true},
		{"northd", "controller", false, true},
		{"controller/flows", "northd/fabric", false, true},
		{"controller", "sim/lab", false, true},
		{"pkg/ovsdb", "pkg/treap", true, true},
		{"pkg/ovsdb", "schema", false, true},
		{"schema", "pkg/ovsdb", false, true},
		{"schema", "schema/nb", true, true},
		{"proto", "schema", false, true},
		{"sim/lab", "northd", true, true},
		{"test/e2e", "cmd/govn", false, true},
		{"cmd/govn", "northd", true, true},
		{"new", "northd", false, false},
	} {
		if may, ok := allowed(tt.dir, tt.imported); may != tt.may || ok != tt.ok {
			t.Errorf("allowed(%q, %q) = %v, %v", tt.dir, tt.imported, may, ok)
		}
	}
}

// Packages import what the table allows. Tests of a package keep to it too,
// but may also use what is below test.
func TestImports(t *testing.T) {
	for _, f := range tree(t) {
		for _, spec := range f.ast.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			imported, ours := strings.CutPrefix(p, module+"/")
			if !ours || f.test() && top(imported) == "test" {
				continue
			}
			switch may, ok := allowed(f.dir(), imported); {
			case !ok:
				t.Errorf("%s: folder %q has no row in the import table", f.path, top(f.path))
			case !may:
				t.Errorf("%s imports %s", f.path, imported)
			}
		}
	}
}

// Every package has a doc.go that says what it is.
func TestPackageComments(t *testing.T) {
	docs := map[string]string{}
	files := tree(t)
	for _, f := range files {
		if path.Base(f.path) == "doc.go" {
			docs[f.dir()] = f.ast.Doc.Text()
		}
	}
	for _, f := range files {
		dir := f.dir()
		doc, ok := docs[dir]
		want := "Package " + f.name() + " "
		if f.name() == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		switch {
		case strings.HasSuffix(f.name(), "_test"):
		case !ok:
			t.Errorf("%s: no doc.go", dir)
			docs[dir] = want // once is enough
		case !strings.HasPrefix(doc, want) && doc != want:
			t.Errorf("%s/doc.go: the package comment does not begin with %q", dir, want)
			docs[dir] = want
		}
	}
}

func TestNames(t *testing.T) {
	for _, f := range tree(t) {
		if slices.Contains(vague, f.name()) {
			t.Errorf("%s: package %s: a package is a noun of its subject", f.path, f.name())
		}
	}
}

func TestLength(t *testing.T) {
	for _, f := range tree(t) {
		if n := f.lines(); n > maxLines && !f.generated {
			t.Errorf("%s has %d lines, more than %d: is it one thing?", f.path, n, maxLines)
		}
	}
}

// leftovers are what nobody should find in the tree, sleeps what only a test
// that polls a condition may have.
var (
	leftovers = regexp.MustCompile(`\bTODO\b|\bFIXME\b|\bt\.Skip`)
	sleeps    = regexp.MustCompile(`\btime\.Sleep\(`)
)

func TestNothingLeftOver(t *testing.T) {
	for _, f := range tree(t) {
		if f.generated {
			continue
		}
		for i, line := range strings.Split(string(f.src), "\n") {
			w := leftovers.FindString(line)
			if w == "" && !f.test() {
				w = sleeps.FindString(line)
			}
			if w != "" && f.path != "test/house/tree_test.go" {
				t.Errorf("%s:%d: %s", f.path, i+1, w)
			}
		}
	}
}
