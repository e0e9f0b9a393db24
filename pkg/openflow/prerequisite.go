package openflow

// Requirement names what a packet must be for a field of it to exist.
type Requirement = requirement

// Requirements of fields.
const (
	RequiresNothing = needNothing
	RequiresARP     = needARP // or RARP
	RequiresIPv4    = needIPv4
	RequiresIPv6    = needIPv6
	RequiresIP      = needIP
	RequiresTCP     = needTCP
	RequiresUDP     = needUDP
	RequiresSCTP    = needSCTP
	RequiresICMPv4  = needICMPv4
	RequiresICMPv6  = needICMPv6
	RequiresND      = needND // neighbour solicitation or advertisement
	RequiresNS      = needNS
	RequiresNA      = needNA
	RequiresVLAN    = needVID
	RequiresMPLS    = needMPLS
	RequiresCT      = needCT // a connection, as ct_state tells
	RequiresCTProto = needCTProto
	RequiresCTIPv4  = needCTIPv4
	RequiresCTIPv6  = needCTIPv6
)

// Requires is what a packet must be for the field to exist.
func (f *Field) Requires() Requirement { return f.needs }

// Index is the field's place in Fields, from 0.
func (f *Field) Index() int { return f.order }

// Meets tells whether the match implies a requirement.
func (m *Match) Meets(r Requirement) bool { return m.meets(r) }

// Writable tells whether actions may write the field.
func (f *Field) Writable() bool { return !readOnlyFields[f] }

// readOnlyFields are those that Open vSwitch only matches (ovs-fields(7)).
var readOnlyFields = map[*Field]bool{
	FieldInPort: true, FieldPacketType: true, FieldDPHash: true, FieldRecircID: true, FieldConjID: true,
	FieldActsetOutput: true, FieldEthType: true, FieldIPProto: true, FieldIPFrag: true, FieldTCPFlags: true,
	FieldCTState: true, FieldCTZone: true, FieldCTNwProto: true, FieldCTNwSrc: true, FieldCTNwDst: true,
	FieldCTIPv6Src: true, FieldCTIPv6Dst: true, FieldCTTPSrc: true, FieldCTTPDst: true, FieldMPLSBOS: true,
}

// Entries calls fn for every field of the match, in canonical order. Value and
// mask have Field.Size bytes and are only valid during the call; an unknown
// field has no Field and the whole TLV as value.
func (m *Match) Entries(fn func(f *Field, value, mask []byte)) {
	for i := range m.fields {
		if e := &m.fields[i]; e.f != nil {
			fn(e.f, e.value[:e.f.size], e.mask[:e.f.size])
		} else {
			fn(nil, e.raw, nil)
		}
	}
}
