package topology

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"govn/pkg/northbound"
	"govn/schema"
)

// sources are the Go sources of northd and of the controller, without tests and
// without the list itself.
func sources(t *testing.T, folders ...string) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "notcompiled.go") {
				return err
			}
			b, err := os.ReadFile(path)
			all.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// A table is read by northd, or listed as not compiled; of the tables that are
// read, each documented key is read, listed, or asks for nothing.
func TestNotCompiledIsTrue(t *testing.T) {
	northd := sources(t, "..")
	for _, table := range schema.Northbound().Tables {
		read := strings.Contains(northd, `"`+table.Name+`"`)
		_, listed := notCompiled[table.Name]
		switch {
		case read && listed:
			t.Errorf("%s is read, and listed as not compiled", table.Name)
		case !read && !listed && !served[table.Name]:
			t.Errorf("%s is neither read nor listed as not compiled", table.Name)
		}
	}
	readers := sources(t, "..", "../../controller", "../../ic/agent")
	for _, k := range northbound.Keys() {
		if _, not := notCompiled[k.Table]; not || served[k.Table] || northbound.Open(k.Table, k.Column) {
			continue
		}
		read := strings.Contains(readers, `"`+k.Name+`"`)
		_, listed := notCompiledKeys[[3]string{k.Table, k.Column, k.Name}]
		switch {
		case read && listed && !elsewhere[k.Name]:
			t.Errorf("%s %s:%s is read, and listed as not compiled", k.Table, k.Column, k.Name)
		case !read && !listed && !idle[k.Name]:
			t.Errorf("%s %s:%s is neither read nor listed as not compiled", k.Table, k.Column, k.Name)
		}
	}
	for k := range notCompiledKeys {
		if _, ok := northbound.Find(k[0], k[1], k[2]); !ok {
			t.Errorf("%v is listed as not compiled, and not documented", k)
		}
	}
}

// served are tables that the database server reads, those without a meaning of
// their own, and those of versions after 23.03, of which the schema has the names.
var served = map[string]bool{"Connection": true, "SSL": true, "Meter_Band": true, "Sample": true, "Sample_Collector": true, "Sampling_App": true,
	"Network_Function": true, "Network_Function_Group": true, "Network_Function_Health_Check": true, "ACL_Sample": true, "Mirror_Rule": true,
	"Logical_Switch_Port_Health_Check": true, "DHCP_Relay": true}

// elsewhere are words that the sources have for something else: mcast_flood of
// router ports, whose lint names what it asks for.
var elsewhere = map[string]bool{"prefix": true, "hostname": true, "mcast_flood": true}
