package agent

import (
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// gate is a way to a database on which nothing goes while it is locked.
type gate struct {
	sync.RWMutex
	listener net.Listener
	ended    sync.WaitGroup
}

// gateTo opens one in front of a socket.
func gateTo(t *testing.T, dir, sock string) *gate {
	l, err := net.Listen("unix", filepath.Join(dir, sock+".gate"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l}
	pass := func(from, to net.Conn) {
		defer from.Close()
		defer to.Close()
		b := make([]byte, 1<<16)
		for {
			n, err := from.Read(b)
			g.RLock()
			_, werr := to.Write(b[:n])
			g.RUnlock()
			if err != nil || werr != nil {
				return
			}
		}
	}
	g.ended.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("unix", filepath.Join(dir, sock))
			if err != nil {
				c.Close()
				continue
			}
			g.ended.Go(func() { pass(c, s) })
			g.ended.Go(func() { pass(s, c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		g.ended.Wait()
	})
	return g
}

// A database that hangs holds up no other, and has what it missed when it is back.
func TestHangingDatabase(t *testing.T) {
	s := newSite(t)
	s.centre()
	s.ops("icnb", "OVN_IC_Northbound", `{"op":"insert","table":"Transit_Switch","row":{"name":"ts1"}}`)
	s.zone("east", 1)
	s.zone("west", 2)
	g := gateTo(t, s.dir, "east.sock")
	_, east := s.agentOn("east", "unix:"+filepath.Join(s.dir, "east.sock.gate"), s.at("east", false))
	s.agent("west")
	chassis := func(name string) bool {
		return s.value("east.sock", "OVN_Southbound", "Chassis", fmt.Sprintf(`["name","==",%q]`, name), "name") == name
	}
	s.until("both", func() bool {
		return chassis("gw-west") && s.value("east.sock", "OVN_Northbound", "Logical_Switch", `["name","==","ts1"]`, "name") != ""
	})
	g.Lock()
	s.ops("icnb", "OVN_IC_Northbound", `{"op":"insert","table":"Transit_Switch","row":{"name":"ts2"}}`)
	s.until("a transaction without an answer", func() bool { return east().Databases[0].Busy })
	began := time.Now()
	s.ops("west.sock", "OVN_Southbound", `{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"203.0.113.9","chassis_name":"gw9"}}`,
		`{"op":"insert","table":"Chassis","row":{"name":"gw9","encaps":["named-uuid","e"],"other_config":["map",[["is-interconn","true"]]]}}`)
	s.until("a gateway of west", func() bool { return chassis("gw9") })
	if took := time.Since(began); took > transactLimit/2 {
		t.Errorf("took %v", took)
	}
	if st := east(); !st.Databases[0].Busy || st.Databases[1].Name != "OVN_Southbound" {
		t.Errorf("%+v", st.Databases)
	}
	g.Unlock()
	s.until("the switch", func() bool {
		return s.value("east.sock", "OVN_Northbound", "Logical_Switch", `["name","==","ts2"]`, "name") != "" && !east().Databases[0].Busy
	})
}
