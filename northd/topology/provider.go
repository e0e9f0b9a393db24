package topology

import (
	"fmt"

	"govn/pkg/incr"
)

// Option keys of ports on physical networks (ovn-nb(5), Logical_Switch_Port).
const (
	optionNetwork  = "network_name"
	optionLearnFDB = "localnet_learn_fdb"
	optionEthType  = "ethtype"
	optionGateway  = "l2gateway-chassis"
)

// Values of option ethtype.
const (
	EthType8021Q  = "802.11q"  // the names that ovn-nb(5) has for 802.1Q ...
	EthType8021AD = "802.11ad" // ... and 802.1ad
)

// readProvider reads what a port of a physical network is: its network, VLAN
// and kind of tag, and the chassis of an l2gateway port.
func (r *Reader) readProvider(c *incr.Ctx, p *Port) error {
	l := &r.C.LSP
	p.readTag(r, c)
	option := func(key string) string {
		v, _ := r.Option(c, l.Options, p.UUID, key)
		return v
	}
	if p.Network = option(optionNetwork); p.Network == "" {
		return r.fieldError(p, "options", fmt.Errorf("a %s port needs %s", p.Type, optionNetwork))
	}
	if p.Type == TypeL2Gateway {
		if p.Gateway = option(optionGateway); p.Gateway == "" {
			return r.fieldError(p, "options", fmt.Errorf("an l2gateway port needs %s", optionGateway))
		}
		return nil
	}
	p.LearnFDB = option(optionLearnFDB) == "true"
	switch t := option(optionEthType); t {
	case "", EthType8021Q, EthType8021AD:
		p.EthType = t
	default:
		return r.fieldError(p, "options", fmt.Errorf("%s: %q is neither %s nor %s", optionEthType, t, EthType8021Q, EthType8021AD))
	}
	return nil
}
