package vswitch

// Name and Version are those of the database.
const (
	Name    = "Open_vSwitch"
	Version = "8.3.1"
)

// Tables holds a nil pointer to the row type of each table.
func Tables() []any {
	return []any{
		(*OpenVSwitch)(nil),
		(*Bridge)(nil),
		(*Port)(nil),
		(*Interface)(nil),
		(*Controller)(nil),
		(*Manager)(nil),
		(*SSL)(nil),
		(*QoS)(nil),
		(*Queue)(nil),
		(*Mirror)(nil),
		(*FlowSampleCollectorSet)(nil),
		(*Datapath)(nil),
	}
}
