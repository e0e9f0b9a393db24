package northbound

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// later are keys of versions after 23.03, to which the manual belongs.
var later = map[[3]string]bool{
	{"Logical_Switch", "other_config", "fdb_age_threshold"}: true,
	{"NB_Global", "options", "fdb_removal_limit"}:           true,
	{"NB_Global", "options", "always_tunnel"}:               true,
	{"NB_Global", "options", "ic-route-denylist"}:           true,
	{"NB_Global", "options", "ic-route-learn-lb"}:           true,
}

func init() {
	for _, table := range []string{"Logical_Router", "Logical_Router_Port"} {
		for name := range strings.FieldsSeq("ic-route-filter-adv ic-route-filter-learn ic-route-deny-adv ic-route-deny-learn ic-route-tag ic-route-filter-tag") {
			later[[3]string{table, "options", name}] = true
		}
	}
}

var (
	tablePattern = regexp.MustCompile(`(?m)^\s*(\S+) TABLE$`)
	keyPattern   = regexp.MustCompile(`^ +(\S+) : (\S+?)(?::| )\s*(?:(optional string|string)(.*))?$`)
	rangePattern = regexp.MustCompile(`in range (-?[0-9,]+) to ([0-9,]+)`)
)

// Every key that ovn-nb(5) documents is there, and where the page tells a range
// or true and false, the type has them.
func TestKeysAreThoseOfTheManual(t *testing.T) {
	cmd := exec.Command("man", "5", "ovn-nb")
	cmd.Env = append(cmd.Environ(), "MANWIDTH=400", "LC_ALL=C.UTF-8", "MAN_KEEP_FORMATTING=")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	table, documented := "", map[[3]string]bool{}
	for line := range strings.SplitSeq(string(out), "\n") {
		if m := tablePattern.FindStringSubmatch(line); m != nil {
			table = m[1]
			continue
		}
		m := keyPattern.FindStringSubmatch(line)
		if m == nil || table == "" {
			continue
		}
		name := strings.TrimSuffix(m[2], ":")
		k := [3]string{table, m[1], name}
		documented[k] = true
		key, ok := Find(table, m[1], name)
		if !ok {
			t.Errorf("%s %s:%s is documented and not known", table, m[1], name)
			continue
		}
		if strings.Contains(m[4], "either true or false") {
			for text, good := range map[string]bool{"true": true, "false": true, "yes": false, "1": false} {
				if (key.Type.Check(text) == nil) != good {
					t.Errorf("%v: %q: %v", k, text, key.Type.Check(text))
				}
			}
		}
		if r := rangePattern.FindStringSubmatch(m[4]); r != nil {
			low, high := number(t, r[1]), number(t, r[2])
			for n, good := range map[int64]bool{low: true, high: true, low - 1: false, high + 1: false} {
				if (key.Type.Check(strconv.FormatInt(n, 10)) == nil) != good {
					t.Errorf("%v: %d: %v, and the page says %s", k, n, key.Type.Check(strconv.FormatInt(n, 10)), m[4])
				}
			}
		}
	}
	if len(documented) < 180 {
		t.Errorf("found only %d keys in the manual: is it read right?", len(documented))
	}
	undocumented := map[string]bool{"e2e_timestamp": true, "northd_internal_version": true, "northd-backoff-interval-ms": true,
		"svc_monitor_mac": true, "name": true, "peer": true, "event": true}
	for _, k := range Keys() {
		if !documented[[3]string{k.Table, k.Column, k.Name}] && !k.Own && !undocumented[k.Name] && !later[[3]string{k.Table, k.Column, k.Name}] {
			t.Errorf("%s %s:%s is not in the manual", k.Table, k.Column, k.Name)
		}
	}
}

func number(t *testing.T, s string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, ",", ""), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Faults are found where they are: the text between the bars.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		t    Type
		want string // the value with bars around what is wrong; without bars, it is right
	}{
		{IP, "10.0.0.1"}, {IP, "fd00::1"}, {IP, "10.0.0.|256|"}, {IP, "10.0.|x|.1"}, {IP, "10.0.0||"}, {IP, "||"}, {IP, "fd00::|g|1"},
		{IP, "fe80::1|%eth0|"}, {IP, "10.0.0.|01|"}, {IP, "fd00::|12345|"}, {IP, "|host|"}, {IPv4, "|fd00::1|"}, {IPv6, "|10.0.0.1|"},
		{Prefix, "10.0.0.1/24"}, {Prefix, "10.0.0.1"}, {Prefix, "10.0.0.1/|33|"}, {Prefix, "fd00::/|129|"}, {Prefix, "10.0.0.0/255.255.255.0"},
		{Prefix, "10.0.0.0/|255.0.255.0|"}, {Prefix, "10.0.0.1/||"}, {Prefix, "10.0.|300|.1/24"},
		{MAC, "00:00:00:00:00:01"}, {MAC, "0:0:0:0:0:1"}, {MAC, "00:00:00:00:00:|0g|"}, {MAC, "00:00:00:00:00||"}, {MAC, "00:00:00:00:00:01|:02|"}, {MAC, "|10.0.0.1|"},
		{Bool, "true"}, {Bool, "|yes|"}, {integer(1, 10), "10"}, {integer(1, 10), "|11|"}, {integer(1, 10), "1|x|"}, {integer(1, 10), "||"}, {integer(1, 10), "|99999999999999999999|"},
		{Match, "ip4.src == 10.0.0.1 && tcp"}, {Match, "|ip4.source| == 10.0.0.1"}, {Match, "ip4 &&||"},
		{Endpoint, "10.0.0.1:80"}, {Endpoint, "[fd00::1]:80"}, {Endpoint, "fd00::1"}, {Endpoint, "10.0.0.1:|65536|"}, {Endpoint, "[fd00::1||"},
		{Endpoint, "[fd00::1]|80|"}, {Endpoint, "10.0.0.|999|:80"}, {Endpoint, "10.0.0.1:||"},
		{columnTypes[[2]string{"Logical_Switch_Port", "addresses"}], "00:00:00:00:00:01 10.0.0.1 fd00::1"},
		{columnTypes[[2]string{"Logical_Switch_Port", "addresses"}], "00:00:00:00:00:01 10.0.0.|300|"},
		{columnTypes[[2]string{"Logical_Switch_Port", "addresses"}], "00:00:00:00:00:01 dynamic"},
		{columnTypes[[2]string{"Logical_Switch_Port", "addresses"}], "dynamic 10.0.0.9"},
		{columnTypes[[2]string{"Logical_Switch_Port", "addresses"}], "|10.0.0.9|"},
		{Type{"", checkPortRange}, "1-5"}, {Type{"", checkPortRange}, "5-|1|"}, {Type{"", checkPortRange}, "|0|"}, {Type{"", checkPortRange}, "1-|70000|"},
		{Type{"", checkRanges}, "10.0.0.1 10.0.0.5..10.0.0.9"}, {Type{"", checkRanges}, "10.0.0.1 |10.0.0.9..10.0.0.5|"}, {Type{"", checkRanges}, "10.0.0.1..10.0.0.|x|"},
		{Type{"", checkRouteInfo}, "HIGH-aef1::11/48,LOW-aef2::11/96"}, {Type{"", checkRouteInfo}, "HIGH-aef1::11/48,|BEST|-aef2::/96"}, {Type{"", checkRouteInfo}, "LOW-aef1::/|200|"},
		{Type{"", checkSNATIPs}, "10.0.0.1 fd00::1"}, {Type{"", checkSNATIPs}, "10.0.0.1 |10.0.0.2|"},
		{braced(IPv4), "10.0.0.1"}, {braced(IPv4), "{10.0.0.1, 10.0.0.2}"}, {braced(IPv4), "{10.0.0.1, 10.0.0.|999|}"}, {braced(IPv4), "{10.0.0.1||"},
		{braced(Prefix), "{30.0.0.0/24,10.0.0.10, 0.0.0.0/0,10.0.0.1}"},
		{Type{"", checkAging}, "60"}, {Type{"", checkAging}, "192.168.0.0/16:300;60"}, {Type{"", checkAging}, "192.168.0.0/16:|x|;60"},
		{Type{"", checkMapping}, "p1:10.0.0.1"}, {Type{"", checkMapping}, "p1:10.0.0.|x|"}, {Type{"", checkMapping}, "|p1|"},
		{Type{"", checkMACPrefix}, "02:ab:cd"}, {Type{"", checkMACPrefix}, "|02:ab|"}, {Type{"", checkMACPrefix}, "02:|xx|:cd"},
		{Type{"", checkProxy}, "169.254.1.1 10.0.0.0/8"}, {Type{"", checkProxy}, "00:00:00:00:00:01 10.0.0.1"}, {Type{"", checkProxy}, "00:00:00:00:00:01||"},
		{Type{"", checkTarget}, "ptcp:6641"}, {Type{"", checkTarget}, "|http|:80"},
		{Type{"", func(s string) faultAt { return checkBackends("1.1.1.1:80", s) }}, "10.0.0.1:80,10.0.0.2:81"},
		{Type{"", func(s string) faultAt { return checkBackends("1.1.1.1:80", s) }}, "10.0.0.1:80,10.0.0.2||"},
		{Type{"", func(s string) faultAt { return checkBackends("1.1.1.1", s) }}, "|10.0.0.1:80|"},
		{Type{"", func(s string) faultAt { return checkBackends("1.1.1.1", s) }}, "10.0.0.1,|fd00::1|"},
	} {
		text := strings.ReplaceAll(tt.want, "|", "")
		got := text
		if f := tt.t.Check(text); f != nil {
			got = text[:f.Pos] + "|" + text[f.Pos:f.End] + "|" + text[f.End:]
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.t.Name, got, tt.want)
		}
	}
}

// row is a row of a test.
type row struct {
	sets map[string][]string
	maps map[string][][2]string
}

func (r row) Strings(column string) []string  { return r.sets[column] }
func (r row) Pairs(column string) [][2]string { return r.maps[column] }

// A row is checked as a whole.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		table string
		row   row
		want  string // places of the faults
	}{
		{"Logical_Switch", row{maps: map[string][][2]string{"other_config": {{"mcast_snoop", "on"}, {"subnet", "10.0.0.0/24"}, {"subnets", "x"}}}}, "other_config:mcast_snoop other_config:subnets?"},
		{"Logical_Switch", row{maps: map[string][][2]string{"external_ids": {{"anything", "goes"}}}}, ""},
		{"Logical_Switch_Port", row{sets: map[string][]string{"type": {"routr"}, "addresses": {"unknown"}}}, "type"},
		{"Load_Balancer", row{maps: map[string][][2]string{"vips": {{"1.1.1.1:80", "10.0.0.1"}, {"x", "y"}}, "ip_port_mappings": {{"10.0.0.1", "p1"}}}}, "vips:1.1.1.1:80 vips ip_port_mappings:10.0.0.1"},
		{"Load_Balancer", row{maps: map[string][][2]string{"options": {{"template", "true"}}, "vips": {{"^vip", "^backends"}}}}, ""},
		{"DNS", row{maps: map[string][][2]string{"records": {{"a.b", "10.0.0.1 fd00::1"}, {"b.b", "x"}, {"1.0.0.10.in-addr.arpa", "a.b"}}}}, "records:b.b"},
		{"ACL", row{sets: map[string][]string{"match": {"tcp.dst == ^port"}}}, ""},
		{"ACL", row{sets: map[string][]string{"match": {"tcp.dest == 80"}}}, "match"},
		{"Nothing", row{}, ""},
	} {
		var got []string
		for _, f := range Check(tt.table, tt.row) {
			place := f.Place()
			if f.Unknown {
				place += "?"
			}
			got = append(got, place)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: faults at %q, want %q", tt.table, got, tt.want)
		}
	}
}

// The names of other rows in matches are found, and not those in strings.
func TestReferences(t *testing.T) {
	match := `ip4.src == $as1 && inport == @pg.x && outport == "$no" && ip6.src == $pg_ip6`
	var got []string
	for _, r := range References("ACL", row{sets: map[string][]string{"match": {match}, "meter": {"m"}}}) {
		got = append(got, r.Tables[0]+" "+r.Name)
		if r.Column == "match" && !strings.HasPrefix(r.Text[r.Pos+1:], r.Name) {
			t.Errorf("%q is not at %d", r.Name, r.Pos)
		}
	}
	if want := "Meter m, Address_Set as1, Port_Group pg.x, Port_Group pg"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// No text makes a check panic, and every place is in the text.
func FuzzTypes(f *testing.F) {
	for _, s := range []string{"", "10.0.0.1/24", "[fd00::1]:80", "{10.0.0.1, x}", "a-b..c", "00:00:00:00:00:01 10.0.0.1", "HIGH-fd00::/64"} {
		f.Add(s)
	}
	var types []Type
	for _, k := range Keys() {
		types = append(types, k.Type)
	}
	for _, t := range columnTypes {
		types = append(types, t)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		for _, typ := range types {
			if e := typ.Check(s); e != nil && (e.Pos < 0 || e.End < e.Pos || e.End > len(s)) {
				t.Fatalf("%s: %q: from %d to %d", typ.Name, s, e.Pos, e.End)
			}
		}
		checkBackends("10.0.0.1:80", s)
		checkMapping(s)
		setsIn(s)
	})
}
