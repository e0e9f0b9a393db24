package ovstest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deadline bounds everything that the package waits for.
const deadline = 20 * time.Second

// schemaFile is where Debian installs the schema of the Open_vSwitch database.
const schemaFile = "/usr/share/openvswitch/vswitch.ovsschema"

// Options says what to start. The zero value is a dummy datapath with a bridge
// br-int in fail mode secure.
type Options struct {
	// Bridge is the name of the bridge; optional, br-int when empty.
	Bridge string
	// NoBridge leaves the creation of the bridge to the test; optional.
	NoBridge bool
	// Datapath is "dummy" (default) or "netdev"; optional.
	Datapath string
	// Tunnels makes tunnels of the dummy datapath real: packets are encapsulated
	// and go out by the bridge that has the route; optional.
	Tunnels bool
	// ExternalIDs go into Open_vSwitch.external_ids; optional.
	ExternalIDs map[string]string
	// OtherConfig goes into Open_vSwitch.other_config beside one handler and
	// one revalidator thread; optional.
	OtherConfig map[string]string
	// RunDir is the directory for everything; optional, a temporary one when
	// empty. Paths of unix sockets are limited to 107 bytes.
	RunDir string
}

// OVS is a running Open vSwitch. Its methods fail the test when something goes
// wrong, so that tests stay linear. It is for one goroutine.
type OVS struct {
	// DB is the database, unix:PATH.
	DB string
	// RunDir is OVS_RUNDIR of the processes.
	RunDir string
	// Bridge is the name of the bridge.
	Bridge string
	// Mgmt is the OpenFlow socket of the bridge, unix:PATH. It is there while
	// ovs-vswitchd runs and the bridge exists.
	Mgmt string

	t        testing.TB
	opts     Options
	db       *process
	vswitchd *process
}

// process is a child with its end.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has been waited for
}

// Start starts ovsdb-server and ovs-vswitchd, creates the bridge and returns
// when the bridge accepts OpenFlow.
func Start(t testing.TB, opts Options) *OVS {
	t.Helper()
	if opts.Bridge == "" {
		opts.Bridge = "br-int"
	}
	if opts.Datapath == "" {
		opts.Datapath = "dummy"
	}
	dir := opts.RunDir
	if dir == "" {
		// t.TempDir() holds the name of the test and may be too long for a
		// socket address.
		var err error
		if dir, err = os.MkdirTemp("", "ovs"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	o := &OVS{
		DB:     "unix:" + filepath.Join(dir, "db.sock"),
		RunDir: dir,
		Bridge: opts.Bridge,
		Mgmt:   "unix:" + filepath.Join(dir, opts.Bridge+".mgmt"),
		t:      t,
		opts:   opts,
	}
	conf := filepath.Join(dir, "conf.db")
	if _, err := os.Stat(conf); errors.Is(err, os.ErrNotExist) {
		o.run("ovsdb-tool", "create", conf, schemaFile)
	}
	o.db = o.spawn("ovsdb-server", "-vconsole:off",
		"--unixctl="+filepath.Join(dir, "ovsdb.ctl"),
		"--log-file="+filepath.Join(dir, "ovsdb.log"),
		"--remote=punix:"+filepath.Join(dir, "db.sock"), conf)
	t.Cleanup(o.cleanup)
	o.Await("the database socket", func() bool { return accepts(filepath.Join(dir, "db.sock")) })
	o.Vsctl("--no-wait", "init")
	args := []string{"--no-wait", "set", "Open_vSwitch", ".",
		"other_config:n-handler-threads=1", "other_config:n-revalidator-threads=1"}
	for k, v := range opts.OtherConfig {
		args = append(args, fmt.Sprintf("other_config:%s=%q", k, v))
	}
	for k, v := range opts.ExternalIDs {
		args = append(args, fmt.Sprintf("external_ids:%s=%q", k, v))
	}
	o.Vsctl(args...)
	if !opts.NoBridge {
		o.Vsctl("--no-wait", "add-br", opts.Bridge, "--", "set", "Bridge", opts.Bridge,
			"datapath_type="+opts.Datapath, "fail_mode=secure", "other-config:disable-in-band=true")
	}
	o.StartVswitchd()
	return o
}

// StartVswitchd starts ovs-vswitchd; it must not be running. It returns when
// the control socket answers and, unless Options.NoBridge, the bridge accepts
// OpenFlow.
func (o *OVS) StartVswitchd() {
	o.t.Helper()
	if o.vswitchd != nil {
		o.t.Fatal("ovs-vswitchd is already running")
	}
	os.Remove(o.ctl())
	args := []string{"-vconsole:off", "--unixctl=" + o.ctl(),
		"--pidfile=" + filepath.Join(o.RunDir, "vswitchd.pid"),
		"--log-file=" + filepath.Join(o.RunDir, "vswitchd.log")}
	if o.opts.Datapath == "dummy" {
		level := "override"
		if o.opts.Tunnels {
			level = "system"
		}
		args = append(args, "--enable-dummy="+level)
	}
	o.vswitchd = o.spawn("ovs-vswitchd", append(args, "--disable-system", o.DB)...)
	o.Await("ovs-vswitchd", func() bool {
		return exists(o.ctl()) && (o.opts.NoBridge || accepts(strings.TrimPrefix(o.Mgmt, "unix:")))
	})
	if !o.opts.NoBridge {
		o.Ofctl("show")
	}
}

// KillVswitchd ends ovs-vswitchd with SIGKILL, as a crash would.
func (o *OVS) KillVswitchd() { o.stopVswitchd(syscall.SIGKILL) }

// StopVswitchd ends ovs-vswitchd with SIGTERM and waits for it.
func (o *OVS) StopVswitchd() { o.stopVswitchd(syscall.SIGTERM) }

func (o *OVS) stopVswitchd(sig syscall.Signal) {
	o.t.Helper()
	if o.vswitchd == nil {
		o.t.Fatal("ovs-vswitchd is not running")
	}
	o.vswitchd.end(sig)
	o.vswitchd = nil
	// A killed process leaves its sockets behind; nothing listens on them.
	os.Remove(strings.TrimPrefix(o.Mgmt, "unix:"))
}

// VswitchdPID is the process id of ovs-vswitchd, 0 when it is not running.
func (o *OVS) VswitchdPID() int {
	if o.vswitchd == nil {
		return 0
	}
	return o.vswitchd.cmd.Process.Pid
}

// Vsctl runs ovs-vsctl on the database and returns what it printed.
func (o *OVS) Vsctl(args ...string) string {
	o.t.Helper()
	return o.run("ovs-vsctl", append([]string{"--timeout=20", "--db=" + o.DB}, args...)...)
}

// Ofctl runs ovs-ofctl in OpenFlow 1.5: Ofctl("add-flow", "actions=drop") is
// ovs-ofctl -O OpenFlow15 add-flow unix:.../br-int.mgmt actions=drop.
func (o *OVS) Ofctl(command string, args ...string) string {
	o.t.Helper()
	return o.run("ovs-ofctl", append([]string{"--timeout=20", "-O", "OpenFlow15", command, o.Mgmt}, args...)...)
}

// Appctl runs ovs-appctl on ovs-vswitchd, for example
// Appctl("ofproto/trace", "br-int", flow).
func (o *OVS) Appctl(args ...string) string {
	o.t.Helper()
	return o.run("ovs-appctl", append([]string{"--timeout=20", "-t", o.ctl()}, args...)...)
}

// AddPort adds an interface of the datapath's kind to the bridge, as port
// number ofport (0: any), with columns such as external_ids:iface-id=vm1, and
// returns the port number.
func (o *OVS) AddPort(name string, ofport int, columns ...string) int {
	o.t.Helper()
	args := []string{"add-port", o.Bridge, name, "--", "set", "Interface", name}
	if o.opts.Datapath == "dummy" {
		args = append(args, "type=dummy")
	}
	if ofport != 0 {
		args = append(args, fmt.Sprintf("ofport_request=%d", ofport))
	}
	if len(args) > 6 || len(columns) > 0 {
		args = append(args, columns...)
	} else {
		args = args[:3]
	}
	o.Vsctl(args...)
	n := 0
	if _, err := fmt.Sscan(o.Vsctl("get", "Interface", name, "ofport"), &n); err != nil {
		o.t.Fatalf("port number of %q: %v", name, err)
	}
	return n
}

// Log returns the log of ovs-vswitchd.
func (o *OVS) Log() string {
	b, _ := os.ReadFile(filepath.Join(o.RunDir, "vswitchd.log"))
	return string(b)
}

// Await polls cond until it holds and fails the test, naming what, when it does
// not within 20 seconds.
func (o *OVS) Await(what string, cond func() bool) {
	o.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); time.Now().Before(end); <-tick.C {
		if cond() {
			return
		}
	}
	o.t.Fatalf("no %s within %v", what, deadline)
}

func (o *OVS) ctl() string { return filepath.Join(o.RunDir, "vswitchd.ctl") }

func (o *OVS) spawn(name string, args ...string) *process {
	o.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = o.env()
	// The test may be killed by its timeout; the children go with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		o.t.Fatalf("start %s: %v", name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		cmd.Wait()
	}()
	return p
}

func (o *OVS) env() []string {
	return append(os.Environ(), "OVS_RUNDIR="+o.RunDir, "OVS_LOGDIR="+o.RunDir, "OVS_DBDIR="+o.RunDir)
}

func (o *OVS) run(name string, args ...string) string {
	o.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = o.env()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func (o *OVS) cleanup() {
	if o.t.Failed() {
		lines := strings.Split(strings.TrimSpace(o.Log()), "\n")
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "|INFO|Datapath supports ") })
		o.t.Logf("ovs-vswitchd:\n%s", strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
	if o.vswitchd != nil {
		if o.opts.Datapath != "dummy" {
			// Its tap devices outlive a plain exit.
			o.run("ovs-appctl", "--timeout=20", "-t", o.ctl(), "exit", "--cleanup")
		}
		o.vswitchd.end(syscall.SIGTERM)
		o.vswitchd = nil
	}
	o.db.end(syscall.SIGTERM)
}

// end sends sig, waits for the process and kills it when it does not go.
func (p *process) end(sig syscall.Signal) {
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
		return
	case <-time.After(deadline):
	}
	p.cmd.Process.Kill()
	<-p.done
}

// accepts reports whether somebody listens on the socket: its file is there a
// moment before that.
func accepts(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
