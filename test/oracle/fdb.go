package oracle

import (
	"context"
	"fmt"
	"strings"
	"time"

	"govn/sim/lab"
	"govn/sim/lab/unixctl"
)

// learnedMAC is the MAC of a station behind the n-th port with unknown
// addresses.
func learnedMAC(n int) string { return fmt.Sprintf("06:fd:b0:00:00:%02x", n) }

// stations lists the stations to learn: port with unknown addresses, attached
// and able to send, to MAC.
func stations(cfg *lab.Config) map[string]string {
	m := map[string]string{}
	for _, sw := range cfg.Topology.Switches {
		for _, p := range sw.Ports {
			if !p.Unknown {
				continue
			}
			for _, w := range cfg.Workloads {
				if w.Port == p.Name {
					m[p.Name] = learnedMAC(len(m))
				}
			}
		}
	}
	return m
}

// LearnFDB makes the chassis of a dummy lab learn a MAC on every port with
// unknown addresses, by a packet from it, and returns when the southbound
// database has them. Ports that are disabled or have port security learn
// nothing.
func LearnFDB(ctx context.Context, l *lab.Lab) error {
	cfg := l.Config()
	todo := stations(cfg)
	want := map[string]bool{}
	for _, sw := range cfg.Topology.Switches {
		for _, p := range sw.Ports {
			if mac := todo[p.Name]; mac != "" && !p.Disabled && len(p.PortSecurity) == 0 {
				want[mac] = true
			}
		}
	}
	for _, w := range cfg.Workloads {
		mac := todo[w.Port]
		if mac == "" {
			continue
		}
		frame := "ffffffffffff" + strings.ReplaceAll(mac, ":", "") + "88b5" + strings.Repeat("00", 46)
		if err := receive(ctx, l, &w, frame); err != nil {
			return fmt.Errorf("port %q: %w", w.Port, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := l.Sbctl(ctx, "--bare", "--columns=mac", "list", "FDB")
		if err != nil {
			return err
		}
		have := 0
		for mac := range want {
			if strings.Contains(out, mac) {
				have++
			}
		}
		if have == len(want) {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d MACs were learned: %w", have, len(want), ctx.Err())
		case <-tick.C:
		}
	}
	if len(want) == 0 {
		return nil
	}
	// The chassis have the learned MACs in their flows when they are through
	// with what comes after them.
	_, err := l.Nbctl(ctx, "--wait=hv", "sync")
	return err
}

// receive makes a dummy port receive a frame, given in hex.
func receive(ctx context.Context, l *lab.Lab, w *lab.Workload, frame string) error {
	c, err := unixctl.Dial(ctx, l.ControlSocket(w.Chassis, "vswitchd"))
	if err != nil {
		return err
	}
	_, err = c.Call(ctx, "netdev-dummy/receive", l.PortName(w.Name), frame)
	if closeErr := c.Close(); err == nil {
		err = closeErr
	}
	return err
}
