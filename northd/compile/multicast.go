package compile

import (
	"govn/northd/topology"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Options of routers about multicast (ovn-nb(5)), which nothing is compiled of yet.
const (
	optionMulticastRelay = "mcast_relay" // Logical_Router
	optionMulticastFlood = "mcast_flood" // Logical_Router_Port
)

// checkRelay warns of a router that is to forward multicast between its networks.
func (p *Program) checkRelay(c *incr.Ctx, lr ovsdb.UUID) {
	if on, _ := p.Reader.Option(c, p.c.LR.Options, lr, optionMulticastRelay); on == "true" {
		p.warn(c, &topology.FieldError{Table: p.c.LR.Table.Name, Column: "options:" + optionMulticastRelay,
			Object: p.Reader.Str(c, p.c.LR.Name, lr), UUID: lr, Err: topology.ErrNoRelay})
	}
}

// checkFlood warns of a router port that all multicast is to be sent to.
func (p *Program) checkFlood(c *incr.Ctx, port *topology.RouterPort) {
	if port.Options[optionMulticastFlood] == "true" {
		p.warn(c, &topology.FieldError{Table: p.c.LRP.Table.Name, Column: "options:" + optionMulticastFlood,
			Object: port.Name, UUID: port.UUID, Err: topology.ErrNoRelay})
	}
}
