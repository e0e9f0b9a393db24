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

// OfRouter reports whether the stage is one of a logical router.
func (s *Stage) OfRouter() bool { return s.ID >= firstRouterID }

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
)

// Stages of a logical router.
var (
	LRInAdmission      = routerIngress("lr_in_admission")
	LRInLookupNeighbor = routerIngress("lr_in_lookup_neighbor")
	LRInLearnNeighbor  = routerIngress("lr_in_learn_neighbor")
	LRInIPInput        = routerIngress("lr_in_ip_input")
	LRInUnSNAT         = routerIngress("lr_in_unsnat")
	LRInDefrag         = routerIngress("lr_in_defrag")
	LRInLBAffCheck     = routerIngress("lr_in_lb_aff_check")
	LRInDNAT           = routerIngress("lr_in_dnat")
	LRInLBAffLearn     = routerIngress("lr_in_lb_aff_learn")
	LRInECMPStateful   = routerIngress("lr_in_ecmp_stateful")
	LRInNDRAOptions    = routerIngress("lr_in_nd_ra_options")
	LRInNDRAResponse   = routerIngress("lr_in_nd_ra_response")
	LRInIPRoutingPre   = routerIngress("lr_in_ip_routing_pre")
	LRInIPRouting      = routerIngress("lr_in_ip_routing")
	LRInIPRoutingECMP  = routerIngress("lr_in_ip_routing_ecmp")
	LRInPolicy         = routerIngress("lr_in_policy")
	LRInPolicyECMP     = routerIngress("lr_in_policy_ecmp")
	LRInARPResolve     = routerIngress("lr_in_arp_resolve")
	LRInChkPktLen      = routerIngress("lr_in_chk_pkt_len")
	LRInLargerPkts     = routerIngress("lr_in_larger_pkts")
	LRInGWRedirect     = routerIngress("lr_in_gw_redirect")
	LRInARPRequest     = routerIngress("lr_in_arp_request")
	LROutChkDNATLocal  = routerEgress("lr_out_chk_dnat_local")
	LROutUndNAT        = routerEgress("lr_out_undnat")
	LROutPostUndNAT    = routerEgress("lr_out_post_undnat")
	LROutSNAT          = routerEgress("lr_out_snat")
	LROutPostSNAT      = routerEgress("lr_out_post_snat")
	LROutEgrLoop       = routerEgress("lr_out_egr_loop")
	LROutDelivery      = routerEgress("lr_out_delivery")
)

// firstRouterID is the ID of a router's first stage, so that each kind of
// datapath may get more stages without renumbering the other's.
const firstRouterID = 128

// pipelineStages are the stages of a kind of datapath.
type pipelineStages struct {
	first uint32 // ID of the first
	list  []*Stage
	next  [2]uint8 // table, by direction
}

var (
	switchStages = &pipelineStages{first: 1}
	routerStages = &pipelineStages{first: firstRouterID}
)

func (p *pipelineStages) add(name string, d Direction) *Stage {
	s := &Stage{ID: p.first + uint32(len(p.list)), Name: name, Direction: d, Table: p.next[d]}
	p.next[d]++
	p.list = append(p.list, s)
	return s
}

func ingress(name string) *Stage       { return switchStages.add(name, Ingress) }
func egress(name string) *Stage        { return switchStages.add(name, Egress) }
func routerIngress(name string) *Stage { return routerStages.add(name, Ingress) }
func routerEgress(name string) *Stage  { return routerStages.add(name, Egress) }

// SwitchStages are the stages of a logical switch in order.
func SwitchStages() []*Stage { return switchStages.list }

// RouterStages are the stages of a logical router in order.
func RouterStages() []*Stage { return routerStages.list }

// StageByID is the stage of a flow that a chassis names.
func StageByID(id uint32) (*Stage, error) {
	p := switchStages
	if id >= firstRouterID {
		p = routerStages
	}
	if id < p.first || id-p.first >= uint32(len(p.list)) {
		return nil, fmt.Errorf("no stage has the id %d", id)
	}
	return p.list[id-p.first], nil
}
