package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
)

// log is where the daemon logs to: standard error or a file that can be
// reopened, with a level that can change.
type log struct {
	logger *slog.Logger
	level  slog.LevelVar
	path   string // "": standard error

	mu sync.Mutex
	f  *os.File // nil: closed
}

// levelOff is above every level that is logged.
const levelOff = slog.Level(64)

// ErrLevel is returned for a word that is no log level.
var ErrLevel = errors.New("unknown log level")

// ParseLevel returns the level of a word, of slog or of Open vSwitch: debug or
// dbg, info, warn, error or err, emer, off.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug", "dbg":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error", "err", "emer":
		return slog.LevelError, nil
	case "off":
		return levelOff, nil
	}
	return 0, fmt.Errorf("%w %q", ErrLevel, s)
}

func levelName(l slog.Level) string {
	switch {
	case l <= slog.LevelDebug:
		return "DBG"
	case l <= slog.LevelInfo:
		return "INFO"
	case l <= slog.LevelWarn:
		return "WARN"
	case l <= slog.LevelError:
		return "ERR"
	}
	return "OFF"
}

func openLog(o Options) (*log, error) {
	l := &log{path: o.LogFile}
	level, err := ParseLevel(o.LogLevel)
	if err != nil {
		return nil, err
	}
	l.level.Set(level)
	l.logger = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: &l.level}))
	return l, l.Reopen()
}

// Write appends to the log. What cannot be written is lost, as for any log.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return len(b), nil
	}
	return l.f.Write(b)
}

// Reopen opens the file by name again, for a file that was moved away.
func (l *log) Reopen() error {
	if l.path == "" {
		l.mu.Lock()
		l.f = os.Stderr
		l.mu.Unlock()
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	// The last words of a crash belong into the log too.
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		f.Close()
		return fmt.Errorf("log file: %w", err)
	}
	return l.replace(f)
}

// Close ends logging until Reopen.
func (l *log) Close() error { return l.replace(nil) }

func (l *log) replace(f *os.File) error {
	l.mu.Lock()
	old := l.f
	l.f = f
	l.mu.Unlock()
	if old == nil || old == os.Stderr {
		return nil
	}
	return old.Close()
}

// set changes the level after the specs of vlog/set: LEVEL, or
// MODULE:DESTINATION:LEVEL, of which any part may be left out. There is one
// module, the program, and one destination; other names are errors.
func (l *log) set(program string, specs []string) error {
	for _, spec := range specs {
		level := slog.LevelDebug // as in Open vSwitch
		for word := range strings.FieldsFuncSeq(spec, func(r rune) bool { return r == ':' || r == ' ' || r == ',' }) {
			switch strings.ToLower(word) {
			case "any", program, "console", "file", "syslog":
				continue
			}
			lv, err := ParseLevel(word)
			if err != nil {
				return fmt.Errorf("%w: no level, module or destination has this name", err)
			}
			level = lv
		}
		l.level.Set(level)
	}
	return nil
}

// list prints the level as vlog/list of Open vSwitch does.
func (l *log) list(program string) string {
	dest := "file"
	if l.path == "" {
		dest = "console"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s %s\n", "", dest)
	fmt.Fprintf(&b, "%-20s %s\n", "", strings.Repeat("-", len(dest)))
	fmt.Fprintf(&b, "%-20s %s", program, levelName(l.level.Level()))
	return b.String()
}

var _ io.WriteCloser = (*log)(nil)
