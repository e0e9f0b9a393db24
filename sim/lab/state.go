package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// state is what the run directory remembers about a lab, so that any process
// can find it again. It is written before anything is created.
type state struct {
	Name       string    `json:"name"`
	Govn       string    `json:"govn"`       // binary that runs the daemons
	Namespaces []string  `json:"namespaces"` // all that may exist
	Config     *Config   `json:"config"`     // as it is now, with what was added later
	Up         time.Time `json:"up"`         // zero: not (yet) up
}

const stateFile = "state.json"

func (l *Lab) statePath() string { return filepath.Join(l.dir, stateFile) }

// loadState returns nil if there is no state.
func loadState(dir string) (*state, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lab state: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("lab state %s: %w", filepath.Join(dir, stateFile), err)
	}
	if s.Config == nil {
		return nil, fmt.Errorf("lab state %s: no config in it", filepath.Join(dir, stateFile))
	}
	return &s, nil
}

// saveState replaces the state file atomically.
func (l *Lab) saveState() error {
	s := state{Name: l.cfg.Name, Govn: l.govn, Namespaces: l.namespaces, Config: l.cfg, Up: l.up}
	data, err := json.MarshalIndent(&s, "", "  ")
	if err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	tmp := l.statePath() + ".new"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	if err := os.Rename(tmp, l.statePath()); err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	return nil
}

// lock keeps two processes from building or removing one lab at a time. The
// lock file lies beside the run directory, which Down removes.
func (l *Lab) lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(l.dir), 0o755); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	f, err := os.OpenFile(l.dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lab lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lab %q: %w", l.cfg.Name, ErrBusy)
		}
		return nil, fmt.Errorf("lab lock: %w", err)
	}
	return func() { _ = f.Close() }, nil
}
