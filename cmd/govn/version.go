package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"govn/schema"
)

// version is that of the next release.
const version = "0.1.0"

// versionString is the version and the commit that the binary was built from.
func versionString() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	var rev, dirty string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			rev = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+"
			}
		}
	}
	if len(rev) < 12 {
		return version
	}
	return version + "-" + rev[:12] + dirty
}

// versionText is what "govn version" and "govn --version" print.
func versionText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "govn %s\n", versionString())
	for _, d := range []*schema.Database{schema.Northbound(), schema.Southbound(), schema.ICNorthbound(), schema.ICSouthbound()} {
		fmt.Fprintf(&b, "%s %s\n", d.Name, d.Version)
	}
	fmt.Fprintf(&b, "%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return b.String()
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of govn and of the databases it serves",
		Args:  arguments(0, 0),
		Run:   func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), versionText()) },
	}
}
