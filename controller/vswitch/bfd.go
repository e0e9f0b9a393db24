package vswitch

import "strconv"

// BFD is how bidirectional forwarding detection runs on a tunnel
// (ovs-vswitchd.conf.db(5), Interface, bfd). Times are in milliseconds; 0 leaves
// Open vSwitch its default.
type BFD struct {
	Enable     bool
	MinRx      uint32
	MinTx      uint32
	DecayMinRx uint32
	Mult       uint32
	// PathDown tells the other end not to send here, though the tunnel works:
	// what is behind it is not ready (cpath_down, RFC 5880, diagnostic 6).
	PathDown bool
}

// bfdKeys are the keys of Interface:bfd that the controller owns on its tunnels.
var bfdKeys = []string{"enable", "min_rx", "min_tx", "decay_min_rx", "mult", "cpath_down"}

// keys are the keys of Interface:bfd.
func (b BFD) keys() map[string]string {
	keys := map[string]string{}
	if !b.Enable {
		return keys
	}
	keys["enable"] = "true"
	for _, one := range []struct {
		key   string
		value uint32
	}{{"min_rx", b.MinRx}, {"min_tx", b.MinTx}, {"decay_min_rx", b.DecayMinRx}, {"mult", b.Mult}} {
		if one.value != 0 {
			keys[one.key] = strconv.FormatUint(uint64(one.value), 10)
		}
	}
	if b.PathDown {
		keys["cpath_down"] = "true"
	}
	return keys
}

// BFDState is what Open vSwitch says of BFD on a tunnel: whether the other end
// is heard (up), and whether packets may be sent there (forwarding), which the
// other end may forbid.
func (i *Interface) BFDState() (up, forwarding bool) {
	return i.BFDStatus["state"] == "up", i.BFDStatus["forwarding"] == "true"
}
