package pipeline

import "fmt"

// Direction is the half of the pipeline that a stage belongs to.
type Direction uint8

const (
	Ingress Direction = iota // before the egress port is known, on the chassis of the sender
	Egress                   // for one egress port, on its chassis
)

// String is the name in Logical_Flow:pipeline.
func (d Direction) String() string {
	if d == Egress {
		return "egress"
	}
	return "ingress"
}

// Stage is a table of a logical pipeline.
type Stage struct {
	ID        uint32 // never changes its meaning; part of the flow id
	Name      string // as in Logical_Flow:external_ids:stage-name
	Direction Direction
	Table     uint8
}

// String is the name.
func (s *Stage) String() string { return s.Name }

// Stages of a logical switch, in the order of a packet's way.
var (
	LSInCheckPortSec  = ingress("ls_in_check_port_sec")
	LSInApplyPortSec  = ingress("ls_in_apply_port_sec")
	LSInLookupFDB     = ingress("ls_in_lookup_fdb")
	LSInPutFDB        = ingress("ls_in_put_fdb")
	LSInPreACL        = ingress("ls_in_pre_acl")
	LSInPreLB         = ingress("ls_in_pre_lb")
	LSInPreStateful   = ingress("ls_in_pre_stateful")
	LSInACLHint       = ingress("ls_in_acl_hint")
	LSInACL           = ingress("ls_in_acl")
	LSInQoSMark       = ingress("ls_in_qos_mark")
	LSInQoSMeter      = ingress("ls_in_qos_meter")
	LSInLBAffCheck    = ingress("ls_in_lb_aff_check")
	LSInLB            = ingress("ls_in_lb")
	LSInLBAffLearn    = ingress("ls_in_lb_aff_learn")
	LSInPreHairpin    = ingress("ls_in_pre_hairpin")
	LSInNATHairpin    = ingress("ls_in_nat_hairpin")
	LSInHairpin       = ingress("ls_in_hairpin")
	LSInACLAfterLB    = ingress("ls_in_acl_after_lb")
	LSInStateful      = ingress("ls_in_stateful")
	LSInARPRsp        = ingress("ls_in_arp_rsp")
	LSInDHCPOptions   = ingress("ls_in_dhcp_options")
	LSInDHCPResponse  = ingress("ls_in_dhcp_response")
	LSInDNSLookup     = ingress("ls_in_dns_lookup")
	LSInDNSResponse   = ingress("ls_in_dns_response")
	LSInExternalPort  = ingress("ls_in_external_port")
	LSInL2Lkup        = ingress("ls_in_l2_lkup")
	LSInL2Unknown     = ingress("ls_in_l2_unknown")
	LSOutPreACL       = egress("ls_out_pre_acl")
	LSOutPreLB        = egress("ls_out_pre_lb")
	LSOutPreStateful  = egress("ls_out_pre_stateful")
	LSOutACLHint      = egress("ls_out_acl_hint")
	LSOutACL          = egress("ls_out_acl")
	LSOutQoSMark      = egress("ls_out_qos_mark")
	LSOutQoSMeter     = egress("ls_out_qos_meter")
	LSOutStateful     = egress("ls_out_stateful")
	LSOutCheckPortSec = egress("ls_out_check_port_sec")
	LSOutApplyPortSec = egress("ls_out_apply_port_sec")
	switchStages      []*Stage
	nextIngress       uint8
	nextEgress        uint8
)

func ingress(name string) *Stage {
	s := &Stage{ID: uint32(len(switchStages)) + 1, Name: name, Direction: Ingress, Table: nextIngress}
	nextIngress++
	switchStages = append(switchStages, s)
	return s
}

func egress(name string) *Stage {
	s := &Stage{ID: uint32(len(switchStages)) + 1, Name: name, Direction: Egress, Table: nextEgress}
	nextEgress++
	switchStages = append(switchStages, s)
	return s
}

// SwitchStages are the stages of a logical switch in order.
func SwitchStages() []*Stage { return switchStages }

// StageByID is the stage of a flow that a chassis names.
func StageByID(id uint32) (*Stage, error) {
	if id == 0 || int(id) > len(switchStages) {
		return nil, fmt.Errorf("no stage has the id %d", id)
	}
	return switchStages[id-1], nil
}
