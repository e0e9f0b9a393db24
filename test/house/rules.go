package house

// row says what the packages below a folder may import of govn.
type row struct {
	folder string
	may    []string // folders; their own is always allowed
}

// rows is the import table of docs/architecture.md. "*" is everything but cmd.
var rows = []row{
	{"cmd", []string{"*"}},
	{"schema", nil},
	{"proto", nil},
	{"pkg", nil},
	{"northd", []string{"schema", "proto", "pkg"}},
	{"controller", []string{"schema", "proto", "pkg"}},
	{"ic", []string{"schema", "proto", "pkg"}},
	{"nbctl", []string{"schema", "pkg"}},
	{"sim", []string{"*"}},
	{"test", []string{"*"}},
}

// vague are names that say nothing about a package.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "shared"}

// maxLines is the greatest length of a file that a person wrote.
const maxLines = 600
