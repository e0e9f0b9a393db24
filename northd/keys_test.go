package northd_test

import (
	"path/filepath"
	"testing"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
)

// tunnelKey is the key of a port on its Port_Binding.
func (s *ipamStory) tunnelKey(name string) int64 {
	s.t.Helper()
	b := &s.columns.PortBinding
	row := s.store.Snapshot().Row(b.Table, s.ports[name])
	if row == nil {
		return 0
	}
	return row.Int(b.TunnelKey)
}

func (s *ipamStory) ask(name, key string) {
	s.t.Helper()
	s.nb(s.t, func(tx *ovsdb.Txn) error {
		if key == "" {
			tx.DelFromMap(s.columns.LSP.Table, s.ports[name], "options", "requested-tnl-key")
		} else {
			tx.PutInMap(s.columns.LSP.Table, s.ports[name], "options", "requested-tnl-key", key)
		}
		return tx.Err()
	})
}

func (s *ipamStory) wantKeys(keys map[string]int64) {
	s.t.Helper()
	for name, want := range keys {
		if got := s.tunnelKey(name); got != want {
			s.t.Errorf("%s has the tunnel key %d, want %d", name, got, want)
		}
	}
}

func TestRequestedPortKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	s := newIPAMStory(t, path)
	for _, name := range []string{"a", "b", "c"} {
		s.set(name)
	}
	s.wantKeys(map[string]int64{"a": 1, "b": 2, "c": 3})

	s.ask("b", "10") // free: at once
	s.wantKeys(map[string]int64{"b": 10})
	s.wantProblems()
	s.releases = false // a chassis does not answer
	s.ask("c", "1")    // a makes room, but its key rests
	if got := s.tunnelKey("a"); got == 1 || got == 0 {
		t.Errorf("a did not make room: it has the key %d", got)
	}
	s.wantKeys(map[string]int64{"c": 3})
	s.wantProblems("requested-tnl-key=1: a chassis may still use")
	s.releases = true
	s.step(t)
	s.wantKeys(map[string]int64{"c": 1})
	s.wantProblems()

	s.ask("a", "10") // b asks too, and has it
	s.wantKeys(map[string]int64{"b": 10})
	s.wantProblems("requested-tnl-key=10: another one asks")
	s.ask("b", "") // b makes room
	s.step(t)
	s.wantKeys(map[string]int64{"a": 10})
	if got := s.tunnelKey("b"); got == 10 || got == 0 {
		t.Errorf("b has the key %d", got)
	}
	s.remove("a")
	s.ask("b", "10") // free when a's is released
	s.step(t)
	s.wantKeys(map[string]int64{"b": 10})
	s.wantProblems()

	for _, key := range []string{"0", "32768", "nonsense", "-1", "1.5"} {
		s.ask("c", key)
		s.wantKeys(map[string]int64{"c": 1})
		s.wantProblems("is no number from 1 to 32767")
	}
	if got, want := s.dump(), s.full(t, path); got != want {
		t.Error(difference(got, want))
	}
}

func TestRequestedSwitchKey(t *testing.T) {
	s := newIPAMStory(t, "", "requested-tnl-key", "16711999") // of a transit switch
	key := func(ls ovsdb.UUID) int64 {
		return s.store.Snapshot().Row(s.columns.Datapath.Table, ls).Int(s.columns.Datapath.TunnelKey)
	}
	if got := key(s.ls); got != 16711999 {
		t.Errorf("the switch has the key %d", got)
	}
	other, _ := s.addSwitch(t, "other")
	s.setConfig(t, other, "requested-tnl-key", "16711999")
	s.wantProblems(topology.ErrKeyTaken.Error())
	s.config()
	s.step(t)
	if got := key(other); got != 16711999 {
		t.Errorf("the other switch has the key %d", got)
	}
	s.wantProblems()
	s.config("requested-tnl-key", "16777216")
	s.wantProblems("is no number from 1 to 16777215")
}
