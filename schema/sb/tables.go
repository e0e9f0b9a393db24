package sb

// Name and Version are those of the database.
const (
	Name    = "OVN_Southbound"
	Version = "21.11.0"
)

// Tables holds a nil pointer to the row type of each table, in the order of OVN's schema.
func Tables() []any {
	return []any{
		(*SBGlobal)(nil),
		(*Chassis)(nil),
		(*ChassisPrivate)(nil),
		(*Encap)(nil),
		(*AddressSet)(nil),
		(*PortGroup)(nil),
		(*LogicalFlow)(nil),
		(*LogicalDPGroup)(nil),
		(*MulticastGroup)(nil),
		(*Mirror)(nil),
		(*Meter)(nil),
		(*MeterBand)(nil),
		(*DatapathBinding)(nil),
		(*PortBinding)(nil),
		(*MACBinding)(nil),
		(*DHCPOptions)(nil),
		(*DHCPv6Options)(nil),
		(*Connection)(nil),
		(*SSL)(nil),
		(*DNS)(nil),
		(*RBACRole)(nil),
		(*RBACPermission)(nil),
		(*GatewayChassis)(nil),
		(*HAChassis)(nil),
		(*HAChassisGroup)(nil),
		(*ControllerEvent)(nil),
		(*IPMulticast)(nil),
		(*IGMPGroup)(nil),
		(*ServiceMonitor)(nil),
		(*LoadBalancer)(nil),
		(*BFD)(nil),
		(*FDB)(nil),
		(*StaticMACBinding)(nil),
		(*ECMPNexthop)(nil),
		(*ChassisTemplateVar)(nil),
		(*AdvertisedRoute)(nil),
		(*LearnedRoute)(nil),
		(*ACLID)(nil),
		(*AdvertisedMACBinding)(nil),
	}
}
