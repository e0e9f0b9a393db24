// Package daemon is what every long-running govn program has in common: the
// pidfile, going to the background, the log, the metrics endpoint, the control
// socket, and a clean end.
//
//	parent                       child
//	Run, Detach set
//	  | starts itself again ----> Run, with a pipe to the parent
//	  | reads the pipe            log, pidfile, control socket, metrics
//	  |                           fn(ctx, d): opens its sockets
//	  | <------- "ready" -------- d.Ready()
//	exit 0                        standard streams closed, fn goes on
//
// If the child ends before it is ready, it prints its error to the standard
// error that it shares with the parent, and the parent exits 1.
//
// # Control socket
//
// The control socket speaks the JSON-RPC of ovs-appctl: the method is the name
// of a command, the parameters are its arguments as strings, the result is one
// string, and so is an error. Handle adds a command. Always there are:
//
//	version, list-commands, exit [--restart]
//	vlog/list, vlog/set [SPEC]..., vlog/reopen, vlog/close
//	coverage/show      the counters that are not zero
//	memory/show        heap, goroutines, and what AddMemory adds
//	profile/cpu SECONDS FILE, profile/trace SECONDS FILE
//	profile/heap FILE, profile/goroutines FILE
//	                   where time and memory go, for "go tool pprof" and "go tool trace"
//
// What is not a request ends the connection it came on, with a line in the log.
//
// # Files
//
// The run directory is OVN_RUNDIR, or /var/run/ovn. Without other wishes the
// control socket is PROGRAM.PID.ctl and the pidfile PROGRAM.pid there, so that
// "ovn-appctl -t PROGRAM" finds the daemon. The pidfile is locked as long as
// the daemon lives, which is how ovs-appctl tells a live one.
//
// # Invariants
//
//   - Two daemons never hold one pidfile.
//   - When Run returns, its goroutines have ended and its files are gone.
//   - The reply to a command is sent before the daemon ends, also to exit.
//   - The package imports nothing of govn.
package daemon
