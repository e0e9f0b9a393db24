package control

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Host is a chassis as its controller sees it.
type Host struct {
	Chassis string    `json:"chassis"` // system-id; empty: not configured
	Now     time.Time `json:"now"`

	Northd struct {
		Remote    string    `json:"remote"`
		Connected bool      `json:"connected"`
		Since     time.Time `json:"since,omitzero"`
		Attempts  uint64    `json:"attempts"`
		Error     string    `json:"error,omitempty"` // of the last attempt that failed
	} `json:"northd"`
	Bridge struct {
		Name      string `json:"name"`
		Connected bool   `json:"connected"` // by OpenFlow
	} `json:"bridge"`
	State struct {
		Source   string `json:"source"`   // northd, cache or none
		Received uint64 `json:"received"` // revision
		Applied  uint64 `json:"applied"`  // revision
		Items    int    `json:"items"`
		Digest   string `json:"digest"`
	} `json:"state"`
	Flows struct {
		Wanted    int `json:"wanted"`
		Installed int `json:"installed"`
		Shadowed  int `json:"shadowed"` // another flow of the same table, priority and match is installed
	} `json:"flows"`
	Engine struct {
		Nodes  int    `json:"nodes"`
		Edges  int    `json:"edges"`
		Rounds uint64 `json:"rounds"`
	} `json:"engine"`

	Ports    []string      `json:"ports"`              // that are bound here and have an interface
	Tunnels  []string      `json:"tunnels"`            // CHASSIS@ADDRESS
	Waiting  []string      `json:"waiting,omitempty"`  // tunnels that Open vSwitch has not made yet
	Gateways []HostGateway `json:"gateways,omitempty"` // as this chassis sees them
	BFD      []Watched     `json:"bfd,omitempty"`      // chassis that it watches
	Punts    []Punt        `json:"punts"`
	Failures []Failure     `json:"failures,omitempty"`
}

// Punt counts the packets that flows sent to the controller for one purpose.
type Punt struct {
	Opcode    uint16 `json:"opcode"`
	Cause     string `json:"cause"` // its name, as in govn_punt_packets_total
	Taken     uint64 `json:"taken"`
	Limited   uint64 `json:"limited"`
	Malformed uint64 `json:"malformed"`
}

// WriteText writes a line for each part.
func (h *Host) WriteText(w io.Writer) error {
	e := errWriter{w: w}
	e.printf("chassis: %s\n", dash(h.Chassis))
	state := "not connected"
	if h.Northd.Connected {
		state = "connected"
	}
	e.printf("northd: %s, %s", dash(h.Northd.Remote), state)
	if !h.Northd.Since.IsZero() {
		e.printf(" for %s", age(h.Now.Sub(h.Northd.Since)))
	}
	if !h.Northd.Connected && h.Northd.Attempts > 0 {
		e.printf(", %d attempts", h.Northd.Attempts)
	}
	if !h.Northd.Connected && h.Northd.Error != "" {
		e.printf(": %s", h.Northd.Error)
	}
	state = "not connected"
	if h.Bridge.Connected {
		state = "connected"
	}
	e.printf("\nbridge: %s, %s\n", dash(h.Bridge.Name), state)
	e.printf("state: from %s, received %d, applied %d, %d items, digest %s\n", h.State.Source, h.State.Received, h.State.Applied, h.State.Items, h.State.Digest)
	e.printf("flows: %d wanted, %d installed, %d shadowed\n", h.Flows.Wanted, h.Flows.Installed, h.Flows.Shadowed)
	e.printf("ports: %s\n", dash(strings.Join(h.Ports, " ")))
	e.printf("tunnels: %s\n", dash(strings.Join(h.Tunnels, " ")))
	if len(h.Waiting) > 0 {
		e.printf("tunnels without an OpenFlow port yet: %s\n", strings.Join(h.Waiting, " "))
	}
	h.writeWatched(&e)
	e.printf("engine: %d nodes, %d edges, %d rounds\n", h.Engine.Nodes, h.Engine.Edges, h.Engine.Rounds)
	h.writePunts(&e)
	writeFailures(&e, h.Failures)
	return e.err
}

// writePunts writes what came to the controller, for the causes of which something
// did.
func (h *Host) writePunts(e *errWriter) {
	var came []string
	for _, p := range h.Punts {
		if p.Taken+p.Limited+p.Malformed == 0 {
			continue
		}
		one := fmt.Sprintf("%s %d", p.Cause, p.Taken)
		if p.Limited > 0 {
			one += fmt.Sprintf(" (%d over the limit)", p.Limited)
		}
		if p.Malformed > 0 {
			one += fmt.Sprintf(" (%d malformed)", p.Malformed)
		}
		came = append(came, one)
	}
	e.printf("packets to the controller: %s\n", dash(strings.Join(came, ", ")))
}

// writeFailures writes a line for each failure.
func writeFailures(e *errWriter, list []Failure) {
	for _, f := range list {
		what := objectText(f.Objects)
		if what == "" {
			what = dash(f.What)
		}
		e.printf("  left out: %s", what)
		if f.Cookie != "" {
			e.printf(", flow %d (cookie %s)", f.Flow, f.Cookie)
		}
		e.printf(": %s\n", f.Error)
	}
}
