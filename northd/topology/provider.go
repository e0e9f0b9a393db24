package topology

import (
	"errors"
	"fmt"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Option keys of ports on physical networks (ovn-nb(5), Logical_Switch_Port).
const (
	optionNetwork  = "network_name"
	optionLearnFDB = "localnet_learn_fdb"
	optionEthType  = "ethtype"

	optionActivation = "activation-strategy"

	ActivationRARP = "rarp" // an additional location of a port waits for a RARP packet
	optionGateway  = "l2gateway-chassis"
)

// Values of option ethtype.
const (
	EthType8021Q  = "802.11q"  // the names that ovn-nb(5) has for 802.1Q ...
	EthType8021AD = "802.11ad" // ... and 802.1ad
)

// readProvider reads what a port of a physical network is: its network, VLAN
// and kind of tag, and the chassis of an l2gateway port.
func (r *Reader) readProvider(p *Port, row *ovsdb.Row) error {
	p.readTag(r, row)
	option := row.Map(r.C.LSP.Options).Str
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
	p.EthType = option(optionEthType)
	return nil
}

// Why a port of a physical network, or a virtual port, does not do all that it
// was made for.
var (
	// ErrEthType is the problem of a localnet port with an unknown ethtype; its tag
	// is one of 802.1Q.
	ErrEthType = errors.New("ethtype is neither " + EthType8021Q + " nor " + EthType8021AD + ", and counts as the former")
	// ErrNoVirtualIP is the problem of a virtual port without an address.
	ErrNoVirtualIP = errors.New("virtual-ip is no IP address; no chassis will have the port")
	// ErrNoParents is the problem of a virtual port that nobody can have.
	ErrNoParents = errors.New("none of virtual-parents is a port of a workload on this switch; no chassis will have the port")
	// ErrUnhosted is the problem of an external port that no chassis hosts.
	ErrUnhosted = errors.New("an external port needs chassis that may host it; without them no router hears it")
	// ErrActivation is the problem of a port with an unknown activation-strategy.
	ErrActivation = errors.New("activation-strategy is not " + ActivationRARP + "; additional locations are used at once")
	// ErrNoLocalnet is the problem of an external port that leads nowhere.
	ErrNoLocalnet = errors.New("an external port needs a localnet port on its switch")
)

// ProviderProblem is what is not as it should be with a port that is used all the
// same, and the column; nil: nothing. localnet tells whether its switch has a
// localnet port.
func (r *Reader) ProviderProblem(c *incr.Ctx, p *Port, localnet bool) error {
	switch p.Type {
	case TypeVIF:
		if p.Activation != "" && p.Activation != ActivationRARP {
			return r.fieldError(p, "options", fmt.Errorf("%q: %w", p.Activation, ErrActivation))
		}
	case TypeLocalnet:
		if p.EthType != "" && p.EthType != EthType8021Q && p.EthType != EthType8021AD {
			return r.fieldError(p, "options", fmt.Errorf("%q: %w", p.EthType, ErrEthType))
		}
	case TypeL2Gateway:
		if _, ok := r.Named(c, r.C.Chassis.Name, p.Gateway); !ok {
			return r.fieldError(p, "options", fmt.Errorf("%s %q: %w", optionGateway, p.Gateway, ErrNoChassis))
		}
	case TypeVirtual:
		switch {
		case !p.Virtual.IP.IsValid():
			return r.fieldError(p, "options", ErrNoVirtualIP)
		case len(p.Virtual.Parents) == 0:
			return r.fieldError(p, "options", ErrNoParents)
		}
	case TypeExternal:
		switch {
		case p.HAGroup.Kind == 0:
			return r.fieldError(p, "ha_chassis_group", ErrUnhosted)
		case !localnet:
			return r.fieldError(p, "type", ErrNoLocalnet)
		}
	}
	return nil
}
