package translate

import (
	"fmt"

	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// track puts the zone into an action of connection tracking: that of the port in a
// switch, that for DNAT in a router (ovn-sb(5), "ct_next", "ct_commit").
func (c *compiler) track(a openflow.CT) openflow.CT {
	reg := abi.RegZone
	if c.stage.OfRouter() {
		reg = abi.RegDNATZone
	}
	a.ZoneSrc = openflow.Bits(openflow.FieldReg(reg), 0, 15)
	return a
}

// ctNext looks the connection up and goes on in the next table, where it is known.
func ctNext(c *compiler, _ *logical.Call) error {
	if c.nested != "" {
		return fmt.Errorf("%q cannot be inside of %q", logical.CTNext, c.nested)
	}
	c.add(c.track(openflow.CT{Table: base(c.stage.Direction) + c.stage.Table + 1}))
	return nil
}
