package controller

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"govn/controller/punt"
	"govn/pkg/abi"
	"govn/pkg/eventually"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// TestNeighbours: a packet waits for its next hop; what is learned has flows at
// once, sends it on, is reported, and gives way to what northd says; use is
// told, and what is silent is probed.
func TestNeighbours(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.topology()
	head := func(opcode byte, acts ...openflow.Action) openflow.Action {
		return openflow.ToController(append([]byte{0, opcode, 0, 0, 0, 0, 0, 0}, openflow.EncodeActions(acts)...)...)
	}
	hop := openflow.SetUint(openflow.FieldReg(0), 0x14000009)
	ask := []openflow.Action{hop, openflow.SetUint(openflow.FieldReg(abi.RegOutport), 2), head(abi.PuntARP, openflow.ToTable(abi.TableRemoteOutput))}
	put := []openflow.Action{hop, openflow.SetUint(openflow.FieldReg(abi.RegInport), 2), head(abi.PuntPutARP)}
	use := []openflow.Action{hop, openflow.SetUint(openflow.FieldReg(abi.RegOutport), 2), openflow.ToTable(abi.TableMACBinding)}
	items := append(unit(9, 5, 20, openflow.EncodeActions(ask)), unit(10, 5, 21, openflow.EncodeActions(put))...)
	items = append(items, unit(11, 5, 22, openflow.EncodeActions(use))...)
	router := item{state.Key{Kind: proto.Kind_KIND_DATAPATH, Key: state.DatapathKey(5)}, marshal(&proto.Datapath{Name: "r1", MacBindingAgeThreshold: "4"})}
	port := item{state.Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(5, 2)}, marshal(&proto.Port{Name: "vm2", Chassis: "hv1", Mac: 0x0a00000000fe, Networks: []string{"20.0.0.1/24"}})}
	l.n.applied(l.n.put(append(items, router, port)...))
	packet := "packet=0a00000000aa0a00000000bb0800" + "4500001c00000000401100000a00000914000009" + "0001000200080000" + ",actions=set_field:5->metadata,resubmit(,"
	send := func(table string) { l.ovs.Ofctl("packet-out", "in_port="+ofport(l, "tap-vm1")+","+packet+table+")") }

	send("20")
	send("20")
	eventually.That(t, "packets that are held", func() bool {
		return strings.Contains(l.command("debug/punts"), "packets held: 2; held 2, sent 0, expired 0, dropped 0, requests 1")
	})
	send("21") // the source of the packet is the neighbour
	eventually.That(t, "the held packets to go", func() bool { return strings.Contains(l.command("debug/punts"), "packets held: 0; held 2, sent 2") })
	eventually.That(t, "flows of the neighbour", func() bool {
		return strings.Contains(l.flows(), "table=66, priority=100,ip,reg0=0x14000009,reg15=0x2,metadata=0x5 actions=set_field:0a:00:00:00:00:bb->eth_dst")
	})
	reported := func(list func(*proto.Report) []*proto.Neighbour) func() bool {
		return func() bool {
			l.n.mu.Lock()
			defer l.n.mu.Unlock()
			for _, r := range l.n.reports {
				for _, e := range list(r) {
					if ip, _ := netip.AddrFromSlice(e.Ip); e.Datapath == 5 && e.Port == 2 && ip.String() == "20.0.0.9" && e.Mac == 0x0a00000000bb {
						return true
					}
				}
			}
			return false
		}
	}
	eventually.That(t, "report of the neighbour", reported(func(r *proto.Report) []*proto.Neighbour { return r.NeighboursPut }))
	send("20") // its flow was looked up before; it must not wait
	eventually.That(t, "a packet to a known next hop", func() bool { return strings.Contains(l.command("debug/punts"), "packets held: 0; held 2, sent 3") })

	// Use is told within the threshold, and there is a probe while it is silent.
	eventually.That(t, "report of use, and a probe", func() bool {
		send("22")
		return reported(func(r *proto.Report) []*proto.Neighbour { return r.NeighboursSeen })() &&
			!strings.Contains(l.command("debug/punts"), "probes 0")
	})

	key := state.NeighbourKey(5, 2, netip.MustParseAddr("20.0.0.9"), false)
	n := item{state.Key{Kind: proto.Kind_KIND_NEIGHBOUR, Key: key}, marshal(&proto.NeighbourValue{Mac: 0x0a00000000cc})}
	l.n.applied(l.n.put(n))
	if !strings.Contains(l.flows(), "actions=set_field:0a:00:00:00:00:cc->eth_dst") {
		t.Errorf("flows:\n%s", l.flows())
	}
	n.value = nil
	l.n.applied(l.n.put(n))
	if strings.Contains(l.flows(), "table=66,") {
		t.Errorf("a neighbour that northd forgot is left:\n%s", l.flows())
	}
}

// TestUnconfirmed: what northd does not confirm goes after a while, but not while
// northd is away.
func TestUnconfirmed(t *testing.T) {
	c := newController(t.Context(), Options{Logger: slog.New(slog.DiscardHandler)})
	if err := c.host.Item(proto.Kind_KIND_PORT, state.PortKey(3, 2), marshal(&proto.Port{Name: "rp2"})); err != nil {
		t.Fatal(err)
	}
	at := punt.NextHop{Datapath: 3, Port: 2, IP: netip.MustParseAddr("20.0.0.9")}
	c.learnNeighbour(at, 5)
	now := time.Now()
	known := func(what string, want uint64) {
		t.Helper()
		if got := c.neighbourAt(at); got != want {
			t.Errorf("%s: %x", what, got)
		}
	}
	c.forgetUnconfirmed(now.Add(time.Hour))
	known("northd is away", 5)
	c.greeted = true
	c.forgetUnconfirmed(now.Add(time.Hour + confirmTime/2))
	known("northd is there", 5)
	c.forgetUnconfirmed(now.Add(time.Hour + 2*confirmTime))
	known("northd does not confirm", 0)
	if len(c.heardAt) != 0 {
		t.Errorf("%d left", len(c.heardAt))
	}
}
