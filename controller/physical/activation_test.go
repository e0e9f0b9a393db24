package physical

import (
	"strings"
	"testing"

	"govn/proto"
)

// An additional location of a port with activation-strategy=rarp is blocked until
// its workload says that it runs there; the main one never is.
func TestActivation(t *testing.T) {
	const rarp = "table=0, priority=1010,rarp,in_port=9 actions=set_field:0x5->metadata,set_field:0x3->reg14,controller(userdata=00.15.00.00.00.00.00.00)"
	blocks := []string{rarp, "table=0, priority=1000,in_port=9 actions=drop", "table=39, priority=1000,reg15=0x3,metadata=0x5 actions=drop"}
	c := start(t)
	c.h.SetInterface("vm", "tap", 9)
	port := &proto.Port{Name: "vm", Chassis: "hv2", AdditionalChassis: []string{"hv1"}, Options: map[string]string{optionActivation: activationRARP}}
	expect := func(what string, blocked bool) {
		t.Helper()
		c.port(5, 3, port)
		c.round()
		text := c.text()
		for _, flow := range blocks {
			if strings.Contains(text, flow) != blocked {
				t.Errorf("%s: %q there: %v\n%s", what, flow, !blocked, text)
			}
		}
		if !strings.Contains(text, "table=65, priority=100,reg15=0x3,metadata=0x5 actions=output:9") {
			t.Errorf("%s: the port is not here:\n%s", what, text)
		}
	}
	expect("an additional location", true)
	c.h.SetActivated("vm", true)
	expect("its workload runs", false)
	c.h.SetActivated("vm", false)
	expect("another one", true)
	port.Options = nil
	expect("without a strategy", false)
	port.Options = map[string]string{optionActivation: activationRARP}
	port.Chassis, port.AdditionalChassis = "hv1", nil
	expect("the main location", false)
}
