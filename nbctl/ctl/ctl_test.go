package ctl

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

func program() *Program {
	return &Program{
		Name: "test", Database: "T", DBEnv: "T_DB", OptionsEnv: "T_OPTIONS", Socket: "t.sock", Waits: true,
		Commands: []Command{
			{Name: "one-add", Min: 1, Max: 2, Args: "A [B]", Options: "--may-exist,--name=,--bfd?", Run: nothing},
			{Name: "many", Min: 0, Max: Unlimited, Run: nothing},
		},
		NotYet: map[string]string{"later": "NAT comes with issue 8"},
		Getenv: func(string) string { return "" },
	}
}

// parseAll reads a command line with its commands.
func parseAll(r *run, args []string) error {
	local, rest, err := r.parse(args)
	if err != nil || r.o.show != "" {
		return err
	}
	r.commands, err = r.p.parseCommands(local, rest)
	return err
}

// Options stand before the command they belong to; "--" separates commands.
func TestParse(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"many", "many"},
		{"one-add x", "one-add x"},
		{"--may-exist one-add x", "one-add x --may-exist="},
		{"--name n one-add x", "one-add x --name=n"},
		{"--name=n --db=unix:/x one-add x", "one-add x --name=n"},
		{"--nam n one-add x", "one-add x --name=n"},
		{"--bfd one-add x", "one-add x --bfd="},
		{"--bfd=u one-add x", "one-add x --bfd=u"},
		{"-- --name=n one-add x -- many a b -- -- many", "one-add x --name=n; many a b; many"},
		{"-t5 many", "many"},
		{"-t 5 -vfoo:dbg many", "many"},
		{"-v many", "many"},
		{"-fjson -d bare many", "many"},
		{"-- --name n one-add x", "error: unknown command 'n'; use --help for help"},
		{"", "error: missing command name (use --help for help)"},
		{"--", "error: missing command name (use --help for help)"},
		{"--may-exist", "error: missing command name (use --help for help)"},
		{"nothing", "error: unknown command 'nothing'; use --help for help"},
		{"later", "error: command 'later' is not there yet (NAT comes with issue 8)"},
		{"--may-exist many", "error: 'many' command has no '--may-exist' option"},
		{"--may-exist=1 one-add x", "error: option '--may-exist=1' doesn't allow an argument"},
		{"-- --may-exist=1 one-add x", "error: '--may-exist' option on 'one-add' does not accept an argument"},
		{"-- --name one-add x", "error: missing argument to '--name' option on 'one-add' command"},
		{"--name", "error: option '--name' requires an argument"},
		{"-t", "error: option '-t' requires an argument"},
		{"--name=a --name=b one-add x", "error: '--name' option specified multiple times"},
		{"--bogus=1 many", "error: unrecognized option '--bogus=1'"},
		{"-x many", "error: unrecognized option 'x'"},
		{"--no many", "error: option '--no' is ambiguous: --no-chdir, --no-headings, --no-leader-only, --no-self-confinement, --no-shuffle-remotes, --no-syslog, --no-wait"},
		{"one-add", "error: 'one-add' command requires at least 1 arguments"},
		{"one-add a b c", "error: 'one-add' command takes at most 2 arguments"},
		{"one-add a b --may-exist", `error: 'one-add' command takes at most 2 arguments (note that options must precede command names and follow a "--" argument)`},
		{"--wait=never many", `error: argument to --wait must be "none", "sb", or "hv"`},
		{"--timeout=x many", "error: value x on -t or --timeout is invalid"},
		{"--format=xml many", `error: unknown output format "xml"`},
	} {
		r := &run{p: program()}
		if got := describe(r, strings.Fields(tt.line)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
}

func TestLeadingNumber(t *testing.T) {
	for s, want := range map[string]int64{
		"": 0, "x": 0, "5000": 5000, "10.0.0.1": 10, " -7s": -7, "+3": 3, "-": 0, "5-3": 5, "99999999999999999999": math.MaxInt64,
	} {
		if got := leadingNumber(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func describe(r *run, args []string) string {
	if err := parseAll(r, args); err != nil {
		return "error: " + err.Error()
	}
	var out []string
	for _, c := range r.commands {
		words := slices.Clone(c.Args)
		for name, value := range c.options {
			words = append(words, name+"="+value)
		}
		out = append(out, strings.Join(words, " "))
	}
	return strings.Join(out, "; ")
}

// Options may come from the environment, and the command line overrides them.
func TestOptionsFromEnvironment(t *testing.T) {
	p := program()
	env := map[string]string{"T_OPTIONS": "--timeout=7 --format=csv", "T_DB": "unix:/env", "OVN_RUNDIR": "/run/x"}
	p.Getenv = func(name string) string { return env[name] }
	r := &run{p: p}
	if err := parseAll(r, []string{"--format=json", "many"}); err != nil {
		t.Fatal(err)
	}
	if r.o.timeout.Seconds() != 7 || r.o.style.Format != "json" || r.o.db != "unix:/env" {
		t.Errorf("timeout %v, format %s, db %s", r.o.timeout, r.o.style.Format, r.o.db)
	}
	env["T_DB"] = ""
	if got := p.remotes(); got != "unix:/run/x/t.sock" {
		t.Errorf("default remote %s", got)
	}
	env["T_OPTIONS"] = "--format=csv stray"
	var stderr bytes.Buffer
	if status := p.Run(t.Context(), []string{"many"}, &stderr, &stderr); status != 1 || stderr.String() != "test: T_OPTIONS: non-option argument 'stray'\n" {
		t.Errorf("status %d, %q", status, stderr.String())
	}
}

func TestRender(t *testing.T) {
	str := ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeString), Min: 1, Max: 1}
	set := ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeInteger), Max: ovsdb.Unlimited}
	table := &Table{Headings: []string{"name", "tags"}, Rows: [][]Cell{
		{{Datum: idl.String("a b"), Type: &str}, {Datum: idl.SetOf(int64(2), int64(1)), Type: &set}},
		{{Text: `x"<`}, {Datum: idl.Datum{}, Type: &set}},
	}}
	for _, tt := range []struct {
		style Style
		want  string
	}{
		{Style{Format: "list", Data: "string"}, "name                : \"a b\"\ntags                : [1, 2]\n\nname                : x\"<\ntags                : []\n"},
		{Style{Format: "list", Data: "bare", NoHeadings: true}, "a b\n1 2\n\nx\"<\n\n"},
		{Style{Format: "table", Data: "string"}, "name  tags\n----- ------\n\"a b\" [1, 2]\nx\"<   []\n"},
		{Style{Format: "csv", Data: "string"}, "name,tags\n\"\"\"a b\"\"\",\"[1, 2]\"\n\"x\"\"<\",[]\n"},
		{Style{Format: "json", Data: "string"}, `{"data":[["a b",["set",[1,2]]],["x\"<",["set",[]]]],"headings":["name","tags"]}` + "\n"},
		{Style{Format: "html", Data: "bare"}, "<table border=1>\n  <tr>\n    <th>name</th>\n    <th>tags</th>\n  </tr>\n  <tr>\n    <td>a b</td>\n    <td>1 2</td>\n  </tr>\n  <tr>\n    <td>x&quot;&lt;</td>\n    <td></td>\n  </tr>\n</table>\n"},
	} {
		if got := table.Render(tt.style, true); got != tt.want {
			t.Errorf("%+v:\n%s\nwant\n%s", tt.style, got, tt.want)
		}
	}
}

func TestBestMatches(t *testing.T) {
	names := []string{"DHCP_Options", "DNS", "Logical_Switch", "Logical_Switch_Port"}
	for _, tt := range []struct{ s, want string }{
		{"dhcp", "DHCP_Options"},
		{"dh", "DHCP_Options"},
		{"d", "DHCP_Options DNS"},
		{"logical-switch", "Logical_Switch"},
		{"LOGICAL_SWITCH_P", "Logical_Switch_Port"},
		{"logical", "Logical_Switch Logical_Switch_Port"},
		{"x", ""},
		{"", ""},
	} {
		if got := strings.Join(bestMatches(names, tt.s), " "); got != tt.want {
			t.Errorf("%q names %q, want %q", tt.s, got, tt.want)
		}
	}
}

// No command line makes the parser panic, and what it accepts has the number of
// arguments that its commands take.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"one-add\x00x", "--name\x00n\x00one-add\x00x\x00--\x00many", "-t5\x00-v\x00--\x00--\x00-", "--=\x00--name=\x00-fjson"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := &run{p: program()}
		if parseAll(r, strings.Split(s, "\x00")) != nil || r.o.show != "" {
			return
		}
		for _, c := range r.commands {
			if n := len(c.Args) - 1; n < c.command.Min || c.command.Max != Unlimited && n > c.command.Max {
				t.Fatalf("%q: %s has %d arguments", s, c.Args[0], n)
			}
		}
	})
}
