package abi

import (
	"fmt"
	"net"
	"strings"
)

// ParseMACMappings reads NETWORK:MAC,... of external_ids:ovn-chassis-mac-mappings
// (ovn-controller(8)): the address, in the low 48 bits, from which the
// distributed routers of a chassis send to a physical network. What is not of that
// form is left out and named in an error.
func ParseMACMappings(text string) (macs map[string]uint64, err error) {
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		network, address, _ := strings.Cut(pair, ":")
		mac, bad := net.ParseMAC(address)
		if network == "" || bad != nil || len(mac) != 6 || mac[0]&1 == 1 {
			err = fmt.Errorf("%q is not NETWORK:MAC", pair)
			continue
		}
		var n uint64
		for _, b := range mac {
			n = n<<8 | uint64(b)
		}
		if macs == nil {
			macs = make(map[string]uint64)
		}
		macs[network] = n
	}
	return macs, err
}
