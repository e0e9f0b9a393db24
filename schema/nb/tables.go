package nb

// Name and Version are those of the database.
const (
	Name    = "OVN_Northbound"
	Version = "7.19.0"
)

// Tables holds a nil pointer to the row type of each table, in the order of OVN's schema.
func Tables() []any {
	return []any{
		(*NBGlobal)(nil),
		(*SampleCollector)(nil),
		(*Sample)(nil),
		(*Copp)(nil),
		(*LogicalSwitch)(nil),
		(*LogicalSwitchPort)(nil),
		(*NetworkFunctionHealthCheck)(nil),
		(*NetworkFunction)(nil),
		(*NetworkFunctionGroup)(nil),
		(*LogicalSwitchPortHealthCheck)(nil),
		(*ForwardingGroup)(nil),
		(*AddressSet)(nil),
		(*PortGroup)(nil),
		(*LoadBalancer)(nil),
		(*LoadBalancerGroup)(nil),
		(*LoadBalancerHealthCheck)(nil),
		(*ACL)(nil),
		(*QoS)(nil),
		(*Mirror)(nil),
		(*MirrorRule)(nil),
		(*Meter)(nil),
		(*MeterBand)(nil),
		(*LogicalRouter)(nil),
		(*LogicalRouterPort)(nil),
		(*LogicalRouterStaticRoute)(nil),
		(*LogicalRouterPolicy)(nil),
		(*NAT)(nil),
		(*DHCPOptions)(nil),
		(*DHCPRelay)(nil),
		(*Connection)(nil),
		(*DNS)(nil),
		(*SSL)(nil),
		(*GatewayChassis)(nil),
		(*HAChassis)(nil),
		(*HAChassisGroup)(nil),
		(*BFD)(nil),
		(*StaticMACBinding)(nil),
		(*ChassisTemplateVar)(nil),
		(*SamplingApp)(nil),
	}
}
