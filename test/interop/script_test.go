package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"govn/nbctl"
	"govn/nbctl/ctl"
	"govn/nbctl/icctl"
	"govn/nbctl/sbctl"
	"govn/pkg/eventually"
	"govn/pkg/ovsdb"
	"govn/schema"
)

// backend is a database server with a program that talks to it.
type backend struct {
	name   string
	remote map[string]string // by program: nb, sb, ic-nb, ic-sb
	run    func(ctx context.Context, program string, args []string) (stdout, stderr string, status int)
	vars   map[string]string
}

// stockServer runs ovsdb-server with fresh databases.
func stockServer(t testing.TB) map[string]string {
	t.Helper()
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	args := []string{"--remote=punix:" + sock, "--unixctl=" + filepath.Join(dir, "ctl"), "-vconsole:off", "--log-file=" + filepath.Join(dir, "log")}
	remotes := map[string]string{}
	for name := range programs() {
		remotes[name] = "unix:" + sock
		db := filepath.Join(dir, name+".db")
		out, err := exec.Command("ovsdb-tool", "create", db, "/usr/share/ovn/ovn-"+name+".ovsschema").CombinedOutput()
		if err != nil {
			t.Fatalf("ovsdb-tool: %v\n%s", err, out)
		}
		args = append(args, db)
	}
	cmd := exec.Command("ovsdb-server", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	awaitSocket(t, sock)
	return remotes
}

func awaitSocket(t testing.TB, sock string) {
	t.Helper()
	eventually.That(t, "an answer at "+sock, func() bool {
		conn, err := net.Dial("unix", sock)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// govnServer serves the databases by pkg/ovsdb.
func govnServer(t testing.TB) map[string]string {
	t.Helper()
	var dbs []ovsdb.Database
	for _, d := range []*schema.Database{schema.Northbound(), schema.Southbound(), schema.ICNorthbound(), schema.ICSouthbound()} {
		parsed, err := ovsdb.ParseSchema(d.JSON())
		if err != nil {
			t.Fatal(err)
		}
		dbs = append(dbs, ovsdb.Database{Schema: parsed})
	}
	quiet := slog.New(slog.DiscardHandler)
	store, err := ovsdb.Open(t.Context(), ovsdb.NewMemoryEngine(), dbs, ovsdb.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(t.TempDir(), "s")
	l, err := ovsdb.ListenRemote("punix:" + sock)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { ovsdb.NewServer(store, ovsdb.ServerOptions{Logger: quiet}).Serve(ctx, l) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		store.Close()
	})
	remotes := map[string]string{}
	for name := range programs() {
		remotes[name] = "unix:" + sock
	}
	return remotes
}

func programs() map[string]*ctl.Program {
	return map[string]*ctl.Program{"nb": nbctl.Program(), "sb": sbctl.Program(), "ic-nb": icctl.Northbound(), "ic-sb": icctl.Southbound()}
}

// programOf splits a line of a script into the program and its arguments: "sb
// show" is of the southbound one, what begins with no program's name of the
// northbound one.
func programOf(line string) (program, rest string) {
	word, rest, _ := strings.Cut(line, " ")
	if programs()[word] != nil && word != "nb" {
		return word, rest
	}
	return "nb", line
}

// prefixOf is what lines of a script for a program begin with.
func prefixOf(program string) string {
	if program == "nb" {
		return ""
	}
	return program + " "
}

// ours runs govn's programs in this process.
func ours(remote map[string]string) func(context.Context, string, []string) (string, string, int) {
	return func(ctx context.Context, program string, args []string) (string, string, int) {
		p := programs()[program]
		p.Getenv = func(name string) string {
			if name == p.DBEnv {
				return remote[program]
			}
			return ""
		}
		var stdout, stderr bytes.Buffer
		status := p.Run(ctx, args, &stdout, &stderr)
		return stdout.String(), stderr.String(), status
	}
}

// stock runs the programs of OVN.
func stock(remote map[string]string) func(context.Context, string, []string) (string, string, int) {
	return func(ctx context.Context, program string, args []string) (string, string, int) {
		cmd := exec.CommandContext(ctx, "ovn-"+program+"ctl", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OVN_NB_DB=" + remote["nb"], "OVN_SB_DB=" + remote["sb"],
			"OVN_IC_NB_DB=" + remote["ic-nb"], "OVN_IC_SB_DB=" + remote["ic-sb"], "OVN_RUNDIR=/nonexistent"}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return "", err.Error(), -1
		}
		status := cmd.ProcessState.ExitCode()
		if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
			status = 128 + int(w.Signal()) // as a shell says it
		}
		return stdout.String(), stderr.String(), status
	}
}

var (
	uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	logPattern  = regexp.MustCompile(`(?m)^.*\|\d{5}\|.*\n`)
	varPattern  = regexp.MustCompile(`\$\{(\w+)\}`)
	namePattern = regexp.MustCompile(`(?m)^(ovn-|govn )((?:ic-)?[ns]b)ctl`)
)

// orderPattern is where two rows violate an index; which is the first is chance.
var orderPattern = regexp.MustCompile(`First row, with UUID .*?\.  Second row, with UUID .*?transaction\.`)

// uuidStartPattern is the beginning of a UUID as lflow-list --uuid prints it.
var uuidStartPattern = regexp.MustCompile(`uuid=0x[0-9a-f]{8}\b`)

// enumPattern lists the allowed values: govn's schema is that of a later version
// of OVN, and its server names the column as well.
var enumPattern = regexp.MustCompile(`is not one of the allowed values \(\[.*?\]\)( \(column .*?\))?`)

// normal hides what differs between two runs of one program.
func normal(s string) string {
	s = uuidPattern.ReplaceAllString(s, "<uuid>")
	s = uuidStartPattern.ReplaceAllString(s, "uuid=<start>")
	s = enumPattern.ReplaceAllString(s, "is not one of the allowed values")
	s = orderPattern.ReplaceAllString(s, "...")
	return namePattern.ReplaceAllString(s, "${2}ctl")
}

// warningPattern are lines that the stock programs write as log messages.
var warningPattern = regexp.MustCompile(`(?m)^[\w-]+ctl: (warning: |terminating with signal).*\n`)

// caretPattern are the lines below a message that point at the place.
var caretPattern = regexp.MustCompile(`(?m)^  .*\n`)

// unordered sorts what has no order: blocks separated by empty lines, and lines, each with the lines below it that are indented further.
func unordered(s string) string {
	blocks := slices.DeleteFunc(strings.Split(strings.Trim(s, "\n"), "\n\n"), func(b string) bool { return strings.TrimSpace(b) == "" })
	if len(blocks) > 1 {
		for i, b := range blocks {
			blocks[i] = strings.Join(sortTree(strings.SplitAfter(strings.Trim(b, "\n")+"\n", "\n")), "")
		}
		slices.Sort(blocks)
		return strings.Join(blocks, "\n\n") + "\n"
	}
	return strings.Join(sortTree(strings.SplitAfter(s, "\n")), "")
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func sortTree(lines []string) []string {
	var trees []string
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && indent(lines[n]) > indent(lines[0]) {
			n++
		}
		trees = append(trees, lines[0]+strings.Join(sortTree(lines[1:n]), ""))
		lines = lines[n:]
	}
	slices.Sort(trees)
	return trees
}

// words splits a line as a shell does.
func words(t testing.TB, line string) []string {
	t.Helper()
	var out []string
	var word []byte
	open, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == '\'':
			word = append(word, c)
		case c == '\\' && i+1 < len(line) && (quote == 0 || strings.IndexByte("\\\"", line[i+1]) >= 0):
			i++
			word, open = append(word, line[i]), true
		case quote == '"':
			word = append(word, c)
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == ' ':
			if open {
				out, word, open = append(out, string(word)), nil, false
			}
		default:
			word, open = append(word, c), true
		}
	}
	if quote != 0 {
		t.Fatalf("a quote is not closed: %s", line)
	}
	if open {
		out = append(out, string(word))
	}
	return out
}

type stockTable struct{ Columns map[string]any }

// stockTables are the tables of the stock schema; govn's has some more, of later
// versions.
func stockTables(t testing.TB, database string) map[string]stockTable {
	t.Helper()
	b, err := os.ReadFile("/usr/share/ovn/" + map[string]string{
		"OVN_Northbound": "ovn-nb", "OVN_Southbound": "ovn-sb", "OVN_IC_Northbound": "ovn-ic-nb", "OVN_IC_Southbound": "ovn-ic-sb",
	}[database] + ".ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Tables map[string]stockTable }
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s.Tables
}

// dump returns the rows of all tables, with UUIDs replaced by names made of
// what the rows hold.
func dump(t testing.TB, remote, database string) string {
	t.Helper()
	var request bytes.Buffer
	ops := []any{database}
	tables := stockTables(t, database)
	names := slices.Sorted(maps.Keys(tables))
	for _, name := range names {
		columns := append(slices.Collect(maps.Keys(tables[name].Columns)), "_uuid")
		ops = append(ops, map[string]any{"op": "select", "table": name, "where": []any{}, "columns": columns})
	}
	if err := json.NewEncoder(&request).Encode(ops); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ovsdb-client", "transact", remote, request.String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	var results []*struct{ Rows []map[string]json.RawMessage }
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(results) != len(names) {
		t.Fatalf("not all tables can be read: %s", out)
	}
	rows, label := map[string]string{}, map[string]string{}
	for i, r := range results {
		for _, row := range r.Rows {
			u := uuidPattern.FindString(string(row["_uuid"]))
			delete(row, "_uuid")
			b, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			rows[u] = names[i] + " " + string(b)
		}
	}
	// A row's label is what it holds, with the labels of what it refers to;
	// some rounds reach as far as references go.
	for range 5 {
		next := map[string]string{}
		for u, text := range rows {
			next[u] = resolve(text, label)
		}
		for u, text := range next {
			label[u] = fmt.Sprintf("<%x>", hash(text))
		}
	}
	var lines []string
	for _, text := range rows {
		lines = append(lines, resolve(text, label))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

var setPattern = regexp.MustCompile(`\["set",\[(\["uuid","[^"]*"\],?)+\]\]`)

// resolve replaces UUIDs by labels, and sorts sets of them.
func resolve(text string, label map[string]string) string {
	text = uuidPattern.ReplaceAllStringFunc(text, func(u string) string { return label[u] })
	return setPattern.ReplaceAllStringFunc(text, func(s string) string {
		refs := regexp.MustCompile(`\["uuid","[^"]*"\]`).FindAllString(s, -1)
		slices.Sort(refs)
		return fmt.Sprint(refs)
	})
}

func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// Every script is the same for the stock program on a stock server, ours on a
// stock server and ours on govn's server.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.script")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".script"), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runScript(t, string(b), nil)
		})
	}
}

// scriptLines are the lines of all scripts.
func scriptLines(t *testing.T) (out []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.script")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			if !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
	}
	return out
}

// runScript runs a script with variables beside those that it sets.
func runScript(t *testing.T, script string, vars map[string]string) {
	s, o, g := stockServer(t), stockServer(t), govnServer(t)
	backends := []*backend{
		{name: "stock", remote: s, run: stock(s), vars: map[string]string{}},
		{name: "ours on ovsdb-server", remote: o, run: ours(o), vars: map[string]string{}},
		{name: "ours on govn", remote: g, run: ours(g), vars: map[string]string{}},
	}
	for _, b := range backends {
		maps.Copy(b.vars, vars)
	}
	runOn(t, backends, script)
}

// databaseOf are the databases of the programs.
var databaseOf = map[string]string{"nb": "OVN_Northbound", "sb": "OVN_Southbound", "ic-nb": "OVN_IC_Northbound", "ic-sb": "OVN_IC_Southbound"}

// runOn runs a script on each backend and compares them with the first one.
func runOn(t *testing.T, backends []*backend, script string) {
	t.Helper()
	for n, line := range strings.Split(script, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		runLine(t, backends, n+1, line)
	}
	for program, remote := range backends[0].remote {
		want := dump(t, remote, databaseOf[program])
		for _, b := range backends[1:] {
			if diff := cmp.Diff(want, dump(t, b.remote[program], databaseOf[program])); diff != "" {
				t.Errorf("%s: %s differs (-stock +ours):\n%s", b.name, databaseOf[program], diff)
			}
		}
	}
}

var assignPattern = regexp.MustCompile(`^(\w+) = (.*)$`)

func runLine(t *testing.T, backends []*backend, n int, line string) {
	sorted, statusOnly, keep, text := false, false, "", line
	if rest, ok := strings.CutPrefix(text, "? "); ok {
		statusOnly, text = true, rest
	}
	if rest, ok := strings.CutPrefix(text, "~ "); ok {
		sorted, text = true, rest
	}
	if m := assignPattern.FindStringSubmatch(text); m != nil {
		keep, text = m[1], m[2]
	}
	program, text := programOf(text)
	var want string
	for i, b := range backends {
		args := words(t, varPattern.ReplaceAllStringFunc(text, func(v string) string {
			value, ok := b.vars[v[2:len(v)-1]]
			if !ok {
				t.Fatalf("line %d: %s is not set", n, v)
			}
			return value
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		stdout, stderr, status := b.run(ctx, program, args)
		cancel()
		if keep != "" {
			b.vars[keep] = strings.TrimSpace(stdout)
		}
		stderr = warningPattern.ReplaceAllString(caretPattern.ReplaceAllString(normal(logPattern.ReplaceAllString(stderr, "")), ""), "")
		out := normal(stdout)
		if sorted {
			out = unordered(out)
		}
		got := fmt.Sprintf("status %d\n%s--\n%s", status, out, stderr)
		if statusOnly {
			got = fmt.Sprintf("status %d, a message: %t", status, stderr != "")
		}
		if i == 0 {
			want = got
		} else if got != want {
			t.Errorf("line %d: %s\n%s (-stock +ours):\n%s", n, line, b.name, cmp.Diff(want, got))
		}
	}
}
