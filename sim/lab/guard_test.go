package lab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// guardedEnv makes the test binary a program that builds the lab of a file below a
// guarded directory, whose name it prints, and ends without taking it down.
const guardedEnv = "LAB_TEST_GUARDED"

func guardedMain(dir, file string) error {
	cfg, err := Load(file)
	if err != nil {
		return err
	}
	fmt.Println(dir)
	l, err := New(cfg, Options{Name: filepath.Base(dir), Control: ControlStock, Dir: filepath.Join(dir, "run")})
	if err != nil {
		return err
	}
	return l.Up(context.Background())
}

// A program that is killed while it builds a lab, or ends without taking it down,
// leaves nothing.
func TestGuard(t *testing.T) {
	for name, killed := range map[string]bool{"killed": true, "ended": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
			cmd.Env = append(os.Environ(), guardedEnv+"=../../docs/examples/two-hypervisors.yaml")
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			dir := strings.TrimSpace(line)
			namespaces := filepath.Join(netnsDir, filepath.Base(dir)+"-*")
			if killed {
				wait(t, "two hypervisors", func() bool { return len(glob(t, namespaces)) > 2 })
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); killed == (err == nil) {
				t.Fatalf("the program ended with %v", err)
			}
			wait(t, dir+" to go", func() bool { return len(glob(t, dir)) == 0 })
			if left := glob(t, namespaces); len(left) > 0 {
				t.Errorf("namespaces are left: %q", left)
			}
			if left, err := daemonsIn(dir); err != nil || len(left) > 0 {
				t.Errorf("processes are left: %v, %v", left, err)
			}
		})
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// wait polls: what it waits for is done by processes that are not ours.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(limit) {
			t.Fatalf("no %s within 30 s", what)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}
