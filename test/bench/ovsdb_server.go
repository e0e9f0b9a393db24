package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ovsdbKind is a server that is measured.
type ovsdbKind struct {
	name string
	// create makes the database where the server does not do it itself.
	create func(ctx context.Context, dir, schema string) error
	// command is the server's, for the database in a directory.
	command func(o *ovsdbOptions, dir, sock, schema string, relaxed bool) []string
}

var (
	stockKind = ovsdbKind{
		name: "ovsdb-server",
		create: func(ctx context.Context, dir, schema string) error {
			return runTool(ctx, "ovsdb-tool", "create", filepath.Join(dir, "db"), schema)
		},
		command: stockCommand,
	}
	// stockCluster remembers transactions, which a standalone server does not.
	stockCluster = ovsdbKind{
		name: "ovsdb-server, a cluster of one",
		create: func(ctx context.Context, dir, schema string) error {
			return runTool(ctx, "ovsdb-tool", "create-cluster", filepath.Join(dir, "db"), schema, "unix:"+filepath.Join(dir, "raft"))
		},
		command: stockCommand,
	}
	govnKind = ovsdbKind{
		name: "govn db serve",
		command: func(o *ovsdbOptions, dir, sock, schema string, relaxed bool) []string {
			return []string{o.govn, "db", "serve", filepath.Join(dir, "db"), "--schema=" + schema, "--listen=punix:" + sock,
				"--unixctl=" + filepath.Join(dir, "ctl"), "--log-file=" + filepath.Join(dir, "log"), fmt.Sprintf("--relaxed=%t", relaxed)}
		},
	}
	northdKind = ovsdbKind{
		name: "govn northd",
		command: func(o *ovsdbOptions, dir, sock, _ string, _ bool) []string {
			return []string{o.govn, "northd", "--data-dir=" + dir, "--nb-listen=punix:" + sock, "--sb-listen=punix:" + filepath.Join(dir, "sb"),
				"--fabric-listen=unix:" + filepath.Join(dir, "fabric"), "--unixctl=" + filepath.Join(dir, "ctl"), "--log-file=" + filepath.Join(dir, "log")}
		},
	}
)

func stockCommand(_ *ovsdbOptions, dir, sock, _ string, _ bool) []string {
	return []string{"ovsdb-server", "--remote=punix:" + sock, "--unixctl=" + filepath.Join(dir, "ctl"),
		"--log-file=" + filepath.Join(dir, "log"), "-vconsole:off", filepath.Join(dir, "db")}
}

func runTool(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// ovsdbServer is a running one.
type ovsdbServer struct {
	kind      ovsdbKind
	o         *ovsdbOptions
	dir, sock string
	schema    string
	relaxed   bool
	cmd       *exec.Cmd
}

// startServer starts a server on a new database with a schema file.
func startServer(ctx context.Context, o *ovsdbOptions, kind ovsdbKind, schema string, relaxed bool) (*ovsdbServer, error) {
	dir, err := os.MkdirTemp(o.dir, "db")
	if err != nil {
		return nil, err
	}
	s := &ovsdbServer{kind: kind, o: o, dir: dir, sock: filepath.Join(dir, "sock"), schema: schema, relaxed: relaxed}
	if kind.create != nil {
		if err := kind.create(ctx, dir, schema); err != nil {
			return nil, err
		}
	}
	return s, s.start(ctx)
}

// start starts the server on its database and waits until it answers.
func (s *ovsdbServer) start(ctx context.Context) error {
	args := s.kind.command(s.o, s.dir, s.sock, s.schema, s.relaxed)
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVN_RUNDIR="+s.dir)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		w, err := dialWire(s.sock)
		if err == nil {
			_, err = w.call([]byte(`{"id":1,"method":"echo","params":[]}`))
			return errors.Join(err, w.close())
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("%s does not answer: %w", s.kind.name, errors.Join(err, s.kill()))
		case <-tick.C:
		}
	}
}

func (s *ovsdbServer) pid() int { return s.cmd.Process.Pid }

// kill ends the server as a crash does.
func (s *ovsdbServer) kill() error {
	err := s.cmd.Process.Signal(unix.SIGKILL)
	var exit *exec.ExitError
	if e := s.cmd.Wait(); !errors.As(e, &exit) {
		err = errors.Join(err, e)
	}
	return err
}

// remove ends the server and removes its database.
func (s *ovsdbServer) remove() error { return errors.Join(s.kill(), os.RemoveAll(s.dir)) }

// footprint is the memory of a process in KiB: resident, and its share of what
// is resident, where pages that others map too count in part.
type footprint struct{ rss, pss int }

func (s *ovsdbServer) footprint() (f footprint, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.pid()))
	if err != nil {
		return f, err
	}
	for line := range strings.Lines(string(data)) {
		for name, to := range map[string]*int{"Rss:": &f.rss, "Pss:": &f.pss} {
			if v, ok := strings.CutPrefix(line, name); ok {
				if *to, err = strconv.Atoi(strings.Fields(v)[0]); err != nil {
					return f, err
				}
			}
		}
	}
	if f.rss == 0 {
		return f, io.ErrUnexpectedEOF
	}
	return f, nil
}

// size is that of the database on disk, in bytes, with its write-ahead log.
func (s *ovsdbServer) size() (int64, error) {
	name := "db"
	if s.kind.name == northdKind.name {
		name = "govn.db"
	}
	info, err := os.Stat(filepath.Join(s.dir, name))
	if err != nil {
		return 0, err
	}
	size := info.Size()
	if info, err := os.Stat(filepath.Join(s.dir, name+".wal")); err == nil {
		size += info.Size()
	}
	return size, nil
}
