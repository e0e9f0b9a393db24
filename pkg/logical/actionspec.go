package logical

// argKind is what an argument of a function may be.
type argKind uint8

const (
	argPort   argKind = iota // a string field
	argIP4                   // a field of 32 bits
	argIP6                   // a field of 128 bits
	argMAC                   // a field of 48 bits
	argNumber                // a number
	argString                // a name in quotes
	argIP                    // an address
)

// resultKind is what a function gives.
type resultKind uint8

const (
	noResult   resultKind = iota
	bitResult             // into a field of 1 bit
	portResult            // into a string field
	anyResult             // into any integer field
)

// signature says how a function is called.
type signature struct {
	result   resultKind
	args     []argKind
	min      int    // how many of args are mandatory
	brackets bool   // written with () even without arguments
	nat      bool   // the third argument comes behind a "-"
	limit    uint64 // of number arguments, 0: 32 bits
	prereq   string
}

var functions = map[Func]signature{
	GetARP:            {args: []argKind{argPort, argIP4}, min: 2},
	PutARP:            {args: []argKind{argPort, argIP4, argMAC}, min: 3},
	LookupARP:         {result: bitResult, args: []argKind{argPort, argIP4, argMAC}, min: 3},
	LookupARPIP:       {result: bitResult, args: []argKind{argPort, argIP4}, min: 2},
	GetND:             {args: []argKind{argPort, argIP6}, min: 2},
	PutND:             {args: []argKind{argPort, argIP6, argMAC}, min: 3},
	LookupND:          {result: bitResult, args: []argKind{argPort, argIP6, argMAC}, min: 3},
	LookupNDIP:        {result: bitResult, args: []argKind{argPort, argIP6}, min: 2},
	PutFDB:            {args: []argKind{argPort, argMAC}, min: 2},
	GetFDB:            {result: portResult, args: []argKind{argMAC}, min: 1},
	GetRemoteFDB:      {result: portResult, args: []argKind{argMAC}, min: 1},
	LookupFDB:         {result: bitResult, args: []argKind{argPort, argMAC}, min: 2},
	CheckInPortSec:    {result: bitResult, brackets: true},
	CheckOutPortSec:   {result: bitResult, brackets: true},
	CheckPktLarger:    {result: bitResult, args: []argKind{argNumber}, min: 1, limit: 65535},
	SetQueue:          {args: []argKind{argNumber}, min: 1, limit: 61440},
	SetMeter:          {args: []argKind{argNumber, argNumber}, min: 1},
	DNSLookup:         {result: bitResult, brackets: true, prereq: "udp"},
	ChkLBHairpin:      {result: bitResult, brackets: true},
	ChkLBHairpinReply: {result: bitResult, brackets: true},
	ChkLBAff:          {result: bitResult, brackets: true},
	ChkECMPNH:         {result: bitResult, brackets: true},
	ChkECMPNHMAC:      {result: bitResult, brackets: true},
	ChkEVPNARP:        {result: bitResult, args: []argKind{argPort, argIP4, argMAC}, min: 3},
	BindVport:         {args: []argKind{argString, argPort}, min: 2},
	HandleSvcCheck:    {args: []argKind{argPort}, min: 1},
	CTNext:            {prereq: "ip"},
	CTClear:           {},
	CTCommitNAT:       {prereq: "ip"},
	CTSNATToVIP:       {prereq: "ip"},
	CTDNAT:            {args: []argKind{argIP, argNumber, argNumber}, nat: true, limit: 65535, prereq: "ip"},
	CTSNAT:            {args: []argKind{argIP, argNumber, argNumber}, nat: true, limit: 65535, prereq: "ip"},
	CTDNATInCZone:     {args: []argKind{argIP, argNumber, argNumber}, nat: true, limit: 65535, prereq: "ip"},
	CTSNATInCZone:     {args: []argKind{argIP, argNumber, argNumber}, nat: true, limit: 65535, prereq: "ip"},
	IGMP:              {prereq: "igmp"},
	HandleDHCPv6Reply: {},
	HandleBFDMsg:      {brackets: true},
	MACCacheUse:       {},
	FloodRemote:       {},
	Mirror:            {args: []argKind{argString}, min: 1},
	CTStateSave:       {result: anyResult, brackets: true},
	CTNWDst:           {result: anyResult, brackets: true},
	CTIP6Dst:          {result: anyResult, brackets: true},
	CTTPDst:           {result: anyResult, brackets: true},
	CTProto:           {result: anyResult, brackets: true},
}

// optionSpec says how a function with named arguments is written.
type optionSpec struct {
	result resultKind
	names  []string // nil: any
	must   []string // those that cannot be left out
	list   string   // this one has a list behind it, without braces
	tight  bool     // "name=value", not "name = value"
	weight bool     // numbers with weights, not names
	words  bool     // names without values
	prereq string
}

var options = map[Func]optionSpec{
	PutDHCPOpts:    {result: bitResult, must: []string{"offerip"}},
	PutDHCPv6Opts:  {result: bitResult},
	PutNDRAOpts:    {result: bitResult, prereq: "ip6"},
	Log:            {names: []string{"name", "severity", "verdict", "meter"}, must: []string{"verdict"}, tight: true},
	Sample:         {names: []string{"probability", "collector_set", "obs_domain", "obs_point"}, must: []string{"probability"}, tight: true},
	TriggerEvent:   {names: []string{"event", "meter", "vip", "protocol", "load_balancer"}, must: []string{"event"}},
	FwdGroup:       {names: []string{"liveness", "childports"}, must: []string{"childports"}, list: "childports", tight: true},
	Select:         {result: anyResult, weight: true, tight: true},
	CommitLBAff:    {names: []string{"vip", "backend", "proto", "timeout"}, must: []string{"vip", "backend", "timeout"}},
	CommitECMPNH:   {names: []string{"ipv6", "proto"}, must: []string{"ipv6"}},
	CTCommitToZone: {names: []string{"dnat", "snat"}, words: true, prereq: "ip"},
}

// nests are the actions with actions inside, and what they imply.
var nests = map[NestKind]struct {
	prereq string
	scope  Write
}{
	Clone:      {"", Writable},
	ARP:        {"ip4", Writable},
	NDNS:       {"ip6", Writable},
	NDNA:       {"nd_ns", Writable},
	NDNARouter: {"nd_ns", Writable},
	ICMP4:      {"ip4", Writable},
	ICMP4Error: {"ip4", WritableInICMP4},
	ICMP6:      {"ip6", Writable},
	ICMP6Error: {"ip6", WritableInICMP6},
	TCPReset:   {"tcp", Writable},
	SCTPAbort:  {"sctp", Writable},
	Reject:     {"", Writable},
	CTCommit:   {"ip", WritableCommit},
}
