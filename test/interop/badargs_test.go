package interop

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"govn/nbctl/ctl"
)

var (
	badRounds = flag.Int("bad.rounds", 1, "how often TestBadArguments goes through all verbs")
	badSeed   = flag.Uint64("bad.seed", 1, "seed of TestBadArguments")
)

// quoted is a word for a script.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Too few and too many arguments, and arguments that name nothing and mean
// nothing: the same message and status for every verb.
func TestWrongArguments(t *testing.T) {
	t.Parallel()
	var script strings.Builder
	script.WriteString(world)
	for _, name := range slices.Sorted(maps.Keys(programs())) {
		prefix := prefixOf(name)
		for _, c := range programs()[name].All() {
			if slices.Contains(additions[name], c.Name) {
				continue
			}
			counts := []int{c.Min}
			if c.Min > 0 {
				counts = append(counts, c.Min-1, 0)
			}
			if c.Max != ctl.Unlimited {
				counts = append(counts, c.Max, c.Max+1)
			}
			slices.Sort(counts)
			for _, n := range slices.Compact(counts) {
				if c.Name == "lsp-set-port-security" && n == 0 {
					continue // the stock program crashes
				}
				if c.Name == "wait-until" && n >= c.Min {
					continue // it would wait
				}
				if n >= c.Min && (c.Min == 0 || strings.HasSuffix(c.Name, "-connection") || strings.HasSuffix(c.Name, "-ssl")) {
					continue // these are no errors
				}
				fmt.Fprintf(&script, "%s%s%s\n", prefix, c.Name, strings.Repeat(" nope", n))
			}
			fmt.Fprintf(&script, "%s-- --nope %s%s\n", prefix, c.Name, strings.Repeat(" nope", c.Min))
		}
	}
	runScript(t, script.String(), nil)
}

// world is what the commands of the tests find.
const world = `
--may-exist ls-add sw0 -- --may-exist lsp-add sw0 p1 -- --may-exist lsp-add sw0 p2
lsp-set-addresses p1 "00:00:00:00:00:01 10.0.0.1"
--may-exist lr-add r0
lrp-add r0 rp1 00:00:00:00:01:01 10.0.0.254/24 -- lrp-set-gateway-chassis rp1 hv1
lb-add lb0 30.0.0.10:80 10.0.0.1:80,10.0.0.2:80
ls-lb-add sw0 lb0
pg-add pg0 p1
acl-add pg0 to-lport 1000 ip4 drop
meter-add m0 drop 10 kbps -- copp-add copp0 arp m0 -- mirror-add mir0 gre 5 to-lport 10.0.0.1
ha-chassis-group-add hg0
create Address_Set name=as0
dhcp-options-create 10.0.0.0/24
lr-nat-add r0 snat 172.16.0.1 10.0.0.0/24 -- lr-route-add r0 10.1.0.0/16 10.0.0.9 -- lr-policy-add r0 100 ip4 drop
ic-nb --may-exist ts-add ts1
ic-nb --if-exists ts-del new
`

// objects are names that placeholders of arguments may stand for, and values are
// what else may be given: things that parse, things that hardly do, and things
// that do not.
var (
	objects = map[string][]string{
		"SWITCH": {"sw0", "ts1", "new"}, "ZONE": {"west"}, "ROUTER": {"r0"}, "PORT": {"p1", "rp1"}, "LB": {"lb0", "lbn"}, "PG": {"pg0", "pgn"}, "METER": {"m0"},
		"CHASSIS": {"hv1"}, "GROUP": {"hg0", "grp"}, "GRP": {"hg0"}, "MIRROR": {"mir0"}, "NAME": {"copp0", "m0", "mir0", "new"},
		"{SWITCH|PORTGROUP}": {"sw0", "pg0"}, "DIRECTION": {"to-lport", "from-lport"}, "PROTO": {"arp", "igmp"},
		"TYPE": {"gre", "erspan", "snat", "dnat", "dnat_and_snat", "router", "overlay"}, "STATE": {"enabled"}, "ACTION": {"allow", "drop", "reroute"},
		"MATCH": {"ip4", "ip4.src == $as0"}, "PRIORITY": {"100", "1000"}, "NETWORK": {"10.0.5.1/24"}, "PREFIX": {"10.1.0.0/16", "fd01::/64"},
		"FILTER": {"to-lport"}, "UNIT": {"kbps", "pktps"}, "ENCAP-TYPE": {"geneve"}, "DATAPATH": {"sw0"},
	}
	values = []string{
		"", "x", "0", "1", "-1", "32767", "32768", "4294967296", "99999999999999999999", "1e3", " 5", "0x10",
		"10.0.0.1", "10.0.0.1/24", "10.0.0.1/33", "10.0.0.0/255.255.0.0", "10.0.0.0/255.0.255.0", "10.0.0", "010.0.0.1", "10.0.0.1/", "10.0.0.1/-1",
		"fd00::1", "FD00::1/64", "fd00::1/129", "fd00::/ffff::", "fe80::1%eth0", "::ffff:1.2.3.4", "::", "[fd00::1]", "[fd00::1]:80",
		"10.0.0.1:80", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", ":80", "10.0.0.1:80,10.0.0.2:80", "10.0.0.1,", ",",
		"00:00:00:00:00:01", "0:0:0:0:0:1", "00:00:00:00:00", "00:00:00:00:00:01:02", "00:00:00:00:00:0g", "00:00:00:00:00:01 10.0.0.1", "01:00:5e:00:00:01",
		"dynamic", "unknown", "router", "dynamic 10.0.0.9", "a=b", "=b", "a=", "a=b=c", "peer=x", "rate=1", "burst=2", "dscp=64", "pkt_mark=1",
		"sw0", "r0", "p1", "p2", "rp1", "lb0", "tcp", "udp", "sctp", "discard", "1-5", "5-1", "gre", "00000000-0000-0000-0000-000000000000", "0000",
	}
)

// argument chooses what stands for a placeholder; where that deletes something,
// seldom what is there.
func argument(r *rand.Rand, placeholder string, deletes bool) string {
	known := objects[strings.Trim(placeholder, "[].")]
	if len(known) > 0 && (r.IntN(4) > 0) != deletes {
		return known[r.IntN(len(known))]
	}
	return values[r.IntN(len(values))]
}

// Arguments at random, good and bad: what they do and what they say is the same
// for every verb.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(*badSeed, 0))
	var script strings.Builder
	for range *badRounds {
		script.WriteString(world) // what the last round deleted
		for _, name := range slices.Sorted(maps.Keys(programs())) {
			prefix := "~ " + prefixOf(name)
			for _, c := range programs()[name].All() {
				if slices.Contains(additions[name], c.Name) || strings.Contains(c.Args, "TABLE") || c.Min == 0 && c.Max != 0 || odd[c.Name] {
					continue
				}
				placeholders := strings.Fields(c.Args)
				n := c.Min
				if c.Max == ctl.Unlimited {
					n += r.IntN(3)
				} else {
					n += r.IntN(c.Max - c.Min + 1)
				}
				fmt.Fprint(&script, prefix)
				for o := range strings.SplitSeq(c.Options, ",") {
					if o == "" || r.IntN(4) > 0 || strings.HasPrefix(o, "--ovs") || strings.HasPrefix(o, "--vflows") {
						continue
					}
					if bare, value := strings.CutSuffix(o, "="); value {
						o = bare + "=" + argument(r, strings.ToUpper(bare[2:]), false)
					}
					fmt.Fprintf(&script, "%s ", quoted(strings.TrimSuffix(o, "?")))
				}
				fmt.Fprint(&script, "-- "+c.Name)
				for i := range n {
					placeholder := ""
					if len(placeholders) > 0 {
						placeholder = placeholders[min(i, len(placeholders)-1)]
					}
					fmt.Fprintf(&script, " %s", quoted(argument(r, placeholder, strings.Contains(c.Name, "-del"))))
				}
				fmt.Fprintln(&script)
			}
		}
	}
	runScript(t, script.String(), nil)
}

// odd are verbs whose differences docs/cli.md explains.
var odd = map[string]bool{}
