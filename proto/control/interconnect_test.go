package control

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// joined is an interconnection with something of everything.
func joined() *Interconnection {
	return &Interconnection{
		Centre: "00112233445566778899aabbccddeeff",
		Zones: []ICZone{
			{Name: "east", Row: "r1", ID: "0123456789abcdef0123456789abcdef", Owner: "certificate east", Alive: true, Gateways: 1, Ports: 2, Routes: 3},
			{Name: "north", Row: "r2", Owner: "192.0.2.7", Alive: true, Refused: 1},
			{Name: "south", Row: "r3", ExpiresMS: 7512, Ports: 1},
			{Name: "west", Row: "r4", ID: "ffffffffffffffffffffffffffffffff", Expired: true},
			{Name: "young", Row: "r5"},
		},
		Switches: []ICSwitch{{Name: "ts1", Key: 0xff0002, Allowed: []string{"east", "south"}, Joined: []string{"east"}}, {Name: "ts2", Joined: []string{}}, {Name: "ts3", Key: 0xff0003, Joined: []string{}, Closed: true}},
		Conflicts: []ICConflict{
			{Switch: "ts1", Prefix: "10.0.0.0/24", Zone: "east", OtherPrefix: "10.0.0.0/24", OtherZone: "south", Kind: "same"},
			{Switch: "ts1", Table: "blue", Prefix: "10.1.1.0/24", Zone: "south", OtherPrefix: "10.1.0.0/16", OtherZone: "east", Kind: "within"},
		},
	}
}

func TestInterconnectionText(t *testing.T) {
	const want = `centre 00112233445566778899aabbccddeeff: 5 zones, 3 transit switches

ZONE   STATE            GATEWAYS  PORTS  ROUTES  REFUSED  OWNER             ID
east   alive            1         2      3       0        certificate east  0123456789abcdef0123456789abcdef
north  alive            0         0      0       1        192.0.2.7         -
south  LOST, 7.5s left  0         1      0       0        -                 -
west   EXPIRED          0         0      0       0        -                 ffffffffffffffffffffffffffffffff
young  unknown          0         0      0       0        -                 -

SWITCH  KEY                  MAY JOIN     HAVE A PORT
ts1     16711682 (0xff0002)  east, south  east
ts2     -                    all          -
ts3     16711683 (0xff0003)  NONE         -

ts1: overlap in route table "blue": 10.1.1.0/24 of south is within 10.1.0.0/16 of east: both are used

6 problems:
  zone "north": 1 write refused since the centre began
  zone "south" is lost; its routes go in 7.5s
  the lease of zone "west" has expired, and its routes are gone
  ts2: the switch has no key yet
  ts3: nobody may join: other_config:zones names no zone, or is missing in strict mode
  ts1: conflict: 10.0.0.0/24 of east is used, that of south is not
`
	s := joined()
	s.FindProblems()
	got, err := String(Text, s)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	s.Zones, s.Switches, s.Conflicts = s.Zones[:1], nil, nil
	s.FindProblems()
	if got, err := String(Text, s); err != nil || !strings.HasSuffix(got, "\n\nno problems\n") {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestConflictsText(t *testing.T) {
	const want = `SWITCH  TABLE  KIND    CONFLICT
ts1     -      same    10.0.0.0/24 of east is used, that of south is not
ts1     blue   within  10.1.1.0/24 of south is within 10.1.0.0/16 of east: both are used
`
	got, err := String(Text, ICConflicts(joined().Conflicts))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := String(Text, ICConflicts(nil)); err != nil || got != "no conflicts\n" {
		t.Errorf("%v %q", err, got)
	}
}

// What is printed as JSON reads back.
func TestInterconnectionJSON(t *testing.T) {
	s := joined()
	s.FindProblems()
	text, err := String(JSON, s)
	if err != nil {
		t.Fatal(err)
	}
	var back Interconnection
	if err := json.Unmarshal([]byte(text), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, &back); diff != "" {
		t.Error(diff)
	}
}
