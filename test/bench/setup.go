package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"govn/sim/lab"
)

// workDir makes a directory for a run, which the caller removes. If no govn binary is
// named, it is built there as make build does.
func workDir(ctx context.Context, prefix string, govn *string) (dir string, err error) {
	if dir, err = os.MkdirTemp("", prefix); err != nil || *govn != "" {
		return dir, err
	}
	*govn = filepath.Join(dir, "govn")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", *govn, "govn/cmd/govn")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", errors.Join(fmt.Errorf("build govn: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// numbers reads the value of a flag: numbers with commas between.
func numbers(name, value string, least, most int) (list []int, err error) {
	for _, s := range strings.Split(value, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("-%s %q: %q is not a number from %d to %d", name, value, s, least, most)
		}
		list = append(list, n)
	}
	return list, nil
}

// choices reads the value of a flag: names with commas between, of those that there are.
func choices(name, value string, of ...string) ([]string, error) {
	list := strings.Split(value, ",")
	for _, s := range list {
		if !slices.Contains(of, s) {
			return nil, fmt.Errorf("-%s %q: %q is none of %s", name, value, s, strings.Join(of, ", "))
		}
	}
	return list, nil
}

// controls are what -systems takes where labs are compared.
var controls = []string{string(lab.ControlStock), string(lab.ControlGovn)}
