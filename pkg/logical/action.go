package logical

// Action is one action of a logical flow. The types that implement it are
// pointers to the structs of this file; a translator switches over them.
type Action interface {
	// appendText appends the action as text, with its final semicolon.
	appendText(b []byte) []byte
	// bind is the action with holes replaced; itself if it has none.
	bind(v []Value) Action
}

// Pipeline selects where next goes.
type Pipeline uint8

const (
	SamePipeline Pipeline = iota // the one that executes the action
	Ingress
	Egress
)

// Next goes on in another table: "next;", "next(5);",
// "next(pipeline=egress,table=3);".
type Next struct {
	Table    int // -1: the table after the current one
	Pipeline Pipeline
}

// Output leaves the pipeline towards outport: "output;".
type Output struct{}

// Drop is the explicit "drop;". No action at all means the same.
type Drop struct{}

// Set assigns a constant: "reg0[0] = 1;", "vlan.pcp = 4/4;". The bits outside
// of a mask stay.
type Set struct {
	Field *Field
	Value Constant
}

// Move copies a field of the same width: "reg0 = ip4.dst;".
type Move struct{ Dst, Src *Field }

// Exchange swaps two fields: "eth.src <-> eth.dst;".
type Exchange struct{ A, B *Field }

// DecTTL is "ip.ttl--;".
type DecTTL struct{}

// Push puts a field on the stack: "push(eth.src);".
type Push struct{ Field *Field }

// Pop takes it from there: "pop(eth.src);".
type Pop struct{ Field *Field }

// Nest executes actions on a packet that is made from the current one:
// "clone { ... };", "arp { ... };".
type Nest struct {
	Kind    NestKind
	Actions []Action
}

// NestKind is the name of a nesting action.
type NestKind string

const (
	Clone      NestKind = "clone"
	ARP        NestKind = "arp"
	NDNS       NestKind = "nd_ns"
	NDNA       NestKind = "nd_na"
	NDNARouter NestKind = "nd_na_router"
	ICMP4      NestKind = "icmp4"
	ICMP4Error NestKind = "icmp4_error"
	ICMP6      NestKind = "icmp6"
	ICMP6Error NestKind = "icmp6_error"
	TCPReset   NestKind = "tcp_reset"
	SCTPAbort  NestKind = "sctp_abort"
	Reject     NestKind = "reject"
	CTCommit   NestKind = "ct_commit"
)

// Call is an action in the form of a function, with or without a result:
// "put_fdb(inport, eth.src);", "reg0[11] = lookup_fdb(inport, eth.src);".
type Call struct {
	Func   Func
	Result *Field // nil: none
	Args   []Operand
}

// Operand is a field or a constant.
type Operand struct {
	Field *Field // nil: Const
	Const Constant
}

// Func is the name of a function.
type Func string

const (
	GetARP            Func = "get_arp"       // (port, ip4): eth.dst = MAC
	PutARP            Func = "put_arp"       // (port, ip4, mac)
	LookupARP         Func = "lookup_arp"    // r = (port, ip4, mac)
	LookupARPIP       Func = "lookup_arp_ip" // r = (port, ip4)
	GetND             Func = "get_nd"        // (port, ip6): eth.dst = MAC
	PutND             Func = "put_nd"        // (port, ip6, mac)
	LookupND          Func = "lookup_nd"     // r = (port, ip6, mac)
	LookupNDIP        Func = "lookup_nd_ip"  // r = (port, ip6)
	PutFDB            Func = "put_fdb"       // (port, mac)
	GetFDB            Func = "get_fdb"       // port = (mac)
	LookupFDB         Func = "lookup_fdb"    // r = (port, mac)
	CheckInPortSec    Func = "check_in_port_sec"
	CheckOutPortSec   Func = "check_out_port_sec"
	CheckPktLarger    Func = "check_pkt_larger" // r = (bytes)
	SetQueue          Func = "set_queue"        // (queue)
	SetMeter          Func = "set_meter"        // (rate[, burst])
	DNSLookup         Func = "dns_lookup"
	ChkLBHairpin      Func = "chk_lb_hairpin"
	ChkLBHairpinReply Func = "chk_lb_hairpin_reply"
	ChkLBAff          Func = "chk_lb_aff"
	ChkECMPNH         Func = "chk_ecmp_nh"
	ChkECMPNHMAC      Func = "chk_ecmp_nh_mac"
	BindVport         Func = "bind_vport"       // ("port", inport)
	HandleSvcCheck    Func = "handle_svc_check" // (port)
	CTNext            Func = "ct_next"
	CTClear           Func = "ct_clear"
	CTCommitNAT       Func = "ct_commit_nat"
	CTSNATToVIP       Func = "ct_snat_to_vip"
	CTDNAT            Func = "ct_dnat" // ([ip[, ports]])
	CTSNAT            Func = "ct_snat"
	CTDNATInCZone     Func = "ct_dnat_in_czone"
	CTSNATInCZone     Func = "ct_snat_in_czone"
	IGMP              Func = "igmp"
	HandleDHCPv6Reply Func = "handle_dhcpv6_reply"
	HandleBFDMsg      Func = "handle_bfd_msg"
	CTStateSave       Func = "ct_state_save" // r = ()
	CTNWDst           Func = "ct_nw_dst"     // r = ()
	CTIP6Dst          Func = "ct_ip6_dst"    // r = ()
	CTTPDst           Func = "ct_tp_dst"     // r = ()
	CTProto           Func = "ct_proto"      // r = ()
	MACCacheUse       Func = "mac_cache_use"
	FloodRemote       Func = "flood_remote"
	Mirror            Func = "mirror"         // ("port")
	GetRemoteFDB      Func = "get_remote_fdb" // port = (mac)
	ChkEVPNARP        Func = "chk_evpn_arp"   // r = (port, ip4, mac)
)

// Options is an action whose arguments have names:
// "reg0[3] = put_dhcp_opts(offerip = 10.0.0.2, router = 10.0.0.1);",
// "log(severity=info);".
type Options struct {
	Func    Func
	Result  *Field // nil: none
	Options []Option
}

// Option is one named argument.
type Option struct {
	Name   string // "" in a plain list, as that of select
	Values []Constant
}

// CTLB is "ct_lb_mark;" or
// "ct_lb_mark(backends=10.0.0.2:80,10.0.0.3:80; hash_fields="ip_src,ip_dst"; skip_snat);".
type CTLB struct {
	Func       Func // CTLB*
	Backends   []Backend
	HashFields string // "": Open vSwitch chooses
	Flag       string // "", "skip_snat" or "force_snat"
}

// Backend is where a load balancer sends a connection.
type Backend struct {
	IP   Constant
	Port *Constant // nil: the port stays
}

const (
	CTLBDefault   Func = "ct_lb"
	CTLBMark      Func = "ct_lb_mark"
	CTLBMarkLocal Func = "ct_lb_mark_local"
)

const (
	PutDHCPOpts    Func = "put_dhcp_opts"
	PutDHCPv6Opts  Func = "put_dhcpv6_opts"
	PutNDRAOpts    Func = "put_nd_ra_opts"
	Log            Func = "log"
	Sample         Func = "sample"
	TriggerEvent   Func = "trigger_event"
	FwdGroup       Func = "fwd_group"
	Select         Func = "select"
	CommitLBAff    Func = "commit_lb_aff"
	CommitECMPNH   Func = "commit_ecmp_nh"
	CTCommitToZone Func = "ct_commit_to_zone"
)
