package controller

import (
	"strings"
	"testing"

	"govn/pkg/eventually"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// TestAdvertise: a router port that says so advertises itself to the ports of
// this host, and stops when it does not say so any more.
func TestAdvertise(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.topology()
	message := append([]byte{134, 0, 0, 0, 255, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, 1, 1, 0, 0, 0, 0, 0, 1)
	p := &proto.Port{Name: "rp1", Type: "patch", PeerDatapath: 5, PeerPort: 3, Mac: 1,
		Advertise: &proto.RouterAdvertisement{Message: message, MaxInterval: 1, MinInterval: 1}}
	router := item{state.Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(6, 1)}, marshal(p)}
	l.n.applied(l.n.put(append(unit(12, 5, 8, openflow.EncodeActions(nil)), router)...))
	eventually.That(t, "two advertisements", func() bool { return strings.Contains(l.command("debug/punts"), "advertisements 2") })
	p.Advertise.MaxInterval = 0
	router.value = marshal(p)
	l.n.applied(l.n.put(router))
	if out := l.command("debug/punts"); !strings.Contains(out, "router ports that advertise 0") {
		t.Errorf("it goes on:\n%s", out)
	}
}
